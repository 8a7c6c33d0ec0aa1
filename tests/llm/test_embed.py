"""`embed` and `aembed` over HTTP: on both surfaces, on both wires, with what servers do wrong."""

from __future__ import annotations

import base64
import json
import struct
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from abstractcore import (
    AuthenticationError,
    BadRequestError,
    ClosedError,
    ConfigurationError,
    ContextLengthError,
    MissingDependencyError,
    RequestTimeoutError,
    ResponseError,
    UnsupportedFeatureError,
    create_llm,
    fallback,
)
from abstractcore.codecs.base import EmbedLimits
from abstractcore.codecs.ollama_embeddings import OllamaEmbeddings
from abstractcore.codecs.openai_embeddings import OpenAIEmbeddings
from abstractcore.generation.embed import batches
from abstractcore.testing import CassetteMissError, cassette
from abstractcore.types import EmbedRequest
from tests.fakes import faults
from tests.fakes.any_wire import error
from tests.fakes.replies import Reply, WaitFor, whole
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

KEY = "sk-test-0123456789"
NAN = float("nan")


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abstractcore.generation.retry._FIRST_BACKOFF", 0.001)


def vector_of(text: str, length: int = 3) -> list[float]:
    """A vector that tells its text: numbers that float32 holds exactly."""
    return [float(len(text)), float(ord(text[0])), 0.5, *[0.25] * length][:length]


def as_base64(numbers: Iterable[float]) -> str:
    listed = list(numbers)
    return base64.b64encode(struct.pack(f"<{len(listed)}f", *listed)).decode()


def answer(request: Recorded) -> Reply:
    """What an embedding server answers, on either wire."""
    body = request.json
    assert request.path in ("/v1/embeddings", "/api/embed")
    vectors = [vector_of(text, body.get("dimensions") or 3) for text in body["input"]]
    count = sum(len(text.split()) for text in body["input"])
    if request.path == "/api/embed":
        return whole(200, {"model": body["model"], "embeddings": vectors, "prompt_eval_count": count})
    shown: list[Any] = [*map(as_base64, vectors)] if body.get("encoding_format") == "base64" else vectors
    data = [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(shown)]
    usage = {"prompt_tokens": count, "total_tokens": count}
    body = {"object": "list", "model": body["model"], "data": data[::-1], "usage": usage}
    return whole(200, body, headers={"x-request-id": f"req-{len(request.json['input'])}"})


@pytest.fixture
def embedder(server: FakeServer) -> FakeServer:
    """A server that has embeddings."""
    server.route = answer
    return server


