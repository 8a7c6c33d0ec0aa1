"""`llm.batch` and `abatch`: the vendors' batch APIs on both surfaces and each wire, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from abstractcore import (
    AuthenticationError,
    BadRequestError,
    BatchCounts,
    BatchError,
    ClosedError,
    ConfigurationError,
    ConnectionFailedError,
    ModelNotFoundError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
    StructuredOutputError,
    UnsupportedFeatureError,
    fallback,
)
from abstractcore.codecs.openai_batches import OpenAIBatches
from abstractcore.testing import cassette
from tests.codecs.vendor_types import assert_accepted
from tests.fakes import faults
from tests.fakes.anthropic_messages import message, tool_calls
from tests.fakes.batches import CANCELLED, EXPIRED, MISSING, FakeBatches, Outcome
from tests.fakes.replies import Close, Reply, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

SERVICES = ("openai_chat", "openai_responses", "anthropic_messages")
PICTURE = "data:image/png;base64,aGVsbG8="


class City(BaseModel):
    name: str


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff without its chance, so that a retry comes at once."""
    monkeypatch.setattr(random, "uniform", lambda low, high: low)


@pytest.fixture(params=SERVICES)
def fake(request: pytest.FixtureRequest, server: FakeServer) -> FakeBatches:
    """A service with batches: the test runs once on each wire."""
    fake = FakeBatches(request.param)
    server.route = fake
    return fake


@pytest.fixture
def openai(server: FakeServer) -> FakeBatches:
    fake = FakeBatches("openai_chat")
    server.route = fake
    return fake


@pytest.fixture
def anthropic(server: FakeServer) -> FakeBatches:
    fake = FakeBatches("anthropic_messages")
    server.route = fake
    return fake


def made(fake: FakeBatches, server: FakeServer, **options: Any) -> Any:
    return fake.llm(server, max_retries=options.pop("max_retries", 0), **options)


def submit(surface: Surface, llm: Any, prompts: Any, **options: Any) -> Any:
    return surface.call(llm, "batch", prompts, **options)


def finish(surface: Surface, job: Any) -> Any:
    return surface.run(lambda: job.wait(poll=0.01))


def read(surface: Surface, job: Any, **options: Any) -> list[Any]:
    if surface.name == "sync":
        return list(job.results(**options))

    async def results() -> list[Any]:
        return [result async for result in job.results(**options)]

    found: list[Any] = surface.run(results)
    return found


def contents(results: list[Any]) -> list[str]:
    return [result.response.content for result in results]


