"""Embeddings at two servers that others wrote: aimock, and llmock, which breaks as it is told."""

from __future__ import annotations

from typing import Any

import pytest

from abstractcore import ResponseError, create_llm
from tests.fakes.surfaces import Surface
from tests.real.test_llmock import Llmock

TEXTS = ["a text", "another", "a text"]
#: aimock answers what no fixture names by numbers that it makes of the text.
ANY = {"X-AIMock-Strict": "false"}


@pytest.mark.parametrize(
    ("provider", "path"), [("openai", "/v1"), ("openrouter", "/api/v1"), ("vllm", "/v1")]
)
def test_aimock_embeds(
    surface: Surface, aimock_url: str, opened_llms: list[Any], provider: str, path: str
) -> None:
    llm = create_llm(provider, "an-embedder", base_url=aimock_url + path, api_key="k", headers=ANY)
    opened_llms.append(llm)

    response = surface.call(llm, "embed", TEXTS, dimensions=8)
    batched = surface.call(llm, "embed", TEXTS, dimensions=8, batch_size=1)

    assert (len(response), response.dimensions) == (3, 8)
    assert response[0] == response[2] != response[1]
    assert batched.vectors == response.vectors


def test_a_server_that_answers_the_older_wire_is_told_apart(
    surface: Surface, aimock_url: str, opened_llms: list[Any]
) -> None:
    """aimock gives Ollama's answer of 2023, with one vector for all texts: no vector is made of that."""
    llm = create_llm("ollama", "an-embedder", base_url=aimock_url, headers=ANY)
    opened_llms.append(llm)

    with pytest.raises(ResponseError, match="no list of vectors"):
        surface.call(llm, "embed", TEXTS)


def test_llmock_embeds_after_its_faults(
    surface: Surface, llmock_url: str, opened_llms: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abstractcore.generation.retry._FIRST_BACKOFF", 0.001)
    llmock = Llmock(llmock_url, opened_llms)
    llm = create_llm("openai", "text-embedding-3-small", base_url=llmock_url + "/v1", api_key="k")
    opened_llms.append(llm)
    clean = surface.call(llm, "embed", TEXTS)

    llmock.fails(503)
    again = surface.call(llm, "embed", TEXTS)

    assert again.vectors == clean.vectors
    assert llmock.statuses() == [200, 503, 200]
    assert (clean.dimensions, len(clean)) == (1536, 3)
    assert clean.usage.input_tokens > 0
