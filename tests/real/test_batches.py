"""Batches at servers that others wrote: aimock has OpenAI's, llmock those of OpenAI, Groq and Anthropic."""

from __future__ import annotations

from typing import Any

import pytest

from abstractcore import BatchError, ModelNotFoundError, ServerError, create_llm
from tests.fakes.surfaces import Surface

PROMPTS = [f"prompt {number}" for number in range(7)]


def llm_at(opened: list[Any], provider: str, url: str, **options: Any) -> Any:
    llm = create_llm(provider, "test-model", base_url=url, api_key="a-key-of-ours", timeout=20, **options)
    opened.append(llm)
    return llm


def read(surface: Surface, job: Any) -> list[Any]:
    if surface.name == "sync":
        return list(job.results())

    async def results() -> list[Any]:
        return [result async for result in job.results()]

    found: list[Any] = surface.run(results)
    return found


def finish(surface: Surface, job: Any) -> Any:
    return surface.run(lambda: job.wait(timeout=30, poll=0.1))


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_aimock_answers_a_batch(surface: Surface, aimock_url: str, opened_llms: list[Any], api: str) -> None:
    llm = llm_at(opened_llms, "openai", aimock_url + "/v1", api=api)

    job = surface.call(llm, "batch", PROMPTS, metadata={"run": "7"})
    assert (job.status, job.metadata) == ("validating", {"run": "7"})
    results = read(surface, finish(surface, job))

    assert (job.status, job.counts.total, job.counts.succeeded) == ("completed", 7, 7)
    assert [result.prompt for result in results] == PROMPTS
    assert {result.response.content for result in results} == {"Mock batch completion"}


@pytest.mark.parametrize(
    ("outcome", "kind", "code"),
    [
        ("failed", ServerError, "mock_failure"),
        ("expired", BatchError, "expired"),
        ("cancelled", BatchError, "cancelled"),
    ],
)
def test_aimock_leaves_a_batch_unanswered(
    surface: Surface, aimock_url: str, opened_llms: list[Any], outcome: str, kind: type[Exception], code: str
) -> None:
    told = {"X-AIMock-Batch-Outcome": outcome}
    llm = llm_at(opened_llms, "openai", aimock_url + "/v1", api="chat", headers=told)

    job = finish(surface, surface.call(llm, "batch", PROMPTS))
    results = read(surface, job)

    assert job.status == outcome
    assert [(type(result.error), result.error.code) for result in results] == [(kind, code)] * 7


def test_aimock_ends_a_batch_and_knows_no_other(
    surface: Surface, aimock_url: str, opened_llms: list[Any]
) -> None:
    llm = llm_at(opened_llms, "openai", aimock_url + "/v1", api="chat")
    job = surface.call(llm, "batch", PROMPTS)

    surface.run(job.cancel)
    assert job.status == "cancelling"
    finish(surface, job)
    surface.run(job.cancel)

    assert job.status == "cancelled"
    with pytest.raises(ModelNotFoundError, match="no_such_batch"):
        surface.call(llm, "batch_job", "no_such_batch")


def test_llmock_answers_the_batches_of_three_services(
    surface: Surface, llmock_url: str, opened_llms: list[Any]
) -> None:
    """Each takes three seconds, so they run side by side."""
    llms = {
        "openai": llm_at(opened_llms, "openai", f"{llmock_url}/v1", api="chat"),
        "groq": llm_at(opened_llms, "groq", f"{llmock_url}/groq"),
        "anthropic": llm_at(opened_llms, "anthropic", f"{llmock_url}/anthropic"),
    }
    jobs = {name: surface.call(llm, "batch", PROMPTS) for name, llm in llms.items()}
    stopped = surface.call(llms["anthropic"], "batch", PROMPTS)
    surface.run(stopped.cancel)

    for name, job in jobs.items():
        found = surface.call(llms[name], "batch_job", job.id, PROMPTS)
        results = read(surface, finish(surface, found))
        assert (found.status, found.counts.total, found.counts.succeeded) == ("completed", 7, 7), name
        assert [result.index for result in results] == list(range(7))
        assert all(result.response.content and result.response.usage.input_tokens for result in results)
    assert [result.error.code for result in read(surface, stopped)] == ["cancelled"] * 7
