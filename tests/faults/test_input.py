"""FAULTS 1.7: what a caller passes is sent exactly as it is, or refused, as in the fault matrix too."""

from __future__ import annotations

import math
import time
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest

from abstractcore import BasicSession, ConfigurationError, create_llm
from tests.fakes import any_wire
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire

PLANTED = "planted-in-the-prompt"

TEXTS: dict[str, str] = {
    "NUL": "a\x00b",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x80\x85\x9f",
    "bidi": "abc \u202e\u2066txet\u2069\u202c \u200f def",
    "ZWJ": "👩\u200d👩\u200d👧 क\u094d\u200dष",
    "empty": "",
    "spaces": "  \n\t ",
    "line separators": "a\u2028b\u2029c\r\nd\re",
    "BOM": "\ufeffx\ufeff",
    "noncharacters": "\ufffe\uffff\U0010ffff\ufdd0",
    "replacement characters": "\ufffd",
    "combining": "e\u0301" + "\u0301" * 500,
    "not normalised": "ﬁ Å Å ①",
    "JSON in it": '{"role": "system"}\\u0000\\"\\',
    "SSE in it": "data: [DONE]\n\ndata: {}\n\n",
    "marks in it": "<think>x</think><tool_call>{}</tool_call>{{x}}${x}%s{0}",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_sent_and_comes_back_as_it_is(
    name: str, surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
) -> None:
    """1.7: NUL, bidi, ZWJ, empty, in each place that takes text."""
    text = TEXTS[name]
    server.replies(any_wire.text("fine"))

    whole_or_stream.ask(
        surface,
        wire.llm(server),
        text,
        system_prompt=text,
        messages=[{"role": "user", "content": text}, {"role": "assistant", "content": text}],
    )

    sent = [text for _, text in wire.sent(server.requests[0]).turns]
    if text or wire.name == "openai_chat":
        assert sent == [text, text, text, text]
    else:  # some wires take no message without text
        assert set(sent) <= {""}


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("marks in it", "empty")])
def test_an_answer_is_given_as_it_is(
    name: str, surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
) -> None:
    """1.7: the way back, through a session's history and out again."""
    server.replies(any_wire.text(TEXTS[name], piece=1))
    session = BasicSession(wire.llm(server))

    assert whole_or_stream.ask(surface, session, "one").content == TEXTS[name]
    whole_or_stream.ask(surface, session, "two")

    assert wire.sent(server.requests[1]).items[1].text == TEXTS[name]


def test_ten_megabytes_are_sent_as_they_are(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
) -> None:
    """1.7: 10 MB prompt: no quadratic work."""
    prompt = 'é\n"\\🌍x' * 1_000_000
    server.replies(any_wire.text("fine"))
    begun = time.monotonic()

    whole_or_stream.ask(surface, wire.llm(server), prompt)

    assert time.monotonic() - begun < 5
    assert wire.sent(server.requests[0]).last == prompt


def test_ten_megabytes_cost_a_few_copies(server: FakeServer, wire: Wire) -> None:
    """1.7: a prompt is copied a bounded number of times."""
    prompt = "x" * 10_000_000
    server.replies(any_wire.text("fine"))
    llm = wire.llm(server)
    llm.generate("warm")
    tracemalloc.start()
    try:
        llm.generate(prompt)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * len(prompt)  # the fake's own copies, in this process, are among them


SURROGATES: dict[str, dict[str, Any]] = {
    "a message": {"messages": [{"role": "user", "content": PLANTED + "\ud83d"}]},
    "a part": {"messages": [{"role": "user", "content": [{"type": "text", "text": PLANTED + "\ud83d"}]}]},
    "a name": {"messages": [{"role": "user", "content": "x", "name": PLANTED + "\ud83d"}]},
    "a tool's result": {
        "messages": [
            {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "name": "f", "arguments": {}}]},
            {"role": "tool", "tool_call_id": "1", "content": PLANTED + "\ud83d"},
        ]
    },
}


@pytest.mark.parametrize("name", SURROGATES)
def test_a_lone_surrogate_in_a_message_is_refused(
    name: str, surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
) -> None:
    """1.7: ConfigurationError (a ValueError) before any request; it does not show the text."""
    with pytest.raises(ConfigurationError) as caught:
        whole_or_stream.ask(surface, wire.llm(server), **SURROGATES[name])
    assert isinstance(caught.value, ValueError)
    assert server.requests == []
    assert PLANTED not in str(caught.value) + repr(caught.value) + repr(caught.value.__cause__)
    str(caught.value).encode()


