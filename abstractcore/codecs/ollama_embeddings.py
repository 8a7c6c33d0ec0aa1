"""Ollama's own embeddings wire. https://docs.ollama.com/api/embed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from abstractcore.codecs.base import EmbedLimits, WireRequest
from abstractcore.codecs.json_text import as_count, as_text, is_array
from abstractcore.codecs.vectors import answer_object, checked
from abstractcore.errors import ResponseError
from abstractcore.types import EmbeddingResponse, EmbedRequest, Usage


@dataclass(frozen=True, slots=True)
class OllamaEmbeddings:
    """The `/api/embed` codec."""

    name: str = "ollama_embeddings"
    path: str = "/api/embed"
    limits: EmbedLimits = field(default_factory=EmbedLimits)

    def encode(self, request: EmbedRequest) -> WireRequest:
        """Write a request. Ollama would cut texts that are too long unless it is told not to."""
        body: dict[str, Any] = {
            "model": request.model,
            "input": list(request.texts),
            "truncate": request.truncate,
        }
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        body.update(request.extra)
        return WireRequest(self.path, body)

    def decode(self, body: Any, request: EmbedRequest) -> EmbeddingResponse:
        """Read an answer's JSON. Raises ResponseError, or the error that the body carries."""
        body = answer_object(body)
        vectors = body.get("embeddings")
        if not is_array(vectors):
            raise ResponseError("the answer holds no list of vectors")
        read = checked(vectors, len(request.texts), request.dimensions)
        count = as_count(body.get("prompt_eval_count"))
        return EmbeddingResponse(read, model=as_text(body.get("model")), usage=Usage(count, None, count))
