"""The paths of a gateway that no model answers at: the list of models, metrics, health, the page, errors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from abstractcore.serve.dialects import messages as anthropic
from abstractcore.serve.dialects import openai_words as openai
from abstractcore.serve.dialects.base import Dialect, Refusal
from abstractcore.serve.dialects.chat_completions import CHAT_COMPLETIONS
from abstractcore.serve.dialects.messages import MESSAGES
from abstractcore.serve.metrics import CONTENT_TYPE
from abstractcore.serve.page import PAGE, page_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import Scope

    from abstractcore.serve.gateway import Gateway

ANTHROPIC = "/v1/messages"


def dialect_of(scope: Scope) -> Dialect:
    """Tell which dialect a request's failure is to be told in."""
    state = scope["state"]
    is_anthropic = state["path"].startswith(ANTHROPIC) or "anthropic-version" in state["headers"]
    return MESSAGES if is_anthropic else CHAT_COMPLETIONS


class LookingPaths:
    """The endpoints of one gateway; the list of models has the shape of whoever asks."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._created_at = datetime.fromtimestamp(gateway.created, UTC).isoformat()

    async def models(self, request: Request) -> Response:
        """List the models."""
        names = self._gateway.models
        if dialect_of(request.scope) is MESSAGES:
            return _json(request, anthropic.models_list(names, self._created_at))
        return _json(request, openai.models_list(names, self._gateway.created))

    async def model(self, request: Request) -> Response:
        """Tell of one model."""
        name, _ = self._gateway.models.find(request.path_params["name"])
        if dialect_of(request.scope) is MESSAGES:
            return _json(request, anthropic.model_entry(name, self._created_at))
        return _json(request, openai.model_entry(name, self._gateway.created))

    async def metrics(self, request: Request) -> Response:
        """Give the counts to Prometheus."""
        return Response(self._gateway.metrics.page(), headers={"content-type": CONTENT_TYPE})

    async def health(self, request: Request) -> Response:
        """Say that the gateway answers; no model is asked."""
        return _json(request, {"status": "ok"})

    async def page(self, request: Request) -> Response:
        """Give the page to chat at."""
        return Response(PAGE, media_type="text/html", headers=page_headers())


async def not_found(request: Request, failure: Any) -> Response:
    """Say that a path or a method is not known here."""
    message = f"{request.method} {request.url.path[:100]}: {failure.detail}"
    kind = "unknown_url" if failure.status_code == 404 else "invalid_request"
    return _refusal(request, Refusal(failure.status_code, kind, message), failure.headers)


async def say_refusal(request: Request, failure: Any) -> Response:
    """Say what the gateway refuses."""
    return _refusal(request, failure.refusal)


def _refusal(request: Request, refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response:
    body = dialect_of(request.scope).refuse(refusal, request.state.request_id)
    return _json(request, body, refusal.status, headers)


def _json(
    request: Request, body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    request_id = request.state.request_id
    return JSONResponse(
        body, status, {**(headers or {}), "x-request-id": request_id, "request-id": request_id}
    )
