"""The OpenAI Responses dialect: replies that are streamed or whole, as the request asks.

Knows the JSON of that wire. Knows nothing of sockets or framing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from .replies import Ending, Headers, Reply, Step, compact_json, sse, sse_event, whole
from .requests import Recorded

MODEL = "test-model"
USAGE = {
    "input_tokens": 5,
    "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 12,
}
ENCRYPTED = "gAAAAA=="

#: True: USAGE; False: none; anything else is sent as it is.
Usage = Any
#: A name and its arguments (an object, or the very text to send), or a whole item as on the wire.
Call = tuple[str, Any] | dict[str, Any]

# So that one test can script every dialect in our words: a status, and why it is incomplete. A word that
# is not here is such a reason.
_STATUSES: dict[str | None, tuple[str, str | None]] = {
    "stop": ("completed", None), "tool_calls": ("completed", None),
    "length": ("incomplete", "max_output_tokens"), None: ("in_progress", None),
}  # fmt: skip


def text(
    content: str | None,
    *,
    reasoning: str | None = None,
    encrypted: str | None = ENCRYPTED,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str | None = None,
    piece: int = 4,
    between: Sequence[Step] = (),
    headers: Headers = (),
    done: bool = True,
    ending: Ending = "chunked-end",
) -> Reply:
    """Answer with *content*, streamed in deltas of *piece* characters with the steps *between* after each.

    *model* defaults to the one asked for. *done* (the event that repeats the response) and *ending*
    concern the stream only.
    """
    thoughts = [] if reasoning is None else [reasoning_item(reasoning, encrypted)]
    return reply(
        [*thoughts, *text_items(content)],
        usage=usage,
        finish_reason=finish_reason,
        model=model,
        piece=piece,
        between=between,
        headers=headers,
        done=done,
        ending=ending,
    )


def call(name: str, /, **arguments: Any) -> Reply:
    """Answer with one tool call."""
    return calls([(name, arguments)])


def calls(
    wanted: Iterable[Call], *, content: str | None = None, reasoning: str | None = None, **options: Any
) -> Reply:
    """Answer with these tool calls, ids call_0, call_1 and on; *options* as in `reply`."""
    thoughts = [] if reasoning is None else [reasoning_item(reasoning)]
    return reply([*thoughts, *text_items(content), *tool_calls(wanted)], **options)


def reply(
    items: Sequence[Mapping[str, Any]],
    *,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str | None = None,
    piece: int = 4,
    between: Sequence[Step] = (),
    headers: Headers = (),
    done: bool = True,
    ending: Ending = "chunked-end",
) -> Reply:
    """Answer with these output items as they stand, or with the stream of them."""

    def script(request: Recorded | None) -> Sequence[Step]:
        asked = request.json if request and request.body else {}
        named = model or asked.get("model") or MODEL
        if not asked.get("stream"):
            body = response(items, usage=usage, finish_reason=finish_reason, model=named)
            return whole(200, body, headers=headers).steps(request)
        shown = events(items, usage=usage, finish_reason=finish_reason, model=named, piece=piece, done=done)
        paced = [part for event in shown for part in (event_bytes(event), *between)]
        return sse(paced, headers=headers, done=False, ending=ending).steps(request)

    return Reply(script)


def error(
    status: int,
    message: str = "scripted failure",
    *,
    code: str | int | None = None,
    type: str | None = None,
    headers: Headers = (),
) -> Reply:
    """Answer with an error body, streamed or not."""
    return whole(status, error_body(message, code=code, type=type), headers=headers)


def models(*names: str) -> Reply:
    """Answer a listing of models."""
    data = [{"id": name, "object": "model", "created": 1, "owned_by": "test"} for name in names or (MODEL,)]
    return whole(200, {"object": "list", "data": data})


# The parts, for tests that bend them.


def response(
    items: Sequence[Mapping[str, Any]],
    *,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str = MODEL,
) -> dict[str, Any]:
    """The body of a whole answer."""
    status, reason = _STATUSES.get(finish_reason, ("incomplete", finish_reason))
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": model,
        "output": [dict(item) for item in items],
        "parallel_tool_calls": True,
        "store": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": _counts(usage),
    }


def events(
    items: Sequence[Mapping[str, Any]],
    *,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str = MODEL,
    piece: int = 4,
    done: bool = True,
) -> list[dict[str, Any]]:
    """The events of a streamed answer; without *done* the last, that repeats the response, is missing."""
    begun = response([], usage=False, finish_reason=None, model=model)
    shown: list[dict[str, Any]] = [
        {"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")
    ]
    for index, item in enumerate(items):
        shown += _item_events(index, item, piece)
    if done:
        last = response(items, usage=usage, finish_reason=finish_reason, model=model)
        shown.append({"type": f"response.{last['status']}", "response": last})
    return [{**event, "sequence_number": number} for event, number in zip(shown, count(), strict=False)]


def text_events(content: str, **options: Any) -> list[dict[str, Any]]:
    """The events of a streamed text; *options* as in `events`."""
    return events(text_items(content), **options)


def event_bytes(event: Any) -> bytes:
    """One event as OpenAI frames it, its name before its data; a text is its data as it stands."""
    name = b"" if isinstance(event, str) else f"event: {event['type']}\n".encode()
    return name + sse_event(event)


def failure_bytes(
    message: str = "scripted failure", *, code: str | int | None = None, type: str | None = None
) -> bytes:
    """An error amid a stream."""
    return event_bytes({"type": "error", "code": code or type, "message": message, "param": None})


def text_items(content: str | None) -> list[dict[str, Any]]:
    """A text as an output item."""
    if not content:
        return []
    part = {"type": "output_text", "text": content, "annotations": [], "logprobs": []}
    message = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant"}
    return [{**message, "content": [part]}]


def reasoning_item(summary: str, encrypted: str | None = ENCRYPTED) -> dict[str, Any]:
    """Reasoning as an output item: its summary, and the whole of it *encrypted*."""
    parts = [{"type": "summary_text", "text": summary}]
    return {"id": "rs_1", "type": "reasoning", "summary": parts, "encrypted_content": encrypted}


def tool_calls(wanted: Iterable[Call]) -> list[dict[str, Any]]:
    """Tool calls as output items."""
    return [_function_call(number, each) for number, each in enumerate(wanted)]


def error_body(
    message: str = "scripted failure", *, code: str | int | None = None, type: str | None = None
) -> dict[str, Any]:
    """An error as a body, or as an event amid a stream."""
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


def _counts(usage: Usage) -> Any:
    return USAGE if usage is True else None if usage is False else usage


def _function_call(number: int, wanted: Call) -> dict[str, Any]:
    if isinstance(wanted, dict):
        return wanted
    name, arguments = wanted
    written = arguments if isinstance(arguments, str) else compact_json(arguments)
    known = {"id": f"fc_{number}", "type": "function_call", "status": "completed"}
    return {**known, "call_id": f"call_{number}", "name": name, "arguments": written}


# What an item is when it begins: without what its deltas bring.
_EMPTY: Mapping[str, Any] = {"content": [], "summary": [], "arguments": "", "status": "in_progress"}
_PART_NAMES = {
    "output_text": "response.output_text", "refusal": "response.refusal",
    "reasoning_text": "response.reasoning_text", "summary_text": "response.reasoning_summary_text",
}  # fmt: skip


def _item_events(index: int, item: Mapping[str, Any], piece: int) -> Iterable[dict[str, Any]]:
    begun = {name: _EMPTY.get(name, value) for name, value in item.items()}
    place = {"item_id": item.get("id"), "output_index": index}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    for number, part in enumerate(item.get("summary") or ()):
        at = {**place, "summary_index": number}
        yield from _part_events(at, "response.reasoning_summary_part", part, piece)
    for number, part in enumerate(item.get("content") or ()):
        yield from _part_events({**place, "content_index": number}, "response.content_part", part, piece)
    if "arguments" in item:
        kind, written = f"response.{item['type']}_arguments", item["arguments"]
        for delta in _split(written, piece):
            yield {"type": f"{kind}.delta", **place, "delta": delta}
        yield {"type": f"{kind}.done", **place, "name": item.get("name"), "arguments": written}
    yield {"type": "response.output_item.done", "output_index": index, "item": dict(item)}


def _part_events(
    place: Mapping[str, Any], kind: str, part: Mapping[str, Any], piece: int
) -> Iterable[dict[str, Any]]:
    name = _PART_NAMES[part["type"]]
    field = "refusal" if part["type"] == "refusal" else "text"
    more = {"logprobs": []} if part["type"] == "output_text" else {}
    yield {"type": f"{kind}.added", **place, "part": {**part, field: ""}}
    told = {field: part[field]} if field in part else {}
    for delta in _split(part.get(field) or "", piece):
        yield {"type": f"{name}.delta", **place, "delta": delta, **more}
    yield {"type": f"{name}.done", **place, **told, **more}
    yield {"type": f"{kind}.done", **place, "part": dict(part)}


def _split(value: str, piece: int) -> list[str]:
    return [value[start : start + piece] for start in range(0, len(value), piece)]
