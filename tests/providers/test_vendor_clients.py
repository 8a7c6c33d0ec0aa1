"""A4, A7, A8, B4: `create_llm(..., client=)` asks through a vendor's client, and answers as without one."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore import BasicSession, ClosedError, ConfigurationError, create_llm
from tests.fakes import anthropic_messages, faults, openai_chat, openai_responses
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream, surface_named
from tests.providers.conftest import KEY, MODEL, VENDORS, Vendor

Make = Callable[..., Any]
OTHER = {"sync": "async", "async": "sync"}


def told(response: Any) -> tuple[Any, ...]:
    """What a caller reads of a response."""
    return (
        response.content, response.reasoning, response.tool_calls, response.finish_reason, response.usage,
        response.warnings, response.request_id, response.model,
    )  # fmt: skip


def test_an_answer_is_read(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(vendor.sends(vendor.dialect.text("Hello, world.", headers={"x-request-id": "req-1"})))

    response = whole_or_stream.ask(surface, make_llm(vendor), "Hi")

    assert (response.content, response.finish_reason) == ("Hello, world.", "stop")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (5, 7)
    assert (response.provider, response.request_id) == (vendor.provider, "req-1")
    assert len(server.requests) == 1


def test_the_client_says_where_and_as_whom(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(vendor.sends(vendor.dialect.text("Hi")))

    whole_or_stream.ask(surface, make_llm(vendor), "Hi")

    request = server.requests[0]
    assert request.path == (vendor.streamed_path if whole_or_stream.streams else vendor.path)
    login = request.headers.get("authorization") or request.headers["api-key"]
    assert KEY in login or login.startswith("AWS4-HMAC-SHA256 Credential=AKIA-planted/")
    assert (vendor is not VENDORS["azure"]) or request.query == "api-version=2025-04-01-preview"
    assert "abstractcore" not in request.headers["user-agent"]


def test_what_is_sent_is_ours(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    """The same JSON as without the client; what Bedrock and Vertex name in the URL left the body."""
    server.replies(vendor.sends(vendor.dialect.text("Hi")))
    asked = {
        "system_prompt": "Be brief.",
        "max_output_tokens": 99,
        "stop": ["."],
        "extra": {"no_such": [1, None]},
    }
    own = server.llm(vendor.provider, MODEL, api_key=KEY)

    whole_or_stream.ask(surface, own, "Hi", **asked)
    whole_or_stream.ask(surface, make_llm(vendor), "Hi", **asked)

    ours, through = (json.loads(request.body) for request in server.requests)
    moved = (
        {"model", "stream", "anthropic_version"}
        if vendor.kind in ("AnthropicBedrock", "AnthropicVertex")
        else set()
    )
    assert {k: v for k, v in through.items() if k not in moved} == {
        k: v for k, v in ours.items() if k not in moved
    }


@pytest.mark.parametrize("script", ["text", "thought", "calls", "cut off"])
def test_b4_the_answer_is_the_same_as_without_the_client(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    vendor: Vendor,
    server: FakeServer,
    make_llm: Make,
    script: str,
) -> None:
    say = vendor.dialect
    reply = {
        "text": say.text("Grüße, 世界 🌍", piece=1),
        "thought": say.text("42", reasoning="Let me think."),
        "calls": say.calls([("weather", {"city": "Zürich"}), ("time", {})], content="One moment."),
        "cut off": say.text("Once upon", finish_reason="length"),
    }[script]
    server.replies(vendor.sends(reply))
    tools = [{"name": "weather", "parameters": {"type": "object", "properties": {}}}]

    own = whole_or_stream.ask(surface, server.llm(vendor.provider, MODEL, api_key=KEY), "Hi", tools=tools)
    through = whole_or_stream.ask(surface, make_llm(vendor), "Hi", tools=tools)

    assert told(through) == told(own)


def test_openais_responses_are_spoken_through_its_client(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, make_llm: Make
) -> None:
    server.replies(openai_responses.text("Hello.", reasoning="Hm."))

    response = whole_or_stream.ask(surface, make_llm(VENDORS["openai"], api="responses"), "Hi")

    assert (response.content, response.reasoning) == ("Hello.", "Hm.")
    assert server.requests[0].path == "/v1/responses"


@pytest.mark.parametrize("provider", ["openrouter", "vllm", "openai-compatible", "groq"])
def test_a_client_of_openai_serves_the_rows_of_its_wires(
    surface: Surface, server: FakeServer, make_client: Make, provider: str
) -> None:
    server.replies(openai_chat.text("Hello."))
    llm = create_llm(provider, MODEL, client=make_client(VENDORS["openai"]))

    assert surface.generate(llm, "Hi").content == "Hello."
    assert server.requests[0].path == "/v1/chat/completions"


def test_a_subclass_of_a_client_is_one(surface: Surface, server: FakeServer, make_client: Make) -> None:
    server.replies(openai_chat.text("Hello."))
    client = make_client(VENDORS["openai"])
    client.__class__ = type("Ours", (type(client),), {"__module__": "ours"})

    assert surface.generate(create_llm("openai", MODEL, client=client), "Hi").content == "Hello."


def test_a_session_talks_through_a_client(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(vendor.sends(vendor.dialect.text("Hello.")))
    session = BasicSession(make_llm(vendor), system_prompt="Be brief.")

    for prompt in ("Hi", "And again"):
        whole_or_stream.ask(surface, session, prompt)

    assert [message["role"] for message in session.messages] == ["user", "assistant"] * 2
    assert len(server.requests) == 2


def test_many_calls_run_at_the_same_time(
    surface: Surface, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(vendor.sends(vendor.dialect.text("Hello.")))
    llm = make_llm(vendor)

    answers = surface.gather(*(surface.later(llm, f"Number {n}") for n in range(20)), timeout=20)

    assert [answer.content for answer in answers] == ["Hello."] * 20


def test_a_callers_header_and_a_compressed_body_pass(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, make_llm: Make
) -> None:
    server.replies(faults.gzipped(openai_chat.text("Hello.")))
    llm = make_llm(VENDORS["openai"], headers={"X-Team": "blue"})

    assert whole_or_stream.ask(surface, llm, "Hi").content == "Hello."
    assert server.requests[0].headers["x-team"] == "blue"


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_models_are_listed_through_the_client(
    surface: Surface, server: FakeServer, make_llm: Make, name: str
) -> None:
    vendor = VENDORS[name]
    server.always["GET /v1/models"] = vendor.dialect.models("one", "two")

    assert surface.call(make_llm(vendor), "list_models") == ["one", "two"]
    assert KEY in server.requests[0].headers["authorization"]


# A7: whose surface, whose loop, whose client


def test_a7_the_other_surface_is_refused_before_any_request(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_client: Make
) -> None:
    llm = create_llm(vendor.provider, MODEL, client=make_client(vendor))
    other = surface_named(OTHER[surface.name])

    with pytest.raises(ConfigurationError, match=f"{surface.name} client answers a?generate alone"):
        whole_or_stream.ask(other, llm, "Hi")

    other.shut()
    assert (server.connections, server.requests) == (0, [])


def test_a7_an_async_client_keeps_its_loop(server: FakeServer) -> None:
    server.replies(openai_chat.text("Hello."))
    client = VENDORS["openai"].make(server, "async")
    llm = create_llm("openai", MODEL, client=client)

    async def ask() -> Any:
        return await llm.agenerate("Hi")

    async def ask_and_leave() -> Any:
        async with client:
            return await ask()

    assert asyncio.run(ask_and_leave()).content == "Hello."
    with pytest.raises(ConfigurationError, match="belongs to the event loop that used it first"):
        asyncio.run(ask())


def test_a7_close_ends_our_calls_and_leaves_the_client_open(
    surface: Surface, vendor: Vendor, server: FakeServer, make_client: Make, make_llm: Make
) -> None:
    server.replies(vendor.sends(vendor.dialect.text("Hello.")))
    client = make_client(vendor)
    first = make_llm(vendor, client=client)
    surface.close(first)
    surface.close(first)

    with pytest.raises(ClosedError):
        surface.generate(first, "Hi")
    assert surface.generate(make_llm(vendor, client=client), "Hi").content == "Hello."
    assert not client.is_closed()


@pytest.mark.parametrize("carry", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a8_it_does_not_pickle_and_says_so(
    vendor: Vendor, server: FakeServer, carry: Callable[[Any], Any]
) -> None:
    with vendor.make(server, "sync") as client:
        llm = create_llm(vendor.provider, MODEL, client=client)

        with pytest.raises(ConfigurationError, match="does not pickle"):
            carry(llm)


# A4: what is wrong is said at construction


@pytest.mark.parametrize(
    ("provider", "vendor_name", "says"),
    [
        ("anthropic", "openai", "pass a client of anthropic"),
        ("openai", "anthropic", "pass a client of openai"),
        ("vllm", "anthropic", "pass a client of openai"),
        ("ollama", "openai", "it takes no client="),
    ],
)
def test_a_client_of_another_vendor_is_refused(
    server: FakeServer, provider: str, vendor_name: str, says: str
) -> None:
    with (
        VENDORS[vendor_name].make(server, "sync") as client,
        pytest.raises(ConfigurationError, match=f"{provider}: a client of {vendor_name} speaks .*{says}"),
    ):
        create_llm(provider, MODEL, client=client)


@pytest.mark.parametrize("client", ["openai", object(), json, FakeServer])
def test_what_is_no_client_is_refused(client: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes a client of openai or anthropic, not "):
        create_llm("openai", MODEL, client=client)


@pytest.mark.parametrize(
    "beside", [{"base_url": "http://127.0.0.1:9"}, {"api_key": KEY}, {"max_connections": 3}]
)
def test_what_the_client_knows_is_not_said_twice(server: FakeServer, beside: dict[str, Any]) -> None:
    (name,) = beside
    with (
        VENDORS["openai"].make(server, "sync") as client,
        pytest.raises(ConfigurationError, match=f"pass client= or {name}=, not both"),
    ):
        create_llm("openai", MODEL, client=client, **beside)


def test_a_local_engine_takes_no_client(server: FakeServer) -> None:
    with VENDORS["openai"].make(server, "sync") as client, pytest.raises(TypeError, match="client"):
        create_llm("openvino", "model.gguf", client=client)


def test_nothing_of_the_vendors_is_imported_without_a_client() -> None:
    program = (
        "import sys\n"
        "from abstractcore import create_llm\n"
        "create_llm('openai', 'm', base_url='http://127.0.0.1:9')\n"
        "create_llm('anthropic', 'm', base_url='http://127.0.0.1:9')\n"
        "assert not {'openai', 'anthropic', 'httpx2'} & set(sys.modules)\n"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_dialects_of_the_fake_are_those_of_the_vendors() -> None:
    assert {vendor.dialect for vendor in VENDORS.values()} == {openai_chat, anthropic_messages}
