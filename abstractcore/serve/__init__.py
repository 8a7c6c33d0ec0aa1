"""The gateway: any provider and any engine, behind the wires of OpenAI and Anthropic.

`app` makes it, `run` serves it. Both need the extra `abstractcore[serve]`, loaded when they are called.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from abstractcore.errors import MissingDependencyError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from abstractcore.serve.models import Models

__all__ = ["app", "run"]

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_REQUESTS = 1_000
_PACKAGES = ("starlette", "uvicorn", "prometheus_client")


def app(
    models: Models,
    *,
    keys: Iterable[str] = (),
    max_body_bytes: int = MAX_BODY_BYTES,
    max_requests: int = MAX_REQUESTS,
    load: bool = True,
) -> Starlette:
    """Make the gateway that serves *models*, as an ASGI app.

    *models* are texts such as "openai/gpt-5-mini", which are their own names, or a mapping of the names
    that requests say to such texts, to (provider, model) or to an LLM of yours, which stays yours to close.
    *keys* are the bearer keys, any of which lets a client in; without one only this machine is answered. A
    request larger than *max_body_bytes* is refused, and so is one too many when *max_requests* are under
    way. With *load* the models of this process are loaded when the server starts.

    Raises MissingDependencyError without the extra, and what `create_llm` raises.
    """
    _check_installed()
    from abstractcore.serve.application import make
    from abstractcore.serve.models import ModelTable

    table = ModelTable(models)
    return make(table, keys=keys, max_body_bytes=max_body_bytes, max_requests=max_requests, load=load)


def run(
    models: Models,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    keys: Iterable[str] | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    max_requests: int = MAX_REQUESTS,
    log_level: str = "info",
) -> None:
    """Serve *models* on *host* and *port* until a signal ends it; answers under way get 30 seconds.

    *keys* are, unless given, the words in ABSTRACTCORE_SERVE_KEYS, separated by commas. Without a key
    *host* must be this machine's own: ConfigurationError otherwise. The others are those of `app`; the
    models of this process are loaded before anything is served.
    """
    _check_installed()
    from abstractcore.serve import server
    from abstractcore.serve.application import make
    from abstractcore.serve.models import ModelTable

    known = server.keys_in_environment() if keys is None else list(keys)
    server.check_address(host, port, has_keys=bool(known))
    with ModelTable(models) as table:
        asgi = make(table, keys=known, max_body_bytes=max_body_bytes, max_requests=max_requests, load=False)
        table.load()
        server.serve(asgi, host, port, log_level)


def _check_installed() -> None:
    if missing := [package for package in _PACKAGES if find_spec(package) is None]:
        raise MissingDependencyError(f'{missing[0]} is missing: pip install "abstractcore[serve]"')
