"""A transformers model on PyTorch: each step decodes a token of every row and reads some of a prompt.

Runs in the worker's process only. Knows jobs and ids; tensors are the rows', text is the tokenizer's.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Threads that wait for each other without sleeping make a step five times as long on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.batch import Output, Reading
from abstractcore.engines.worker.chat_template import ChatTokenizer
from abstractcore.engines.worker.detokenize import Detokenizer
from abstractcore.engines.worker.grammar import Grammar, Grammars
from abstractcore.engines.worker.huggingface_cache import Row, shortened
from abstractcore.engines.worker.huggingface_load import eos_ids, load
from abstractcore.engines.worker.huggingface_rows import rows_for
from abstractcore.engines.worker.huggingface_sampling import Sampler, settings
from abstractcore.engines.worker.prefixes import Prefixes

_TOKENS_PER_STEP = 256
# Where a model does not say how long its context is.
_UNKNOWN_CONTEXT = 8192
_MEMORY_WORDS = ("not enough memory", "out of memory", "can't allocate memory")
_IN_TURN = "calls at the same time take turns: this model's state cannot be batched"
_FULL = Refused("OutOfMemoryError", "the KV cache is full: see cache_gb=")
_NO_MEMORY = Refused("OutOfMemoryError", "the device has no memory left")


@dataclass(slots=True, eq=False)
class _Job:
    """One answer: the ids of its prompt and what came after, and how far the model has read them."""

    number: int
    ids: list[int]
    prompt_length: int
    room: int
    sampler: Sampler
    row: Row | None = None
    beside: Any = None
    read: int = 0
    is_over: bool = False

    @property
    def new(self) -> int:
        return len(self.ids) - self.prompt_length


class Model:
    """A loaded model. What it is handed and gives is Python's own; ids are lists of int."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        if options["threads"] is not None:
            torch.set_num_threads(options["threads"])
        model, tokenizer = load(options)
        self._defaults = model.generation_config
        self._chat = ChatTokenizer(tokenizer, eos_ids(self._defaults))
        self.knows_tools = self._chat.knows_tools()
        self._device: torch.device = model.device
        self._width: int = model.config.get_text_config(decoder=True).vocab_size
        self._grammars: Grammars | None = None
        self._rows = rows_for(model)
        self.context_length: int = options["context_length"] or _context_length(model)
        if options["max_context"] is not None:
            self.context_length = min(self.context_length, options["max_context"])
        self._budget_bytes = int(options["cache_gb"] * 2**30)
        keeps = options["prefix_cache"] and self._rows.is_merged
        self._prefixes: Prefixes[Row] | None = Prefixes(self._budget_bytes, shortened) if keeps else None
        self._waiting: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._joining: list[_Job] = []

    # ---- prompts and text ----

    def read(self, prompt: Mapping[str, Any]) -> Reading:
        """Give the ids of a prompt. Raises Refused."""
        reading = self._chat.read(prompt, self.context_length)
        if self._rows.is_merged or not (self._waiting or self._running):
            return reading
        return Reading(reading.ids, reading.thinks, (*reading.unsaid, _IN_TURN))

    def detokenizer(self) -> Detokenizer:
        """Begin an answer's text."""
        return self._chat.detokenizer()

    # ---- jobs ----

    def start(self, number: int, ids: list[int], prompt: Mapping[str, Any], room: int) -> int | None:
        """Take a job, and give how many of *ids* have been read before. Raises Refused."""
        if max(ids) >= self._width:
            raise Refused("ConfigurationError", "the prompt has a token that this model does not know")
        how = settings(prompt, self._defaults, self._device)
        grammar = self._grammar(prompt["schema"])
        sampler = Sampler(prompt, how, sorted(self._chat.eos_ids), grammar, self._device)
        job = _Job(number, list(ids), len(ids), room, sampler)
        found = self._prefixes.take(ids) if self._prefixes is not None else None
        if found is not None:
            job.row, job.read = found
        self._waiting.append(job)
        return job.read

    def _grammar(self, schema: str | None) -> Grammar | None:
        if schema is None:
            return None
        if self._grammars is None:
            try:
                self._grammars = Grammars(self._chat.as_json(), self._chat.eos_ids, self._width)
            except AttributeError as failure:
                words = "this model's tokenizer is none that a JSON Schema can be enforced with"
                raise Refused("UnsupportedFeatureError", words) from failure
        return self._grammars.start(schema)

    def cancel(self, number: int) -> None:
        """Forget a job; the next step frees its row."""
        for job in [job for job in self._waiting if job.number == number]:
            self._waiting.remove(job)
            if job.beside is not None:
                self._remember(job, self._rows.row_beside(job.beside))
        for job in (*self._running, *self._joining):
            job.is_over = job.is_over or job.number == number

    # ---- steps ----

    @torch.inference_mode()
    def step(self) -> Sequence[Output]:
        """Give each running job a token, then read up to 256 tokens of the prompts that wait."""
        self._arrange()
        outputs = [*self._make_room(), *self._decode(), *self._prefill()]
        self._arrange()
        if self._prefixes is not None:
            self._prefixes.resize(max(0, self._budget_bytes - self._size_bytes()))
        return outputs

    def _arrange(self) -> None:
        """Let rows that are over leave the batch, and those that have read their prompt join it."""
        joining = [job for job in self._joining if not job.is_over]
        kept = [place for place, job in enumerate(self._running) if not job.is_over]
        self._joining = []
        if not joining and len(kept) == len(self._running):
            return
        for place, job in enumerate(self._running):
            if job.is_over:
                self._remember(job, self._rows.row(place))
        self._rows.arrange(kept, [job.beside for job in joining])
        self._running = [*(self._running[place] for place in kept), *joining]
        for job in joining:
            job.beside = None

    def _remember(self, job: _Job, row: Row | None) -> None:
        if self._prefixes is not None and row is not None:
            self._prefixes.put(job.ids[: row.length], row, row.size_bytes)

    def _decode(self) -> list[Output]:
        if not self._running:
            return []
        try:
            return self._sample(self._running, self._rows.decode([job.ids[-1] for job in self._running]))
        except (RuntimeError, MemoryError) as failure:
            if not _is_about_memory(failure):
                raise
        # Some layers have read the token and some have not: none of the rows can go on.
        gone, self._running = self._running, []
        self._rows.arrange([], [])
        return [_refuse(job, _NO_MEMORY) for job in gone]

    def _prefill(self) -> list[Output]:
        outputs: list[Output] = []
        left = _TOKENS_PER_STEP
        while self._waiting and left > 0:
            job = self._waiting[0]
            if job.beside is None and self._size_bytes(len(job.ids)) > self._budget_bytes:
                if self._running or self._joining:
                    break  # it waits until one of them has left
                self._waiting.popleft()
                outputs.append(_refuse(job, _FULL))
                continue
            piece = job.ids[job.read :][: min(left, self._rows.longest_piece or len(job.ids))]
            left -= len(piece)
            try:
                outputs += self._read(job, piece)
            except (RuntimeError, LookupError, ValueError, MemoryError) as failure:
                words = f"the model cannot read this prompt: {type(failure).__name__}"
                reason = _NO_MEMORY if _is_about_memory(failure) else Refused("EngineError", words)
                outputs.append(_refuse(job, reason))
                job.beside = None
            if job.is_over or job in self._joining:
                self._waiting.popleft()
        return outputs

    def _read(self, job: _Job, piece: Sequence[int]) -> list[Output]:
        """Read a piece of a prompt; the last one gives the answer's first token."""
        if job.beside is None:
            job.beside = self._rows.begin(job.row)
            job.row = None
        logits = self._rows.read(job.beside, piece)
        job.read += len(piece)
        if job.read < len(job.ids):
            return []
        self._remember(job, self._rows.row_beside(job.beside))
        self._joining.append(job)
        return self._sample([job], logits[None])

    # ---- memory ----

    def _size_bytes(self, *joining: int) -> int:
        """Tell how much the batch holds, with rows of the lengths that are *joining*."""
        held = (*self._running, *self._joining, *(job for job in self._waiting if job.beside is not None))
        return self._rows.size_bytes([*(len(job.ids) for job in held), *joining])

    def _make_room(self) -> list[Output]:
        """Send the youngest rows back to wait while the batch is too large; one alone has to end."""
        while self._running and self._size_bytes() > self._budget_bytes:
            job = self._running[-1]
            if len(self._running) == 1:
                outputs = [_refuse(job, _FULL)]
                self._arrange()
                return outputs
            self._running.pop()
            self._rows.arrange(range(len(self._running)), [])
            job.read = 0
            self._waiting.insert(1 if self._waiting and self._waiting[0].beside is not None else 0, job)
        return []

    # ---- tokens ----

    def _sample(self, jobs: Sequence[_Job], logits: torch.Tensor) -> list[Output]:
        """Give each job its next token; those that say nothing of sampling get theirs in one go."""
        chosen = logits.argmax(-1)
        refused: dict[int, Refused] = {}
        for place, job in enumerate(jobs):
            if not job.sampler.is_plain:
                try:
                    chosen[place] = job.sampler.pick(logits[place], job.ids, job.new)
                except Refused as refusal:
                    refused[place] = refusal
        tokens: list[int] = chosen.tolist()
        return [
            _refuse(job, refused[place]) if place in refused else self._took(job, tokens[place])
            for place, job in enumerate(jobs)
        ]

    def _took(self, job: _Job, token: int) -> Output:
        job.ids.append(token)
        finish = None
        try:
            finish = self._finish(job, token)
        except Refused as refusal:
            return _refuse(job, refusal)
        job.is_over = finish is not None
        return Output(job.number, (token,), finish)

    def _finish(self, job: _Job, token: int) -> str | None:
        sampler = job.sampler
        if token in self._chat.eos_ids and not sampler.how.ignores_eos:
            return "stop"
        if sampler.grammar is not None:
            sampler.grammar.accept(token)
            if sampler.grammar.is_over:
                return "stop"
        return "length" if job.new >= job.room else None


def _refuse(job: _Job, reason: Refused) -> Output:
    job.is_over = True
    return Output(job.number, refused=reason)


def _is_about_memory(failure: Exception) -> bool:
    words = str(failure).lower()
    return isinstance(failure, (torch.OutOfMemoryError, MemoryError)) or any(
        word in words for word in _MEMORY_WORDS
    )


def _context_length(model: Any) -> int:
    config = model.config.get_text_config(decoder=True)
    return getattr(config, "max_position_embeddings", None) or _UNKNOWN_CONTEXT
