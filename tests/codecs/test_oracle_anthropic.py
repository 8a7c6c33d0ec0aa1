"""Anthropic's own package as the judge: it accepts what we send, and reads answers as we do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from abstractcore.codecs.anthropic_messages import AnthropicMessages
from abstractcore.codecs.closed_schema import closed
from abstractcore.types import GenerateRequest, OutputSchema, ToolSpec
from tests.codecs.recorded import bodies_in, expected, name_of, read, streamed, streams_in, whole
from tests.codecs.vendor_types import messages_type, plain

anthropic = pytest.importorskip("anthropic", reason="the oracle is the anthropic package, of the dev group")
httpx2 = pytest.importorskip("httpx2", reason="what the anthropic package stands on")

CASES = Path(__file__).parent / "anthropic_messages"
CODEC = AnthropicMessages()
# What compatible servers and gateways send, and Anthropic does not: its package gives up on it, or
# leaves a model's broken arguments to its caller.
_BEYOND_THE_ORACLE = {
    "characters_cut_in_half", "data_after_message_stop", "every_block_numbered_0", "gateway_done_mark",
    "lone_surrogate", "max_tokens_inside_a_call", "no_event_names", "tool_with_bad_arguments",
    "tools_with_one_id_twice", "usage_null", "usage_odd",
}  # fmt: skip
# A call to the package, and to us the answer's text.
_ANSWERS = {"answer_tool", "answer_tool_after_a_thought", "answer_tool_in_the_start"}


def read_by_both(paths: Iterable[Path]) -> list[Path]:
    beyond = _BEYOND_THE_ORACLE | _ANSWERS
    return [path for path in paths if "error" not in expected(path) and path.stem not in beyond]


def client_of(body: bytes, kind: str, asked: list[Any] | None = None) -> Any:
    """The package's client, before a server that answers so."""

    def answer(request: Any) -> Any:
        if asked is not None:
            asked.append(request)
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    transport = httpx2.MockTransport(answer)
    return anthropic.Anthropic(api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport))


ASK: Mapping[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def told_by(message: Any) -> dict[str, Any]:
    """What the package's message says, in the words of our cases."""
    blocks = [block for block in message.content if hasattr(block, "type")]
    calls = [{"id": b.id, "name": b.name, "arguments": dict(b.input)} for b in blocks if b.type == "tool_use"]
    usage = message.usage
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    details = usage.output_tokens_details
    found = {
        "content": "".join(block.text for block in blocks if block.type == "text"),
        "reasoning": "".join(block.thinking for block in blocks if block.type == "thinking"),
        "tool_calls": calls,
        "raw_finish_reason": message.stop_reason,
        "counts": (
            usage.input_tokens + cached,
            usage.output_tokens,
            usage.cache_read_input_tokens,
            details and details.thinking_tokens,
        ),
        "model": message.model,
        "response_id": message.id,
    }
    return {key: value for key, value in found.items() if value}


def told_by_us(answer: dict[str, Any]) -> dict[str, Any]:
    usage = answer["usage"]
    kept = {
        key: value for key, value in answer.items() if key not in ("usage", "finish_reason", "provider_data")
    }
    names = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
    return {**kept, "counts": tuple(usage[name] for name in names)}


@pytest.mark.parametrize("path", read_by_both(streams_in(CASES)), ids=name_of)
def test_both_accumulate_a_stream_to_the_same_answer(path: Path) -> None:
    client = client_of(path.read_bytes(), "text/event-stream")

    with client.messages.stream(**ASK) as stream:
        message = stream.get_final_message()

    ours = read(streamed(CODEC, [path.read_bytes()]))
    assert told_by_us(ours) == told_by(message)
    if content := ours.get("provider_data", {}).get("anthropic_messages", {}).get("content"):
        assert [trimmed(block) for block in content] == [
            trimmed(block.to_dict(mode="json")) for block in message.content
        ]


def trimmed(block: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in block.items() if value is not None}


@pytest.mark.parametrize("path", read_by_both(bodies_in(CASES)), ids=name_of)
def test_both_read_a_whole_answer_the_same(path: Path) -> None:
    message = client_of(path.read_bytes(), "application/json").messages.create(**ASK)

    assert told_by_us(read(whole(CODEC, path.read_bytes()))) == told_by(message)


@pytest.mark.parametrize("name", sorted(_ANSWERS))
def test_both_read_the_same_arguments_of_the_answers_tool(name: str) -> None:
    data = (CASES / f"{name}.sse").read_bytes()

    with client_of(data, "text/event-stream").messages.stream(**ASK) as stream:
        *_, block = stream.get_final_message().content

    assert block.type == "tool_use"
    assert json.loads(read(streamed(CODEC, [data]))["content"]) == block.input


@pytest.mark.parametrize("name", ["error_mid_stream", "overloaded_mid_stream", "rate_limit_mid_stream"])
def test_both_see_the_same_error_in_a_stream(name: str) -> None:
    data = (CASES / f"{name}.sse").read_bytes()

    with (
        pytest.raises(anthropic.APIStatusError) as caught,
        client_of(data, "text/event-stream").messages.stream(**ASK) as stream,
    ):
        stream.get_final_message()

    assert read(streamed(CODEC, [data]))["error"]["code"] == caught.value.type


# ---- requests ------------------------------------------------------------------------------------


class Place(BaseModel):
    name: str
    zone: str | None
    near: list[int]


PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
TOOLS = (ToolSpec("add", "Add.", PARAMETERS), ToolSpec("now", "", {"type": "object", "properties": {}}))
SCHEMA = OutputSchema("Place", Place.model_json_schema())
IMAGES = [
    {"type": "image", "url": "https://example.org/a.png"},
    {"type": "image", "data": "aGk=", "media_type": "image/png"},
]


def kept(name: str) -> dict[str, Any]:
    """A recorded answer as a history holds it."""
    answer = read(streamed(CODEC, [(CASES / f"{name}.sse").read_bytes()]))
    fields = {key: answer[key] for key in ("tool_calls", "provider_data", "reasoning") if key in answer}
    return {"role": "assistant", "content": answer.get("content", ""), **fields}


HISTORY: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [*IMAGES, {"type": "text", "text": "Where?"}]},
    kept("thinking_and_tool_use"),
    {"role": "tool", "content": "Warm.", "tool_call_id": "toolu_01A"},
    kept("redacted_thinking"),
    {"role": "user", "content": "And there?"},
    kept("server_tools"),
    {"role": "system", "content": "Speak French."},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "a.b:1", "name": "add", "arguments": {"a": 1}}],
    },
    {"role": "tool", "content": "", "tool_call_id": "a.b:1"},
    {"role": "tool", "content": [IMAGES[1]], "tool_call_id": "c"},
]

