"""OpenAI's own package as the judge of its two wires: it accepts what we send, and reads as we do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from abstractcore.codecs.base import Codec
from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.codecs.openai_responses import OpenAIResponses
from abstractcore.codecs.strict_schema import strict
from abstractcore.types import GenerateRequest, OutputSchema, ToolSpec
from tests.codecs.recorded import bodies_in, expected, name_of, read, streamed, streams_in, whole
from tests.codecs.vendor_types import as_stored, chat_type, plain, responses_type

openai = pytest.importorskip("openai", reason="the oracle is the openai package, of the dev group")
httpx2 = pytest.importorskip("httpx2", reason="what the openai package stands on")

CHAT_CASES = Path(__file__).parent / "openai_chat"
RESPONSES_CASES = Path(__file__).parent / "openai_responses"
CHAT = OpenAIChat(
    max_tokens_field="max_completion_tokens",
    top_k=False,
    strict_schema=True,
    thinking="reasoning_effort",
    think_marks=False,
)
RESPONSES = OpenAIResponses()
# What other servers and gateways send, and OpenAI does not: its package gives up on it, joins what
# belongs apart, or reads another thing than was meant.
_BEYOND_THE_CHAT_ORACLE = {
    "answer_tool_beside_a_call", "characters_cut_in_half", "legacy_function_call", "lone_surrogate",
    "mistral_parts", "mlx_tool_call",
    "null_deltas", "text_no_space", "tools_all_numbered_0", "tools_interleaved",
    "tools_named_in_every_delta", "tools_whole_in_one_event", "tools_with_bad_arguments",
    "tools_with_empty_deltas", "tools_with_null_content", "tools_with_one_id_twice", "tools_without_ids",
    "tools_without_index", "two_choices",
}  # fmt: skip
_BEYOND_THE_RESPONSES_ORACLE = {
    "data_after_the_end", "ids_that_change", "last_line_without_newline", "lone_surrogate", "no_output_index",
    "null_deltas", "tools_of_deltas_alone", "tools_with_an_item_done_that_lacks_them",
    "tools_with_one_id_twice", "tools_without_call_ids", "usage_odd",
}  # fmt: skip


def read_by_both(paths: Iterable[Path], beyond: set[str]) -> list[Path]:
    return [path for path in paths if "error" not in expected(path) and path.stem not in beyond]


def client_of(body: bytes, kind: str, asked: list[Any] | None = None) -> Any:
    """The package's client, before a server that answers so."""

    def answer(request: Any) -> Any:
        if asked is not None:
            asked.append(request)
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    transport = httpx2.MockTransport(answer)
    return openai.OpenAI(
        api_key="k",
        base_url="https://api.openai.com/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=transport),
    )


