"""MLX through mlx-lm's BatchGenerator: a continuous batch whose rows sample, end and leave on their own.

Runs in the worker's process. Knows the generator, its rows and their KV caches; what chooses a token
is in mlx_sampling.py.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator, StopSequences
from mlx_lm.models.cache import can_trim_prompt_cache, trim_prompt_cache

from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.batch import Output, Reading
from abstractcore.engines.worker.detokenize import Detokenizer
from abstractcore.engines.worker.grammar import Grammars
from abstractcore.engines.worker.mlx_load import load
from abstractcore.engines.worker.mlx_sampling import (
    Constraint,
    Penalties,
    Processor,
    Sampler,
    Unended,
    check_extra,
    mask_of,
    sampler,
)
from abstractcore.engines.worker.prefixes import Prefixes

# Tokens of prompts that one step reads. It bounds how long a prefill delays the neighbours, and a cancel.
_TOKENS_PER_STEP = 256
# Prompts that are read side by side.
_PROMPTS_PER_STEP = 8
# Tokens that a KV cache grows by.
_BLOCK = 256
# Where a model does not say how long its context is.
_UNKNOWN_CONTEXT = 8192
_NO_STOPS = StopSequences()


@dataclass(slots=True, eq=False)
class _Job:
    """One answer: what the generator is told of it, and what it has come to."""

    number: int
    ids: list[int]
    room: int
    cache: Any
    cached: int
    sampler: Sampler
    stops: Any
    processors: list[Processor]
    constraint: Constraint | None
    given: int = 0
    is_reading: bool = True
    uid: int | None = None
    """The generator's own number for it, once it is in the batch."""