def replying(server: FakeServer, *vectors: Any, **fields: Any) -> None:
    """Have the server answer with these vectors, whatever it is asked."""
    items = [{"index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    server.replies(whole(200, {"data": items, "model": "m", **fields}))


@pytest.mark.parametrize(
    "provider", ["openai", "openai-compatible", "vllm", "lmstudio", "openrouter", "ollama"]
)
def test_each_text_has_its_vector(surface: Surface, embedder: FakeServer, provider: str):
    url = {"base_url": embedder.url} if provider == "ollama" else {}
    llm = embedder.llm(provider, "an-embedder", **url)

    response = surface.call(llm, "embed", ["one", "three words here"])

    assert response.vectors == [vector_of("one"), vector_of("three words here")]
    assert (response.provider, response.model) == (provider, "an-embedder")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (4, None)
    assert (len(response), response.dimensions, response[1]) == (2, 3, vector_of("three words here"))
    assert response.gen_time > 0
    assert response.request_ids == ([] if provider == "ollama" else ["req-2"])


def test_one_text_is_a_list_of_one(surface: Surface, embedder: FakeServer):
    response = surface.call(embedder.llm(), "embed", "hello")

    assert list(response) == [vector_of("hello")]
    assert embedder.requests[0].json == {"model": "test-model", "input": ["hello"]}


def test_no_text_is_no_request(surface: Surface, embedder: FakeServer):
    response = surface.call(embedder.llm(), "embed", [])

    assert (response.vectors, response.dimensions, embedder.requests) == ([], 0, [])
    assert response.numpy().shape == (0, 0)


def test_vectors_come_as_base64_where_the_server_can(surface: Surface, embedder: FakeServer):
    for provider in ("openai", "vllm", "llama-server"):
        assert surface.call(embedder.llm(provider), "embed", ["hi"]).vectors == [vector_of("hi")]
    for provider in ("openai-compatible", "openrouter", "mistral", "gemini", "lmstudio"):
        assert surface.call(embedder.llm(provider), "embed", ["hi"]).vectors == [vector_of("hi")]

    asked = [request.json.get("encoding_format") for request in embedder.requests]
    assert asked == ["base64"] * 3 + [None] * 5


def test_what_the_caller_wants_reaches_the_wire(surface: Surface, embedder: FakeServer):
    options = {"dimensions": 2, "truncate": True, "extra": {"user": "me"}}
    wanted = {"dimensions": 2, "user": "me"}

    ollama = surface.call(embedder.llm("ollama", base_url=embedder.url), "embed", "hi", **options)
    vllm = surface.call(embedder.llm("vllm"), "embed", "hi", **options)
    openai = surface.call(embedder.llm("openai"), "embed", "hi", **options)

    bodies = [request.json for request in embedder.requests]
    assert bodies[0] == {"model": "test-model", "input": ["hi"], "truncate": True, **wanted}
    assert bodies[1]["truncate_prompt_tokens"] == -1
    assert bodies[2] == {"model": "test-model", "input": ["hi"], "encoding_format": "base64", **wanted}
    assert [ollama.dimensions, vllm.dimensions, openai.dimensions] == [2, 2, 2]
    assert openai.warnings == ["truncate is not supported by openai_embeddings: left out"]
    assert ollama.warnings == vllm.warnings == []


def test_ollama_may_not_cut_a_text_in_secret(surface: Surface, embedder: FakeServer):
    surface.call(embedder.llm("ollama", base_url=embedder.url), "embed", "hi")

    assert embedder.requests[0].json["truncate"] is False


def test_strict_raises_instead_of_leaving_out(surface: Surface, embedder: FakeServer):
    with pytest.raises(UnsupportedFeatureError, match="truncate"):
        surface.call(embedder.llm("openai", strict=True), "embed", "hi", truncate=True)
    assert embedder.requests == []


def test_many_texts_are_sent_in_batches_that_run_side_by_side(surface: Surface, make_server: Any):
    """The first answer waits until three requests are there; the order stays that of the texts."""
    server = make_server()
    release = threading.Event()
    server.route = lambda request: answer(request).after(WaitFor(release))
    llm = server.llm()
    texts = [f"{number} " + "x" * number for number in range(10)]

    started = surface.start(surface.later(llm, texts, method="embed", batch_size=2, concurrency=3))
    server.wait_for(lambda s: s.in_flight == 3, timeout=20)
    release.set()
    response = started.future.result(30)

    assert response.vectors == [vector_of(text) for text in texts]
    assert [len(request.json["input"]) for request in server.requests] == [2] * 5
    assert server.max_concurrent == 3
    assert response.usage.input_tokens == 19  # the first has no x
    assert len(response.request_ids) == 5


def test_batches_stay_within_the_limits_of_the_provider():
    texts = ["a" * 10, "b" * 10, "c" * 5, "é" * 5, "d" * 100]

    assert list(batches(texts, EmbedLimits(2), None)) == [texts[:2], texts[2:4], texts[4:]]
    assert list(batches(texts, EmbedLimits(9, 25), None)) == [texts[:3], texts[3:4], texts[4:]]
    assert list(batches(texts, EmbedLimits(9, 25, 10), None)) == [texts[:3], texts[3:]]
    assert list(batches(texts, EmbedLimits(9), 3)) == [texts[:3], texts[3:]]
    assert list(batches([], EmbedLimits(9), None)) == []


def test_openai_gets_300_000_tokens_a_request_at_most(surface: Surface, embedder: FakeServer):
    """A text counts for 8,192 tokens at most, whatever its length: a longer one is refused."""
    surface.call(embedder.llm("openai"), "embed", ["word " * 4_000] * 73)
    surface.call(embedder.llm("openai"), "embed", ["x"] * 2_049)

    assert sorted(len(request.json["input"]) for request in embedder.requests) == [1, 1, 36, 36, 2_048]


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        ([], "0 vectors for 2 texts"),
        ([[1.0]], "1 vectors for 2 texts"),
        ([[1.0], [1.0], [1.0]], "3 vectors for 2 texts"),
        ([[1.0], []], "vector 1 is empty"),
        ([[1.0], None], "vector 1 is empty"),
        ([[0.0, 0], [1.0, 1.0]], "vector 0 is all zero"),
        ([[1.0], [NAN]], "vector 1 holds NaN"),
        ([[1.0], [float("inf")]], "vector 1 holds NaN or infinity"),
        ([[1.0], [10**400]], "vector 1 holds NaN or infinity"),
        ([[1.0, 2.0], [1.0]], "vector 1 has 1 numbers, not the 2 in the first"),
        ([[1.0], ["1"]], "vector 1 holds something"),
        ([[1.0], [True]], "vector 1 holds something"),
        ([[1.0], "not base64!"], "no base64"),
        ([[1.0], as_base64([1.0])[:-4]], "no base64"),
        ([[1.0], as_base64([NAN])], "vector 1 holds NaN"),
        ([[1.0], as_base64([0.0])], "vector 1 is all zero"),
    ],
)
def test_a_vector_that_is_none_is_an_error_and_not_asked_for_again(
    surface: Surface, server: FakeServer, vectors: list[Any], words: str
):
    replying(server, *vectors)

    with pytest.raises(ResponseError, match=words) as caught:
        surface.call(server.llm(), "embed", ["a", "b"])

    assert (caught.value.provider, caught.value.model, caught.value.attempts) == (
        "openai-compatible",
        "test-model",
        1,
    )
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {"data": None},
        {"data": [1]},
        {"data": [{"embedding": [1.0], "index": 3}]},
        {"embeddings": {}},
    ],
)
@pytest.mark.parametrize("provider", ["openai-compatible", "ollama"])
def test_an_answer_of_another_shape_is_an_error(
    surface: Surface, server: FakeServer, provider: str, body: Any
):
    server.replies(whole(200, body))

    with pytest.raises(ResponseError):
        surface.call(server.llm(provider), "embed", "a")


