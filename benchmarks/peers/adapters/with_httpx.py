"""Raw httpx with its default pool; only its timeout is raised, since calls wait for a connection."""

import httpx
from httpx_like import adapter

blocking, awaited = adapter(httpx)
