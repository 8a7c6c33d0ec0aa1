"""What a caller passes to `generate`, as clean messages and checked numbers.

Everything that a caller can fix is refused here, before any request. An error names the
argument and the problem, never the text. Nothing the caller passed is changed: messages are
copies. Knows no provider and no session.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypedDict, cast

from abstractcore.errors import ConfigurationError
from abstractcore.generation.media import Media, checked_part, image_parts, url_part
from abstractcore.tools import strict_json
from abstractcore.types import ContentPart, ImagePart, Message, Role, ToolCall, ToolCallDict


def build_messages(
    prompt: str | None,
    messages: Sequence[Mapping[str, Any]] | None,
    system_prompt: str | None,
    media: Media | Sequence[Media] | None,
) -> list[Message]:
    """Put together what is sent: *system_prompt*, then *messages*, then *prompt* with its images.

    The prompt is always appended, also when the same text stands in the history; an empty
    one is sent as it is. *system_prompt* goes first and replaces nothing: a system message
    in *messages* keeps its place after it. Without a prompt the images join the last
    message, which must be the user's. Raises ConfigurationError.
    """
    if prompt is None and not messages:
        raise ConfigurationError("Nothing to send: pass a prompt or messages.")
    built = clean_messages(() if messages is None else messages)
    if system_prompt is not None:
        built.insert(0, {"role": "system", "content": checked_text(system_prompt, "system_prompt")})
    if prompt is not None:
        built.append(user_message(prompt, media))
    elif images := image_parts(media):
        _show_with_last(built, images)
    return built


def user_message(prompt: str, media: Media | Sequence[Media] | None = None) -> Message:
    """Make the user's message of *prompt* and the images that go with it."""
    return {"role": "user", "content": _with_images(checked_text(prompt, "prompt"), image_parts(media))}