def test_wrong_dimensions_are_an_error(surface: Surface, server: FakeServer):
    replying(server, [1.0, 2.0, 3.0])

    with pytest.raises(ResponseError, match="vector 0 has 3 numbers, not the 2 asked for"):
        surface.call(server.llm(), "embed", "a", dimensions=2)


def test_batches_whose_vectors_differ_in_length_are_an_error(surface: Surface, server: FakeServer):
    server.route = lambda request: whole(
        200, {"data": [{"index": 0, "embedding": [1.0] * len(request.json["input"][0])}]}
    )

    with pytest.raises(ResponseError, match="different lengths"):
        surface.call(server.llm(), "embed", ["a", "bb"], batch_size=1)


def test_vectors_without_a_place_stand_in_the_texts_order(surface: Surface, server: FakeServer):
    server.replies(whole(200, {"data": [{"embedding": [1.0]}, {"embedding": [2.0], "index": None}]}))

    assert surface.call(server.llm(), "embed", ["a", "b"]).vectors == [[1.0], [2.0]]


def test_whole_numbers_are_floats(surface: Surface, server: FakeServer):
    replying(server, [1, 2.5])

    (vector,) = surface.call(server.llm(), "embed", "a")

    assert [type(number) for number in vector] == [float, float]


def test_an_error_inside_a_200_is_that_error(surface: Surface, server: FakeServer):
    server.replies(whole(200, {"error": {"message": "No such model", "code": 404}}))

    with pytest.raises(Exception, match="No such model"):
        surface.call(server.llm(max_retries=0), "embed", "a")


def test_a_failing_batch_is_tried_again(surface: Surface, server: FakeServer):
    failed = threading.Event()

    def once(request: Recorded) -> Reply:
        if "bad" in request.json["input"] and not failed.is_set():
            failed.set()
            return error(503)
        return answer(request)

    server.route = once

    response = surface.call(server.llm(), "embed", ["good", "bad", "fine"], batch_size=1)

    assert response.vectors == [vector_of(text) for text in ("good", "bad", "fine")]
    assert len(server.requests) == 4


@pytest.mark.parametrize("concurrency", [1, 2])
def test_the_first_failure_ends_the_rest(surface: Surface, server: FakeServer, concurrency: int):
    server.route = lambda request: error(400, "no") if request.json["input"] == ["0"] else answer(request)

    texts = [str(number) for number in range(50)]

    with pytest.raises(BadRequestError) as caught:
        surface.call(server.llm(), "embed", texts, batch_size=1, concurrency=concurrency)

    assert not isinstance(caught.value, BaseExceptionGroup)
    assert (caught.value.attempts, caught.value.provider) == (1, "openai-compatible")
    assert len(server.requests) < 50


