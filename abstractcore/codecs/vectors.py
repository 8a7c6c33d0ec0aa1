"""An answer to an embedding request, checked: a vector for each text, or an error; never a made-up one.

Knows numbers and base64, and what every vendor's answer has.
"""

from __future__ import annotations

import binascii
import math
import sys
from array import array
from collections.abc import Sequence
from typing import Any

from abstractcore.codecs.http_errors import error_in_body
from abstractcore.codecs.json_text import is_array, is_object
from abstractcore.errors import ResponseError

_NUMBERS = ({float}, {int}, {float, int})
_FLOAT_BYTES = 4


def answer_object(body: Any) -> dict[str, Any]:
    """Give an answer's JSON object. Raises ResponseError, or the error that it is."""
    if not is_object(body):
        raise ResponseError("the answer is not a JSON object")
    if error := body.get("error") or (body if body.get("object") == "error" else None):
        raise error_in_body(error)
    return body


def checked(vectors: Sequence[Any], texts: int, dimensions: int | None) -> list[list[float]]:
    """Give the *vectors* of so many *texts*, which must be of one length: *dimensions*, where that is given.

    Raises ResponseError for one that is missing, empty, all zero, of another length, or no numbers.
    """
    if len(vectors) != texts:
        raise ResponseError(f"the answer holds {len(vectors)} vectors for {texts} texts")
    read = [_read(vector, number) for number, vector in enumerate(vectors)]
    length = dimensions if dimensions is not None else len(read[0]) if read else 0
    for number, vector in enumerate(read):
        if len(vector) != length:
            wanted = "asked for" if dimensions is not None else "in the first one"
            raise ResponseError(f"vector {number} has {len(vector)} numbers, not the {length} {wanted}")
    return read


def _read(vector: Any, number: int) -> list[float]:
    vector = _floats(vector) if isinstance(vector, str) else vector
    if not is_array(vector) or not vector:
        raise ResponseError(f"vector {number} is empty or no list of numbers")
    kinds = set(map(type, vector))
    if kinds not in _NUMBERS:
        raise ResponseError(f"vector {number} holds something that is no number")
    try:
        numbers: list[float] = vector if int not in kinds else list(map(float, vector))
    except OverflowError:
        numbers = [math.inf]
    if not math.isfinite(sum(numbers)):
        raise ResponseError(f"vector {number} holds NaN or infinity")
    if not any(numbers):
        raise ResponseError(f"vector {number} is all zero")
    return numbers


def _floats(text: str) -> list[float]:
    """Read the float32 numbers, the lowest byte first, that stand in *text* as base64."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        data = b""
    if not data or len(data) % _FLOAT_BYTES:
        raise ResponseError("the answer holds a vector that is no base64 of float32 numbers")
    numbers = array("f", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