class Model:
    """A loaded MLX model."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._loaded = load(options)
        self.knows_tools = self._loaded.tokenizer.knows_tools()
        self.context_length: int = min(
            options["context_length"] or _UNKNOWN_CONTEXT, options["max_context"] or 2**31
        )
        self._budget_bytes = int(options["cache_gb"] * 2**30)
        self._prefixes = Prefixes[Any](self._budget_bytes, _without_last) if options["prefix_cache"] else None
        self._eos_ids = sorted(self._loaded.tokenizer.eos_ids)
        self._ends = mask_of(self._eos_ids, self._loaded.width)
        self._stops = StopSequences([[one] for one in self._eos_ids])
        self._grammars: Grammars | None = None
        self._generator: Any = BatchGenerator(
            self._loaded.network,
            completion_batch_size=options["max_batch"],
            prefill_batch_size=min(_PROMPTS_PER_STEP, options["max_batch"]),
            prefill_step_size=_TOKENS_PER_STEP,
        )
        self._waiting: deque[_Job] = deque()
        self._running: dict[int, _Job] = {}  # by uid, the youngest last

    # ---- text ----

    def read(self, prompt: Mapping[str, Any]) -> Reading:
        """Give the ids of a prompt. Raises Refused."""
        return self._loaded.tokenizer.read(prompt, self.context_length)

    def detokenizer(self) -> Detokenizer:
        """Begin an answer's text."""
        return self._loaded.tokenizer.detokenizer()

    # ---- jobs ----

    def start(self, number: int, ids: list[int], prompt: Mapping[str, Any], room: int) -> int:
        """Take a job, and tell how many of *ids* the KV cache holds. Raises Refused."""
        check_extra(prompt["extra"])
        if max(ids) >= self._loaded.width:
            raise Refused("ConfigurationError", "the prompt has a token that this model does not know")
        if self._needs(1, len(ids)) > self._budget_bytes:
            needs = self._needs(1, len(ids)) / 2**30
            raise Refused("OutOfMemoryError", f"the prompt needs {needs:.1f} GB of KV cache: see cache_gb=")
        processors, constraint = self._processors(ids, prompt)
        ends = constraint is not None or not prompt["extra"].get("ignore_eos")
        taken = self._prefixes.take(ids) if self._prefixes is not None else None
        cache, cached = taken or (None, 0)
        job = _Job(
            number,
            ids,
            room,
            cache,
            cached,
            sampler(prompt, self._loaded.recommended),
            self._stops if ends else _NO_STOPS,
            processors,
            constraint,
        )
        self._waiting.append(job)
        return cached

    def _processors(
        self, ids: list[int], prompt: Mapping[str, Any]
    ) -> tuple[list[Processor], Constraint | None]:
        """Give what changes the logits of a request; nothing for most."""
        sampling, extra = prompt["sampling"], prompt["extra"]
        processors: list[Processor] = []
        penalties = {
            "presence": sampling.get("presence_penalty", 0.0),
            "frequency": sampling.get("frequency_penalty", 0.0),
            "repetition": extra.get("repetition_penalty")
            or self._loaded.recommended.get("repetition_penalty")
            or 1.0,
        }
        if penalties != {"presence": 0, "frequency": 0, "repetition": 1}:
            processors.append(Penalties(ids, self._loaded.width, **penalties))
        least: int = extra.get("min_new_tokens", 0)
        if prompt["schema"] is not None:
            constraint = Constraint(self._grammar(prompt["schema"]), self._ends, least)
            return [*processors, constraint], constraint
        if least:
            processors.append(Unended(self._ends, least))
        return processors, None

    def _grammar(self, schema: str) -> Any:
        if self._grammars is None:
            try:
                vocabulary = self._loaded.tokenizer.as_json()
            except AttributeError as failure:
                message = "this model's tokenizer does not tell its vocabulary, so no schema can be followed"
                raise Refused("UnsupportedFeatureError", message) from failure
            self._grammars = Grammars(vocabulary, self._eos_ids, self._loaded.width)
        return self._grammars.start(schema)

    def cancel(self, number: int) -> None:
        """Forget a job, if it is there; what it has read is kept for the next prompt that begins so."""
        self._waiting = deque(job for job in self._waiting if job.number != number)
        job = next((job for job in self._running.values() if job.number == number), None)
        if job is not None:
            self._remove(job, keeps=True)

    def _remove(self, job: _Job, *, keeps: bool) -> None:
        assert job.uid is not None
        del self._running[job.uid]
        keeps = keeps and self._prefixes is not None
        with mx.stream(self._generator.stream):
            for cache, ids in self._generator.remove([job.uid], return_prompt_caches=keeps).values():
                self._keep(ids, cache)

    def _keep(self, ids: list[int], cache: Any) -> None:
        if self._prefixes is None or not ids:
            return
        mx.eval([one.state for one in cache])  # until then it holds on to the whole batch that it was in
        size = sum(one.nbytes for one in cache)
        self._prefixes.put(ids, cache, size, can_trim=can_trim_prompt_cache(cache))

    # ---- steps ----

    def step(self) -> list[Output]:
        """Give each row that decodes one token, and read a bounded piece of new prompts."""
        while self._waiting and self._has_room(self._waiting[0]):
            self._insert(self._waiting.popleft())
        if not self._running:
            return []
        reading = sum(job.is_reading for job in self._running.values())
        self._generator.prefill_step_size = _TOKENS_PER_STEP // max(1, min(reading, _PROMPTS_PER_STEP))
        read, answers = self._generator.next()
        for progress in read:
            if progress.end_of_prompt:
                self._running[progress.uid].is_reading = False
        outputs = [self._output(answer) for answer in answers]
        outputs += self._refused()
        outputs += self._make_fit()
        if not self._running:
            mx.clear_cache()
        return outputs

    def _insert(self, job: _Job) -> None:
        (uid,) = self._generator.insert(
            [job.ids[job.cached :]],
            max_tokens=[job.room],
            caches=[job.cache],
            all_tokens=[job.ids[: job.cached]],
            samplers=[job.sampler],
            logits_processors=[job.processors],
            stop_sequences=[job.stops],
        )
        job.uid, job.cache = uid, None
        self._running[uid] = job

    def _output(self, answer: Any) -> Output:
        job = self._running[answer.uid]
        job.given += 1
        if answer.finish_reason is not None:
            del self._running[answer.uid]
            with mx.stream(self._generator.stream):
                self._keep(answer.all_tokens, answer.prompt_cache)
        return Output(job.number, (answer.token,), answer.finish_reason)

    def _refused(self) -> list[Output]:
        """End the rows whose grammar cannot go on."""
        ended: list[Output] = []
        for job in list(self._running.values()):
            if job.constraint is not None and job.constraint.refused is not None:
                self._remove(job, keeps=True)
                ended.append(Output(job.number, refused=job.constraint.refused))
        return ended

    # ---- memory ----

    def _has_room(self, job: _Job) -> bool:
        """Whether a job fits beside those that run. All rows of a batch are as long as the longest."""
        longest = max(len(one.ids) + one.given for one in (job, *self._running.values()))
        return not self._running or self._needs(len(self._running) + 1, longest + 1) <= self._budget_bytes

    def _needs(self, rows: int, tokens: int) -> int:
        return rows * (tokens + _BLOCK) * self._loaded.token_bytes

    def _make_fit(self) -> list[Output]:
        """Hold the budget: kept prefixes leave before rows do, and of those the youngest first."""
        ended: list[Output] = []
        while self._running and self._generator.prompt_cache_nbytes > self._budget_bytes:
            job = next(reversed(self._running.values()))
            self._remove(job, keeps=False)
            full = Refused("OutOfMemoryError", "the KV cache is full: see cache_gb=")
            ended.append(Output(job.number, refused=full))
        if self._prefixes is not None:
            self._prefixes.resize(self._budget_bytes - self._generator.prompt_cache_nbytes)
        return ended


def _without_last(cache: list[Any], count: int) -> list[Any]:
    """Copy a cache without its last tokens. The arrays in it are shared until one is written to."""
    copied = copy.deepcopy(cache)
    if count:
        trim_prompt_cache(copied, count)
    return copied