def clean_messages(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Copy a history as messages of ours; Chat Completions' own shape is understood too.

    Keys that no message of ours has are left out. A tool call without an id, or with one
    that an earlier call has, gets a new one, and its result with it. Arguments given as
    text that is no JSON object stay as `arguments_raw`.
    """
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(cast("object", messages), Sequence):
        _refuse("messages", f"expected a list of messages, not {type(messages).__name__}")
    cleaned = [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]
    _pair_ids(cleaned)
    return cleaned


# ---- one message -----------------------------------------------------------------------------


def _message(raw: Any, where: str) -> Message:
    given = _mapping(raw, where)
    role = _ROLES.get(given.get("role") if isinstance(given.get("role"), str) else None)
    if role is None:
        _refuse(where, "the role is not system, user, assistant or tool")
    message: dict[str, Any] = {"role": role, "content": _content(given.get("content"), role, where)}
    for key, field, read in _FIELDS:
        if field not in message and given.get(key) is not None:
            message[field] = read(given[key], f"{where}.{key}")
    if not message.get("tool_calls"):
        message.pop("tool_calls", None)
    elif role != "assistant":
        _refuse(where, f"a message of role {role} has no tool_calls")
    return cast("Message", message)


def _content(content: Any, role: Role, where: str) -> str | list[ContentPart]:
    if content is None and role == "assistant":
        return ""
    if isinstance(content, str):
        return checked_text(content, f"{where}.content")
    if not isinstance(content, (list, tuple)):
        _refuse(f"{where}.content", f"expected text or a list of parts, not {type(content).__name__}")
    parts = cast("Sequence[Any]", content)
    return [_part(part, f"{where}.content[{index}]") for index, part in enumerate(parts)]


def _part(raw: Any, where: str) -> ContentPart:
    part = _mapping(raw, where)
    kind = part.get("type")
    read = _PARTS.get(kind) if isinstance(kind, str) else None
    if read is None:
        _refuse(where, "the part is not of type text, image or image_url")
    return read(part, where)


def _text_part(part: Mapping[str, Any], where: str) -> ContentPart:
    return {"type": "text", "text": checked_text(part.get("text"), f"{where}.text")}


def _image_part(part: Mapping[str, Any], where: str) -> ContentPart:
    return checked_part(part, where=where)


def _image_url_part(part: Mapping[str, Any], where: str) -> ContentPart:
    image = part.get("image_url")
    url: Any = cast("Mapping[str, Any]", image).get("url") if isinstance(image, Mapping) else image
    return url_part(url, where=where)


def _tool_calls(calls: Any, where: str) -> list[ToolCallDict]:
    if not isinstance(calls, (list, tuple)):
        _refuse(where, f"expected a list, not {type(calls).__name__}")
    return [_tool_call(call, f"{where}[{index}]") for index, call in enumerate(cast("Sequence[Any]", calls))]


def _tool_call(raw: Any, where: str) -> ToolCallDict:
    """Read a call of ours, a ToolCall, or `{"id", "type", "function": {"name", "arguments"}}`."""
    call = _mapping(raw.as_dict() if isinstance(raw, ToolCall) else raw, where)
    function = _mapping(call.get("function", call), f"{where}.function")
    call_id, arguments, words = call.get("id"), function.get("arguments"), function.get("arguments_raw")
    if isinstance(arguments, str):
        arguments, words = _parsed_arguments(checked_text(arguments, f"{where}.arguments"))
    cleaned: ToolCallDict = {
        "id": "" if call_id is None else checked_text(call_id, f"{where}.id"),
        "name": checked_text(function.get("name"), f"{where}.name"),
        "arguments": {} if arguments is None else _object(arguments, f"{where}.arguments"),
    }
    if words is not None:
        cleaned["arguments_raw"] = checked_text(words, f"{where}.arguments_raw")
    return cleaned


def _parsed_arguments(words: str) -> tuple[dict[str, Any], str | None]:
    if not words.strip():
        return {}, None
    try:
        arguments = strict_json.loads(words)
    except ValueError:
        return {}, words
    return (arguments, None) if isinstance(arguments, dict) else ({}, words)


def _with_images(text: str, images: list[ImagePart]) -> str | list[ContentPart]:
    # Anthropic and most open vision models ask for the images before the words about them.
    return [*images, {"type": "text", "text": text}] if images else text


def _show_with_last(messages: list[Message], images: list[ImagePart]) -> None:
    last = messages[-1]
    if last["role"] != "user":
        _refuse("media", "without a prompt, images go with the last message, and it is not the user's")
    content = last["content"]
    last["content"] = _with_images(content, images) if isinstance(content, str) else [*images, *content]


# ---- tool call ids ---------------------------------------------------------------------------


def _pair_ids(messages: list[Message]) -> None:
    """Give each tool call an id of its own, and each result the id of the call that it answers."""
    taken: set[str] = set()
    unanswered: list[tuple[str, str]] = []
    for index, message in enumerate(messages):
        if "tool_calls" in message:
            unanswered = [_claim(call, taken) for call in message["tool_calls"]]
        elif message["role"] == "tool":
            given = message.get("tool_call_id", "")
            message["tool_call_id"] = _answered(given, unanswered, f"messages[{index}]")


def _claim(call: ToolCallDict, taken: set[str]) -> tuple[str, str]:
    given, number = call["id"], len(taken)
    while not call["id"] or call["id"] in taken:
        call["id"], number = f"call_{number}", number + 1
    taken.add(call["id"])
    return given, call["id"]


def _answered(given: str, unanswered: list[tuple[str, str]], where: str) -> str:
    same = (pair for pair in unanswered if pair[0] == given)
    unnamed = (pair for pair in unanswered if not (given and pair[0]))
    pair = next(same, None) or next(unnamed, None)
    if pair is not None:
        unanswered.remove(pair)
        return pair[1]
    return given or _refuse(where, "a tool result needs the tool_call_id of the call it answers")


# ---- values ----------------------------------------------------------------------------------


def checked_text(value: Any, where: str) -> str:
    """Give *value* back; ConfigurationError, which says *where*, when it is no text that can be sent."""
    if not isinstance(value, str):
        _refuse(where, f"expected text, not {type(value).__name__}")
    position = strict_json.surrogate_at(value)
    if position is not None:
        _refuse(where, f"character {position} is a lone surrogate, which no request can carry")
    return value


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        _refuse(where, f"expected a dict, not {type(value).__name__}")
    return cast("Mapping[str, Any]", value)


def _object(value: Any, where: str) -> dict[str, Any]:
    _mapping(value, where)
    try:
        return strict_json.plain(value)
    except ValueError as failure:
        _refuse(where, str(failure))


def _refuse(where: str, problem: str) -> NoReturn:
    raise ConfigurationError(f"{where}: {problem}.")


_ROLES: dict[str | None, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_PARTS: dict[str, Callable[[Mapping[str, Any], str], ContentPart]] = {
    "text": _text_part,
    "image": _image_part,
    "image_url": _image_url_part,
}
# The key that is read, the field of a message that it becomes, and how.
_FIELDS: tuple[tuple[str, str, Callable[[Any, str], Any]], ...] = (
    ("tool_calls", "tool_calls", _tool_calls),
    ("tool_call_id", "tool_call_id", checked_text),
    ("reasoning", "reasoning", checked_text),
    ("reasoning_content", "reasoning", checked_text),
    ("name", "name", checked_text),
    ("timestamp", "timestamp", checked_text),
    ("metadata", "metadata", _object),
    ("provider_data", "provider_data", _object),
)


# ---- numbers ---------------------------------------------------------------------------------


class Sampling(TypedDict, total=False):
    """The sampling parameters that were given, named as GenerateRequest's fields."""

    temperature: float
    top_p: float
    top_k: int
    seed: int
    stop: tuple[str, ...]
    max_output_tokens: int
    presence_penalty: float
    frequency_penalty: float


def check_sampling(
    *,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    seed: int | None = None,
    stop: str | Sequence[str] | None = None,
    max_output_tokens: int | None = None,
    presence_penalty: float | None = None,
    frequency_penalty: float | None = None,
) -> Sampling:
    """Give what is not None as plain ints, floats and a tuple of stop texts.

    Raises ConfigurationError for a value that no provider could mean: NaN, infinity, a bool
    or a text where a number belongs, a number out of its range. *top_k* 0 switches it off.
    """
    given = {
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "seed": seed,
        "max_output_tokens": max_output_tokens,
        "presence_penalty": presence_penalty,
        "frequency_penalty": frequency_penalty,
    }
    cleaned: dict[str, Any] = {
        name: _number(name, value, _NUMBERS[name]) for name, value in given.items() if value is not None
    }
    if stop is not None and (texts := _stop(stop)):
        cleaned["stop"] = texts
    return cast("Sampling", cleaned)


def check_tool_choice(choice: str | None) -> str | None:
    """Give the choice back; on some wires it is not sent, and it is refused on all alike."""
    return None if choice is None else checked_text(choice, "tool_choice")


def check_timeout(seconds: float | None) -> float | None:
    """Give *seconds* as a float; None stays None. More than a year, infinity too, counts as a year."""
    if seconds is None:
        return None
    return _YEAR if seconds == math.inf else min(_number("timeout", seconds, _POSITIVE), _YEAR)


def check_retries(retries: int) -> int:
    """Give the number of retries as a plain int; it is 0 or more."""
    return int(_number("max_retries", retries, _COUNT))


@dataclass(frozen=True, slots=True)
class _Kind:
    """Which numbers an argument takes, in words and as a test."""

    words: str
    allows: Callable[[float], bool]
    integer: bool = False


_POSITIVE = _Kind("a number above 0", lambda value: value > 0)
_COUNT = _Kind("an integer from 0 up", lambda value: value >= 0, integer=True)
_ANY_NUMBER = _Kind("a finite number", lambda value: True)
_NUMBERS = {
    "temperature": _Kind("a number from 0 up", lambda value: value >= 0),
    "top_p": _Kind("a number above 0, at most 1", lambda value: 0 < value <= 1),
    "top_k": _COUNT,
    "seed": _Kind("an integer of 64 bits", lambda value: -(2**63) <= value < 2**63, integer=True),
    "max_output_tokens": _Kind("an integer above 0", lambda value: value > 0, integer=True),
    "presence_penalty": _ANY_NUMBER,
    "frequency_penalty": _ANY_NUMBER,
}
_YEAR = 365 * 86400.0


def _number(name: str, value: Any, kind: _Kind) -> float | int:
    wanted = numbers.Integral if kind.integer else numbers.Real
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise ConfigurationError(f"{name} must be {kind.words}, not {type(value).__name__}.")
    number = int(cast("int", value)) if kind.integer else _as_float(value)
    if (isinstance(number, float) and not math.isfinite(number)) or not kind.allows(number):
        raise ConfigurationError(f"{name} must be {kind.words}, not {_as_float(number):g}.")
    return number


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an int of more than 308 digits
        return math.inf if value > 0 else -math.inf


def _stop(stop: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(stop, str):
        stop = (stop,)
    if not isinstance(cast("object", stop), (list, tuple)):
        _refuse("stop", f"expected a text or a list of texts, not {type(stop).__name__}")
    texts = tuple(checked_text(text, f"stop[{index}]") for index, text in enumerate(stop))
    if "" in texts:
        _refuse("stop", "an empty text would end every answer at once")
    return texts
