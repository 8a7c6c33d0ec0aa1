"""Recorded answers of a wire: a folder of cases, and what a codec reads out of them.

A case is `<name>.sse` (a stream's bytes), `<name>.json` (a whole body) or both, and
`<name>.expected.json`: fields that are left out are not there, `error` is what is raised in the end,
`codec` the fields of the codec that reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from abstractcore.codecs.base import Codec
from abstractcore.errors import AbstractCoreError
from abstractcore.types import StreamChunk, Usage


def counts(usage: Usage) -> dict[str, int | None]:
    """Give the counts that a case may name; what a cache was given is tested by itself."""
    names = ("input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")
    return {name: getattr(usage, name) for name in names}


def streams_in(cases: Path) -> list[Path]:
    return sorted(cases.glob("*.sse"))


def bodies_in(cases: Path) -> list[Path]:
    return sorted(path for path in cases.glob("*.json") if not path.name.endswith(".expected.json"))


def name_of(path: Path) -> str:
    return path.stem


def expected(path: Path) -> dict[str, Any]:
    return json.loads(path.with_name(f"{path.stem}.expected.json").read_text())


def wanted_of(path: Path) -> dict[str, Any]:
    wanted = {key: value for key, value in expected(path).items() if key != "codec"}
    if "error" in wanted:
        wanted["error"] = {"retryable": False, **wanted["error"]}
    return wanted


def read(chunks: Iterable[StreamChunk]) -> dict[str, Any]:
    """Fold chunks into what a case's expected file says."""
    found: dict[str, Any] = {"content": "", "reasoning": "", "tool_calls": []}
    has_ended = False
    try:
        for chunk in chunks:
            assert not has_ended, "a chunk after done"
            if chunk.phase == "generating":
                found["content"] += chunk.content
            elif chunk.phase == "thinking":
                found["reasoning"] += chunk.content
            elif chunk.tool_call is not None:
                found["tool_calls"].append(chunk.tool_call.as_dict())
            else:
                has_ended = True
                found["usage"] = chunk.usage and counts(chunk.usage)
                found["finish_reason"] = chunk.finish_reason
                found.update({key: value for key, value in (chunk.metadata or {}).items() if key != "raw"})
        assert has_ended, "the answer never ended"
    except AbstractCoreError as failure:
        told = {key: getattr(failure, key, None) for key in ("code", "retryable", "status_code")}
        known = {key: value for key, value in told.items() if value is not None}
        found["error"] = {"class": type(failure).__name__, **known}
    return {key: value for key, value in found.items() if value}


def streamed(codec: Codec, pieces: Iterable[bytes]) -> Iterable[StreamChunk]:
    decoder = codec.decoder()
    for piece in pieces:
        yield from decoder.feed(piece)
    yield from decoder.end()
    assert decoder.finished


def whole(codec: Codec, body: bytes) -> Iterable[StreamChunk]:
    yield from codec.decode(json.loads(body))


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
