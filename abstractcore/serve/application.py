"""A gateway as an ASGI app, on starlette: its paths, and what every request comes through."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from abstractcore.errors import ConfigurationError
from abstractcore.serve.dialects.chat_completions import CHAT_COMPLETIONS
from abstractcore.serve.dialects.messages import MESSAGES
from abstractcore.serve.dialects.responses import RESPONSES
from abstractcore.serve.door import Door
from abstractcore.serve.endpoints import embedding, generating
from abstractcore.serve.gateway import Gateway
from abstractcore.serve.looking import (
    ANTHROPIC,
    LookingPaths,
    dialect_of,
    not_found,
    say_refusal,
)
from abstractcore.serve.models import ModelTable
from abstractcore.serve.refusals import Refused
from abstractcore.serve.replies import Reply

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


def make(
    models: ModelTable, *, keys: Iterable[str], max_body_bytes: int, max_requests: int, load: bool
) -> Starlette:
    """Make the gateway; the other arguments are those of `abstractcore.serve.app`."""
    if max_body_bytes < 1 or max_requests < 1:
        raise ConfigurationError("max_body_bytes and max_requests are 1 at least")
    gateway = Gateway(models, Door(keys), max_body_bytes, max_requests)
    starlette = Starlette(
        routes=_routes(gateway),
        lifespan=_lifespan(gateway, load=load),
        exception_handlers={HTTPException: not_found, Refused: say_refusal},
    )
    starlette.add_middleware(_Entrance, gateway=gateway)
    return starlette


def _routes(gateway: Gateway) -> list[Route]:
    looking = LookingPaths(gateway)
    answering = {
        "/v1/chat/completions": generating(gateway, CHAT_COMPLETIONS),
        "/v1/responses": generating(gateway, RESPONSES),
        ANTHROPIC: generating(gateway, MESSAGES),
        "/v1/embeddings": embedding(gateway),
    }
    told: dict[str, Callable[..., Any]] = {
        "/v1/models": looking.models,
        "/v1/models/{name:path}": looking.model,
        "/metrics": looking.metrics,
        "/health": looking.health,
        "/": looking.page,
    }
    return [
        *(Route(path, endpoint, methods=["POST"]) for path, endpoint in answering.items()),
        *(Route(path, endpoint, methods=["GET"]) for path, endpoint in told.items()),
    ]


def _lifespan(gateway: Gateway, *, load: bool) -> Any:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        try:
            if load:
                await gateway.models.aload()
            yield
        finally:
            await gateway.models.aclose()

    return lifespan


class _Entrance:
    """What every request comes through: it gets an id, and is let in or not."""

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self._app = app
        self._door = gateway.door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        state = scope.setdefault("state", {})
        state["headers"], state["request_id"] = headers, _request_id(headers)
        # A gateway may be mounted: its paths begin where that path ends.
        state["path"] = scope["path"].removeprefix(scope.get("root_path", ""))
        try:
            self._door.check(scope, state["path"], headers)
        except Refused as failure:
            await Reply(send, state["request_id"]).refuse(dialect_of(scope).refuse, failure.refusal)
        else:
            await self._app(scope, receive, send)


def _request_id(headers: dict[str, str]) -> str:
    """Keep the id that a client or a proxy gave, if it is one, so that both logs tell of the same."""
    given = headers.get("x-request-id", "")
    is_id = 0 < len(given) <= 128 and given.isascii() and given.isprintable() and " " not in given
    return given if is_id else f"req_{uuid4().hex}"