def test_a_text_that_is_too_long_is_context_length(surface: Surface, server: FakeServer):
    server.replies(error(400, "the input length exceeds the context length"))

    with pytest.raises(ContextLengthError):
        surface.call(server.llm("ollama", base_url=server.url), "embed", "a")


def test_no_key_stands_in_what_is_raised(surface: Surface, server: FakeServer):
    server.replies(error(401, f"{KEY} is wrong"))

    with pytest.raises(AuthenticationError) as caught:
        surface.call(server.llm("openai", api_key=KEY), "embed", "a secret text")

    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    told = repr(caught.value) + repr(vars(caught.value))
    assert KEY not in told
    assert "secret text" not in told


def test_the_timeout_bounds_the_whole_call(surface: Surface, server: FakeServer):
    server.replies(faults.hangs())

    with pytest.raises(RequestTimeoutError):
        surface.call(server.llm(), "embed", ["a", "b"], batch_size=1, timeout=0.3)

    surface.wait_for(server, lambda s: s.hanging == 0 and s.in_flight == 0, timeout=5)


async def test_a_cancel_closes_every_request(server: FakeServer):
    import asyncio

    server.replies(faults.hangs())
    llm = server.llm()
    task = asyncio.ensure_future(llm.aembed(["a", "b", "c"], batch_size=1))
    await server.until(lambda s: s.hanging == 3, timeout=20)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await server.until(lambda s: s.hanging == 0 and s.in_flight == 0, timeout=5)
    await llm.aclose()


def test_a_closed_llm_embeds_no_more(surface: Surface, embedder: FakeServer):
    llm = embedder.llm()
    surface.close(llm)

    with pytest.raises(ClosedError):
        surface.call(llm, "embed", "a")


@pytest.mark.parametrize("provider", ["anthropic", "deepseek", "cerebras"])
def test_a_provider_without_embeddings_says_so(surface: Surface, server: FakeServer, provider: str):
    with pytest.raises(UnsupportedFeatureError, match=f"{provider} offers no embeddings"):
        surface.call(server.llm(provider, api_key=KEY), "embed", "a")
    assert server.requests == []


def test_several_models_as_one_do_not_embed(surface: Surface, embedder: FakeServer):
    """Vectors of different models do not compare, so the next one is no stand-in."""
    with pytest.raises(UnsupportedFeatureError, match="do not compare"):
        surface.call(fallback([embedder.llm(), embedder.llm()]), "embed", "a")


@pytest.mark.parametrize(
    ("texts", "options", "words"),
    [
        ([""], {}, "text 0 is empty"),
        (["a", 1], {}, "text 1 is not a str but int"),
        (["a", "half \ud800"], {}, "text 1: character 5 is a lone surrogate"),
        ("a", {"extra": "abc"}, "extra must be a dict"),
        (None, {}, "NoneType"),
        (b"abc", {}, "bytes"),
        ("a", {"dimensions": 0}, "dimensions"),
        ("a", {"batch_size": True}, "batch_size"),
        ("a", {"concurrency": 1.5}, "concurrency"),
        ("a", {"concurrency": None}, "concurrency"),
        ("a", {"timeout": -1}, "timeout"),
    ],
)
def test_wrong_arguments_are_told_before_any_request(
    surface: Surface, embedder: FakeServer, texts: Any, options: dict[str, Any], words: str
):
    with pytest.raises(ConfigurationError, match=words):
        surface.call(embedder.llm(), "embed", texts, **options)
    assert embedder.requests == []


def test_an_unknown_argument_is_a_type_error(surface: Surface, embedder: FakeServer):
    with pytest.raises(TypeError, match="dimension"):
        surface.call(embedder.llm(), "embed", "a", dimension=3)


def test_texts_may_come_from_a_generator(surface: Surface, embedder: FakeServer):
    response = surface.call(embedder.llm(), "embed", (text for text in ("a", "bb")))

    assert response.vectors == [vector_of("a"), vector_of("bb")]


