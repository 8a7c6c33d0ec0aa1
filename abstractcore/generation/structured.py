"""Structured output: the objects that a stream is becoming, and asking again when an answer is not one.

Knows why the model is asked again. Knows no wire and no history.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from abstractcore.drivers.generators import Nested
from abstractcore.errors import StructuredOutputError
from abstractcore.types import GenerateRequest, Message, StreamChunk

if TYPE_CHECKING:
    from abstractcore.generation.call import Answer, Call

MOST_REQUESTS = 3

_REASON = "That answer does not follow the schema: {problem}\nAnswer again, with the JSON alone."


async def insist(call: Call, answer: Answer, request: GenerateRequest) -> AsyncGenerator[StreamChunk]:
    """Answer *request*; an answer that is not what the schema asks for is sent back with the reason.

    At most three requests, retries of the transport not counted. Each chunk of text says in
    `partial` what the object is so far. Raises StructuredOutputError with `attempts`.
    """
    for number in range(1, MOST_REQUESTS + 1):
        try:
            async with aclosing(Nested(answer(call, request))) as chunks:
                async for chunk in chunks:
                    if request.stream and chunk.phase == "generating":
                        chunk = replace(chunk, partial=so_far(call.collector.content))
                    yield chunk
            return
        except StructuredOutputError as failure:
            failure.attempts = number
            if number == MOST_REQUESTS:
                raise
            request = replace(request, messages=[*request.messages, *_sent_back(call, failure)])
            call.collector.next_round()


def _sent_back(call: Call, failure: StructuredOutputError) -> list[Message]:
    answer = call.collector.content or "(empty)"
    reason = _REASON.format(problem=failure.validation_error)
    return [{"role": "assistant", "content": answer}, {"role": "user", "content": reason}]


def so_far(text: str) -> Any:
    """Read the beginning of a JSON text as far as it goes; None before there is anything."""
    from pydantic_core import from_json

    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0:
        return None
    try:
        return from_json(text[start:], allow_partial="trailing-strings")
    except ValueError:
        return None
