"""The dialect of Ollama's `/api/chat`: replies that are streamed or whole, as the request asks.

Knows the JSON of that wire. Knows nothing of sockets or framing. The helpers have the names that
the other dialects give them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .replies import Ending, Headers, Reply, Step, compact_json, ndjson, whole
from .requests import Recorded

MODEL = "test-model"
USAGE = {"prompt_eval_count": 5, "eval_count": 7}
DURATIONS = {
    "total_duration": 5_000_000, "load_duration": 1_000_000, "prompt_eval_duration": 2_000_000,
    "eval_duration": 2_000_000,
}  # fmt: skip

#: True: USAGE; False: none; a dict: these counts; anything else is what stands in each count's place.
Usage = Any
#: A name and its arguments (an object; what else is sent as it is), or a whole tool call as on the wire.
Call = tuple[str, Any] | dict[str, Any]


def text(
    content: str | None,
    *,
    reasoning: str | None = None,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str | None = None,
    piece: int = 4,
    between: Sequence[Step] = (),
    headers: Headers = (),
    done: bool = True,
    ending: Ending = "chunked-end",
) -> Reply:
    """Answer with *content*, streamed in lines of *piece* characters with the steps *between* after each.

    *model* defaults to the one asked for. *done* (whether the line that ends the answer comes) and
    *ending* concern the stream only.
    """
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reasoning is not None:
        message["thinking"] = reasoning
    return reply(
        message,
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
    wanted: Iterable[Call], *, content: str | None = "", reasoning: str | None = None, **options: Any
) -> Reply:
    """Answer with these tool calls, ids call_0, call_1 and on; *options* as in `reply`."""
    thought = {} if reasoning is None else {"thinking": reasoning}
    message = {"role": "assistant", "content": content or "", **thought, "tool_calls": tool_calls(wanted)}
    return reply(message, **options)


def reply(
    message: Mapping[str, Any],
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
    """Answer with *message* as it stands, or with the stream of it; what does not say is a stream."""

    def script(request: Recorded | None) -> Sequence[Step]:
        asked = request.json if request and request.body else {}
        named = model or asked.get("model") or MODEL
        if asked.get("stream") is False:
            body = completion(message, usage=usage, finish_reason=finish_reason, model=named)
            return whole(200, body, headers=headers).steps(request)
        lines = chunks(message, usage=usage, finish_reason=finish_reason, model=named, piece=piece)
        shown = lines if done else lines[:-1]
        paced = [part for line in shown for part in (line, *between)]
        return ndjson(paced, headers=headers, ending=ending).steps(request)

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
    listed = [{"name": name, "model": name, "size": 1, "digest": "0"} for name in names or (MODEL,)]
    return whole(200, {"models": listed})


# The parts, for tests that bend them.


def completion(
    message: Mapping[str, Any],
    *,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str = MODEL,
) -> dict[str, Any]:
    """The body of a whole answer."""
    return {**_line(message, model), **_end(usage, finish_reason)}


def chunks(
    message: Mapping[str, Any],
    *,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str = MODEL,
    piece: int = 4,
) -> list[dict[str, Any]]:
    """The lines of a streamed answer, the thinking first; the last one is done."""
    lines = [delta({"thinking": part}, model=model) for part in _split(message.get("thinking"), piece)]
    lines += [delta({"content": part}, model=model) for part in _split(message.get("content"), piece)]
    lines += [delta({"tool_calls": [each]}, model=model) for each in message.get("tool_calls") or ()]
    return [*lines, {**delta({}, model=model), **_end(usage, finish_reason)}]


def text_chunks(content: str, **options: Any) -> list[dict[str, Any]]:
    """The lines of a streamed text; *options* as in `chunks`."""
    return chunks({"role": "assistant", "content": content}, **options)


def delta(fields: Mapping[str, Any], *, model: str = MODEL) -> dict[str, Any]:
    """One line with one piece of the message."""
    return {**_line({"role": "assistant", "content": "", **fields}, model), "done": False}


def tool_calls(wanted: Iterable[Call]) -> list[dict[str, Any]]:
    """Tool calls as they stand in a message."""
    return [_tool_call(number, each) for number, each in enumerate(wanted)]


def error_body(
    message: str = "scripted failure", *, code: str | int | None = None, type: str | None = None
) -> dict[str, Any]:
    """An error as a body, or as a line amid a stream: its text alone, whatever its code and type."""
    return {"error": message}


def event_bytes(event: Any) -> bytes:
    """One line of a stream; a text is the line as it stands."""
    return (event if isinstance(event, str) else compact_json(event)).encode() + b"\n"


def failure_bytes(
    message: str = "scripted failure", *, code: str | int | None = None, type: str | None = None
) -> bytes:
    """An error amid a stream."""
    return event_bytes(error_body(message, code=code, type=type))


def _line(message: Mapping[str, Any], model: str) -> dict[str, Any]:
    return {"model": model, "created_at": "2026-11-22T10:00:00.123456Z", "message": dict(message)}


def _end(usage: Usage, finish_reason: str | None) -> dict[str, Any]:
    reason = {} if finish_reason is None else {"done_reason": finish_reason}
    counts = USAGE if usage is True else {} if usage is False else usage
    counts = counts if isinstance(counts, dict) else dict.fromkeys(USAGE, counts)
    return {"done": True, **reason, **DURATIONS, **counts}


def _tool_call(number: int, wanted: Call) -> dict[str, Any]:
    if isinstance(wanted, dict):
        return wanted
    name, arguments = wanted
    return {"id": f"call_{number}", "function": {"index": number, "name": name, "arguments": arguments}}


def _split(value: str | None, piece: int) -> list[str]:
    return [value[start : start + piece] for start in range(0, len(value), piece)] if value else []
