"""The paths that a model answers at: a question put as `generate` and `embed` put it, its answer written.

Knows when each thing happens. What a request and an answer look like is the dialect's.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from abstractcore.drivers.eventloop import ASYNC
from abstractcore.errors import AbstractCoreError
from abstractcore.serve.dialects import embeddings
from abstractcore.serve.dialects.base import Asked, Dialect, Stamp, Writer
from abstractcore.serve.dialects.openai_words import error_of
from abstractcore.serve.exchange import Endpoint, Exchange
from abstractcore.serve.refusals import refusal_of
from abstractcore.serve.replies import warnings_header
from abstractcore.serve.silence import kept_alive
from abstractcore.streams import AsyncStream
from abstractcore.types import PHASES

if TYPE_CHECKING:
    from abstractcore.generation.ask import Ask
    from abstractcore.llm import LLM
    from abstractcore.serve.gateway import Gateway
    from abstractcore.types import GenerateResponse


def generating(gateway: Gateway, dialect: Dialect) -> Endpoint:
    """Make the endpoint at which a dialect's questions are answered."""

    async def answer(exchange: Exchange, body: dict[str, Any]) -> None:
        asked = dialect.read(body)
        llm = exchange.find(asked.model)
        stamp = Stamp(uuid4().hex, asked.model, int(time.time()))
        ask = question(llm, asked)
        if asked.stream:
            await _streamed(exchange, llm, ask, asked, dialect.writer(asked, stamp))
        else:
            response: GenerateResponse = await llm._answer(ASYNC, ask)  # pyright: ignore[reportPrivateUsage]
            exchange.note_tokens(response.usage)
            told = warnings_header([*_ignored(asked.ignored), *response.warnings])
            await exchange.reply.json(dialect.write(asked, response, stamp), headers=told)

    return Endpoint(gateway, dialect.name, dialect.refuse, answer)


async def _streamed(exchange: Exchange, llm: LLM, ask: Ask, asked: Asked, writer: Writer) -> None:
    """Send each chunk when it comes; the next one is not asked for before the client has taken it."""
    stream = AsyncStream(llm._stream(ASYNC, ask, PHASES))  # pyright: ignore[reportPrivateUsage]
    headers = warnings_header(_ignored(asked.ignored))
    begun = writer.begin()
    try:
        # As the stream is entered the request is sent, and its errors are raised, before our head is sent:
        # but for a model that takes long for its first word.
        async with kept_alive(exchange.reply, headers), stream:
            await exchange.reply.events(headers)
            async for chunk in stream:
                if chunk.phase == "done":
                    continue
                if begun:
                    exchange.note_first()
                events, begun = begun + writer.add(chunk), b""
                if events:
                    await exchange.reply.write(events)
            response = stream.response
    except AbstractCoreError as failure:
        if exchange.reply.status is None:
            raise
        exchange.note_failure(failure)
        last = begun + writer.fail(refusal_of(failure))
    else:
        exchange.note_tokens(response.usage)
        last = begun + writer.end(response)
    await exchange.reply.end(last)


def question(llm: LLM, asked: Asked) -> Ask:
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


def _ignored(names: tuple[str, ...]) -> list[str]:
    return [f"{name} is not known here: ignored" for name in names]


def embedding(gateway: Gateway) -> Endpoint:
    """Make the endpoint at which texts become vectors."""

    async def answer(exchange: Exchange, body: dict[str, Any]) -> None:
        asked = embeddings.read(body)
        llm = exchange.find(asked.model)
        response = await llm.aembed(asked.texts, dimensions=asked.dimensions)
        exchange.note_tokens(response.usage)
        told = warnings_header([*_ignored(asked.ignored), *response.warnings])
        await exchange.reply.json(embeddings.write(asked, response), headers=told)

    return Endpoint(gateway, "embeddings", error_of, answer)
