"""CONTRACT B1, tools= and media=: what reaches each wire, and the calls that come back."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from abstractcore import BasicSession, ConfigurationError, Tool, ToolCall, UnsupportedFeatureError, tool
from tests.fakes.any_wire import call, calls, text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import WIRES, Wire

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
PNG_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


def get_weather(city: str, unit: Literal["C", "F"] = "C") -> str:
    """Get the weather of a city.

    Args:
        city: Its name.
    """
    raise AssertionError("generate runs no tool")


async def get_weather_async(city: str, unit: Literal["C", "F"] = "C") -> str:
    """Get the weather of a city."""
    raise AssertionError("generate runs no tool")


PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
    "required": ["city"],
}
FLAT = {"name": "get_weather", "description": "Get the weather of a city.", "parameters": PARAMETERS}
FORMS: dict[str, Any] = {
    "function": get_weather,
    "decorated": tool(get_weather),
    "Tool": Tool(get_weather),
    "named async function": tool(name="get_weather")(get_weather_async),
    "flat dict": FLAT,
    "OpenAI's dict": {"type": "function", "function": FLAT},
    "Anthropic's dict": {
        "name": "get_weather",
        "description": FLAT["description"],
        "input_schema": PARAMETERS,
    },
}


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("kind", ["llm", "session", "session's own"])
def test_b1_every_form_of_a_tool_reaches_the_wire(
    surface: Surface, server: FakeServer, wire: Wire, kind: str, form: str
):
    server.replies(call("get_weather", city="Paris"))
    llm, tools = wire.llm(server), [FORMS[form]]

    if kind == "session's own":
        answer = surface.generate(BasicSession(llm, tools=tools), "Weather?")
    else:
        answer = surface.generate(llm if kind == "llm" else BasicSession(llm), "Weather?", tools=tools)

    ((name, described),) = wire.sent(server.requests[0]).tools.items()
    assert name == "get_weather"
    assert described["description"].startswith("Get the weather of a city.")
    assert set(described["parameters"]["properties"]) == {"city", "unit"}
    assert described["parameters"]["required"] == ["city"]
    assert answer.tool_calls == [ToolCall("call_0", "get_weather", {"city": "Paris"})]


@pytest.mark.parametrize("choice", ["auto", "none", "required", "get_weather"])
def test_b1_tool_choice_reaches_the_wire(surface: Surface, server: FakeServer, wire: Wire, choice: str):
    """Ollama has no word for it: with "none" it is told of no tool, and the others are warned of."""
    server.replies(text("Hi."))

    answer = surface.generate(wire.llm(server), "Weather?", tools=[get_weather], tool_choice=choice)

    sent = wire.sent(server.requests[0])
    if wire.name != "ollama_chat":
        assert (sent.tool_choice, answer.warnings) == (choice, [])
        return
    assert list(sent.tools) == ([] if choice == "none" else ["get_weather"])
    assert len(answer.warnings) == (choice in ("required", "get_weather"))


def test_b1_two_tools_of_one_name_are_refused(surface: Surface, server: FakeServer):
    with pytest.raises(ConfigurationError, match="get_weather"):
        surface.generate(server.llm(), "Weather?", tools=[get_weather, FLAT])
    assert server.requests == []


@pytest.mark.parametrize("wrong", [[3], ["get_weather"], [{"type": "function"}], "get_weather", get_weather])
def test_b1_what_is_no_tool_is_refused_before_any_request(surface: Surface, server: FakeServer, wrong: Any):
    with pytest.raises(ConfigurationError):
        surface.generate(server.llm(), "Weather?", tools=wrong)
    assert server.requests == []


def test_b1_calls_come_back_whole_streamed_and_not(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    wanted = [("get_weather", {"city": "Zürich"}), ("get_weather", {"city": "Oslo"}), ("now", {})]
    server.replies(calls(wanted, content="Let me look.", piece=2))

    answer = whole_or_stream.ask(surface, wire.llm(server), "Weather?", tools=[get_weather])

    assert answer.content == "Let me look."
    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls == [
        ToolCall("call_0", "get_weather", {"city": "Zürich"}),
        ToolCall("call_1", "get_weather", {"city": "Oslo"}),
        ToolCall("call_2", "now", {}),
    ]


@pytest.mark.parametrize("name", ["openai_chat", "openai_responses"])
def test_b1_arguments_that_break_off_are_kept_as_they_were_written(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, name: str
):
    server.replies(calls([("get_weather", '{"city": '), ("now", "")], piece=2))

    answer = whole_or_stream.ask(surface, WIRES[name].llm(server), "Weather?", tools=[get_weather])

    assert answer.tool_calls == [
        ToolCall("call_0", "get_weather", {}, '{"city": '),
        ToolCall("call_1", "now", {}),
    ]


def test_b1_a_stream_gives_each_call_as_one_chunk(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(calls([("a", {"x": 1}), ("b", {})], piece=1))

    chunks = surface.stream(wire.llm(server), "Weather?", tools=[get_weather])

    made = [chunk for chunk in chunks if chunk.is_tool_call()]
    assert [chunk.tool_call.name for chunk in made] == ["a", "b"]
    assert all(chunk.content == "" for chunk in made)


# ---- media -----------------------------------------------------------------------------------


@dataclass
class _PathLike:
    path: Path

    def __fspath__(self) -> str:
        return str(self.path)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(PNG)
    return path


def forms_of(picture: Path) -> dict[str, Any]:
    return {
        "path": picture,
        "path as text": str(picture),
        "path-like": _PathLike(picture),
        "bytes": PNG,
        "bytearray": bytearray(PNG),
        "data URL": PNG_URL,
        "list": [picture],
        "tuple": (PNG,),
    }


@pytest.mark.parametrize("form", list(forms_of(Path())))
@pytest.mark.parametrize("kind", ["llm", "session"])
def test_b1_an_image_reaches_the_wire(
    surface: Surface, server: FakeServer, wire: Wire, picture: Path, kind: str, form: str
):
    server.replies(text("A cat."))
    asked = wire.llm(server) if kind == "llm" else BasicSession(wire.llm(server))

    surface.generate(asked, "What is it?", media=forms_of(picture)[form])

    image, words = wire.sent(server.requests[0]).items
    assert (image.kind, image.text) == ("image", PNG_URL)
    assert (words.kind, words.text) == ("user", "What is it?")


#: Ollama takes an image's bytes alone.
TAKES_URLS = [name for name in WIRES if name != "ollama_chat"]


@pytest.mark.parametrize("name", TAKES_URLS)
def test_b1_an_https_url_is_passed_through_unfetched(surface: Surface, server: FakeServer, name: str):
    server.replies(text("A cat."))
    wire = WIRES[name]
    url = f"https://127.0.0.1:{server.port}/cat.png"

    surface.generate(wire.llm(server), "What is it?", media=url)

    assert wire.sent(server.requests[0]).items[0].text == url
    assert [request.method for request in server.requests] == ["POST"]
    assert server.connections == 1


def test_b1_ollama_is_sent_no_url_of_an_image(surface: Surface, server: FakeServer):
    with pytest.raises(UnsupportedFeatureError, match="no URL"):
        surface.generate(server.llm("ollama"), "What is it?", media="https://x.test/1.png")
    assert server.requests == []


@pytest.mark.parametrize("name", TAKES_URLS)
def test_b1_several_images_keep_their_order(surface: Surface, server: FakeServer, picture: Path, name: str):
    server.replies(text("A cat."))
    wire = WIRES[name]

    surface.generate(
        wire.llm(server), "Which?", media=["https://x.test/1.png", picture, "https://x.test/2.png"]
    )

    urls = [item.text for item in wire.sent(server.requests[0]).all("image")]
    assert urls == ["https://x.test/1.png", PNG_URL, "https://x.test/2.png"]


@pytest.mark.parametrize("wrong", ["no-such-file.png", b"not an image", "data:text/html,x", 3, [None]])
def test_b1_what_is_no_image_is_refused_before_any_request(surface: Surface, server: FakeServer, wrong: Any):
    with pytest.raises(ConfigurationError, match="media"):
        surface.generate(server.llm(), "What is it?", media=wrong)
    assert server.requests == []


def test_b1_a_session_keeps_the_image_as_data(
    surface: Surface, server: FakeServer, wire: Wire, picture: Path
):
    """The next turn shows it again, though the file is gone."""
    server.replies(text("A cat."))
    session = BasicSession(wire.llm(server))

    surface.generate(session, "What is it?", media=picture)
    picture.unlink()
    surface.generate(session, "Sure?")

    first, second = (wire.sent(request).items for request in server.requests)
    assert second[: len(first)] == first
