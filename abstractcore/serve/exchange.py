"""One request and its answer: what is counted of it, and how it ends when it fails.

Knows no path and no dialect's fields: what answers is handed in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from abstractcore.errors import AbstractCoreError
from abstractcore.serve.bodies import ClientLeft, read_json
from abstractcore.serve.dialects.base import Refusal
from abstractcore.serve.leaving import watched
from abstractcore.serve.refusals import Refused, refusal_of
from abstractcore.serve.replies import Reply

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from abstractcore.llm import LLM
    from abstractcore.serve.dialects.base import Refuse
    from abstractcore.serve.gateway import Gateway
    from abstractcore.types import Usage

_LEFT = 499  # nginx's word for a client that closed its request
Answer = Callable[["Exchange", dict[str, Any]], Awaitable[None]]


class Endpoint:
    """An ASGI app that answers the requests of one path: *answer* does, *refuse* shapes what fails."""

    def __init__(self, gateway: Gateway, name: str, refuse: Refuse, answer: Answer) -> None:
        self._gateway = gateway
        self._name = name
        self._refuse = refuse
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = Exchange(self._gateway, self._name, self._refuse, scope, send)
        await exchange.run(self._answer, receive)


class Exchange:
    """One request and its answer."""

    def __init__(self, gateway: Gateway, name: str, refuse: Refuse, scope: Scope, send: Send) -> None:
        self._gateway = gateway
        self._metrics = gateway.metrics
        self._name = name
        self._refuse = refuse
        self._headers: dict[str, str] = scope["state"]["headers"]
        self._began = time.monotonic()
        self._model = ""
        self._error: str | None = None
        self.reply = Reply(send, scope["state"]["request_id"])

    async def run(self, answer: Answer, receive: Receive) -> None:
        """Read the request, and let *answer* answer it until the client leaves."""
        self._metrics.in_flight.inc()
        try:
            with self._gateway.under_way:
                body = await read_json(receive, self._headers, self._gateway.max_body_bytes)
                async with watched(receive):
                    await answer(self, body)
        except ClientLeft:
            self._error, self.reply.status = "ClientLeft", _LEFT
        except (Refused, AbstractCoreError) as failure:
            await self._say(failure)
        except asyncio.CancelledError:
            self._error = "Cancelled"
            raise
        except Exception as failure:
            self._error = type(failure).__name__
            if self.reply.status is None:
                await self.reply.refuse(self._refuse, Refusal(500, "server", "The gateway failed."))
            raise  # to the server's log; it cuts off an answer that has begun
        finally:
            self._metrics.in_flight.dec()
            self._count()

    def find(self, model: str) -> LLM:
        """Find the LLM that a request names. Raises Refused: 404."""
        self._model, llm = self._gateway.models.find(model)
        return llm

    def note_first(self) -> None:
        """Note that a streamed answer has begun."""
        self._metrics.first_chunk.labels(self._model).observe(self._elapsed())

    def note_tokens(self, usage: Usage) -> None:
        """Note what an answer took."""
        self._metrics.count_tokens(self._model, usage)

    def note_failure(self, failure: AbstractCoreError) -> None:
        """Note what broke off an answer that had begun."""
        self._error = type(failure).__name__

    async def _say(self, failure: Refused | AbstractCoreError) -> None:
        if isinstance(failure, Refused):
            refusal = failure.refusal
            self._error = refusal.kind
        else:
            refusal = refusal_of(failure)
            self._error = type(failure).__name__
        with suppress(OSError):
            await self.reply.refuse(self._refuse, refusal)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _count(self) -> None:
        status = str(self.reply.status or _LEFT)
        self._metrics.requests.labels(self._name, self._model, status).inc()
        self._metrics.seconds.labels(self._name, self._model).observe(self._elapsed())
        if self._error is not None:
            self._metrics.errors.labels(self._name, self._model, self._error).inc()