def test_numpy_is_there_when_asked(surface: Surface, embedder: FakeServer, monkeypatch: pytest.MonkeyPatch):
    numpy = pytest.importorskip("numpy")
    response = surface.call(embedder.llm(), "embed", ["a", "bb"])

    array = response.numpy()

    assert (array.shape, array.dtype) == ((2, 3), numpy.float32)
    assert array.tolist() == response.vectors
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(MissingDependencyError, match="pip install numpy"):
        response.numpy()


def test_a_big_answer_is_read_quickly_enough(surface: Surface, server: FakeServer):
    """A request of OpenAI's size, as base64: 2,048 vectors of 1,536 numbers."""
    one = as_base64([0.125] * 1_536)
    data = [{"index": at, "embedding": one} for at in range(2_048)]
    server.replies(whole(200, json.dumps({"data": data}).encode()))

    response = surface.call(server.llm("openai"), "embed", ["x"] * 2_048)

    assert (len(response), response.dimensions) == (2_048, 1_536)


def test_a_cassette_keeps_vectors_and_errors(surface: Surface, embedder: FakeServer, tmp_path: Path):
    llm = embedder.llm("openai", "text-embedding-3-small", api_key=KEY)
    path = tmp_path / "vectors.jsonl"
    with cassette(path):
        recorded = surface.call(llm, "embed", ["a", "bb"], batch_size=1, dimensions=2)
        embedder.route = lambda request: error(400, f"no {KEY}")
        with pytest.raises(BadRequestError):
            surface.call(llm, "embed", "c")

    with cassette(path):
        played = surface.call(llm, "embed", ["a", "bb"], batch_size=1, dimensions=2)
        with pytest.raises(BadRequestError):
            surface.call(llm, "embed", "c")
        with pytest.raises(CassetteMissError):
            surface.call(llm, "embed", "something else")

    assert played.vectors == recorded.vectors == [vector_of("a", 2), vector_of("bb", 2)]
    assert (played.usage, played.request_ids) == (recorded.usage, recorded.request_ids)
    assert len(embedder.requests) == 3
    assert KEY not in path.read_text()


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_client_of_the_vendor_sends_for_us(embedder: FakeServer, is_async: bool):
    openai = pytest.importorskip("openai")
    kind = openai.AsyncOpenAI if is_async else openai.OpenAI
    owner = kind(api_key=KEY, base_url=embedder.url + "/v1")
    llm = create_llm("openai", "an-embedder", client=owner)

    response = await llm.aembed(["a", "bb"]) if is_async else llm.embed(["a", "bb"])

    assert response.vectors == [vector_of("a"), vector_of("bb")]
    assert embedder.requests[0].headers["authorization"] == f"Bearer {KEY}"
    await owner.close() if is_async else owner.close()


def test_the_vendors_own_types_take_what_we_send_and_read_what_we_read():
    openai_types = pytest.importorskip("openai.types")
    ollama = pytest.importorskip("ollama._types")
    from pydantic import TypeAdapter

    request = EmbedRequest("m", ["a", "bb"], 2, truncate=True, extra={"user": "me"})
    sent = OpenAIEmbeddings(base64=True).encode(request).body
    assert TypeAdapter(openai_types.EmbeddingCreateParams).validate_python(sent) == sent
    data = [{"object": "embedding", "index": at, "embedding": [1.0, at + 0.5]} for at in (1, 0)]
    body = {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    theirs = openai_types.CreateEmbeddingResponse.model_validate(body)
    ours = OpenAIEmbeddings().decode(body, request)
    assert ours.vectors == [each.embedding for each in sorted(theirs.data, key=lambda each: each.index)]

    sent = OllamaEmbeddings().encode(EmbedRequest("m", ["a"], 2)).body
    known = ollama.EmbedRequest(**sent).model_dump(exclude_none=True)
    assert {name: known[name] for name in sent} == sent
    body = {"model": "m", "embeddings": [[1.0, 2.0]], "prompt_eval_count": 3}
    assert (
        ollama.EmbedResponse(**body).embeddings
        == OllamaEmbeddings().decode(body, EmbedRequest("m", ["a"])).vectors
    )


def test_an_llm_without_a_server_embeds_nothing_at_construction():
    with create_llm("openai-compatible", "m", base_url="http://127.0.0.1:9/v1") as llm:
        assert callable(llm.embed)
