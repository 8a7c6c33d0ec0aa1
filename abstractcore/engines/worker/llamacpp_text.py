"""A GGUF file's chat template and vocabulary: prompts to ids, and ids to the bytes of an answer.

Runs in the worker's process. Knows llama.cpp's vocabularies and its package's chat templates; knows no
job and no KV cache.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from abstractcore.codecs.text_marks import MARKS
from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.detokenize import Detokenizer, FromBytes
from abstractcore.engines.worker.llamacpp_load import runtime
from abstractcore.engines.worker.prompts import Reader, Reading, read
from abstractcore.engines.worker.shield import Controls, Shield

_TEMPLATE = "tokenizer.chat_template"
# What the package's renderer hands to every template itself.
_OWN_WORDS = frozenset(
    {
        "messages", "tools", "functions", "function_call", "tool_choice", "add_generation_prompt",
        "bos_token", "eos_token", "raise_exception", "strftime_now",
    }
)  # fmt: skip


class ChatText:
    """What one model reads and writes. *llama* is a loaded `llama_cpp.Llama`."""

    def __init__(self, llama: Any) -> None:
        self._llama = llama
        self.vocabulary: Any = runtime.llama_model_get_vocab(llama.model)
        numbers = range(llama.n_vocab())
        self.ends = [one for one in numbers if runtime.llama_vocab_is_eog(self.vocabulary, one)]
        self._bytes = _pieces(self.vocabulary, numbers, special=False)
        hidden = [one for one, piece in self._bytes.items() if not piece]
        control = _pieces(self.vocabulary, hidden, special=True)
        self._longest_token = max(map(len, (*self._bytes.values(), *control.values())), default=1)
        texts = {one: piece.decode(errors="replace") for one, piece in control.items()}
        self._bytes |= {one: control[one] for one, text in texts.items() if text in MARKS}
        self._controls = Controls(texts.values())
        self._formatters: dict[str, Any] = {}

    # ---- prompts ----

    def read(self, prompt: Mapping[str, Any], context_length: int) -> Reading:
        """Give *prompt*, a runtime.Prompt as a dict, as the model reads it. Raises Refused."""
        if taken := _OWN_WORDS.intersection(prompt["template"]):
            words = f"chat_template_kwargs: {min(taken)!r} is the renderer's own word, and none of a template"
            raise Refused("ConfigurationError", words)
        template = self._template(prompt)
        shield = Shield(self._controls)  # data cannot change roles
        reader = Reader(
            template=template,
            render=lambda: self._render(template or "", prompt, shield),
            encode=lambda text: self._encode(text, shield),
            longest_token=self._longest_token,
        )
        return read(prompt, reader, context_length)

    def knows_tools(self) -> bool:
        """Tell whether a template of this model can speak of tools."""
        return "tools" in (self._template({"tools": [{}]}) or "")

    def _template(self, prompt: Mapping[str, Any]) -> str | None:
        """Give the template for *prompt*: some models have one more, for tools."""
        metadata: Mapping[str, str] = self._llama.metadata
        for_tools = metadata.get(f"{_TEMPLATE}.tool_use") if prompt["tools"] else None
        return for_tools or metadata.get(_TEMPLATE)

    def _render(self, template: str, prompt: Mapping[str, Any], shield: Shield) -> str:
        if template not in self._formatters:
            bos, eos = self._text_of("bos"), self._text_of("eos")
            make = runtime.llama_chat_format.Jinja2ChatFormatter
            self._formatters[template] = make(template, eos_token=eos, bos_token=bos)
        write = self._formatters[template]
        covered = {name: shield.over(prompt[name]) for name in ("messages", "tools", "template")}
        return write(
            messages=covered["messages"], tools=covered["tools"] or None, **covered["template"]
        ).prompt

    def _text_of(self, name: str) -> str:
        number: int = getattr(runtime, f"llama_vocab_{name}")(self.vocabulary)
        if number < 0:
            return ""
        return runtime.llama_vocab_get_text(self.vocabulary, number).decode(errors="replace")

    def _encode(self, text: str, shield: Shield) -> list[int]:
        ids: list[int] = []
        for part, is_data in shield.parts(text):
            data = part.encode(errors="replace")
            ids += self._llama.tokenize(data, add_bos=False, special=not is_data)
        return ids

    # ---- answers ----

    def detokenizer(self) -> Detokenizer:
        """Begin an answer's text. Special tokens are silent, but for the marks that we read."""
        return FromBytes(self._bytes, ())


def _pieces(vocabulary: Any, numbers: Sequence[int], *, special: bool) -> dict[int, bytes]:
    """Give the bytes of each token. The package's own method cuts those that are longer than 32."""
    size = 256
    buffer = ctypes.create_string_buffer(size)
    to_piece: Callable[..., int] = runtime.llama_token_to_piece
    pieces: dict[int, bytes] = {}
    for number in numbers:
        length = to_piece(vocabulary, number, buffer, size, 0, special)
        if length < 0:
            size = -length
            buffer = ctypes.create_string_buffer(size)
            length = to_piece(vocabulary, number, buffer, size, 0, special)
        pieces[number] = buffer.raw[:length]
    return pieces
