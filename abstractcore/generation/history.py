"""A conversation's messages as data: what is sent of them, what is saved, where they can be cut.

Pure functions. Knows no file, no clock and no provider.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from abstractcore.codecs.json_text import clean
from abstractcore.errors import ConfigurationError, SessionError
from abstractcore.generation.messages import check_sampling, checked_text, clean_messages
from abstractcore.types import Message

FORMAT = "abstractcore.session"
VERSION = 1
_CHARACTERS_PER_TOKEN = 4
_SUMMARY = "Summary of the conversation so far:\n"
_INSTRUCTION = (
    "Summarize the conversation so far for your own later use: facts, names, decisions, open "
    "questions, and what the user wants. Write the summary alone."
)


def sendable(system_prompt: str | None, messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Give what is sent: clean copies, with every leading system text in one system message.

    A tool call that has no result, and a result that has no call, are left out: providers
    refuse the one without the other.
    """
    cleaned = _paired(clean_messages(messages))
    texts = [] if system_prompt is None else [checked_text(system_prompt, "system_prompt")]
    while cleaned and cleaned[0]["role"] == "system" and isinstance(cleaned[0]["content"], str):
        texts.append(cast("str", cleaned.pop(0)["content"]))
    if texts:
        cleaned.insert(0, {"role": "system", "content": "\n\n".join(texts)})
    return cleaned


def _paired(messages: list[Message]) -> list[Message]:
    """Keep a tool call with the result that stands right after it, and neither without the other."""
    kept: list[Message] = []
    results: dict[str | None, Message] = {}
    for message in reversed(messages):
        if message["role"] == "tool":
            results = {message.get("tool_call_id"): message} | results
            continue
        calls = message.get("tool_calls", [])
        answered = [call for call in calls if call["id"] in results]
        ids = [call["id"] for call in answered]
        kept += [result for name, result in reversed(results.items()) if name in ids]
        whole = message if len(answered) == len(calls) else _with_calls(message, answered)
        kept += [] if whole is None else [whole]
        results = {}
    return kept[::-1]


def _with_calls(message: Message, calls: list[Any]) -> Message | None:
    copy: dict[str, Any] = {key: value for key, value in message.items() if key != "tool_calls"}
    if calls:
        copy["tool_calls"] = calls
    return cast("Message", copy) if calls or message["content"] else None


def count_tokens(messages: Iterable[Mapping[str, Any]]) -> int:
    """Estimate the tokens of *messages*: four characters each, plus four for each message."""
    texts = (json.dumps([m.get("content"), m.get("tool_calls")], ensure_ascii=False) for m in messages)
    return sum(len(text) // _CHARACTERS_PER_TOKEN + 4 for text in texts)


def stamp(seconds: float) -> str:
    """Write a wall-clock time as a message carries it: ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def stamped(messages: Iterable[Message], seconds: float) -> list[Message]:
    """Give copies that carry the time, where they carry none."""
    time = stamp(seconds)
    return [cast("Message", {**message, "timestamp": message.get("timestamp", time)}) for message in messages]


def cut_for_summary(messages: Sequence[Message], keep: int) -> int:
    """Find where the old turns end: before the last *keep* messages, and at a user's message.

    A turn is never cut in two, so that a tool call stays with its results; 0 when nothing
    can be summarized.
    """
    cut = max(0, len(messages) - keep)
    while cut > 0 and (cut >= len(messages) or messages[cut]["role"] != "user"):
        cut -= 1
    return cut


def summary_request(old: Sequence[Message]) -> list[Message]:
    """Give the messages that ask for a summary of *old*."""
    return sendable(None, [*old, {"role": "user", "content": _INSTRUCTION}])


def summary_message(text: str, replaced: int, seconds: float) -> Message:
    """Give the message that stands for *replaced* old ones."""
    metadata = {"kind": "summary", "replaced_messages": replaced}
    return {"role": "system", "content": _SUMMARY + text, "timestamp": stamp(seconds), "metadata": metadata}


@dataclass(frozen=True, slots=True)
class Saved:
    """What a session file holds: data alone, no key, no URL, no tool."""

    messages: list[Message]
    system_prompt: str | None = None
    temperature: float | None = None
    seed: int | None = None


def dumps(saved: Saved) -> bytes:
    """Write a session file. Raises SessionError for what JSON cannot hold, or `loads` would refuse."""
    body = {
        "format": FORMAT,
        "version": VERSION,
        "system_prompt": saved.system_prompt,
        "temperature": saved.temperature,
        "seed": saved.seed,
        "messages": saved.messages,
    }
    problem: str | None
    try:
        # ASCII escapes keep a lone surrogate, which UTF-8 could not.
        data = json.dumps(body, ensure_ascii=True, allow_nan=False, indent=1).encode("ascii")
        _, problem = _read(data)
        if problem is None and _has_other_keys(saved.messages):
            problem = "a message holds a dict with a key that is not text"
        if problem is None:
            return data
    except (TypeError, ValueError, RecursionError) as failure:
        problem = f"a message holds something that JSON cannot ({type(failure).__name__})"
    raise SessionError(f"this session cannot be saved: {problem}; the file is unchanged")


def _has_other_keys(value: Any) -> bool:
    """Whether a dict in *value* has a key that JSON would turn into text: 1, True and None are such."""
    if isinstance(value, dict):
        fields = cast("dict[Any, Any]", value)
        return any(not isinstance(key, str) or _has_other_keys(item) for key, item in fields.items())
    return isinstance(value, list | tuple) and any(map(_has_other_keys, cast("Sequence[Any]", value)))


def loads(data: bytes, path: str) -> Saved:
    """Read a session file. Raises SessionError, naming *path* and the reason; nothing in it is executed."""
    body, problem = _read(data)
    if problem:
        raise SessionError(f"{path} cannot be loaded: {problem}")
    return Saved(body["messages"], body.get("system_prompt"), body.get("temperature"), body.get("seed"))


# What is wrong is told in words, so that no error stands in another whose text quotes the file.
def _read(data: bytes) -> tuple[dict[str, Any], str | None]:
    try:
        body = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as failure:
        return {}, f"it is not JSON ({type(failure).__name__})"
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        return {}, "it is not a session file"
    version = body.get("version")
    if type(version) is not int or version != VERSION:
        is_newer = type(version) is int and version > VERSION
        return (
            {},
            f"a newer abstractcore wrote it (version {version})" if is_newer else "its version is unknown",
        )
    return body, _problem(body)


def _problem(body: Mapping[str, Any]) -> str | None:
    prompt, messages = body.get("system_prompt"), body.get("messages")
    if prompt is not None and not isinstance(prompt, str):
        return "system_prompt has the wrong type"
    if not isinstance(messages, list):
        return "it has no list of messages"
    try:
        check_sampling(temperature=body.get("temperature"), seed=body.get("seed"))
        clean_messages(clean(messages))
    except ConfigurationError as failure:
        return failure.message.rstrip(".")
    except RecursionError:
        return "a message is nested too deeply"
    return None
