"""`usage.cost`: a provider's own word, else the price list's numbers, and None for what nobody knows."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from abstractcore import Agent, BasicSession, MissingDependencyError, Usage, aio, client, fallback, tool
from abstractcore.costs import Charge, Tariff, joined
from abstractcore.testing import ScriptedLLM, cassette
from tests.fakes.any_wire import call, error, text
from tests.fakes.openai_chat import text as chat_text
from tests.fakes.replies import whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream

prices = pytest.importorskip("genai_prices")

COUNTS = {"input_tokens": 1_000, "output_tokens": 200, "cached_tokens": 400}


def listed(model: str, provider: str, **counts: int) -> Decimal:
    """What the package itself says."""
    price: Decimal = prices.calc_price(prices.Usage(**counts), model, provider_id=provider).total_price
    return price


GPT = ("openai", "gpt-5-mini")
PRICE = partial(listed, "gpt-5-mini", "openai")
ONE = PRICE(input_tokens=1_000, output_tokens=200, cache_read_tokens=400)


def test_an_answer_has_its_price(surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream):
    server.replies(text("hi", usage=COUNTS))

    response = whole_or_stream.ask(surface, server.llm(*GPT), "hello")

    assert response.usage.cost == ONE
    assert isinstance(response.usage.cost, Decimal)
    assert PRICE(input_tokens=1_000, output_tokens=200) > ONE, "cached tokens are cheaper"


def test_the_end_of_a_stream_has_it_too(surface: Surface, server: FakeServer):
    server.replies(text("hi", usage=COUNTS))

    *_, end = surface.stream(server.llm(*GPT), "hello", include=["generating", "done"])

    assert end.usage.cost == ONE


@pytest.mark.parametrize(
    ("provider", "model", "name"),
    [
        ("anthropic", "claude-sonnet-4-5", "anthropic"),
        ("xai", "grok-4-fast", "x-ai"),
        ("gemini", "gemini-2.5-flash", "google"),
        ("groq", "llama-3.3-70b-versatile", "groq"),
        ("deepseek", "deepseek-chat", "deepseek"),
        ("mistral", "mistral-small-latest", "mistral"),
    ],
)
def test_each_service_has_its_own_list(
    surface: Surface, server: FakeServer, provider: str, model: str, name: str
):
    server.replies(text("hi", model=model, usage={"input_tokens": 1_000, "output_tokens": 200}))

    usage = surface.generate(server.llm(provider, model), "hello").usage

    assert usage.cost == listed(model, name, input_tokens=1_000, output_tokens=200)
    assert usage.cost > 0


def test_what_is_written_to_a_cache_costs_more(surface: Surface, server: FakeServer):
    usage = {"input_tokens": 100, "output_tokens": 10}
    usage |= {"cache_creation_input_tokens": 700, "cache_read_input_tokens": 200}
    body = {
        "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "hi"}], "usage": usage,
    }  # fmt: skip
    server.replies(whole(200, body))

    found = surface.generate(server.llm("anthropic", "claude-sonnet-4-5"), "hello").usage

    assert (found.input_tokens, found.cached_tokens, found.cache_write_tokens) == (1_000, 200, 700)
    assert found.cost == listed(
        "claude-sonnet-4-5",
        "anthropic",
        input_tokens=1_000,
        cache_read_tokens=200,
        cache_write_tokens=700,
        output_tokens=10,
    )


def test_openrouter_tells_its_own_price(surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream):
    told = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.00012345}
    server.replies(chat_text("hi", usage=told))

    response = whole_or_stream.ask(surface, server.llm("openrouter", "openai/gpt-5-mini"), "hello")

    assert response.usage.cost == Decimal("0.00012345")


@pytest.mark.parametrize("cost", [None, "0.1", True, -1, float("nan"), {"total": 1}])
def test_a_price_that_is_none_is_looked_up(surface: Surface, server: FakeServer, cost: Any):
    told = {"prompt_tokens": 1_000, "completion_tokens": 200, "total_tokens": 1_200, "cost": cost}
    server.replies(chat_text("hi", usage=told))

    response = surface.generate(server.llm("openrouter", "openai/gpt-5-mini"), "hello")

    assert response.usage.cost == listed(
        "openai/gpt-5-mini", "openrouter", input_tokens=1_000, output_tokens=200
    )


def test_another_servers_word_for_a_price_is_no_dollars(surface: Surface, server: FakeServer):
    server.replies(chat_text("hi", usage={"prompt_tokens": 10, "completion_tokens": 5, "cost": 3.5}))

    assert surface.generate(server.llm("vllm"), "hello").usage.cost is None


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("openai", "a-model-of-tomorrow", COUNTS),
        ("openai", "gpt-5-mini", False),
        ("openai", "gpt-5-mini", {"input_tokens": 10, "output_tokens": 1, "cached_tokens": 20}),
        ("openai-compatible", "gpt-5-mini", COUNTS),
        ("vllm", "gpt-5-mini", COUNTS),
    ],
)
def test_what_nobody_knows_is_none(
    surface: Surface, server: FakeServer, provider: str, model: str, usage: Any
):
    server.replies(text("hi", model=model, usage=usage))

    assert surface.generate(server.llm(provider, model), "hello").usage.cost is None


def test_a_faster_tier_has_its_price(surface: Surface, server: FakeServer):
    usage = {"prompt_tokens": 1_000, "completion_tokens": 200, "total_tokens": 1_200}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    body = {"model": "gpt-5-mini", "choices": [choice], "usage": usage, "service_tier": "priority"}
    server.replies(whole(200, body))

    cost = surface.generate(server.llm(*GPT), "hello").usage.cost

    assert cost > PRICE(input_tokens=1_000, output_tokens=200)


def test_sessions_clients_and_agents_add_it_up(surface: Surface, server: FakeServer):
    server.replies(text("hi", usage=COUNTS))
    session = BasicSession(server.llm(*GPT))
    surface.generate(session, "one")
    surface.generate(session, "two")
    assert session.usage.cost == 2 * ONE
    assert session.fork().usage.cost == 2 * ONE

    plain = client("openai:gpt-5-mini", base_url=server.url + "/v1")
    own = plain if surface.name == "sync" else aio.client(plain)
    server.llms.append(plain)
    surface.call(own, "chat", "hello")
    assert own.usage.cost == ONE


def test_the_calls_of_a_turn_with_tools_are_added(surface: Surface, server: FakeServer):
    @tool
    def now() -> str:
        """Tell the time."""
        return "noon"

    server.replies(call("now"), text("noon", usage=COUNTS))
    both = ONE + PRICE(input_tokens=5, output_tokens=7)  # what the fake says that a call takes
    response = surface.generate(server.llm(*GPT), "when?", tools=[now], run_tools=True)
    assert response.usage.cost == both

    server.replies(call("now"), text("noon", usage=COUNTS))
    plain = client("openai:gpt-5-mini", base_url=server.url + "/v1")
    server.llms.append(plain)
    run = Agent(plain, tools=[now]).run("when?", stream=True)
    for _ in run:
        pass
    assert run.response.usage.cost == both


def test_who_answers_in_anothers_place_is_paid(surface: Surface, server: FakeServer):
    server.replies(error(400, "no"), text("hi", model="gpt-5-nano", usage=COUNTS))
    from abstractcore import BadRequestError

    several = fallback([server.llm(*GPT), server.llm("openai", "gpt-5-nano")], on=BadRequestError)

    assert surface.generate(several, "hello").usage.cost == listed(
        "gpt-5-nano", "openai", input_tokens=1_000, output_tokens=200, cache_read_tokens=400
    )


def test_embeddings_have_a_price(surface: Surface, server: FakeServer):
    usage = {"prompt_tokens": 1_000, "total_tokens": 1_000}
    server.route = lambda request: whole(
        200, {"data": [{"embedding": [1.0]}], "model": "text-embedding-3-small", "usage": usage}
    )

    response = surface.call(server.llm("openai", "text-embedding-3-small"), "embed", ["a", "b"], batch_size=1)

    assert response.usage.cost == 2 * listed("text-embedding-3-small", "openai", input_tokens=1_000)
    assert response.usage.cost > 0


def test_a_model_without_a_provider_costs_nothing_known(surface: Surface):
    assert surface.generate(ScriptedLLM(["hi"]), "hello").usage.cost is None
    assert Usage(10, 10).cost is None


def test_a_map_that_goes_on_keeps_the_prices(server: FakeServer, tmp_path: Path):
    server.replies(text("hi", usage=COUNTS))
    llm = server.llm(*GPT)
    for _ in range(2):
        results = list(llm.map(["a", "b"], checkpoint=tmp_path / "done.jsonl"))
        assert [result.response.usage.cost for result in results if result.response] == [ONE, ONE]
    assert len(server.requests) == 2


def test_a_cassette_plays_the_price_too(surface: Surface, server: FakeServer, tmp_path: Path):
    told = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.5}
    server.replies(text("hi", usage=COUNTS), chat_text("hi", usage=told))
    gpt, router = server.llm(*GPT), server.llm("openrouter", "openai/gpt-5-mini")
    for _ in range(2):
        with cassette(tmp_path / "calls.jsonl"):
            assert surface.generate(gpt, "hello").usage.cost == ONE
            assert surface.generate(router, "hello").usage.cost == Decimal("0.5")
    assert len(server.requests) == 2


def test_a_usage_travels_with_its_price(server: FakeServer):
    server.replies(text("hi", usage=COUNTS))
    usage = server.llm(*GPT).generate("hello").usage

    assert pickle.loads(pickle.dumps(usage)).cost == ONE
    assert Usage.of(json.loads(json.dumps(asdict(usage)))).cost == ONE
    assert "charges" not in repr(usage)
    assert usage == Usage(1_000, 200, 1_200, 400, 0)


def test_many_are_added_in_a_moment():
    """A sum over a hundred thousand answers copies little each time."""
    charge = Charge(Tariff(None, "openai"), ("gpt-5-mini",), datetime.now(UTC).timestamp(), None, 1, 1)
    one = Usage(1, 1, charges=((charge,),))

    total = sum([one] * 100_000, Usage())

    assert total.input_tokens == 100_000
    assert sum(map(len, total.charges)) == 100_000
    assert max(map(len, total.charges)) <= 512
    assert joined((), one.charges) == one.charges


def test_without_the_list_it_says_what_to_install(
    surface: Surface, server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    told = {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.5}
    server.replies(text("hi", usage=COUNTS), chat_text("hi", usage=told))
    monkeypatch.setitem(sys.modules, "genai_prices", None)

    usage = surface.generate(server.llm(*GPT), "hello").usage

    with pytest.raises(MissingDependencyError, match=r'pip install "abstractcore\[prices\]"'):
        _ = usage.cost
    assert surface.generate(server.llm("openrouter", "x"), "hello").usage.cost == Decimal("0.5")


def test_the_list_is_loaded_only_for_who_asks():
    code = (
        "import sys; from abstractcore.testing import ScriptedLLM; from abstractcore import Usage;"
        "ScriptedLLM(['a']).generate('b').usage.cost;"
        "(Usage(1) + Usage(2)).cost; print('genai_prices' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_who_hears_of_answers_hears_their_price(surface: Surface, server: FakeServer):
    server.replies(text("hi", usage=COUNTS))
    llm = server.llm(*GPT)
    heard: list[Any] = []
    llm.on("response", lambda event: heard.append(event.usage.cost))

    surface.generate(llm, "hello")

    assert heard == [ONE]