ASK_CHAT: Mapping[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ASK_RESPONSES: Mapping[str, Any] = {"model": "m", "input": "hi"}


def arguments_of(call: Mapping[str, Any]) -> Any:
    return call.get("arguments_raw", call["arguments"])


def read_arguments(text: str) -> Any:
    """A call's arguments as our cases have them: an object, or else the model's words."""
    if not text:
        return {}
    try:
        arguments = json.loads(text)
    except ValueError:
        return text
    return arguments if isinstance(arguments, dict) and "NaN" not in text else text


def told_by_us(answer: dict[str, Any]) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")
    kept = ("content", "reasoning", "raw_finish_reason", "model", "response_id")
    found = {key: answer[key] for key in kept if key in answer}
    calls = answer.get("tool_calls", [])
    found["tool_calls"] = [(call["id"], call["name"], arguments_of(call)) for call in calls]
    if usage := answer.get("usage"):
        found["counts"] = tuple(usage[name] for name in names)
    return found


def known(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value or key == "tool_calls"}


# ---- Chat Completions ----------------------------------------------------------------------------


def told_by_completion(completion: Any) -> dict[str, Any]:
    """What the package's completion says, in the words of our cases."""
    choice, usage = completion.choices[0], completion.usage
    message = choice.message
    calls = [call for call in message.tool_calls or []]
    return known({
        "content": (message.content or "") + (message.refusal or ""),
        "reasoning": getattr(message, "reasoning", None) or getattr(message, "reasoning_content", None),
        "tool_calls": [(c.id, c.function.name, read_arguments(c.function.arguments)) for c in calls],
        "raw_finish_reason": choice.finish_reason,
        "model": completion.model,
        "response_id": completion.id,
        "counts": usage
        and (
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.total_tokens,
            usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens,
            usage.completion_tokens_details and usage.completion_tokens_details.reasoning_tokens,
        ),
    })  # fmt: skip


@pytest.mark.parametrize("path", read_by_both(streams_in(CHAT_CASES), _BEYOND_THE_CHAT_ORACLE), ids=name_of)
def test_both_accumulate_a_chat_stream_to_the_same_answer(path: Path) -> None:
    client = client_of(path.read_bytes(), "text/event-stream")

    with client.chat.completions.stream(**ASK_CHAT) as stream:
        completion = stream.get_final_completion()

    assert told_by_us(read(streamed(CHAT, [path.read_bytes()]))) == told_by_completion(completion)


@pytest.mark.parametrize("path", read_by_both(bodies_in(CHAT_CASES), _BEYOND_THE_CHAT_ORACLE), ids=name_of)
def test_both_read_a_whole_completion_the_same(path: Path) -> None:
    completion = client_of(path.read_bytes(), "application/json").chat.completions.create(**ASK_CHAT)

    assert told_by_us(read(whole(CHAT, path.read_bytes()))) == told_by_completion(completion)


# ---- Responses -----------------------------------------------------------------------------------


def told_by_response(response: Any) -> dict[str, Any]:
    """What the package's response says, in the words of our cases."""
    usage, details = response.usage, response.incomplete_details
    items = response.output
    parts = [part for item in items if item.type == "message" for part in item.content]
    thoughts = [item for item in items if item.type == "reasoning"]
    calls = [item for item in items if item.type == "function_call"]
    return known({
        "content": "".join(part.refusal if part.type == "refusal" else part.text for part in parts),
        "reasoning": "\n\n".join(
            part.text for item in thoughts for part in (*item.summary, *(item.content or ()))
        ),
        "tool_calls": [(c.call_id, c.name, read_arguments(c.arguments)) for c in calls],
        "raw_finish_reason": (details and details.reason) or response.status,
        "model": response.model,
        "response_id": response.id,
        "counts": usage
        and (
            usage.input_tokens,
            usage.output_tokens,
            usage.total_tokens or usage.input_tokens + usage.output_tokens,
            usage.input_tokens_details and usage.input_tokens_details.cached_tokens,
            usage.output_tokens_details and usage.output_tokens_details.reasoning_tokens,
        ),
    })  # fmt: skip


@pytest.mark.parametrize(
    "path", read_by_both(streams_in(RESPONSES_CASES), _BEYOND_THE_RESPONSES_ORACLE), ids=name_of
)
def test_both_accumulate_a_responses_stream_to_the_same_answer(path: Path) -> None:
    client = client_of(path.read_bytes(), "text/event-stream")

    with client.responses.stream(**ASK_RESPONSES) as stream:
        last = [event for event in stream if getattr(event, "response", None)][-1]

    ours = read(streamed(RESPONSES, [path.read_bytes()]))
    assert told_by_us(ours) == told_by_response(last.response)
    if kept_items := ours.get("provider_data", {}).get("openai_responses", {}).get("output"):
        theirs = [item.to_dict(mode="json") for item in last.response.output]
        assert [trimmed(item) for item in kept_items] == [trimmed(item) for item in theirs]


def trimmed(value: Any) -> Any:
    if isinstance(value, dict):
        return {field: trimmed(item) for field, item in value.items() if item is not None}
    return [trimmed(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["failed", "failed_for_a_rate_limit", "error_event", "error_event_nested"])
def test_both_see_the_same_failure_in_a_responses_stream(name: str) -> None:
    data = (RESPONSES_CASES / f"{name}.sse").read_bytes()
    code = None
    try:
        with client_of(data, "text/event-stream").responses.stream(**ASK_RESPONSES) as stream:
            for event in stream:
                source = event.response.error if event.type == "response.failed" else event
                code = getattr(source, "code", None) if event.type in ("response.failed", "error") else code
    except openai.APIError as failure:
        code = failure.code

    assert code is not None
    assert read(streamed(RESPONSES, [data]))["error"]["code"] == code


@pytest.mark.parametrize(
    "path", read_by_both(bodies_in(RESPONSES_CASES), _BEYOND_THE_RESPONSES_ORACLE), ids=name_of
)
def test_both_read_a_whole_response_the_same(path: Path) -> None:
    response = client_of(path.read_bytes(), "application/json").responses.create(**ASK_RESPONSES)

    assert told_by_us(read(whole(RESPONSES, path.read_bytes()))) == told_by_response(response)


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
    """A recorded Responses answer as a history holds it."""
    answer = read(streamed(RESPONSES, [(RESPONSES_CASES / f"{name}.sse").read_bytes()]))
    fields = {key: answer[key] for key in ("tool_calls", "provider_data", "reasoning") if key in answer}
    return {"role": "assistant", "content": answer.get("content", ""), **fields}


HISTORY: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [*IMAGES, {"type": "text", "text": "Where?"}]},
    kept("reasoning_with_a_call"),
    {"role": "tool", "content": "Warm.", "tool_call_id": "call_Ab1"},
    kept("reasoning_summary"),
    {"role": "user", "content": "And there?", "name": "ann"},
    kept("builtin_web_search"),
    {"role": "system", "content": "Speak French."},
    {"role": "assistant", "content": "", "tool_calls": [{"id": "x", "name": "add", "arguments": {"a": 1}}]},
    {"role": "tool", "content": "", "tool_call_id": "x"},
    {"role": "assistant", "content": "Done."},
    {"role": "user", "content": "Thanks."},
]

