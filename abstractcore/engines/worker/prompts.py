"""How every engine reads a prompt: what its chat template leaves unsaid, and why a prompt is refused.

Knows a chat template as text, and what came of it. Knows no runtime and no tokenizer: what renders
and what encodes is handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.batch import Reading

_RAISED = re.compile(r"raise_exception\(\s*(['\"])(.+?)\1")


@dataclass(frozen=True, slots=True)
class Reader:
    """What turns a prompt into ids: a model's chat template and its tokenizer."""

    template: str | None
    render: Callable[[], str]
    encode: Callable[[str], Sequence[int]]
    longest_token: int
    """How many bytes of text one token stands for at most."""


def read(prompt: Mapping[str, Any], reader: Reader, context_length: int) -> Reading:
    """Give the ids of *prompt*. Raises Refused, in words that hold nothing of the prompt."""
    if not reader.template:
        raise Refused("UnsupportedFeatureError", "this model was not made for chats: it has no template")
    text = _rendered(reader)
    if len(text.encode(errors="replace")) > context_length * reader.longest_token:
        raise _too_long("too many", context_length)  # no need to count them: that many bytes are more tokens
    ids = _encoded(reader, text)
    if not ids:
        raise Refused("ConfigurationError", "the prompt is empty, and so is this model's chat template")
    if len(ids) >= context_length:
        raise _too_long(f"{len(ids):,}", context_length)
    return Reading(ids, text.rstrip().endswith("<think>"), _unsaid(prompt, reader.template))


def _rendered(reader: Reader) -> str:
    try:
        return reader.render()
    except Refused:
        raise
    except Exception as failure:
        # The runtime's words may hold the prompt. The template's own do not.
        words = str(failure)
        said = next(
            (match[2] for match in _RAISED.finditer(reader.template or "") if match[2] in words), None
        )
        message = "this model's chat template does not take these messages"
        raise Refused("ConfigurationError", f"{message}: {said}" if said else message) from failure


def _encoded(reader: Reader, text: str) -> list[int]:
    try:
        return list(reader.encode(text))
    except Exception as failure:
        message = "this model's tokenizer does not take the text of these messages"
        raise Refused("ConfigurationError", message) from failure


def _too_long(count: str, context_length: int) -> Refused:
    return Refused("ContextLengthError", f"the prompt has {count} tokens; the context has {context_length:,}")


def _unsaid(prompt: Mapping[str, Any], template: str) -> tuple[str, ...]:
    unsaid = [
        f"{name} has no effect: this model's chat template does not know it"
        for name in prompt["template"]
        if name not in template
    ]
    return tuple(unsaid)