def test_a_batch_is_made_waited_for_and_read_in_order(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    """The service gives the results in another order."""
    prompts = [f"prompt {number} 東京 \r\n\u2028" for number in range(30)]
    job = submit(surface, made(fake, server), prompts, temperature=0.5, system_prompt="Kind.")
    assert not job.is_over

    assert finish(surface, job) is job
    results = read(surface, job)

    assert (job.status, job.is_over) == ("completed", True)
    assert (job.counts.total, job.counts.succeeded, job.counts.failed) == (30, 30, 0)
    assert [result.index for result in results] == list(range(30))
    assert [result.prompt for result in results] == prompts
    assert contents(results) == [f"echo {prompt}" for prompt in prompts]
    assert results[0].response.usage.input_tokens is not None
    assert results[0].response.provider == fake.provider
    if fake.is_openai:
        assert results[3].response.request_id == "req-prompt-3"


def test_what_is_sent_is_what_the_vendor_takes(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    """Each body is one of its wire's, with no wish for a stream, and the frame is the batch API's."""
    from anthropic.types.messages import batch_create_params as of_anthropic
    from openai.types import batch_create_params as of_openai

    llm = made(fake, server)
    messages = [{"role": "user", "content": "b"}]
    prompts = ["a", messages, {"prompt": "c", "max_output_tokens": 30_000, "media": PICTURE}]

    submit(surface, llm, prompts, system_prompt="Kind.")

    bodies = [each.get("body") or each.get("params") for each in fake.sent]
    assert [fake.prompt_of(body) for body in bodies] == ["a", "b", "c"]
    for body in bodies:
        assert_accepted(fake.wire.name, body)
        assert "stream" not in body
    (asked,) = fake.created
    assert [each["custom_id"] for each in fake.sent] == ["prompt-0", "prompt-1", "prompt-2"]
    if not fake.is_openai:
        TypeAdapter(of_anthropic.BatchCreateParams).validate_python(asked)
        assert server.requests[0].headers["anthropic-version"]
        return
    TypeAdapter(of_openai.BatchCreateParams).validate_python(asked)
    (fields, _), *_ = fake.uploads
    assert fields == {"purpose": "batch", "file": "batch.jsonl application/jsonl"}
    assert {each["url"] for each in fake.sent} == {asked["endpoint"]}
    assert asked["endpoint"] == fake.wire.path
    assert {each["method"] for each in fake.sent} == {"POST"}


def test_a_prompt_may_have_arguments_of_its_own(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    submit(
        surface,
        made(fake, server),
        [{"prompt": "a", "temperature": 0.1, "system_prompt": "Short."}, "b"],
        temperature=0.9,
        system_prompt="Kind.",
    )

    sent = [
        fake.wire.read(json.loads(json.dumps(each), object_hook=type(server.requests[-1].json)))
        for each in (each.get("body") or each.get("params") for each in fake.sent)
    ]
    assert [each.system for each in sent] == ["Short.", "Kind."]
    assert [each.sampling["temperature"] for each in sent] == [0.1, 0.9]


def test_what_becomes_of_a_prompt_is_a_result_of_its_own(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    outcomes = {
        "bad": fake.fails(400, "no such field"), "busy": fake.fails(429, "slow down"),
        "broken": fake.fails(500, "oh no"), "late": EXPIRED, "stopped": CANCELLED, "lost": MISSING,
    }  # fmt: skip
    fake.answer = lambda fake, prompt: outcomes.get(prompt) or fake.says(prompt)

    job = finish(surface, submit(surface, made(fake, server), ["first", *outcomes, "last"]))
    results = read(surface, job)

    assert [result.index for result in results] == list(range(8))
    assert [type(result.error) for result in results] == [
        type(None), BadRequestError, RateLimitError, ServerError, BatchError, BatchError, BatchError,
        type(None),
    ]  # fmt: skip
    bad, busy, _, *unanswered = [result.error for result in results if result.error]
    assert "no such field" in str(bad)
    assert (bad.provider, bad.model) == (fake.provider, "test-model")
    assert (bad.retryable, busy.retryable) == (False, True)
    # Anthropic tells that some were cancelled, and so was, as far as is known, what is missing.
    assert [error.code for error in unanswered][:2] == ["expired", "cancelled"]
    assert unanswered[2].code == ("missing" if fake.is_openai else "cancelled")
    assert all(error.retryable for error in unanswered)
    assert contents([results[0], results[-1]]) == ["first", "last"]


def test_results_may_come_as_they_stand(surface: Surface, server: FakeServer, fake: FakeBatches) -> None:
    fake.answer = lambda fake, prompt: MISSING if prompt == "1" else fake.says(prompt)
    job = finish(surface, submit(surface, made(fake, server), ["0", "1", "2"]))

    results = read(surface, job, ordered=False)

    assert [result.index for result in results] == [2, 0, 1]
    assert [result.error is None for result in results] == [True, True, False]


def test_a_job_is_found_again_after_a_restart(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    prompts = ["a", "b", "c"]
    fake.answer = lambda fake, prompt: MISSING if prompt == "c" else fake.says(prompt)
    batch_id = submit(surface, made(fake, server), prompts).id

    llm = made(fake, server)
    job = finish(surface, surface.call(llm, "batch_job", batch_id))
    again = surface.call(llm, "batch_job", batch_id, prompts)

    assert contents(read(surface, job)[:2]) == ["a", "b"]
    assert [result.prompt for result in read(surface, job)][:2] == [None, None]
    assert [result.prompt for result in read(surface, again)] == prompts
    if fake.is_openai:  # whose count holds what is lost
        assert isinstance(read(surface, job)[2].error, BatchError)


def test_a_model_of_the_answer_holds_for_each(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    fake.answer = lambda fake, prompt: fake.says(prompt)
    llm = made(fake, server)
    prompts = ['{"name": "Oslo"}', "a city"]

    job = finish(surface, submit(surface, llm, prompts, response_model=City))
    good, bad = read(surface, job)
    found = surface.call(llm, "batch_job", job.id, response_model=City)

    assert good.response.parsed == City(name="Oslo")
    assert isinstance(bad.error, StructuredOutputError)
    assert bad.error.last_text == "a city"
    assert read(surface, found)[0].response.parsed == City(name="Oslo")


def test_the_call_that_stands_for_an_answer_is_read_as_one(
    surface: Surface, server: FakeServer, anthropic: FakeBatches
) -> None:
    """A model without enforced schemas is asked by a tool; whoever finds the batch knows its call."""
    calls = tool_calls([("abstractcore_answer", {"name": "Oslo"})])
    anthropic.answer = lambda fake, prompt: Outcome(message(calls, finish_reason="tool_calls"))
    llm = made(anthropic, server, model="claude-3-7-sonnet-20250219")

    job = finish(surface, submit(surface, llm, ["Which?"], response_model=City))
    (sent,) = server.requests[0].json["requests"]
    found = surface.call(llm, "batch_job", job.id, response_model=City)

    assert sent["params"]["tool_choice"]["name"] == "abstractcore_answer"
    for (result,) in (read(surface, job), read(surface, found)):
        assert result.response.parsed == City(name="Oslo")
        assert (result.response.tool_calls, result.response.finish_reason) == ([], "stop")


def test_what_was_left_out_is_told_of_each(surface: Surface, server: FakeServer, fake: FakeBatches) -> None:
    job = submit(surface, made(fake, server), ["a", {"prompt": "b", "top_k": 5, "seed": 7}])
    first, second = read(surface, finish(surface, job))

    assert first.response.warnings == []
    lacks = {"openai_chat": "top_k", "openai_responses": "seed", "anthropic_messages": "seed"}
    assert any(lacks[fake.wire.name] in warning for warning in second.response.warnings)


def test_cancel_keeps_what_has_been_answered(surface: Surface, server: FakeServer, fake: FakeBatches) -> None:
    fake.looks = 100
    fake.answer = lambda fake, prompt: fake.says("done") if prompt == "a" else CANCELLED
    job = submit(surface, made(fake, server), ["a", "b"])

    surface.run(job.cancel)
    assert job.status == "cancelling"
    finish(surface, job)
    first, second = read(surface, job)
    surface.run(job.cancel)

    assert job.status == "cancelled"
    assert (first.response.content, second.error.code) == ("done", "cancelled")
    assert [request.path for request in server.requests].count(f"{job_path(fake)}/cancel") == 1


def job_path(fake: FakeBatches) -> str:
    return "/v1/batches/batch_1" if fake.is_openai else "/v1/messages/batches/msgbatch_1"


def test_a_batch_that_ended_meanwhile_is_not_cancelled(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    fake.looks = 0
    job = submit(surface, made(fake, server), ["a"])
    finish(surface, surface.call(made(fake, server), "batch_job", job.id))
    assert job.status != "completed"  # as far as this one knows

    surface.run(job.cancel)

    assert job.status == "completed"


def test_wait_has_a_time_of_its_own(surface: Surface, server: FakeServer, fake: FakeBatches) -> None:
    fake.looks = 10_000
    job = submit(surface, made(fake, server), ["a"])

    with pytest.raises(RequestTimeoutError, match=job.id) as raised:
        surface.run(lambda: job.wait(timeout=0.05, poll=0.01))

    assert isinstance(raised.value, TimeoutError)
    assert raised.value.provider == fake.provider
    with pytest.raises(ConfigurationError, match=r"wait\(\)"):
        read(surface, job)


def test_wait_looks_again_when_the_service_is_away(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    job = submit(surface, made(fake, server), ["a"])
    away: list[Reply] = [whole(503, {}), faults.closes(), faults.resets(), whole(429, {})]
    fake.kept[f"GET {job_path(fake)}"] = away

    assert contents(read(surface, finish(surface, job))) == ["echo a"]
    assert away == []


def test_wait_ends_at_what_does_not_pass(surface: Surface, server: FakeServer, fake: FakeBatches) -> None:
    job = submit(surface, made(fake, server), ["a"])
    fake.kept[f"GET {job_path(fake)}"] = [whole(401, {"error": {"message": "who are you?"}})]

    with pytest.raises(AuthenticationError):
        finish(surface, job)


def test_a_download_that_breaks_off_is_begun_again(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    """More often than there are retries, since it comes further each time; nothing is given twice."""
    prompts = [str(number) for number in range(6)]
    job = finish(surface, submit(surface, made(fake, server, max_retries=1), prompts))
    name = "file-output" if fake.is_openai else "results"
    path = f"/v1/files/{name}/content" if fake.is_openai else f"{job_path(fake)}/results"
    lines = fake.files[name].splitlines(keepends=True)
    cut = [cut_short(b"".join(lines[:count]), len(fake.files[name])) for count in (2, 3, 5)]
    fake.kept[f"GET {path}"] = [whole(503, {}), *cut]

    results = read(surface, job, ordered=False)

    assert sorted(result.index for result in results) == list(range(6))
    assert fake.kept[f"GET {path}"] == []
    fake.kept[f"GET {path}"] = [cut_short(lines[0], 10_000) for _ in range(3)]
    with pytest.raises(ConnectionFailedError):
        read(surface, job)


def cut_short(body: bytes, promised: int) -> Reply:
    return whole(200, body, headers=[]).changed(
        lambda steps: [_promising(steps[0], promised), steps[1], Close()]
    )


def _promising(head: Any, length: int) -> Any:
    return head.with_headers(content_length=str(length))


def test_leaving_the_results_ends_the_download(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    job = finish(surface, submit(surface, made(fake, server), ["a", "b"]))
    name = "file-output" if fake.is_openai else "results"
    path = f"/v1/files/{name}/content" if fake.is_openai else f"{job_path(fake)}/results"
    line = fake.files[name].splitlines(keepends=True)[0]
    fake.kept[f"GET {path}"] = [faults.endless_stream(line)]
    fake.files[name] = line

    results = job.results(ordered=False)
    assert surface.step(results).index == 1
    surface.close(results)

    surface.wait_for(server, lambda server: server.disconnects == 1 and server.in_flight == 0)


def test_a_file_may_be_larger_than_one_answer(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    """`max_body_bytes` bounds a line of it."""
    fake.answer = lambda fake, prompt: fake.says("x" * int(prompt))
    llm = made(fake, server, max_body_bytes=20_000)

    job = finish(surface, submit(surface, llm, ["9000"] * 9))
    assert len(read(surface, job)) == 9

    job = finish(surface, submit(surface, llm, ["30000"]))
    with pytest.raises(ResponseError, match=r"20,000 bytes"):
        read(surface, job)


def test_a_batch_that_failed_as_a_whole_says_why(
    surface: Surface, server: FakeServer, openai: FakeBatches
) -> None:
    openai.problems = [
        {"code": "invalid", "line": number, "message": "no model", "param": None} for number in range(5)
    ]
    job = finish(surface, submit(surface, made(openai, server), ["a"]))

    with pytest.raises(BatchError, match=r"line 0: no model; line 1.*and 2 more") as raised:
        read(surface, job)

    assert (job.status, raised.value.code) == ("failed", "failed")


def test_metadata_is_kept_where_the_service_keeps_it(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    llm = made(fake, server)
    if not fake.is_openai:
        with pytest.raises(UnsupportedFeatureError, match="metadata"):
            submit(surface, llm, ["a"], metadata={"run": "7"})
        return

    assert submit(surface, llm, ["a"], metadata={"run": "7"}).metadata == {"run": "7"}


@pytest.mark.parametrize("metadata", ["run", {"run": 7}, {7: "run"}, {"run": object()}])
def test_metadata_that_is_no_text_is_told_before_anything_is_sent(
    surface: Surface, server: FakeServer, openai: FakeBatches, metadata: Any
) -> None:
    with pytest.raises(ConfigurationError, match="metadata"):
        submit(surface, made(openai, server), ["a"], metadata=metadata)
    assert server.requests == []


def test_a_batch_is_never_made_twice(surface: Surface, server: FakeServer, fake: FakeBatches) -> None:
    """A connection that breaks after the batch was sent does not say whether it was made."""
    path = "POST /v1/batches" if fake.is_openai else "POST /v1/messages/batches"
    llm = made(fake, server, max_retries=3)
    fake.kept[path] = [faults.closes()]

    with pytest.raises(ConnectionFailedError, match="may have been made") as raised:
        submit(surface, llm, ["a"])

    assert not raised.value.retryable
    assert [f"{request.method} {request.path}" for request in server.requests].count(path) == 1
    fake.kept[path] = [whole(429, {}), whole(503, {})]  # which do say it
    submit(surface, llm, ["a"])
    assert len(fake.created) == 1


@pytest.mark.parametrize("provider", ["ollama", "openai-compatible", "openrouter"])
def test_a_provider_without_batches_says_what_to_use(
    surface: Surface, server: FakeServer, provider: str
) -> None:
    llm = server.llm(provider, api_key="k")

    with pytest.raises(UnsupportedFeatureError, match=r"llm\.map"):
        submit(surface, llm, ["a"])
    with pytest.raises(UnsupportedFeatureError, match=r"llm\.map"):
        surface.call(llm, "batch_job", "batch_1")
    assert server.requests == []


def test_a_fallback_has_no_batches(surface: Surface, server: FakeServer, openai: FakeBatches) -> None:
    both = fallback([made(openai, server), made(openai, server)])

    with pytest.raises(UnsupportedFeatureError, match=r"\.llms"):
        submit(surface, both, ["a"])
    with pytest.raises(UnsupportedFeatureError, match=r"\.llms"):
        surface.call(both, "batch_job", "batch_1")


def test_a_batch_is_not_recorded(
    surface: Surface, server: FakeServer, openai: FakeBatches, tmp_path: Any
) -> None:
    llm = made(openai, server)
    if surface.name == "sync":
        with cassette(tmp_path / "calls.jsonl"), pytest.raises(UnsupportedFeatureError, match="recorded"):
            llm.batch(["a"])
    assert server.requests == []


def test_too_many_prompts_are_refused(surface: Surface, server: FakeServer, openai: FakeBatches) -> None:
    llm = made(openai, server)

    with pytest.raises(ConfigurationError, match=r"1 to 50,000 prompts"):
        submit(surface, llm, ["a"] * 50_001)
    with pytest.raises(ConfigurationError, match=r"1 to 50,000 prompts"):
        submit(surface, llm, [])

    assert server.requests == []


def test_too_large_a_batch_is_refused(surface: Surface, server: FakeServer, anthropic: FakeBatches) -> None:
    large = "x" * 20_000_000

    with pytest.raises(ConfigurationError, match=r"256 MB.*prompt 12 "):
        submit(surface, made(anthropic, server), [large] * 14)

    assert server.requests == []


@pytest.mark.parametrize(
    ("prompts", "options", "kind", "message"),
    [
        ("one text", {}, ConfigurationError, "prompts"),
        (["a", []], {}, ConfigurationError, "prompt 1: nothing to send"),
        (["a", {"prompt": "b", "temperature": "hot"}], {}, ConfigurationError, "prompt 1: temperature"),
        ([{"prompt": "b", "temprature": 1}], {}, TypeError, "'temperature'"),
        ([{"prompt": "b", "response_model": dict}], {}, TypeError, "response_model"),
        (["a"], {"run_tools": True}, TypeError, "run_tools"),
        (["a"], {"concurrency": 2}, TypeError, "concurrency"),
        ([[{"role": "nobody", "content": "x"}]], {}, ConfigurationError, "role"),
    ],
)
def test_a_wrong_prompt_is_raised_before_anything_is_sent(
    surface: Surface,
    server: FakeServer,
    openai: FakeBatches,
    prompts: Any,
    options: dict[str, Any],
    kind: type[Exception],
    message: str,
) -> None:
    with pytest.raises(kind, match=message):
        submit(surface, made(openai, server), prompts, **options)

    assert server.requests == []


@pytest.mark.parametrize("batch_id", ["", None, 5])
def test_an_id_is_a_text(surface: Surface, server: FakeServer, openai: FakeBatches, batch_id: Any) -> None:
    with pytest.raises(ConfigurationError, match="id"):
        surface.call(made(openai, server), "batch_job", batch_id)

    assert server.requests == []


def test_an_id_is_one_step_of_a_path(surface: Surface, server: FakeServer, fake: FakeBatches) -> None:
    with pytest.raises(ModelNotFoundError):
        surface.call(made(fake, server), "batch_job", "../files?a=b\r\nX: y")

    (request,) = server.requests
    assert request.target.endswith("/batches/..%2Ffiles%3Fa%3Db%0D%0AX%3A%20y")


@pytest.mark.parametrize("line", [b"<html>", b'{"no": "custom_id"}', b"[1]"])
def test_results_of_another_shape_are_refused(
    surface: Surface, server: FakeServer, fake: FakeBatches, line: bytes
) -> None:
    job = finish(surface, submit(surface, made(fake, server), ["a"]))
    fake.files["file-output" if fake.is_openai else "results"] = line

    with pytest.raises(ResponseError):
        read(surface, job)


def test_results_of_other_prompts_are_refused(
    surface: Surface, server: FakeServer, fake: FakeBatches
) -> None:
    llm = made(fake, server)
    job = finish(surface, submit(surface, llm, ["a", "b"]))
    fewer = surface.call(llm, "batch_job", job.id, ["a"])

    with pytest.raises(ConfigurationError, match="other prompts"):
        read(surface, fewer)


def test_results_past_the_end_are_refused(surface: Surface, server: FakeServer, fake: FakeBatches) -> None:
    """Else a server could have us tell of a billion prompts that it lost."""
    llm = made(fake, server)
    job = finish(surface, submit(surface, llm, ["a"]))
    name = "file-output" if fake.is_openai else "results"
    fake.files[name] = fake.files[name].replace(b'"prompt-0"', b'"prompt-999999999"')
    found = surface.call(llm, "batch_job", job.id)

    with pytest.raises(ConfigurationError, match="other prompts"):
        read(surface, found)


async def test_an_event_loop_goes_on_while_a_batch_is_written(server: FakeServer, fake: FakeBatches) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with made(fake, server) as llm:
        beside = asyncio.create_task(others())
        job = await llm.abatch([f"prompt {number}" for number in range(1_000)])
        beside.cancel()

    assert job.id
    assert turns >= 2 * 1_000 // 50


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"id": 5}', b"<html>"])
def test_an_answer_that_is_no_batch_is_refused(
    surface: Surface, server: FakeServer, fake: FakeBatches, answer: bytes
) -> None:
    path = "POST /v1/files" if fake.is_openai else "POST /v1/messages/batches"
    fake.kept[path] = [whole(200, answer)]

    with pytest.raises(ResponseError):
        submit(surface, made(fake, server), ["a"])


def test_a_closed_llm_has_no_batches(surface: Surface, server: FakeServer, openai: FakeBatches) -> None:
    llm = made(openai, server)
    job = submit(surface, llm, ["a"])
    surface.close(llm)

    with pytest.raises(ClosedError):
        submit(surface, llm, ["a"])
    with pytest.raises(ClosedError):
        finish(surface, job)


def test_the_key_is_in_no_error(surface: Surface, server: FakeServer, fake: FakeBatches) -> None:
    key = "sk-live-0123456789abcdef"
    fake.answer = lambda fake, _: fake.fails(400, f"your key {key} is nice")

    job = finish(surface, submit(surface, made(fake, server, api_key=key), ["a"]))
    (result,) = read(surface, job)

    assert key not in repr(result.error) + str(vars(result.error)) + repr(job)
    sent = [
        request.headers.get("authorization", "") + request.headers.get("x-api-key", "")
        for request in server.requests
    ]
    assert all(key in header for header in sent)


def test_counts_that_are_not_told_are_unknown() -> None:
    status = OpenAIBatches().status({"id": "b", "status": "a_new_word"})

    assert status.counts == BatchCounts()
    assert status.state == "in_progress"


@pytest.mark.parametrize("told", [{}, {"result": {"type": "postponed"}, "response": None, "error": None}])
def test_a_line_of_a_new_kind_takes_no_other_with_it(
    surface: Surface, server: FakeServer, fake: FakeBatches, told: dict[str, Any]
) -> None:
    job = finish(surface, submit(surface, made(fake, server), ["a", "b"]))
    name = "file-output" if fake.is_openai else "results"
    lines = fake.files[name].splitlines(keepends=True)
    news = json.dumps({"custom_id": "prompt-0", **told}).encode() + b"\n"
    fake.files[name] = b"".join(news if b"prompt-0" in line else line for line in lines)

    first, second = read(surface, job)

    assert isinstance(first.error, ResponseError)
    assert second.response.content == "echo b"


@pytest.mark.parametrize(
    ("provider", "model", "knows"),
    [
        ("openai", "gpt-5-mini", True),
        ("anthropic", "claude-sonnet-4-5", True),
        ("anthropic", "claude-opus-4-1", False),
    ],
)
def test_an_answer_costs_what_the_list_has_for_batches(
    surface: Surface, server: FakeServer, provider: str, model: str, knows: bool
) -> None:
    """And not the usual price, where it has none."""
    prices = pytest.importorskip("genai_prices")
    fake = FakeBatches("anthropic_messages" if provider == "anthropic" else "openai_chat")
    server.route = fake
    chosen: dict[str, Any] = {"api": "chat"} if provider == "openai" else {}
    fake.answer = lambda fake, prompt: replace(fake.says("hi"), body={**fake.says("hi").body, "model": model})

    results = read(
        surface,
        finish(surface, submit(surface, server.llm(provider, model, api_key="k", **chosen), ["a", "b"])),
    )

    usages = [result.response.usage for result in results]
    counts = {"input_tokens": usages[0].input_tokens, "output_tokens": usages[0].output_tokens}
    usual = prices.calc_price(prices.Usage(**counts), model, provider_id=provider).total_price
    assert usual > 0
    assert [usage.cost for usage in usages] == [usual / 2 if knows else None] * 2
