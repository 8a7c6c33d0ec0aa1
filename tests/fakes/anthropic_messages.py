"""The Anthropic Messages dialect: replies that are streamed or whole, as the request asks.

Knows the JSON of that wire. Knows nothing of sockets or framing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .replies import Ending, Headers, Reply, Step, compact_json, sse, sse_event, whole
from .requests import Recorded

MODEL = "test-model"
USAGE = {"input_tokens": 5, "output_tokens": 7}
SIGNATURE = "c2lnbmVk"

#: True: USAGE; False: none (Anthropic itself always sends some); anything else is sent as it is.
Usage = Any
#: A name and its arguments (an object, or the very text to stream), or a whole block as on the wire.
Call = tuple[str, Any] | dict[str, Any]

# So that one test can script every dialect in our words.
_STOP_REASONS = {
    "stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal",
}  # fmt: skip
_DELTAS = {"text": "text_delta", "thinking": "thinking_delta"}


def text(
    content: str | None,
    *,
    reasoning: str | None = None,
    signature: str = SIGNATURE,
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

    *model* defaults to the one asked for. *done* (message_stop) and *ending* concern the stream only.
    """
    blocks = [] if reasoning is None else [thinking_block(reasoning, signature)]
    return reply(
        [*blocks, *text_blocks(content)],
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
    blocks = [] if reasoning is None else [thinking_block(reasoning)]
    return reply(
        [*blocks, *text_blocks(content), *tool_calls(wanted)], **{"finish_reason": "tool_calls", **options}
    )


def reply(
    blocks: Sequence[Mapping[str, Any]],
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
    """Answer with these content blocks as they stand, or with the stream of them."""

    def script(request: Recorded | None) -> Sequence[Step]:
        asked = request.json if request and request.body else {}
        named = model or asked.get("model") or MODEL
        if not asked.get("stream"):
            body = message(blocks, usage=usage, finish_reason=finish_reason, model=named)
            return whole(200, body, headers=headers).steps(request)
        shown = events(blocks, usage=usage, finish_reason=finish_reason, model=named, piece=piece, done=done)
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
    """Answer with an error body, streamed or not; the type follows the status unless it is given."""
    return whole(status, error_body(message, code=code, type=type or ERRORS.get(status)), headers=headers)


def models(*names: str) -> Reply:
    """Answer a listing of models."""
    data = [
        {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
        for name in names or (MODEL,)
    ]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
    return whole(200, {"data": data, "has_more": False, **ends})


# The parts, for tests that bend them.


def message(
    blocks: Sequence[Mapping[str, Any]],
    *,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str = MODEL,
) -> dict[str, Any]:
    """The body of a whole answer."""
    counted = {} if usage is False else {"usage": _counts(usage)}
    return {
        **_envelope(model),
        "content": [dict(block) for block in blocks],
        **_stop(finish_reason),
        **counted,
    }


def events(
    blocks: Sequence[Mapping[str, Any]],
    *,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str = MODEL,
    piece: int = 4,
    done: bool = True,
) -> list[dict[str, Any]]:
    """The events of a streamed answer; without *done* the last, message_stop, is missing."""
    first, last = ({}, {}) if usage is False else _counts_at_both_ends(_counts(usage))
    begun = {**_envelope(model), "content": [], **_stop(None), **first}
    shown: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(blocks):
        shown += _block_events(index, block, piece)
    if finish_reason is not None:
        shown.append({"type": "message_delta", "delta": _stop(finish_reason), **last})
    return [*shown, {"type": "message_stop"}] if done else shown


def text_events(content: str, **options: Any) -> list[dict[str, Any]]:
    """The events of a streamed text; *options* as in `events`."""
    return events(text_blocks(content), **options)


def event_bytes(event: Any) -> bytes:
    """One event as Anthropic frames it, its name before its data; a text is its data as it stands."""
    name = b"" if isinstance(event, str) else f"event: {event['type']}\n".encode()
    return name + sse_event(event)


def failure_bytes(
    message: str = "scripted failure", *, code: str | int | None = None, type: str | None = None
) -> bytes:
    """An error amid a stream."""
    return event_bytes(error_body(message, code=code, type=type))


def text_blocks(content: str | None) -> list[dict[str, Any]]:
    """A text as it stands in a message."""
    return [{"type": "text", "text": content}] if content else []


def thinking_block(thought: str, signature: str = SIGNATURE) -> dict[str, Any]:
    """A thought as it stands in a message."""
    return {"type": "thinking", "thinking": thought, "signature": signature}


def tool_calls(wanted: Iterable[Call]) -> list[dict[str, Any]]:
    """Tool calls as they stand in a message."""
    return [_tool_use(number, each) for number, each in enumerate(wanted)]


def error_body(
    message: str = "scripted failure", *, code: str | int | None = None, type: str | None = None
) -> dict[str, Any]:
    """An error as a body, or as an event amid a stream."""
    kind = type or code or "api_error"
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


# https://platform.claude.com/docs/en/api/errors
ERRORS = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error",
    500: "api_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip


def _envelope(model: str) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": model}


def _stop(finish_reason: str | None) -> dict[str, Any]:
    reason = _STOP_REASONS.get(finish_reason or "", finish_reason)
    return {"stop_reason": reason, "stop_sequence": None}


def _counts(usage: Usage) -> Any:
    return USAGE if usage is True else usage


def _counts_at_both_ends(counts: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The counts as a stream begins and ends with them: the first token written is counted at once."""
    if not isinstance(counts, dict) or counts.get("output_tokens") is None:
        return {"usage": counts}, {"usage": counts}
    return {"usage": {**counts, "output_tokens": 1}}, {"usage": {"output_tokens": counts["output_tokens"]}}


def _tool_use(number: int, wanted: Call) -> dict[str, Any]:
    if isinstance(wanted, dict):
        return wanted
    name, arguments = wanted
    return {"type": "tool_use", "id": f"call_{number}", "name": name, "input": arguments}


def _block_events(index: int, block: Mapping[str, Any], piece: int) -> Iterable[dict[str, Any]]:
    kind, begun, deltas = block["type"], dict(block), list[dict[str, Any]]()
    if kind in _DELTAS:
        deltas = [{"type": _DELTAS[kind], kind: part} for part in _split(block.get(kind) or "", piece)]
        begun[kind] = ""
    if kind == "thinking":
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        begun["signature"] = ""
    if "input" in block:
        given = block["input"]
        written = given if isinstance(given, str) else compact_json(given)
        parts = ["", *_split(written, piece)]  # Anthropic's first piece is empty
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        begun["input"] = {}
    yield {"type": "content_block_start", "index": index, "content_block": begun}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _split(value: str, piece: int) -> list[str]:
    return [value[start : start + piece] for start in range(0, len(value), piece)]
