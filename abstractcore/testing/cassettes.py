"""Record and replay: `with cassette("file.jsonl")` keeps every provider call, and answers from the file.

Knows files and what stands between a call and its provider. The form of a line belongs to `recordings`.
"""

from __future__ import annotations

import copy
import json
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from abstractcore.errors import AbstractCoreError, ConfigurationError
from abstractcore.providers import stand_ins
from abstractcore.providers.base import KeepsSecrets, Loads, embedder_in
from abstractcore.testing.misses import AGAIN, CassetteError, left_here, miss
from abstractcore.testing.recordings import (
    HEADER,
    NOT_A_RECORDING,
    VERSION,
    Recording,
    as_line,
    asked,
    asked_models,
    asked_vectors,
    key_of,
)

if TYPE_CHECKING:
    from types import TracebackType

    from abstractcore.codecs.base import EmbedLimits
    from abstractcore.drivers.base import Deadline, Driver
    from abstractcore.providers.base import Provider
    from abstractcore.types import EmbeddingResponse, EmbedRequest, GenerateRequest, StreamChunk

Mode = Literal["auto", "record", "replay", "none"]
_MODES = ("auto", "record", "replay", "none")


class Cassette:
    """What `cassette` gives: a context manager, round sync and async code alike.

    Inside, every call of this context (this thread, the tasks and tool threads that begin here, and threads
    that the program starts) goes through the file.
    """

    def __init__(self, path: str | os.PathLike[str], mode: Mode = "auto") -> None:
        if mode not in _MODES:
            raise ConfigurationError(f"mode must be one of {', '.join(_MODES)}, not {mode!r}")
        self.path = Path(path)
        self.mode: Mode = mode
        self.recordings: list[Recording] = []
        """What was played from, or has been recorded, in the order of the file."""
        self.thread = 0
        self._is_open = False
        self._replays = False
        self._outer: stand_ins.StandIn | None = None
        self._left: dict[str, deque[Recording]] = {}
        self._lock = threading.Lock()

    @property
    def is_replaying(self) -> bool:
        """Whether calls are answered from the file."""
        return self._is_open and self._replays

    @property
    def is_recording(self) -> bool:
        """Whether calls go to their providers and into the file."""
        return self._is_open and not self._replays

    @property
    def unused(self) -> int:
        """How many recordings no call has asked for."""
        return sum(map(len, self._left.values()))

    def __enter__(self) -> Cassette:
        if self.mode == "none":
            return self
        if self._is_open:
            raise CassetteError(f"{self.path}: this cassette is open already")
        self._replays = self.mode == "replay" or (self.mode == "auto" and self.path.exists())
        self.recordings = _read(self.path) if self._replays else []
        self._left = {}
        for recording in self.recordings if self._replays else ():
            self._left.setdefault(recording.key, deque()).append(recording)
        if self.mode == "record":
            _remove(self.path)
        self.thread = threading.get_ident()
        self._is_open = True
        self._outer = stand_ins.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_open:
            self._is_open = False
            stand_ins.leave(self, self._outer)

    async def __aenter__(self) -> Cassette:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def provider(self, provider: Provider) -> Provider:
        """Give what answers in place of *provider*."""
        return _Replaying(self, provider) if self._replays else _Recording(self, provider)

    def driver(self, driver: Driver) -> Driver:
        """Give what a call waits by; nobody waits for a recorded answer, between two attempts either."""
        return cast("Driver", _NotWaiting(driver)) if self._replays else driver

    def add(self, recording: Recording, scrub: Callable[[str], str]) -> None:
        """Append *recording* to the file, in one write."""
        line = recording.as_line(scrub)
        with self._lock:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                begins = not self.path.exists()
                _append(self.path, as_line(HEADER) + line if begins else line)
            except OSError as failure:
                raise CassetteError(f"{self.path} cannot be written: {failure.strerror}") from failure
            recording.line = len(self.recordings) + 2
            self.recordings.append(recording)

    def take(self, request: dict[str, Any]) -> Recording:
        """Give the next recording of *request*; each is given once. Raises CassetteMissError."""
        with self._lock:
            left = self._left.get(key_of(request))
            if left:
                return left.popleft()
        raise miss(self.path, request, self.recordings)


def cassette(path: str | os.PathLike[str], mode: Mode = "auto") -> Cassette:
    """Record the provider calls made inside `with cassette(path):`, or answer them from the file.

    *mode* "auto" replays when the file exists and records otherwise; "record" writes it anew; "replay" asks
    no provider whatever happens; "none" does nothing. A request is answered by a recording that is equal to
    it (provider, model, messages, tools, schema, sampling, streamed or not), in any order between different
    ones, each recording once. Raises CassetteMissError, with the difference to the nearest one.

    Chunks are kept as they came, errors of `abstractcore.errors` too; keys and headers never are.
    """
    return Cassette(path, mode)


