"""The gateway over a model in this process: its requests are one continuous batch."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import openai
import pytest

from abstractcore import create_llm
from tests.engines.conftest import TINY, needs

from .conftest import Serving
from .speakers import SCHEMA, Speaker

#: A model of random weights ends no text of itself, and writes spaces as long as it may.
CLOSED = {**SCHEMA, "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}}}
Serve = Callable[..., Serving]


@pytest.fixture(scope="module")
def tiny() -> Iterator[Any]:
    needs("openvino_genai")
    with create_llm("openvino", str(TINY)) as llm:
        yield llm


async def test_eight_requests_are_one_batch(serve: Serve, tiny: Any) -> None:
    """Their chunks come in turn, and not one answer after the other; one that leaves disturbs nobody."""
    serving = serve(models={"tiny": tiny})
    came: list[int] = []

    async def ask(client: Any, number: int) -> Any:
        stream = await client.chat.completions.create(
            model="tiny",
            messages=[{"role": "user", "content": f"Count to {number}."}],
            max_tokens=160,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"seed": number},
        )
        usage = None
        async for chunk in stream:
            came.append(number)
            if number == 7 and came.count(7) == 10:
                await stream.close()
                return None
            usage = chunk.usage or usage
        return usage

    async with openai.AsyncOpenAI(base_url=f"{serving.url}/v1", api_key="k", max_retries=0) as client:
        *usages, left = await asyncio.gather(*[ask(client, number) for number in range(8)])

    assert left is None
    assert all(usage.completion_tokens >= 1 for usage in usages)
    assert sum(one != other for one, other in pairwise(came)) > 14  # 7, were they in a queue


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_each_dialect_asks_a_model_of_this_process(
    serve: Serve, speak: Callable[..., Speaker], tiny: Any, dialect: str, stream: bool
) -> None:
    """Its answer follows the schema, and its tokens are counted."""
    speaker = speak(serve(models={"tiny": tiny}))
    most = {"responses": "max_output_tokens"}.get(dialect, "max_tokens")

    said = speaker.ask("Where?", stream=stream, model="tiny", **speaker.schema(CLOSED), **{most: 60})

    assert re.match(r'\s*\{\s*"city"\s*:\s*"(Paris|Rome)"', said.text), said.text
    assert said.usage is not None
    assert min(said.usage) > 0


async def test_the_model_is_loaded_with_the_server_and_closed_with_it(serve: Serve) -> None:
    needs("openvino_genai")
    serving = serve(models={"tiny": f"openvino:{TINY}"})
    app = serving.app

    async with app.router.lifespan_context(app):
        llm = app.user_middleware[0].kwargs["gateway"].models.find("tiny")[1]
        answer = await llm.agenerate("Hi", max_output_tokens=2)
    assert answer.usage.output_tokens == 2
    with pytest.raises(Exception, match="closed"):
        await llm.agenerate("Hi")
