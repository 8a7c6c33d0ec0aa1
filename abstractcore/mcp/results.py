"""What a server's tool gave, as the text that a model reads.

Text parts are joined; structured content stands in for them as JSON when there are none; what
is no text is named. Knows the shape of `mcp`'s results, and imports nothing of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def text_of(result: Any) -> str:
    """Write a CallToolResult as text."""
    parts = [_part(part) for part in result.content]
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)


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
