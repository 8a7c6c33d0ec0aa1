"""Images a caller passes with a prompt, as image parts of a message.

A URL is handed on and never fetched. Reading a file blocks: the async face asks
`needs_reading` and runs `image_parts` off its loop; an image part passes through unchanged.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

from abstractcore.errors import ConfigurationError
from abstractcore.tools.strict_json import surrogate_at
from abstractcore.types import ImagePart

Media = str | bytes | bytearray | memoryview | os.PathLike[str] | Mapping[str, Any]


def image_parts(media: Media | Sequence[Media] | None) -> list[ImagePart]:
    """Turn what a caller gave as media into image parts; a single item counts as a list of one."""
    if media is None:
        return []
    if isinstance(media, _SINGLE):
        return [image_part(cast("Media", media))]
    if not isinstance(cast("object", media), Sequence):
        raise ConfigurationError(f"media: expected a list of images, not {type(media).__name__}.")
    return [image_part(item, where=f"media[{index}]") for index, item in enumerate(media)]


def image_part(item: Media, *, where: str = "media") -> ImagePart:
    """Turn a path, bytes, an http(s) URL, a data URL or an image part into an image part.

    Reads the file of a path. Raises ConfigurationError, which names the path, for a file
    that is missing or no image.
    """
    if isinstance(item, Mapping):
        return checked_part(item, where=where)
    if isinstance(item, (bytes, bytearray, memoryview)):
        return _encoded(bytes(item), where=where, what="these bytes")
    if isinstance(item, str) and item[:8].lower().startswith(_URL_SCHEMES):
        return url_part(item, where=where)
    if isinstance(cast("object", item), (str, os.PathLike)):
        return _from_file(os.fspath(item), where=where)
    raise ConfigurationError(
        f"{where}: an image is a path, bytes, a URL or a data URL, not {type(item).__name__}."
    )


def needs_reading(item: Media) -> bool:
    """Whether `image_part` would read a file for *item*."""
    if isinstance(item, str):
        return not item[:8].lower().startswith(_URL_SCHEMES)
    return isinstance(item, os.PathLike)


def url_part(url: Any, *, where: str) -> ImagePart:
    """Turn an http(s) URL or a data URL into an image part; anything else is refused, a path too."""
    if not isinstance(url, str) or not url[:8].lower().startswith(_URL_SCHEMES):
        raise ConfigurationError(f"{where}: an image's URL starts with http://, https:// or data:.")
    if surrogate_at(url) is not None:
        raise ConfigurationError(f"{where}: the URL holds a lone surrogate.")
    if url[:5].lower() != "data:":
        return {"type": "image", "url": url}
    header, _, data = url[5:].partition(",")
    media_type, *options = header.split(";")
    if options[-1:] != ["base64"]:
        raise ConfigurationError(f"{where}: a data URL reads data:image/png;base64,…")
    return _part(data, media_type, where=where)


def checked_part(part: Mapping[str, Any], *, where: str) -> ImagePart:
    """Copy an image part that has a *url*, or *data* and *media_type*."""
    if part.get("type", "image") == "image" and part.get("url") is not None:
        return url_part(part["url"], where=where)
    if part.get("type", "image") == "image" and part.get("data") is not None:
        return _part(part["data"], part.get("media_type"), where=where)
    raise ConfigurationError(f"{where}: an image part has a url, or data and media_type.")


def _part(data: Any, media_type: Any, *, where: str) -> ImagePart:
    if not isinstance(data, str) or not data or not data.isascii():
        raise ConfigurationError(f"{where}: an image's data is base64 text.")
    if not isinstance(media_type, str) or not media_type.startswith("image/") or not media_type.isascii():
        raise ConfigurationError(f"{where}: an image's media type reads image/png or the like.")
    return {"type": "image", "data": data, "media_type": media_type}


def _from_file(path: str, *, where: str) -> ImagePart:
    shown = repr(path if len(path) <= 200 else path[:200] + "…")
    try:
        with open(os.path.expanduser(path), "rb") as file:
            data = file.read()
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or "not a path"
        raise ConfigurationError(f"{where}: cannot read {shown}: {reason}.") from failure
    return _encoded(data, where=where, what=shown)


def _encoded(data: bytes, *, where: str, what: str) -> ImagePart:
    for media_type, matches in _MAGIC.items():
        if all(data[start : start + len(mark)] == mark for start, mark in matches):
            return {"type": "image", "data": base64.b64encode(data).decode("ascii"), "media_type": media_type}
    raise ConfigurationError(f"{where}: {what}: not a PNG, JPEG, GIF or WebP image.")


_SINGLE = (str, bytes, bytearray, memoryview, os.PathLike, Mapping)
_URL_SCHEMES = ("http://", "https://", "data:")
_MAGIC: dict[str, tuple[tuple[int, bytes], ...]] = {
    "image/png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "image/jpeg": ((0, b"\xff\xd8\xff"),),
    "image/gif": ((0, b"GIF8"),),
    "image/webp": ((0, b"RIFF"), (8, b"WEBP")),
}
