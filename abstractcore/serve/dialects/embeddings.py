"""OpenAI's Embeddings, as a server speaks it: https://platform.openai.com/docs/api-reference/embeddings."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abstractcore.serve.dialects.base import total
from abstractcore.serve.dialects.reading import left_over, model_of, refuse, take, unsupported
from abstractcore.types import EmbeddingResponse

_READ = ("model", "input", "dimensions", "encoding_format", "user")


@dataclass(frozen=True, slots=True)
class EmbeddingsAsked:
    """Texts to turn into vectors; *as_base64*: as 32-bit floats, which OpenAI's client asks for."""

    model: str
    texts: list[str]
    dimensions: int | None
    as_base64: bool
    ignored: tuple[str, ...]


def read(body: Mapping[str, Any]) -> EmbeddingsAsked:
    """Read a request."""
    encoding = take(body, "encoding_format", str)
    if encoding not in (None, "float", "base64"):
        refuse("encoding_format", "expected float or base64")
    return EmbeddingsAsked(
        model=model_of(body),
        texts=_texts(body.get("input")),
        dimensions=take(body, "dimensions", int),
        as_base64=encoding == "base64",
        ignored=left_over(body, _READ),
    )


def _texts(given: Any) -> list[str]:
    listed: list[Any] = given if isinstance(given, list) else [given]
    if not listed:
        refuse("input", "there is nothing to embed")
    for index, text in enumerate(listed):
        if isinstance(text, int | list):
            unsupported(f"input[{index}]", "tokens cannot be passed on; send text")
        if not isinstance(text, str):
            refuse("input", "expected a string or a list of strings")
    return listed


def write(asked: EmbeddingsAsked, response: EmbeddingResponse) -> dict[str, Any]:
    """Write the vectors."""
    written = _packed if asked.as_base64 else list[float]
    data = [
        {"object": "embedding", "index": index, "embedding": written(vector)}
        for index, vector in enumerate(response.vectors)
    ]
    usage = {"prompt_tokens": response.usage.input_tokens or 0, "total_tokens": total(response.usage)}
    return {"object": "list", "data": data, "model": asked.model, "usage": usage}


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
