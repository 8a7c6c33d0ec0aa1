"""One recorded call as data: what was asked, the chunks of its answer, and how that ended.

Pure: knows the form of a line in a cassette, and no file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from typing import Any, cast

from abstractcore import errors
from abstractcore.errors import AbstractCoreError
from abstractcore.types import EmbeddingResponse, EmbedRequest, GenerateRequest, StreamChunk, ToolCall, Usage

VERSION = 1
HEADER = {"abstractcore_cassette": VERSION}
NOT_A_RECORDING = (ValueError, TypeError, KeyError, AttributeError)
_NOT_SENT = ("metadata", "timestamp")
_OF_THE_CALL = ("message", "partial", "provider", "model")
_KEY_FIELD = re.compile(r"(^|_)(api_?key|authorization|password|secret|(access|auth)_token)$")
_TEXT_PHASES = ("generating", "thinking")


@dataclass(slots=True)
class Recording:
    """One call to a provider. *line* is where it stands in its file."""

    request: dict[str, Any]
    chunks: list[StreamChunk] = field(default_factory=list[StreamChunk])
    error: AbstractCoreError | None = None
    left: bool = False
    """Whether the reader left before the end."""
    models: list[str] | None = None
    line: int = 0
    vectors: EmbeddingResponse | None = None

    def as_line(self, scrub: Callable[[str], str]) -> bytes:
        """Write it as one line of JSON, without what *scrub* takes out."""
        data: dict[str, Any] = {"request": self.request}
        if self.models is not None:
            data["models"] = self.models
        elif self.request.get("asks") == "vectors":
            data["vectors"] = None if self.vectors is None else asdict(self.vectors)
        else:
            data["chunks"] = [_chunk_data(chunk) for chunk in _without_cut_secrets(self.chunks, scrub)]
        if self.error is not None:
            data["error"] = _error_data(self.error)
        if self.left:
            data["left"] = True
        return as_line(_scrubbed(plain(data), scrub))

    @classmethod
    def of(cls, data: Any, line: int) -> Recording:
        """Read what a line holds. Raises one of `NOT_A_RECORDING` for anything else."""
        return cls(
            dict(data["request"]),
            [_chunk_of(each) for each in data.get("chunks", ())],
            _error_of(data["error"]) if "error" in data else None,
            bool(data.get("left")),
            [str(each) for each in data["models"]] if "models" in data else None,
            line,
            _vectors_of(data["vectors"]) if data.get("vectors") is not None else None,
        )

    @property
    def key(self) -> str:
        """What a request must be equal to, to be answered by this."""
        return key_of(self.request)


def asked(provider: str, request: GenerateRequest, scrub: Callable[[str], str]) -> dict[str, Any]:
    """Give *request* in its canonical form: what reaches the model, and nothing that was not given."""
    given: dict[str, Any] = {each.name: getattr(request, each.name) for each in fields(GenerateRequest)}
    given["messages"] = [_message(message) for message in request.messages]
    given["extra"] = _masked(request.extra)
    kept = {name: value for name, value in plain(given).items() if value not in (None, [], {})}
    return _scrubbed({"provider": provider, **kept}, scrub)


def asked_models(provider: str, model: str) -> dict[str, Any]:
    """Give the canonical form of the question which models there are."""
    return {"provider": provider, "model": model, "asks": "models"}


def asked_vectors(provider: str, request: EmbedRequest, scrub: Callable[[str], str]) -> dict[str, Any]:
    """Give the canonical form of a question for vectors."""
    given = {**asdict(request), "extra": _masked(request.extra)}
    kept = {name: value for name, value in plain(given).items() if value not in (None, False, {})}
    return _scrubbed({"provider": provider, "asks": "vectors", **kept}, scrub)


def _vectors_of(data: Mapping[str, Any]) -> EmbeddingResponse:
    fields: dict[str, Any] = {**data, "usage": Usage.of(data["usage"])}
    return EmbeddingResponse(**fields)


def key_of(request: Mapping[str, Any]) -> str:
    """Give a text that is equal for equal requests, whatever the order of their fields."""
    return json.dumps(_numbers(request), sort_keys=True)


def shown(request: Mapping[str, Any]) -> list[str]:
    """Give the lines of *request* as a reader compares them."""
    return json.dumps(request, sort_keys=True, indent=2, ensure_ascii=False).split("\n")


def as_line(data: Mapping[str, Any]) -> bytes:
    """Write *data* as one line."""
    try:
        return json.dumps(data, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which a model may write
        return json.dumps(data).encode() + b"\n"


def plain(value: Any) -> Any:
    """Give *value* as JSON has it; what JSON does not know is its text."""
    if value is None or isinstance(value, str | int | float):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {str(name): plain(each) for name, each in pairs}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(each) for each in cast("Sequence[Any]", value)]
    return str(value)


def _numbers(value: Any) -> Any:
    """Give *value* with 1 for 1.0, which are equal."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _numbers(each) for name, each in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [_numbers(each) for each in cast("list[Any]", value)]
    return value


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in message.items() if name not in _NOT_SENT}
    if isinstance(kept["content"], list):
        kept["content"] = [_part(part) for part in kept["content"]]
    return kept


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a part of a message; a picture is told by its digest."""
    if "data" not in part:
        return part
    told = {name: value for name, value in part.items() if name != "data"}
    return {**told, "sha256": sha256(str(part["data"]).encode()).hexdigest()}


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, Any]", value).items()
        return {name: "***" if _names_a_key(name) else _masked(each) for name, each in pairs}
    if isinstance(value, list | tuple):
        return [_masked(each) for each in cast("Sequence[Any]", value)]
    return value


def _names_a_key(name: object) -> bool:
    return _KEY_FIELD.search(str(name).lower().replace("-", "_")) is not None


def _scrubbed(value: Any, scrub: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return {scrub(name): _scrubbed(each, scrub) for name, each in pairs}
    if isinstance(value, list):
        return [_scrubbed(each, scrub) for each in cast("list[Any]", value)]
    return value


def _without_cut_secrets(chunks: Sequence[StreamChunk], scrub: Callable[[str], str]) -> Iterator[StreamChunk]:
    """Give *chunks*; a run of text that says a secret across its chunks is put, scrubbed, into its first."""
    for phase, run in groupby(chunks, attrgetter("phase")):
        several = list(run)
        whole = scrub("".join(chunk.content for chunk in several))
        if phase in _TEXT_PHASES and whole != "".join(scrub(chunk.content) for chunk in several):
            several = [replace(chunk, content="" if at else whole) for at, chunk in enumerate(several)]
        yield from several


def _chunk_data(chunk: StreamChunk) -> dict[str, Any]:
    if chunk.phase in _TEXT_PHASES:
        return {chunk.phase: chunk.content}
    told: dict[str, Any] = {"content": chunk.content} if chunk.content else {}
    if chunk.tool_call is not None:
        told["tool_call"] = chunk.tool_call.as_dict()
    if chunk.finish_reason is not None:
        told["finish_reason"] = chunk.finish_reason
    if chunk.usage is not None:
        told["usage"] = {name: each for name, each in asdict(chunk.usage).items() if each not in (None, ())}
    if chunk.metadata:
        told["metadata"] = dict(chunk.metadata)
    return {chunk.phase: told}


def _chunk_of(data: Any) -> StreamChunk:
    ((phase, told),) = data.items()
    if phase in _TEXT_PHASES:
        return StreamChunk(phase, told)
    if phase not in ("tool_calling", "done"):
        raise ValueError(f"unknown phase {phase!r}")
    return StreamChunk(
        phase,
        told.get("content", ""),
        tool_call=ToolCall(**told["tool_call"]) if "tool_call" in told else None,
        usage=Usage.of(told["usage"]) if "usage" in told else None,
        finish_reason=told.get("finish_reason"),
        metadata=_metadata(told.get("metadata")),
    )


def _metadata(told: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if told is None or "warnings" not in told:
        return told
    return {**told, "warnings": tuple(told["warnings"])}


def _error_data(failure: AbstractCoreError) -> dict[str, Any]:
    # One of another module, such as a plugin's, is told by the nearest that every reader knows.
    kind = next(each.__name__ for each in type(failure).__mro__ if each.__module__ == errors.__name__)
    told = {"kind": kind, "message": failure.message}
    for name, value in vars(failure).items():
        if name not in _OF_THE_CALL and not name.startswith("_"):
            told[name] = value
    return told


def _error_of(data: Mapping[str, Any]) -> AbstractCoreError:
    told = dict(data)
    kind = getattr(errors, told.pop("kind"))
    if not issubclass(kind, AbstractCoreError):
        raise ValueError("not an error of abstractcore")
    return kind(told.pop("message"), **told)