REQUESTS = {
    "bare": GenerateRequest("m", [{"role": "user", "content": "hi"}]),
    "history": GenerateRequest("m", HISTORY),
    "tools": GenerateRequest("m", HISTORY, tools=TOOLS, tool_choice="add"),
    "required": GenerateRequest("m", HISTORY, tools=TOOLS, tool_choice="required"),
    "no_tool": GenerateRequest("m", HISTORY, tools=TOOLS, tool_choice="none"),
    "stop": GenerateRequest("m", HISTORY, stop=("a", "\n"), max_output_tokens=5),
    "schema": GenerateRequest("m", HISTORY, schema=SCHEMA, thinking="low"),
    "schema_alone": GenerateRequest("m", HISTORY, schema=SCHEMA, stream=True),
    "schema_and_tools": GenerateRequest("m", HISTORY, schema=SCHEMA, tools=TOOLS),
    "schema_and_no_tool": GenerateRequest("m", HISTORY, schema=SCHEMA, tools=TOOLS, tool_choice="none"),
    "thinking": GenerateRequest("m", HISTORY, thinking=True, stream=True),
    "not_thinking": GenerateRequest("m", HISTORY, thinking=False),
    "long": GenerateRequest("m", HISTORY, max_output_tokens=64_000),
    "cached": GenerateRequest("m", HISTORY, extra={"cache_control": {"type": "ephemeral", "ttl": "1h"}}),
}
CODECS = [
    CODEC,
    AnthropicMessages(thinking="budget", late_system="system", schema_mode="prompt"),
    AnthropicMessages(thinking="budget", schema_mode="tool"),
]


@pytest.fixture(scope="module")
def request_type() -> TypeAdapter[Any]:
    return messages_type()


@pytest.mark.parametrize("codec", CODECS, ids=["default", "older", "by_tool"])
@pytest.mark.parametrize("name", REQUESTS)
def test_the_request_types_accept_what_we_encode(
    request_type: TypeAdapter[Any], name: str, codec: AnthropicMessages
) -> None:
    """A key that the types do not know would be missing in what they give."""
    body = codec.encode(REQUESTS[name]).body

    assert plain(request_type.validate_python(body)) == body


def test_the_request_types_refuse_what_is_wrong(request_type: TypeAdapter[Any]) -> None:
    """Else the test above would prove nothing."""
    body: Any = CODEC.encode(REQUESTS["history"]).body
    body["messages"][0]["content"][0]["source"] = {"type": "base64"}

    with pytest.raises(ValidationError):
        plain(request_type.validate_python(body))


@pytest.mark.parametrize("name", ["tools", "schema", "thinking"])
def test_its_client_sends_the_same_body_to_the_same_place(name: str) -> None:
    wire = CODEC.encode(REQUESTS[name])
    asked: list[Any] = []
    client = client_of((CASES / "text.sse").read_bytes(), "text/event-stream", asked)

    for _ in client.messages.create(**{**wire.body, "stream": True}):
        pass

    (request,) = asked
    assert json.loads(request.content) == {**wire.body, "stream": True}
    assert str(request.url) == f"https://api.anthropic.com{wire.path}"
    assert request.headers["authorization"] == "Bearer k"
    for header, value in wire.headers.items():
        assert request.headers[header] == value


def test_its_client_refuses_to_wait_for_the_answers_that_we_stream() -> None:
    client = client_of((CASES / "text.json").read_bytes(), "application/json")

    assert client.messages.create(**{**ASK, "max_tokens": CODEC.stream_above}).id
    with pytest.raises(ValueError, match="Streaming is required"):
        client.messages.create(**{**ASK, "max_tokens": CODEC.stream_above + 1})


def test_it_would_close_a_schema_as_we_do() -> None:
    ours = closed(SCHEMA.schema)

    theirs = anthropic.transform_schema(Place)

    assert ours == without_titles(theirs)
    assert anthropic.transform_schema(ours) == ours


def without_titles(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: without_titles(value) for key, value in schema.items() if key != "title"}
    return [without_titles(item) for item in schema] if isinstance(schema, list) else schema
