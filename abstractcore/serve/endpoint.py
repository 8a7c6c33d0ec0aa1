"""One path of a gateway that a model answers at: read, ask, write, and tell what went wrong.

Knows when each thing happens. What a request and an answer look like is the dialect's.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from abstractcore.drivers.eventloop import ASYNC
from abstractcore.errors import AbstractCoreError
from abstractcore.serve.bodies import ClientLeft, read_json
from abstractcore.serve.dialects.base import Asked, Dialect, Refusal, Stamp, Writer
from abstractcore.serve.leaving import watched
from abstractcore.serve.refusals import Refused, refusal_of
from abstractcore.serve.replies import Reply, warnings_header
from abstractcore.streams import AsyncStream
from abstractcore.types import PHASES

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from abstractcore.generation.ask import Ask
    from abstractcore.llm import LLM
    from abstractcore.serve.gateway import Gateway
    from abstractcore.types import GenerateResponse

_LEFT = 499  # nginx's word for a client that closed its request


class Endpoint:
    """An ASGI app that answers POST requests in one dialect."""

    def __init__(self, gateway: Gateway, dialect: Dialect) -> None:
        self._gateway = gateway
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await _Exchange(self._gateway, self._dialect, scope, receive, send).run()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, gateway: Gateway, dialect: Dialect, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._gateway = gateway
        self._dialect = dialect
        self._headers: dict[str, str] = scope["state"]["headers"]
        self._receive = receive
        self._reply = Reply(send, scope["state"]["request_id"])
        self._began = time.monotonic()
        self._model = ""
        """The name that the model is served under, once that is known."""
        self._error: str | None = None

    async def run(self) -> None:
        metrics = self._gateway.metrics
        gauge = self._gateway.under_way
        metrics.in_flight.inc()
        try:
            with gauge:
                await self._answered()
        except ClientLeft:
            self._error, self._reply.status = "ClientLeft", _LEFT
        except (Refused, AbstractCoreError) as failure:
            await self._refuse(failure)
        except asyncio.CancelledError:
            self._error = "Cancelled"
            raise
        except Exception as failure:
            self._error = type(failure).__name__
            if self._reply.status is None:
                await self._reply.refuse(self._dialect, Refusal(500, "server", "The gateway failed."))
            raise  # to the server's log; it cuts off an answer that has begun
        finally:
            metrics.in_flight.dec()
            self._count()

    async def _answered(self) -> None:
        body = await read_json(self._receive, self._headers, self._gateway.max_body_bytes)
        asked = self._dialect.read(body)
        self._model, llm = self._gateway.models.find(asked.model)
        stamp = Stamp(uuid4().hex, asked.model, int(time.time()))
        ask = _ask(llm, asked)
        async with watched(self._receive):
            if asked.stream:
                await self._streamed(llm, ask, asked, self._dialect.writer(asked, stamp))
            else:
                await self._whole(llm, ask, asked, stamp)

    async def _whole(self, llm: LLM, ask: Ask, asked: Asked, stamp: Stamp) -> None:
        response: GenerateResponse = await llm._answer(ASYNC, ask)  # pyright: ignore[reportPrivateUsage]
        self._gateway.metrics.count_tokens(self._model, response.usage)
        told = warnings_header([*_ignored(asked), *response.warnings])
        await self._reply.json(self._dialect.write(asked, response, stamp), headers=told)

    async def _streamed(self, llm: LLM, ask: Ask, asked: Asked, writer: Writer) -> None:
        """Send each chunk when it comes; the next one is not asked for before the client has taken it."""
        stream = AsyncStream(llm._stream(ASYNC, ask, PHASES))  # pyright: ignore[reportPrivateUsage]
        begun = b""
        try:
            async with stream:  # here the request is sent, and its errors are raised, before our head is
                await self._reply.events(warnings_header(_ignored(asked)))
                begun = writer.begin()
                async for chunk in stream:
                    if chunk.phase == "done":
                        continue
                    if begun:
                        self._gateway.metrics.first_chunk.labels(self._model).observe(self._elapsed())
                    events, begun = begun + writer.add(chunk), b""
                    if events:
                        await self._reply.write(events)
                response = stream.response
        except AbstractCoreError as failure:
            if self._reply.status is None:
                raise
            self._error = type(failure).__name__
            last = begun + writer.fail(refusal_of(failure))
        else:
            self._gateway.metrics.count_tokens(self._model, response.usage)
            last = begun + writer.end(response)
        await self._reply.end(last)

    async def _refuse(self, failure: Refused | AbstractCoreError) -> None:
        if isinstance(failure, Refused):
            refusal = failure.refusal
            self._error = refusal.kind
        else:
            refusal = refusal_of(failure)
            self._error = type(failure).__name__
        with suppress(OSError):
            await self._reply.refuse(self._dialect, refusal)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _count(self) -> None:
        metrics, name = self._gateway.metrics, self._dialect.name
        metrics.requests.labels(name, self._model, str(self._reply.status or _LEFT)).inc()
        metrics.seconds.labels(name, self._model).observe(self._elapsed())
        if self._error is not None:
            metrics.errors.labels(name, self._model, self._error).inc()


def _ask(llm: LLM, asked: Asked) -> Ask:
    """Put the question as `generate` would, with its own checks.

    The schema goes down as it came: whether an answer follows it is for the client to judge, who may
    have read half of it by then.
    """
    arguments: dict[str, Any] = {
        "prompt": None,
        "messages": asked.messages,
        "system_prompt": None,
        "tools": asked.tools or None,
        "tool_choice": asked.tool_choice,
        "run_tools": False,
        "response_model": None,
        "return_response": False,
        "media": None,
        "stream": asked.stream,
        "timeout": None,
        "sampling": asked.sampling,
    }
    ask = llm._ask(arguments)  # pyright: ignore[reportPrivateUsage]
    return replace(ask, request=replace(ask.request, schema=asked.schema)) if asked.schema else ask


def _ignored(asked: Asked) -> list[str]:
    return [f"{name} is not known here: ignored" for name in asked.ignored]
