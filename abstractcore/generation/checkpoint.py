"""The checkpoint of a map: a line of JSON for each answer, by which a run that was killed goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any

from abstractcore.drivers.appending import LineFile
from abstractcore.errors import ConfigurationError, SessionError, StructuredOutputError
from abstractcore.generation.schema import parse_output
from abstractcore.types import GenerateResponse, ToolCall, Usage

_VERSION = 1
_PLAIN = (
    "content", "reasoning", "finish_reason", "model", "provider", "request_id", "gen_time", "warnings",
    "provider_data",
)  # fmt: skip


class Checkpoint:
    """The answers in a file, by their index. *asked* is what all prompts have in common.

    Raises ConfigurationError when the file is of other prompts, another model or other options,
    SessionError when it is damaged or cannot be written. Failures are not kept: they are asked again.
    """

    def __init__(
        self, path: str | os.PathLike[str], asked: Mapping[str, Any], response_model: Any = None
    ) -> None:
        self._path = os.fspath(path)
        self._response_model = response_model
        self._places: dict[int, int] = {}
        self._file: LineFile | None = None
        try:
            self._file = LineFile(path)
            self._read(digest(asked))
        except (OSError, ValueError) as failure:
            self.close()
            if isinstance(failure, ConfigurationError | SessionError):
                raise
            raise self._broken("cannot be read", failure) from failure
        except BaseException:
            self.close()
            raise

    def _read(self, asked: str) -> None:
        assert self._file is not None
        is_empty = True
        for number, (place, line) in enumerate(self._file.lines(), 1):
            fields = self._fields(line, number)
            if is_empty:
                self._check_head(fields, asked)
                is_empty = False
            elif type(index := fields.get("index")) is int:
                self._places[index] = place
            else:
                raise SessionError(f"{self._path} is damaged in line {number}: it has no index")
        if is_empty:
            self._file.add(_line({"abstractcore_map": _VERSION, "asked": asked}))

    def _fields(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            fields = json.loads(line)
        except ValueError as failure:
            raise SessionError(f"{self._path} is damaged in line {number}: it is not JSON") from failure
        if not isinstance(fields, dict):
            raise SessionError(f"{self._path} is damaged in line {number}: it is no object")
        return fields

    def _check_head(self, fields: Mapping[str, Any], asked: str) -> None:
        if fields.get("abstractcore_map") != _VERSION:
            raise SessionError(f"{self._path} is not a checkpoint of map, or one of a later version")
        if fields.get("asked") != asked:
            raise ConfigurationError(f"{self._path} is of another model or of other options: name a new file")

    def get(self, index: int, prompt: Any) -> GenerateResponse | None:
        """Give the answer to the *prompt* at *index*, if it is there."""
        place = self._places.pop(index, None)
        if place is None or self._file is None:
            return None
        try:
            fields = json.loads(self._file.at(place))
            if fields["prompt"] == digest(prompt):
                return self._parsed(_response(fields["response"]))
        except (OSError, ValueError, KeyError, TypeError, StructuredOutputError) as failure:
            raise self._broken(f"is damaged at prompt {index}", failure) from failure
        raise ConfigurationError(f"{self._path} is of other prompts: number {index} differs. Name a new file")

    def _parsed(self, response: GenerateResponse) -> GenerateResponse:
        if self._response_model is None:
            return response
        return replace(response, parsed=parse_output(self._response_model, response.content))

    def add(self, index: int, prompt: Any, response: GenerateResponse) -> None:
        """Keep an answer."""
        file = self._file
        if file is None:
            return
        fields = {"index": index, "prompt": digest(prompt), "response": _fields_of(response)}
        try:
            file.add(_line(fields))
        except OSError as failure:
            raise self._broken("cannot be written", failure) from failure

    def close(self) -> None:
        """Close the file; what ends later is not kept."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _broken(self, what: str, failure: Exception) -> SessionError:
        return SessionError(f"{self._path} {what}: {getattr(failure, 'strerror', None) or failure}")


def digest(value: Any) -> str:
    """Give a short text that is the same for what is asked the same way."""
    written = json.dumps(value, sort_keys=True, default=_named)
    return sha256(written.encode()).hexdigest()[:32]


def _named(value: Any) -> str:
    """Name a tool, a model class or bytes; never by its address in memory, which differs in each run."""
    if isinstance(value, bytes | bytearray):
        return sha256(value).hexdigest()
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    kind = type(value)
    return str(getattr(value, "__qualname__", None) or getattr(value, "name", None) or kind.__qualname__)


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), default=str).encode()


def _fields_of(response: GenerateResponse) -> dict[str, Any]:
    fields = {name: value for name in _PLAIN if (value := getattr(response, name))}
    fields["usage"] = {name: told for name, told in asdict(response.usage).items() if told not in (None, ())}
    fields["tool_calls"] = [call.as_dict() for call in response.tool_calls]
    return fields


def _response(fields: Mapping[str, Any]) -> GenerateResponse:
    plain = {name: fields[name] for name in _PLAIN if name in fields}
    calls = [ToolCall(**call) for call in fields["tool_calls"]]
    return GenerateResponse(**plain, usage=Usage.of(fields["usage"]), tool_calls=calls)
