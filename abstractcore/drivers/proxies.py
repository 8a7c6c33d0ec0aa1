"""The proxy that the environment names for a URL: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from abstractcore.drivers.base import Secret
from abstractcore.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy listens (`http://host:port`), and how one logs in to it."""

    url: str
    user: str | None = None
    password: Secret | None = None


def proxy_for(url: str) -> Proxy | None:
    """Give the proxy for *url*, or None.

    The variables are read as `urllib.request.getproxies` reads them. Raises
    ConfigurationError, naming the variable and no credentials, for one we cannot use.
    """
    if not _any_configured():
        return None
    from urllib.request import getproxies, proxy_bypass

    target = urlsplit(url)
    proxies = getproxies()
    scheme = target.scheme if target.scheme in proxies else "all"
    if scheme not in proxies or proxy_bypass(target.netloc.rpartition("@")[2]):
        return None
    return _parse(proxies[scheme], f"{scheme.upper()}_PROXY")


def _any_configured() -> bool:
    if sys.platform in ("darwin", "win32"):  # the system's settings count there too
        return True
    return any(name.lower().endswith("_proxy") for name in os.environ)


def _parse(text: str, variable: str) -> Proxy:
    text = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if host is None or parts.scheme not in ("http", "https"):
        shown = f"{parts.scheme}://…" if parts.scheme else "no URL"
        raise ConfigurationError(f"{variable} is no proxy that can be used ({shown}): http:// and https:// can")
    host = f"[{host}]" if ":" in host else host
    port = port or (443 if parts.scheme == "https" else 80)
    user = unquote(parts.username) if parts.username else None
    password = Secret(unquote(parts.password)) if parts.password else None
    return Proxy(f"{parts.scheme}://{host}:{port}", user, password)
