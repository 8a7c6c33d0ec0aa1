"""The proxy that the environment names for a URL: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from abstractcore.drivers.keys import Secret
from abstractcore.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy listens (`http://host:port`), and how one logs in to it."""

    url: str
    user: str | None = field(default=None, repr=False)
    password: Secret | None = None


def proxy_for(url: str) -> Proxy | None:
    """Give the proxy for *url*, or None.

    The variables are read as `urllib.request.getproxies` reads them. Raises
    ConfigurationError, naming the variable and no credentials, for one we cannot use.
    """
    if not _any_configured() or (found := _configured(urlsplit(url))) is None:
        return None
    scheme, text = found
    proxy = _parse(text)
    if isinstance(proxy, str):
        problem = f"{scheme.upper()}_PROXY is no proxy that can be used ({proxy})"
        raise ConfigurationError(f"{problem}: http:// and https:// can")
    return proxy


def _configured(target: SplitResult) -> tuple[str, Secret] | None:
    """Give the scheme that a variable is named after and what stands in it, credentials and all."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    scheme = target.scheme if target.scheme in proxies else "all"
    if scheme not in proxies or proxy_bypass(target.netloc.rpartition("@")[2]):
        return None
    return scheme, Secret(proxies[scheme])


def _any_configured() -> bool:
    if sys.platform in ("darwin", "win32"):  # the system's settings count there too
        return True
    return any(name.lower().endswith("_proxy") for name in os.environ)


def _parse(secret: Secret) -> Proxy | str:
    """Give the proxy, or what of the text can be shown. It raises nothing: its frame holds the login."""
    text = secret.reveal()
    text = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if host is None or parts.scheme not in ("http", "https"):
        return f"{parts.scheme}://…" if parts.scheme else "no URL"
    host = f"[{host}]" if ":" in host else host
    port = port or (443 if parts.scheme == "https" else 80)
    user = unquote(parts.username) if parts.username else None
    password = Secret(unquote(parts.password)) if parts.password else None
    return Proxy(f"{parts.scheme}://{host}:{port}", user, password)
