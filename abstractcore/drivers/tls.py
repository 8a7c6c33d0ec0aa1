"""The one TLS context of the process. Loaded by the first https request."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import httpx

from abstractcore.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl


@lru_cache(maxsize=1)
def ssl_context() -> ssl.SSLContext:
    """Give the context, with the roots that httpx trusts (certifi, SSL_CERT_FILE)."""
    try:
        context = httpx.create_ssl_context()
    except OSError as failure:
        problem = "the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read"
        raise ConfigurationError(f"{problem}: {failure.strerror or failure}") from failure
    context.set_alpn_protocols(["http/1.1"])
    return context
