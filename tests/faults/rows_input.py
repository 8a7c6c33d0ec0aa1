"""FAULTS 1.7: what a caller passes is sent exactly as it is, or refused before any request."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from abstractcore.errors import ConfigurationError

from .table import Fails, Row

#: Stands in a text that cannot be sent; the refusal does not show it.
PLANTED = "planted-in-the-prompt"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}

#: Values of arguments that are refused, whoever answers; `test_input.py` has more of them.
REFUSED: dict[str, tuple[Any, ...]] = {
    "temperature": (math.nan, math.inf, -0.1, "hot", 10**400),
    "top_p": (math.nan, 0, 1.1),
    "top_k": (-1, 1.5),
    "seed": (2**63, 1.5),
    "max_output_tokens": (0, -1, math.inf, "many"),
    "presence_penalty": (math.nan,),
    "frequency_penalty": (math.inf,),
    "stop": (7, [""], [7]),
    "thinking": ("very",),
    "timeout": (0, -1, math.nan, Decimal("NaN")),
    "extra": ("x", {"v": math.nan}, {"v": [{"b": -math.inf}]}, {"v": len}),
    "prompt": (7, ["hi"]),
    "system_prompt": (7, ["hi"]),
}
CALLS = {f"{name}={value!r:.30}": {name: value} for name, values in REFUSED.items() for value in values}

SURROGATES: dict[str, dict[str, Any]] = {
    "prompt=": {"prompt": PLANTED + "\ud800"},
    "system_prompt=": {"system_prompt": PLANTED + "\udfff"},
    "stop=": {"stop": PLANTED + "\ud800"},
    "extra=": {"extra": {"a": PLANTED + "\ud800"}},
    "extra= by name": {"extra": {PLANTED + "\ud800": 1}},
    "tool_choice=": {"tools": [TOOL], "tool_choice": PLANTED + "\ud800"},
}

ROWS: tuple[Row, ...] = (
    Row(
        "1.7",
        "half a surrogate pair, in any text",
        Fails(ConfigurationError, attempts=0, connection="none"),
        dict.fromkeys(SURROGATES),
        calls=SURROGATES,
        hidden=(PLANTED,),
    ),
    Row(
        "1.7",
        "an argument that nobody could mean, such as a temperature of NaN",
        Fails(ConfigurationError, attempts=0, connection="none"),
        dict.fromkeys(CALLS),
        calls=CALLS,
        page="`ConfigurationError` that names it",
    ),
    Row(
        "1.7",
        "NUL, bidi, ZWJ, empty, 10 MB",
        elsewhere=("tests/faults/test_input.py",),
        page="sent and given back exactly as it is, as strict JSON",
    ),
    Row(
        "1.7",
        "arguments of `create_llm`, and `messages=`",
        elsewhere=("tests/faults/test_input.py",),
        page="`ConfigurationError` before any request",
    ),
)
