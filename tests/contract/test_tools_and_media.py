"""CONTRACT B1, tools= and media=: what reaches the wire, and the calls that come back."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from abstractcore import BasicSession, ConfigurationError, Tool, ToolCall, tool
from tests.fakes.openai_chat import call, calls, text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream

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
def test_b1_every_form_of_a_tool_reaches_the_wire(surface: Surface, server: FakeServer, kind: str, form: str):
    server.replies(call("get_weather", city="Paris"))
    llm, tools = server.llm(), [FORMS[form]]

    if kind == "session's own":
        answer = surface.generate(BasicSession(llm, tools=tools), "Weather?")
    else:
        answer = surface.generate(llm if kind == "llm" else BasicSession(llm), "Weather?", tools=tools)

    (sent,) = server.requests[0].json.tools
    assert (sent.type, sent.function.name) == ("function", "get_weather")
    assert sent.function.description.startswith("Get the weather of a city.")
    assert set(sent.function.parameters.properties) == {"city", "unit"}
    assert sent.function.parameters.required == ["city"]
    assert answer.tool_calls == [ToolCall("call_0", "get_weather", {"city": "Paris"})]


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("get_weather", {"type": "function", "function": {"name": "get_weather"}}),
    ],
)
def test_b1_tool_choice_reaches_the_wire(surface: Surface, server: FakeServer, choice: str, wire: Any):
    server.replies(text("Hi."))

    surface.generate(server.llm(), "Weather?", tools=[get_weather], tool_choice=choice)

    assert server.requests[0].json.tool_choice == wire


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
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    wanted = [("get_weather", {"city": "Zürich"}), ("get_weather", '{"city": '), ("now", "")]
    server.replies(calls(wanted, content="Let me look.", piece=2))

    answer = whole_or_stream.ask(surface, server.llm(), "Weather?", tools=[get_weather])

    assert answer.content == "Let me look."
    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls == [
        ToolCall("call_0", "get_weather", {"city": "Zürich"}),
        ToolCall("call_1", "get_weather", {}, '{"city": '),
        ToolCall("call_2", "now", {}),
    ]


def test_b1_a_stream_gives_each_call_as_one_chunk(surface: Surface, server: FakeServer):
    server.replies(calls([("a", {"x": 1}), ("b", {})], piece=1))

    chunks = surface.stream(server.llm(), "Weather?", tools=[get_weather])

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
    surface: Surface, server: FakeServer, picture: Path, kind: str, form: str
):
    server.replies(text("A cat."))
    asked = server.llm() if kind == "llm" else BasicSession(server.llm())

    surface.generate(asked, "What is it?", media=forms_of(picture)[form])

    image, words = server.requests[0].messages[0].content
    assert image == {"type": "image_url", "image_url": {"url": PNG_URL}}
    assert words == {"type": "text", "text": "What is it?"}


def test_b1_an_https_url_is_passed_through_unfetched(surface: Surface, server: FakeServer):
    server.replies(text("A cat."))
    url = f"https://127.0.0.1:{server.port}/cat.png"

    surface.generate(server.llm(), "What is it?", media=url)

    assert server.requests[0].messages[0].content[0].image_url.url == url
    assert [request.method for request in server.requests] == ["POST"]
    assert server.connections == 1


def test_b1_several_images_keep_their_order(surface: Surface, server: FakeServer, picture: Path):
    server.replies(text("A cat."))

    surface.generate(server.llm(), "Which?", media=["https://x.test/1.png", picture, "https://x.test/2.png"])

    urls = [part.image_url.url for part in server.requests[0].messages[0].content[:-1]]
    assert urls == ["https://x.test/1.png", PNG_URL, "https://x.test/2.png"]


@pytest.mark.parametrize("wrong", ["no-such-file.png", b"not an image", "data:text/html,x", 3, [None]])
def test_b1_what_is_no_image_is_refused_before_any_request(surface: Surface, server: FakeServer, wrong: Any):
    with pytest.raises(ConfigurationError, match="media"):
        surface.generate(server.llm(), "What is it?", media=wrong)
    assert server.requests == []


def test_b1_a_session_keeps_the_image_as_data(surface: Surface, server: FakeServer, picture: Path):
    """The next turn shows it again, though the file is gone."""
    server.replies(text("A cat."))
    session = BasicSession(server.llm())

    surface.generate(session, "What is it?", media=picture)
    picture.unlink()
    surface.generate(session, "Sure?")

    assert server.requests[1].messages[0] == server.requests[0].messages[0]