REQUESTS = {
    "bare": GenerateRequest("m", [{"role": "user", "content": "hi"}]),
    "history": GenerateRequest("m", HISTORY, stream=True),
    "tools": GenerateRequest("m", HISTORY, tools=TOOLS, tool_choice="add"),
    "required": GenerateRequest("m", HISTORY, tools=TOOLS, tool_choice="required"),
    "sampling": GenerateRequest(
        "m", HISTORY, temperature=0.0, top_p=0.5, top_k=7, seed=1, stop=("a",), max_output_tokens=9,
        presence_penalty=0.1, frequency_penalty=0.2,
    ),
    "schema": GenerateRequest("m", HISTORY, schema=SCHEMA, thinking="low"),
    "thinking": GenerateRequest("m", HISTORY, thinking=True),
    "not_thinking": GenerateRequest("m", HISTORY, thinking=False),
    "extra": GenerateRequest("m", HISTORY, extra={"store": True, "service_tier": "flex"}),
}  # fmt: skip


def type_of(wire: Codec) -> TypeAdapter[Any]:
    return chat_type() if wire is CHAT else responses_type()


WIRES = pytest.mark.parametrize("wire", [CHAT, RESPONSES], ids=["chat", "responses"])


@WIRES
@pytest.mark.parametrize("name", REQUESTS)
def test_the_request_types_accept_what_we_encode(name: str, wire: Codec) -> None:
    """A key that the types do not know would be missing in what they give."""
    body = as_stored(wire.encode(REQUESTS[name]).body)

    assert plain(type_of(wire).validate_python(body)) == body


@pytest.mark.parametrize("tools", [(), TOOLS], ids=["alone", "beside_tools"])
def test_the_request_types_accept_a_schema_that_is_a_tool(tools: tuple[ToolSpec, ...]) -> None:
    codec = replace(CHAT, schema_mode="tool")
    body = as_stored(codec.encode(GenerateRequest("m", HISTORY, schema=SCHEMA, tools=tools)).body)

    assert plain(chat_type().validate_python(body)) == body


@WIRES
def test_the_request_types_refuse_what_is_wrong(wire: Codec) -> None:
    """Else the test above would prove nothing."""
    body: Any = wire.encode(REQUESTS["tools"]).body
    body["tool_choice"]["type"] = "functions"

    with pytest.raises(ValidationError):
        plain(type_of(wire).validate_python(as_stored(body)))


@WIRES
@pytest.mark.parametrize("name", REQUESTS)
def test_its_client_sends_the_same_body_to_the_same_place(name: str, wire: Codec) -> None:
    wanted = wire.encode(REQUESTS[name])
    asked: list[Any] = []
    cases = CHAT_CASES if wire is CHAT else RESPONSES_CASES
    client = client_of((cases / "text.json").read_bytes(), "application/json", asked)
    resource = client.chat.completions if wire is CHAT else client.responses

    resource.create(**{**wanted.body, "stream": False})

    (request,) = asked
    assert json.loads(request.content) == {**wanted.body, "stream": False}
    assert str(request.url) == f"https://api.openai.com/v1{wanted.path}"


def test_it_would_make_a_schema_strict_as_we_do() -> None:
    from openai.lib._pydantic import to_strict_json_schema

    assert strict(SCHEMA.schema) == without_titles(to_strict_json_schema(Place))


def without_titles(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: without_titles(item) for key, item in schema.items() if key != "title"}
    return [without_titles(item) for item in schema] if isinstance(schema, list) else schema


# ---- their models of whole answers ---------------------------------------------------------------

_FROM_OTHERS = {"no_status", "usage_without_details"}


@pytest.mark.parametrize(
    "path",
    read_by_both(bodies_in(RESPONSES_CASES), _BEYOND_THE_RESPONSES_ORACLE | _FROM_OTHERS),
    ids=name_of,
)
def test_a_recorded_response_is_one(path: Path) -> None:
    """Our cases are what OpenAI could send."""
    from openai.types.responses import Response

    Response.model_validate(json.loads(path.read_bytes()), strict=True)


@pytest.mark.parametrize("name", ["text", "tools_parallel", "refusal", "null_content"])
def test_a_recorded_completion_is_one(name: str) -> None:
    from openai.types.chat import ChatCompletion

    ChatCompletion.model_validate_json((CHAT_CASES / f"{name}.json").read_bytes(), strict=True)
