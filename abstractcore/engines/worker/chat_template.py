"""A transformers tokenizer as a model's reader of prompts and writer of text.

Runs in the worker's process. Knows transformers' tokenizers by their shape, so that MLX and PyTorch
models read alike; imports neither.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from abstractcore.codecs.text_marks import MARKS
from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.batch import Reading
from abstractcore.engines.worker.detokenize import PROBE, Detokenizer, FromBytes, FromWindow
from abstractcore.engines.worker.prompts import Reader, read
from abstractcore.engines.worker.shield import Controls


class ChatTokenizer:
    """One model's chat template, vocabulary and special tokens.

    *tokenizer* is what AutoTokenizer gives, or mlx-lm's wrapper round one. *eos_ids* are the tokens
    that end an answer beside the tokenizer's own, as the model's generation config names them.
    """

    def __init__(self, tokenizer: Any, eos_ids: Iterable[int] = ()) -> None:
        self._tokenizer: Any = tokenizer._tokenizer if _is_wrapped(tokenizer) else tokenizer
        own = self._tokenizer.eos_token_id
        self.eos_ids = frozenset(eos_ids) | (frozenset() if own is None else {own})
        self._own_words = frozenset(inspect.signature(self._tokenizer.apply_chat_template).parameters)
        added: Mapping[int, Any] = self._tokenizer.added_tokens_decoder
        self._controls = Controls(token.content for token in added.values())
        self._silent = self._silent_ids(added) | self.eos_ids
        self._bytes, self._strips_space = self._vocabulary_in_bytes()
        tokens = self._bytes.values() or (token.encode() for token in self._tokenizer.get_vocab())
        self._longest_token = max(map(len, tokens), default=1)

    # ---- prompts ----

    def read(self, prompt: Mapping[str, Any], context_length: int) -> Reading:
        """Give *prompt*, a runtime.Prompt as a dict, as the model reads it. Raises Refused."""
        if taken := self._own_words.intersection(prompt["template"]):
            words = f"chat_template_kwargs: {min(taken)!r} is a word of the tokenizer's own"
            raise Refused("ConfigurationError", words)
        reader = Reader(
            template=self._template(prompt),
            render=lambda: self._apply_template(prompt, tokenize=False),
            encode=lambda text: self._encode(prompt, text),
            longest_token=self._longest_token,
        )
        return read(prompt, reader, context_length)

    def knows_tools(self) -> bool:
        """Tell whether a template of this model can speak of tools."""
        return "tools" in (self._template({"tools": [{}]}) or "")

    def _template(self, prompt: Mapping[str, Any]) -> str | None:
        """Give the template for *prompt*: some models have one more, for tools."""
        try:
            return self._tokenizer.get_chat_template(tools=prompt["tools"] or None)
        except ValueError:  # it has none, or none that is the default
            return None

    def _apply_template(self, prompt: Mapping[str, Any], **how: Any) -> Any:
        return self._tokenizer.apply_chat_template(
            prompt["messages"],
            tools=prompt["tools"] or None,
            add_generation_prompt=True,
            **how,
            **prompt["template"],
        )

    def _encode(self, prompt: Mapping[str, Any], text: str) -> list[int]:
        """Encode *text*, unless a message looks as if it had a control token: data cannot change roles."""
        if not self._controls.are_in([prompt["messages"], prompt["tools"], prompt["template"]]):
            return self._tokenizer.encode(text, add_special_tokens=False)
        return self._apply_template(prompt, tokenize=True, return_dict=False, sanitize_control_tokens=True)

    # ---- text ----

    def detokenizer(self) -> Detokenizer:
        """Begin an answer's text. Special tokens are silent, but for the marks that we read."""
        if self._bytes:
            return FromBytes(self._bytes, self._silent, strips_space=self._strips_space)
        return FromWindow(self._decode, self._silent)

    def token_id(self, text: str) -> int:
        """Give the id of the token whose text this is."""
        return self._tokenizer.convert_tokens_to_ids(text)

    def as_json(self) -> str:
        """Give the tokenizer as its tokenizer.json would have it. Raises AttributeError where it has none."""
        return self._tokenizer.backend_tokenizer.to_str()

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    @staticmethod
    def _silent_ids(added: Mapping[int, Any]) -> frozenset[int]:
        return frozenset(
            number for number, token in added.items() if token.special and token.content not in MARKS
        )

    def _vocabulary_in_bytes(self) -> tuple[dict[int, bytes], bool]:
        """Give each token's bytes, and whether the first space of a text belongs to its first token.

        Gives no bytes unless the probe's tokens, joined, are what the tokenizer decodes them to.
        """
        added: Mapping[int, Any] = self._tokenizer.added_tokens_decoder
        ids: list[int] = self._tokenizer.encode(PROBE, add_special_tokens=False)
        pieces: list[str] = self._tokenizer.convert_ids_to_tokens(ids)
        decoded = self._decode(ids).encode()
        for in_bytes in (_from_letters(), _from_pieces()):
            joined = b"".join(in_bytes(piece) for piece in pieces)
            if joined.removeprefix(b" ") == decoded:
                vocabulary = {
                    number: token.encode() if number in added else in_bytes(token)
                    for token, number in self._tokenizer.get_vocab().items()
                }
                return vocabulary, joined != decoded
        return {}, False


def _is_wrapped(tokenizer: Any) -> bool:
    """Whether this is mlx-lm's wrapper: the fast tokenizers have a `_tokenizer` of their own."""
    return not hasattr(type(tokenizer), "get_chat_template")


def _from_letters() -> Callable[[str], bytes]:
    """Read byte-level vocabularies, as GPT-2 has them: each letter is a byte.

    Printable bytes are themselves in Latin-1; the others are the letters from U+0100 on, in their order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = (byte for byte in range(256) if byte not in printable)
    letters = {chr(byte): bytes([byte]) for byte in printable}
    letters |= {chr(0x100 + place): bytes([byte]) for place, byte in enumerate(hidden)}
    return lambda token: b"".join(letters.get(letter) or letter.encode() for letter in token)


def _from_pieces() -> Callable[[str], bytes]:
    """Read SentencePiece vocabularies: words whose space is U+2581, and `<0xE2>` for a byte."""
    byte = re.compile(r"<0x([0-9A-F]{2})>")

    def in_bytes(token: str) -> bytes:
        found = byte.fullmatch(token)
        return bytes.fromhex(found[1]) if found else token.replace("\u2581", " ").encode()

    return in_bytes
