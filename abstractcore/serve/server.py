"""The gateway on uvicorn, until it is told to stop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import uvicorn

from abstractcore.errors import ConfigurationError
from abstractcore.serve.door import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp

KEYS_VARIABLE = "ABSTRACTCORE_SERVE_KEYS"
_SECONDS_TO_END = 30


def serve(asgi: ASGIApp, host: str, port: int, log_level: str) -> None:
    """Serve an app. Raises ConfigurationError where it cannot be listened at *host* and *port*."""
    config = uvicorn.Config(
        asgi,
        host=host,
        port=port,
        log_level=log_level,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_SECONDS_TO_END,
    )
    server = uvicorn.Server(config)
    try:
        server.run()
    except KeyboardInterrupt:  # which has ended it by then
        return
    except SystemExit:  # a code of uvicorn's own, which has logged the reason
        if server.started:
            raise
    if not server.started:
        raise ConfigurationError(f"{host}:{port} cannot be listened at: the reason stands above")


def keys_in_environment() -> list[str]:
    """Give the keys that stand in ABSTRACTCORE_SERVE_KEYS."""
    return [key.strip() for key in os.environ.get(KEYS_VARIABLE, "").split(",") if key.strip()]


def check_address(host: str, port: int, *, has_keys: bool) -> None:
    """Raise ConfigurationError where other machines could come in, and no key keeps them out."""
    if not 0 <= port <= 65_535:
        raise ConfigurationError(f"a port is 0 to 65535, not {port}")
    if not has_keys and not is_loopback(host):
        raise ConfigurationError(
            f"other machines can reach {host}, and there are no keys: pass keys=, or set {KEYS_VARIABLE}"
        )
