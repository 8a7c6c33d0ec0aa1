"""One OpenVINO GenAI pipeline, its tokenizer and its chat template, in plain words.

Runs in the worker's process only. Knows no pipe and no job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import openvino
import openvino_genai

from abstractcore.codecs.text_marks import MARKS
from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.batch import Reading
from abstractcore.engines.worker.detokenize import PROBE, Detokenizer, FromBytes, FromWindow
from abstractcore.engines.worker.openvino_load import load_pipeline
from abstractcore.engines.worker.prompts import Reader, read
from abstractcore.engines.worker.shield import Controls, Shield

# The runtime's own parameters that do not change what comes out of it in kind.
_EXTRA = ("min_p", "repetition_penalty", "no_repeat_ngram_size", "min_new_tokens", "ignore_eos")
# How many tokens a draft model guesses ahead, unless the request says so.
_GUESSES = {"num_assistant_tokens": 4}
# Where a model does not say how long its context is.
_UNKNOWN_CONTEXT = 8192


class Pipeline:
    """A loaded model. What it is handed and gives is Python's own; ids are lists of int."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.pipeline: Any = load_pipeline(options)
        self._guesses: Mapping[str, Any] = _GUESSES if options["draft_model"] else {}
        self.context_length: int = options["context_length"] or _UNKNOWN_CONTEXT
        self._tokenizer: Any = self.pipeline.get_tokenizer()
        self.knows_tools = "tools" in (self._tokenizer.chat_template or "")
        self._stop_ids = frozenset[int](self.pipeline.get_config().stop_token_ids)
        vocabulary: Mapping[bytes, int] = self._tokenizer.get_vocab()
        self._longest_token = max((len(text) for text in vocabulary), default=1)
        special = self._special(vocabulary)
        self._controls = Controls(special)
        self._silent = self._stop_ids | {number for text, number in special.items() if text not in MARKS}
        self._bytes = {number: text for text, number in vocabulary.items()}
        self._has_bytes = self._decodes_to_bytes()

    # ---- prompts ----

    def read(self, prompt: Mapping[str, Any]) -> Reading:
        """Give a prompt as the model reads it. Raises Refused."""
        shield = Shield(self._controls)  # data cannot change roles
        reader = Reader(
            template=self._tokenizer.chat_template,
            render=lambda: self._apply_template(prompt, shield),
            encode=lambda text: self._encode_shielded(text, shield),
            longest_token=self._longest_token,
        )
        return read(prompt, reader, self.context_length)

    def _apply_template(self, prompt: Mapping[str, Any], shield: Shield) -> str:
        return self._tokenizer.apply_chat_template(
            shield.over(prompt["messages"]),
            True,
            tools=shield.over(prompt["tools"]) or None,
            extra_context=shield.over(prompt["template"]) or None,
        )

    def _encode_shielded(self, text: str, shield: Shield) -> list[int]:
        ids: list[int] = []
        for part, is_data in shield.parts(text):
            # This tokenizer cannot be told to leave a control token's text alone: it is given the letters.
            for piece in part if is_data else (part,):
                ids += self._encode(piece)
        return ids

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist()

    # ---- generation ----

    def start(self, number: int, ids: Sequence[int], prompt: Mapping[str, Any], room: int, seed: int) -> Any:
        """Begin an answer to *ids* of at most *room* tokens, and give its handle."""
        config = self.pipeline.get_config()
        fields = {**self._sampling(prompt["sampling"], config.do_sample), **self._extra(prompt["extra"])}
        if prompt["schema"] is not None:
            grammar = openvino_genai.StructuredOutputConfig(json_schema=prompt["schema"])
            fields["structured_output_config"] = grammar
        try:
            config.update_generation_config(**fields, max_new_tokens=room, rng_seed=seed)
            config.validate()
        except (RuntimeError, TypeError) as failure:
            raise Refused("ConfigurationError", _last_line(failure)) from failure
        if self._guesses and not config.is_assisting_generation():  # one such request would end the others
            raise Refused("ConfigurationError", "extra: num_assistant_tokens must be an integer above 0")
        return self._add(number, ids, prompt, config)

    def _add(self, number: int, ids: Sequence[int], prompt: Mapping[str, Any], config: Any) -> Any:
        return self.pipeline.add_request(number, _tensor(ids), config)

    def prompt_tokens(self, handle: Any) -> int | None:
        """Tell how long the prompt of a request that has ended was, where its ids did not tell."""
        return None

    def _sampling(self, given: Mapping[str, Any], model_samples: bool) -> Mapping[str, Any]:
        fields = _sampling(given, model_samples and not self._guesses)
        if self._guesses and fields["do_sample"]:
            # Its step fails, or takes the draft model's word unchecked.
            message = "with draft_model= this runtime answers greedily only: no temperature, top_p or top_k"
            raise Refused("UnsupportedFeatureError", message)
        return fields

    def _extra(self, extra: Mapping[str, Any]) -> Mapping[str, Any]:
        known = (*_EXTRA, *self._guesses)
        if unknown := [name for name in extra if name not in known]:
            there = ", ".join(known)
            raise Refused("ConfigurationError", f"extra: {unknown[0]!r} is unknown here; there are: {there}")
        return {**self._guesses, **extra}

    def is_idle(self) -> bool:
        """Whether no request is left in the pipeline, cancelled ones included."""
        return not self.pipeline.has_non_finished_requests()

    def step(self) -> None:
        """Advance every request. Raises RuntimeError for the whole batch."""
        self.pipeline.step()

    # ---- text ----

    def detokenizer(self) -> Detokenizer:
        """Begin an answer's text. Special tokens are silent, but for the marks that we read."""
        if self._has_bytes:
            return FromBytes(self._bytes, self._silent)
        return FromWindow(self._decode, self._silent)

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    def _decodes_to_bytes(self) -> bool:
        ids = self._encode(PROBE)
        return b"".join(self._bytes.get(one, b"") for one in ids) == self._decode(ids).encode()

    def _special(self, vocabulary: Mapping[bytes, int]) -> dict[str, int]:
        """Give the tokens that the tokenizer leaves out of text, and the marks that we read."""
        looks_special = {
            text.decode(errors="replace"): number
            for text, number in vocabulary.items()
            if text.startswith((b"<", b"[")) and text.endswith((b">", b"]"))
        }
        return {
            text: number
            for text, number in looks_special.items()
            if text in MARKS or not self._tokenizer.decode([number])
        }


def _sampling(given: Mapping[str, Any], model_samples: bool) -> dict[str, Any]:
    """Give the request's sampling in the runtime's words.

    What is not given is as the model's own generation config has it: greedy for GGUF. A top_p or
    top_k asks for sampling.
    """
    fields = {name: value for name, value in given.items() if name != "seed"}
    if fields.get("temperature") == 0:
        return {"do_sample": False, **{k: v for k, v in fields.items() if k.endswith("penalty")}}
    wants = any(fields.get(name) for name in ("temperature", "top_p", "top_k"))
    return {**fields, "do_sample": wants or model_samples}


def _tensor(ids: Sequence[int]) -> Any:
    import numpy

    runtime: Any = openvino
    return runtime.Tensor(numpy.array([ids], dtype=numpy.int64))


def _last_line(failure: Exception) -> str:
    return str(failure).strip().splitlines()[-1]
