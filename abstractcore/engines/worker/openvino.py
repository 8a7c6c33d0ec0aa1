"""An OpenVINO model to the worker: its requests, and which of them may start.

A grammar that the runtime refuses raises in its first `step()`, while the neighbours of its job are being
sampled in other threads: the whole batch is broken by that. So a grammar that may be refused does its
first step alone. It waits until the batch is empty, and those behind it wait for it; once it has
passed, the same schema joins the batch like any other.

When the KV cache is full, the runtime drops every request at once. The oldest, which fills it, fails alone:
the others begin again, and what they have told already is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from abstractcore.engines.model_files import format_at
from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.batch import Output, Reading, seed_of
from abstractcore.engines.worker.plain_schema import is_plain

if TYPE_CHECKING:
    from abstractcore.engines.worker.detokenize import Detokenizer
    from abstractcore.engines.worker.openvino_model import Pipeline

_FINISH = {"STOP": "stop", "LENGTH": "length"}
_STEPS_UNTIL_IDLE = 5
_MAX_PROVEN = 1024


@dataclass(slots=True)
class _Request:
    """One job on its way: the ids of its prompt, how many tokens it may have, and its handle once it runs.

    *told* are the ids of its answer so far, and *at* is where in them its handle is: it is behind while
    a request that was dropped begins again.
    """

    number: int
    ids: list[int]
    prompt: Mapping[str, Any]
    room: int
    seed: int
    handle: Any = None
    told: list[int] = field(default_factory=list[int])
    at: int = 0

    @property
    def schema(self) -> str | None:
        return self.prompt["schema"]


class Model:
    """What the batch asks of a model, by a pipeline of OpenVINO GenAI."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._pipeline = _open(options)
        self.context_length = self._pipeline.context_length
        self.knows_tools = self._pipeline.knows_tools
        self._running: dict[int, _Request] = {}
        self._queue: deque[_Request] = deque()
        self._proven: set[str] = set()
        self._requests = 0

    def read(self, prompt: Mapping[str, Any]) -> Reading:
        """Give the ids of a prompt."""
        return self._pipeline.read(prompt)

    def detokenizer(self) -> Detokenizer:
        """Begin an answer's text."""
        return self._pipeline.detokenizer()

    def start(self, number: int, ids: list[int], prompt: Mapping[str, Any], room: int) -> int | None:
        """Queue a job. The pipeline does not tell what its prefix cache gave."""
        self._queue.append(_Request(number, ids, prompt, room, seed_of(prompt["sampling"])))
        return None

    def cancel(self, number: int) -> None:
        """Forget a job; the next step frees its place."""
        request = self._running.pop(number, None)
        if request is not None:
            request.handle.cancel()
        else:
            self._queue = deque(waiting for waiting in self._queue if waiting.number != number)

    def step(self) -> list[Output]:
        """Advance every job by one step. Raises when the pipeline cannot go on."""
        outputs, suspect = self._start_queued()
        try:
            if self._running or not self._pipeline.is_idle():
                self._pipeline.step()
        except RuntimeError:
            if suspect is None:
                raise
            return [*outputs, self._convict(suspect)]
        if suspect is not None:
            self._remember(str(suspect.schema))
        outputs += self._read_all()
        if not self._running:
            self._settle()
        return outputs

    # ---- starting ----

    def _start_queued(self) -> tuple[list[Output], _Request | None]:
        """Start the jobs that may, in their order; give the one whose grammar is on trial."""
        outputs: list[Output] = []
        while self._queue:
            is_suspect = not self._is_trusted(self._queue[0].schema)
            if is_suspect and self._running:
                break
            request = self._queue.popleft()
            if is_suspect:
                self._settle()
            try:
                self._start(request)
            except Refused as refusal:
                outputs.append(Output(request.number, refused=refusal))
                continue
            if is_suspect:
                return outputs, request
        return outputs, None

    def _is_trusted(self, schema: str | None) -> bool:
        return schema is None or schema in self._proven or is_plain(schema)

    def _start(self, request: _Request) -> None:
        self._requests += 1
        request.at = 0
        request.handle = self._pipeline.start(
            self._requests, request.ids, request.prompt, request.room, request.seed
        )
        self._running[request.number] = request

    def _remember(self, schema: str) -> None:
        if len(self._proven) >= _MAX_PROVEN:
            self._proven.clear()
        self._proven.add(schema)

    def _convict(self, suspect: _Request) -> Output:
        """End the job whose grammar the runtime refused; it was alone."""
        suspect.handle.cancel()
        del self._running[suspect.number]
        self._settle()
        refusal = Refused("ConfigurationError", "the runtime cannot follow this JSON Schema")
        return Output(suspect.number, refused=refusal)

    # ---- reading ----

    def _read_all(self) -> list[Output]:
        outputs: list[Output] = []
        dropped: list[_Request] = []
        for request in list(self._running.values()):
            if not request.handle.can_read():
                continue
            told = request.handle.read().get(0)
            if told is None:
                dropped.append(request)
            else:
                outputs += self._read(request, told)
        return outputs + self._make_room(dropped)

    def _read(self, request: _Request, told: Any) -> list[Output]:
        ids: list[int] = told.generated_ids
        known = request.told[request.at : request.at + len(ids)]
        if ids[: len(known)] != known:
            request.handle.cancel()
            return [self._full(request)]
        request.at += len(ids)
        request.told += ids[len(known) :]
        finish = _FINISH.get(told.finish_reason.name)
        if finish is not None:
            del self._running[request.number]
        if finish is None and len(known) == len(ids):
            return []
        tokens = None if finish is None else self._pipeline.prompt_tokens(request.handle)
        return [Output(request.number, ids[len(known) :], finish, input_tokens=tokens)]

    def _make_room(self, dropped: Sequence[_Request]) -> list[Output]:
        """End the oldest of the requests that the runtime dropped; the others begin again."""
        for request in reversed(dropped[1:]):
            del self._running[request.number]
            self._queue.appendleft(request)
        return [self._full(request) for request in dropped[:1]]

    def _full(self, request: _Request) -> Output:
        del self._running[request.number]
        refusal = Refused("OutOfMemoryError", "the KV cache is full: see cache_gb=")
        return Output(request.number, refused=refusal)

    def _settle(self) -> None:
        """Step cancelled requests out of the pipeline, so that an idle model holds nothing."""
        for _ in range(_STEPS_UNTIL_IDLE):
            if not self._pipeline.is_idle():
                self._pipeline.step()
        if not self._pipeline.is_idle():
            raise RuntimeError("requests that were cancelled are still there")


def _open(options: Mapping[str, Any]) -> Pipeline:
    from abstractcore.engines.worker.openvino_images import SeeingPipeline
    from abstractcore.engines.worker.openvino_model import Pipeline

    sees = format_at(options["path"]) == "openvino_vision"
    return SeeingPipeline(options) if sees else Pipeline(options)
