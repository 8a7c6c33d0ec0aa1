"""Raw httpx2, as httpx."""

import httpx2
from httpx_like import adapter

blocking, awaited = adapter(httpx2)