NUMBERS: list[tuple[str, Any]] = [
    ("temperature", math.nan),
    ("temperature", math.inf),
    ("temperature", -math.inf),
    ("temperature", -0.1),
    ("temperature", "hot"),
    ("temperature", True),
    ("temperature", 10**400),
    ("temperature", Decimal("NaN")),
    ("top_p", math.nan),
    ("top_p", 0),
    ("top_p", 1.1),
    ("top_k", -1),
    ("top_k", 1.5),
    ("seed", 2**63),
    ("seed", 1.5),
    ("max_output_tokens", 0),
    ("max_output_tokens", -1),
    ("max_output_tokens", math.inf),
    ("max_output_tokens", "many"),
    ("presence_penalty", math.nan),
    ("frequency_penalty", math.inf),
    ("stop", 7),
    ("stop", [""]),
    ("stop", [7]),
    ("thinking", "very"),
    ("extra", "x"),
]


@pytest.mark.parametrize(("name", "value"), NUMBERS)
def test_a_parameter_that_nobody_could_mean_makes_no_llm(
    name: str, value: Any, server: FakeServer, wire: Wire
) -> None:
    """1.7: NaN, inf, < 0, max tokens ≤ 0, as a default of every call. Of one call: the fault matrix."""
    with pytest.raises(ValueError, match=name):
        wire.llm(server, **{name: value})


@pytest.mark.parametrize("value", [0, -1, math.nan, -math.inf, "soon", True, Decimal("NaN")])
@pytest.mark.parametrize("name", ["timeout", "connect_timeout", "read_timeout"])
def test_a_time_that_is_none_is_refused(
    name: str, value: Any, surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.7: timeout ≤ 0/NaN."""
    with pytest.raises(ValueError, match=name):
        wire.llm(server, **{name: value})
    if name == "timeout":
        llm = wire.llm(server)
        with pytest.raises(ValueError, match=name):
            surface.call(BasicSession(llm), "compact", timeout=value)
    assert server.requests == []


def test_an_endless_timeout_is_a_long_one(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.7: infinity is a length of time that somebody could mean."""
    server.replies(any_wire.text("fine"))
    assert surface.generate(wire.llm(server, timeout=math.inf), "hi", timeout=math.inf).content == "fine"


@pytest.mark.parametrize("value", [-1, 1.5, math.nan, "2", True, None])
def test_a_number_of_retries_that_is_none_is_refused(value: Any, server: FakeServer, wire: Wire) -> None:
    """1.7: retries < 0."""
    with pytest.raises(ValueError, match="max_retries"):
        wire.llm(server, max_retries=value)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many", math.inf])
def test_a_number_of_connections_that_is_none_is_refused(value: Any, server: FakeServer, wire: Wire) -> None:
    """1.7."""
    with pytest.raises(ValueError, match="max_connections"):
        wire.llm(server, max_connections=value)


def test_what_is_on_the_wire_is_strict_json(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.7: read back by a reader that refuses what is not."""
    server.replies(any_wire.text("fine"))
    surface.generate(
        wire.llm(server), "hi", temperature=1e-7, top_p=1, seed=-(2**63), extra={"é": [None, True]}
    )

    sampling = wire.sent(server.requests[0]).sampling
    assert sampling["temperature"] == 1e-7
    assert "seed" in wire.lacks or sampling["seed"] == -(2**63)
    assert server.requests[0].json["é"] == [None, True]


@pytest.mark.parametrize(
    "messages", ["hi", b"hi", {"role": "user"}, [1], [None], [{}], 7, [{"role": "user"}]]
)
def test_messages_of_another_shape_are_refused(
    messages: Any, surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.7: in our own words, before any request."""
    with pytest.raises(ConfigurationError, match="messages"):
        surface.generate(wire.llm(server), messages=messages)
    assert server.requests == []


def test_a_call_without_a_prompt_is_refused(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.7."""
    with pytest.raises(ConfigurationError, match="prompt"):
        surface.generate(wire.llm(server), None)
    assert server.requests == []


@pytest.mark.parametrize("model", ["", "\ud800", None, 7])
def test_a_model_that_cannot_be_named_is_refused(model: Any, surface: Surface, server: FakeServer) -> None:
    """1.7."""
    with pytest.raises(ConfigurationError):
        surface.generate(create_llm("openai-compatible", model, base_url=server.url), "hi")
    assert server.requests == []
