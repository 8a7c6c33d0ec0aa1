"""Embeddings at the gateway: OpenAI's client asks, another server's model answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from abstractcore.testing import ScriptedLLM
from tests.fakes.replies import whole
from tests.fakes.server import FakeServer

from .asking import post
from .conftest import Serving

Serve = Callable[..., Serving]


@pytest.fixture
def client(serving: Serving) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="k", max_retries=0) as made:
        yield made


def _vectors(server: FakeServer, *vectors: list[float]) -> None:
    data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 6, "total_tokens": 6}
    server.replies(whole(200, {"object": "list", "data": data, "model": "e", "usage": usage}))


@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_texts_become_vectors(
    serve: Serve, client: openai.OpenAI, server: FakeServer, encoding: dict[str, Any]
) -> None:
    """Of itself the client asks for base64, and decodes it."""
    _vectors(server, [0.5, -1.0], [0.25, 2.0])
    serve(models={"e": server.llm()})

    answer = client.embeddings.create(model="e", input=["one", "two"], **encoding)

    vectors: Any = [item.embedding for item in answer.data]
    if encoding.get("encoding_format") == "base64":
        assert vectors == ["AAAAPwAAgL8=", "AACAPgAAAEA="]
    else:
        assert vectors == [[0.5, -1.0], [0.25, 2.0]]
    assert answer.usage.prompt_tokens == 6
    assert server.requests[0].json["input"] == ["one", "two"]


def test_one_text_and_shorter_vectors_are_passed_on(
    serve: Serve, client: openai.OpenAI, server: FakeServer
) -> None:
    _vectors(server, [0.5, -1.0])
    serve(models={"e": server.llm()})

    client.embeddings.create(model="e", input="one", dimensions=2)

    assert server.requests[0].json["input"] == ["one"]
    assert server.requests[0].json["dimensions"] == 2


def test_a_model_without_embeddings_says_so(serve: Serve, client: openai.OpenAI) -> None:
    serve(models={"m": ScriptedLLM([])})

    with pytest.raises(openai.BadRequestError, match="embeddings") as raised:
        client.embeddings.create(model="m", input="one")

    assert raised.value.code == "unsupported_parameter"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"input": None}, "input: expected a string"),
        ({"input": []}, "input: there is nothing"),
        ({"input": [[1, 2]]}, "input[0]: tokens cannot"),
        ({"input": "x", "encoding_format": "hex"}, "encoding_format: expected"),
        ({"input": "x", "dimensions": "many"}, "dimensions: expected an integer"),
    ],
)
def test_what_is_wrong_is_told(serve: Serve, server: FakeServer, body: dict[str, Any], told: str) -> None:
    serving = serve(models={"e": server.llm()})

    status, answer = post(f"{serving.url}/v1/embeddings", {"model": "e", **body})

    assert status == 400
    assert told in json.dumps(answer)
