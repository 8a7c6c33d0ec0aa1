"""What a server's tool gave, as the text that a model reads.

Parts are joined by newlines, and what is no text is named. Structured content comes last, as JSON, unless
the parts say it already. Knows the shape of `mcp`'s results, and imports nothing of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any


def text_of(result: Any) -> str:
    """Write a CallToolResult as text."""
    written = [_part(part) for part in result.content]
    structured = result.structured_content
    if structured is not None and not _is_said(structured, result.content):
        written.append(json.dumps(structured, ensure_ascii=False))
    return "\n".join(written)


def _is_said(value: Any, parts: Sequence[Any]) -> bool:
    """Whether *parts* say *value*: whole, item by item, or what stands alone in an object.

    Servers put JSON of it into a text, as the protocol asks; most libraries for them wrap what is no
    object in one, and repeat the parts themselves.
    """
    if len(parts) == 1 and (_is_json_of(value, parts[0]) or _is_part(value, parts[0])):
        return True
    if isinstance(value, dict) and len(value) == 1:
        return _is_said(next(iter(value.values())), parts)
    return (
        isinstance(value, list)
        and len(value) == len(parts) > 0
        and all(_is_said(*each) for each in zip(value, ([part] for part in parts), strict=True))
    )


def _is_json_of(value: Any, part: Any) -> bool:
    if part.type != "text":
        return False
    try:
        return part.text == value or json.loads(part.text) == value
    except (ValueError, RecursionError):
        return False


def _is_part(value: Any, part: Any) -> bool:
    if not isinstance(value, dict) or value.get("type") != part.type:
        return False
    told = part.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {key: each for key, each in value.items() if each is not None} == told


def _part(part: Any) -> str:
    return _WRITERS.get(part.type, _unknown)(part)


def _text(part: Any) -> str:
    return part.text


def _media(part: Any) -> str:
    return f"[{part.type}: {part.mime_type}, {_size(part.data)}]"


def _link(part: Any) -> str:
    described = f": {part.description}" if part.description else ""
    return f"[resource {part.name}, {part.uri}{described}]"


def _resource(part: Any) -> str:
    """An embedded text is given whole, under its address."""
    resource = part.resource
    text = getattr(resource, "text", None)
    if text is not None:
        return f"[resource {resource.uri}]\n{text}"
    return f"[resource {resource.uri}: {resource.mime_type or 'binary'}, {_size(resource.blob)}]"


def _unknown(part: Any) -> str:
    return f"[{part.type}]"


def _size(base64: str) -> str:
    return f"{len(base64.rstrip('=')) * 3 // 4} bytes"


_WRITERS: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "image": _media,
    "audio": _media,
    "resource": _resource,
    "resource_link": _link,
}
