"""The embeddings wire: OpenAI's, and that of most other servers.

The differences between servers are fields of `OpenAIEmbeddings`; which server has which is written in the
providers' table. https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from abstractcore.codecs.base import EmbedLimits, WireRequest
from abstractcore.codecs.json_text import as_count, as_object, as_text, is_array, is_object
from abstractcore.codecs.openai_fields import told_charges
from abstractcore.codecs.vectors import answer_object, checked
from abstractcore.errors import ResponseError
from abstractcore.types import EmbeddingResponse, EmbedRequest, Usage


@dataclass(frozen=True, slots=True)
class OpenAIEmbeddings:
    """The embeddings codec; its fields are the differences between servers.

    *limits* says how much one request may hold. *base64*: the server can write vectors as base64, which is
    shorter and faster to read; one that cannot may ignore the wish, or answer with nothing.
    *dimensions_field*: what the wish for shorter vectors is called, None if there is none. *truncation*
    is what asks the server to cut texts that are too long, None where it cannot. *tells_cost*: the
    usage says what it cost, in US dollars.
    """

    name: str = "openai_embeddings"
    path: str = "/embeddings"
    limits: EmbedLimits = field(default_factory=EmbedLimits)
    base64: bool = False
    dimensions_field: str | None = "dimensions"
    truncation: Mapping[str, Any] | None = None
    tells_cost: bool = False

    def encode(self, request: EmbedRequest) -> WireRequest:
        """Write a request; a field that the wire lacks is named in the warnings."""
        lacking: list[str] = []
        body: dict[str, Any] = {"model": request.model, "input": list(request.texts)}
        if self.base64:
            body["encoding_format"] = "base64"
        if request.dimensions is not None:
            if self.dimensions_field is None:
                lacking.append("dimensions")
            else:
                body[self.dimensions_field] = request.dimensions
        if request.truncate:
            if self.truncation is None:
                lacking.append("truncate")
            else:
                body.update(self.truncation)
        body.update(request.extra)
        warnings = tuple(f"{name} is not supported by {self.name}: left out" for name in lacking)
        return WireRequest(self.path, body, warnings)

    def decode(self, body: Any, request: EmbedRequest) -> EmbeddingResponse:
        """Read an answer's JSON. Raises ResponseError, or the error that the body carries."""
        body = answer_object(body)
        items = body.get("data")
        if not is_array(items):
            raise ResponseError("the answer holds no list of vectors")
        dimensions = request.dimensions if self.dimensions_field is not None else None
        vectors = checked(_in_order(items), len(request.texts), dimensions)
        return EmbeddingResponse(vectors, model=as_text(body.get("model")), usage=self._usage(body))

    def _usage(self, body: dict[str, Any]) -> Usage:
        usage = as_object(body.get("usage"))
        read, total = as_count(usage.get("prompt_tokens")), as_count(usage.get("total_tokens"))
        read, total = read if read is not None else total, total if total is not None else read
        return Usage(read, None, total, charges=told_charges(usage) if self.tells_cost else ())


def _in_order(items: list[Any]) -> list[Any]:
    """Give the vectors in the order of the texts, which the items' indexes tell; servers may omit them."""
    if not all(is_object(item) for item in items):
        raise ResponseError("the answer holds a vector that is no object")
    told = [item.get("index") for item in items]
    places = [place if index is None else index for place, index in enumerate(told)]
    if all(type(place) is int for place in places) and sorted(places) == list(range(len(items))):
        items = [item for _, item in sorted(zip(places, items, strict=True), key=lambda pair: pair[0])]
        return [item.get("embedding") for item in items]
    raise ResponseError("the answer's vectors do not say which text each belongs to")