class _Recording:
    """Asks the provider, and keeps what came."""

    def __init__(self, kept: Cassette, inner: Provider) -> None:
        self.name = inner.name
        self.model = inner.model
        self._kept = kept
        self._inner = inner
        self._scrub = inner.scrub if isinstance(inner, KeepsSecrets) else str

    async def stream(
        self, driver: Driver, request: GenerateRequest, deadline: Deadline
    ) -> AsyncGenerator[StreamChunk]:
        recording = Recording(asked(self.name, request, self._scrub), left=True)
        try:
            async with aclosing(self._inner.stream(driver, request, deadline)) as chunks:
                async for chunk in chunks:
                    recording.chunks.append(chunk)
                    recording.left = chunk.phase != "done"
                    yield chunk
            recording.left = False
        except AbstractCoreError as failure:
            recording.error, recording.left = copy.copy(failure), False
            raise
        finally:
            self._kept.add(recording, self._scrub)

    async def models(self, driver: Driver, deadline: Deadline) -> list[str]:
        recording = Recording(asked_models(self.name, self.model), models=[])
        try:
            recording.models = await self._inner.models(driver, deadline)
        except AbstractCoreError as failure:
            recording.error = copy.copy(failure)
            raise
        finally:
            self._kept.add(recording, self._scrub)
        return recording.models

    def embed_limits(self) -> EmbedLimits:
        return embedder_in(self._inner).embed_limits()

    async def embed(self, driver: Driver, request: EmbedRequest, deadline: Deadline) -> EmbeddingResponse:
        recording = Recording(asked_vectors(self.name, request, self._scrub))
        try:
            answer = recording.vectors = await embedder_in(self._inner).embed(driver, request, deadline)
        except AbstractCoreError as failure:
            recording.error = copy.copy(failure)
            raise
        finally:
            if recording.vectors is not None or recording.error is not None:  # it was not cancelled
                self._kept.add(recording, self._scrub)
        return answer

    async def load(
        self, driver: Driver, deadline: Deadline, progress: Callable[[str], None] | None = None
    ) -> None:
        if isinstance(self._inner, Loads):
            await self._inner.load(driver, deadline, progress)

    def close(self) -> None:
        """Leave the provider to its owner."""


class _Replaying:
    """Answers from the file; the provider is not asked, and its model not loaded."""

    def __init__(self, kept: Cassette, inner: Provider) -> None:
        self.name = inner.name
        self.model = inner.model
        self._kept = kept
        self._inner = inner
        self._scrub = inner.scrub if isinstance(inner, KeepsSecrets) else str

    async def stream(
        self, driver: Driver, request: GenerateRequest, deadline: Deadline
    ) -> AsyncGenerator[StreamChunk]:
        recording = self._kept.take(asked(self.name, request, self._scrub))
        for chunk in recording.chunks:
            yield chunk
        if recording.error is not None:
            raise copy.copy(recording.error)
        if recording.left:
            raise left_here(self._kept.path, recording)

    async def models(self, driver: Driver, deadline: Deadline) -> list[str]:
        recording = self._kept.take(asked_models(self.name, self.model))
        if recording.error is not None:
            raise copy.copy(recording.error)
        return list(recording.models or ())

    def embed_limits(self) -> EmbedLimits:
        return embedder_in(self._inner).embed_limits()

    async def embed(self, driver: Driver, request: EmbedRequest, deadline: Deadline) -> EmbeddingResponse:
        recording = self._kept.take(asked_vectors(self.name, request, self._scrub))
        if recording.error is not None:
            raise copy.copy(recording.error)
        assert recording.vectors is not None
        return recording.vectors

    def close(self) -> None:
        """Leave the provider to its owner."""


class _NotWaiting:
    """A driver whose `sleep` is over at once."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def sleep(self, seconds: float) -> None:
        """Wait for nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as failure:
        raise CassetteError(f"{path} cannot be written anew: {failure.strerror}") from failure


def _append(path: Path, data: bytes) -> None:
    as_bytes = getattr(os, "O_BINARY", 0)  # Windows would write \r\n
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | as_bytes, 0o666)
    try:
        if os.write(handle, data) != len(data):
            raise OSError(0, "the disk is full")
    finally:
        os.close(handle)


def _read(path: Path) -> list[Recording]:
    """Read a cassette; one that does not exist holds nothing. Raises CassetteError for a damaged one."""
    try:
        lines = path.read_bytes().decode().rstrip("\n").split("\n")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as failure:
        raise CassetteError(f"{path} cannot be read: {failure}") from failure
    _check_version(path, _parsed(path, lines[0], 1))
    return [_recording(path, line, number) for number, line in enumerate(lines[1:], 2)]


def _parsed(path: Path, line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as failure:
        raise CassetteError(f"{path}, line {number} is damaged: {failure}. {AGAIN}") from failure


def _recording(path: Path, line: str, number: int) -> Recording:
    data = _parsed(path, line, number)
    try:
        return Recording.of(data, number)
    except NOT_A_RECORDING as failure:
        told = f"{type(failure).__name__}: {failure}"
        raise CassetteError(f"{path}, line {number} is damaged: {told}. {AGAIN}") from failure


def _check_version(path: Path, header: Any) -> None:
    (name,) = HEADER
    if not isinstance(header, dict) or name not in header:
        raise CassetteError(f"{path} is not a cassette of abstractcore: its first line is not {HEADER}")
    if (version := cast("dict[str, Any]", header)[name]) != VERSION:
        raise CassetteError(f"{path} is of version {version}; this abstractcore reads version {VERSION}")
