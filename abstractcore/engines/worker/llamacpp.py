"""llama.cpp through its Python package: one job at a time, and the KV cache of the last one.

Runs in the worker's process. A step reads a piece of the prompt or gives one token. The cache holds
one sequence; a prompt that begins as the last one did is read from where they part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.batch import Output
from abstractcore.engines.worker.detokenize import Detokenizer
from abstractcore.engines.worker.llamacpp_load import (
    PIECE,
    choose_device,
    context_length,
    load,
    runtime,
    with_complaints,
)
from abstractcore.engines.worker.llamacpp_sampling import Sampler, check, last_logits, recommended
from abstractcore.engines.worker.llamacpp_text import ChatText
from abstractcore.engines.worker.prompts import Reading

if TYPE_CHECKING:
    from abstractcore.engines.worker.grammar import Grammar, Grammars

_NEVER = float("-inf")


@dataclass(slots=True)
class _Job:
    """One answer: the ids that the model has not read yet, and what of it may still come."""

    number: int
    unread: list[int]
    room: int
    sampler: Sampler
    grammar: Grammar | None
    unended: int
    """Before this many tokens it does not end."""
    given: int = 0


class Model:
    """A loaded GGUF file."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        device = choose_device(options["device"])
        self.context_length = context_length(options)
        self._piece = PIECE[device]
        self._llama: Any = load(options, device, self.context_length)
        self._width: int = self._llama.n_vocab()
        self._text = ChatText(self._llama)
        self.knows_tools = self._text.knows_tools()
        self._sampling = recommended(self._llama.metadata)
        self._keeps = options["prefix_cache"]
        self._is_deterministic = options["deterministic"]
        self._grammars: Grammars | None = None
        self._job: _Job | None = None
        self._prompt_length = 0

    def read(self, prompt: Mapping[str, Any]) -> Reading:
        """Give the ids of a prompt. Raises Refused."""
        return self._text.read(prompt, self.context_length)

    def detokenizer(self) -> Detokenizer:
        """Begin an answer's text."""
        return self._text.detokenizer()

    # ---- jobs ----

    def start(self, number: int, ids: list[int], prompt: Mapping[str, Any], room: int) -> int:
        """Take a job, and tell how many of *ids* the KV cache holds. Raises Refused."""
        if self._job is not None:
            raise RuntimeError("llama.cpp takes one job at a time")
        extra = prompt["extra"]
        check(prompt["sampling"], extra)
        given = {**self._sampling, **prompt["sampling"], **extra}
        sampler = Sampler(given, ids, vocabulary=self._width, length=self.context_length)
        grammar = None if prompt["schema"] is None else self._grammar(prompt["schema"])
        unended = room if extra.get("ignore_eos") else extra.get("min_new_tokens", 0)
        kept = self._keep(ids)
        self._job = _Job(number, ids[kept:], room, sampler, grammar, unended)
        return kept

    def _grammar(self, schema: str) -> Grammar:
        if self._grammars is None:
            from llguidance.llamacpp import lltokenizer_from_vocab

            from abstractcore.engines.worker.grammar import Grammars

            tokenizer: Any = lltokenizer_from_vocab(self._text.vocabulary, eos_token=self._text.ends)
            self._grammars = Grammars(tokenizer, self._text.ends, self._width)
        return self._grammars.start(schema)

    def _keep(self, ids: Sequence[int]) -> int:
        """Cut the KV cache where *ids* part from it, and tell how many of them it holds."""
        llama = self._llama
        kept = self._kept(ids)
        memory = runtime.llama_get_memory(llama.ctx)
        if kept and not runtime.llama_memory_seq_rm(memory, 0, kept, -1):
            kept = 0  # a recurrent model's state cannot be cut
        llama.reset()
        llama.n_tokens = kept
        self._prompt_length = len(ids)
        return kept

    def _kept(self, ids: Sequence[int]) -> int:
        if not self._keeps:
            return 0
        llama = self._llama
        most = min(llama.n_tokens, len(ids) - 1)  # the last one is always read: its logits are needed
        held: list[int] = llama.input_ids[:most].tolist()
        same = next((at for at in range(most) if held[at] != ids[at]), most)
        if not self._is_deterministic:
            return same
        # Sums of floats differ by how a prompt is cut, so only whole pieces of a prompt are the same.
        return min(same, self._prompt_length) // self._piece * self._piece

    def cancel(self, number: int) -> None:
        """Forget a job, if it is there."""
        if self._job is not None and self._job.number == number:
            self._job = None

    # ---- steps ----

    def step(self) -> list[Output]:
        """Read one piece of the prompt, or give one token. Raises RuntimeError, and then nothing goes on."""
        job = self._job
        if job is None:
            return []
        piece, job.unread = job.unread[: self._piece], job.unread[self._piece :]
        try:
            self._llama.eval(piece)
        except RuntimeError as failure:
            raise RuntimeError(with_complaints(failure)) from failure
        if job.unread:
            return []
        try:
            output = self._next(job)
        except Refused as refusal:
            output = Output(job.number, refused=refusal)
        if output.finish or output.refused:
            self._job = None
        return [output]

    def _next(self, job: _Job) -> Output:
        """Give the next token of an answer. Raises Refused when its schema cannot be followed further."""
        grammar, ends = job.grammar, self._text.ends
        logits = last_logits(self._llama.ctx, self._width)
        if job.given < job.unended:
            logits[ends] = _NEVER
        if grammar is not None:
            logits[~grammar.mask()] = _NEVER
        token = job.sampler.sample(self._llama.ctx)
        job.unread = [token]
        job.given += 1
        is_over = token in ends
        if grammar is not None and not is_over:
            grammar.accept(token)
            is_over = grammar.is_over
        has_room = job.given < job.room
        return Output(job.number, (token,), "stop" if is_over else None if has_room else "length")
