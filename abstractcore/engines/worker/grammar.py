"""Which tokens a JSON Schema allows next, so that whatever model samples from them writes valid JSON.

Stands on llguidance. Knows ids and masks; imports no runtime, so that MLX and PyTorch models share it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import llguidance
import numpy

from abstractcore.codecs.json_text import as_array, as_object, is_array, is_object
from abstractcore.engines.runtime import Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_KEPT = 64
_OPTIONS: Mapping[str, Any] = {
    # Small models love white space: without a bound, one may write nothing else until its tokens are spent.
    "whitespace_pattern": r"[\x20\x0A\x0D\x09]{0,20}",
    # A choice of one is read as a choice of any; what was asked for is checked again where it is parsed.
    "coerce_one_of": True,
}
_LONGEST_REASON = 200


class Grammars:
    """One model's vocabulary, ready for any schema. Making it takes about a second; a schema takes 1 ms.

    *tokenizer* is a tokenizer.json as text, or one of llguidance's own. *width* is how many logits the model
    gives, which may be more than its tokenizer has tokens.
    """

    def __init__(self, tokenizer: Any, eos_ids: Iterable[int], width: int) -> None:
        runtime: Any = llguidance
        self.width = width
        self._matcher: Any = runtime.LLMatcher
        if isinstance(tokenizer, str):
            tokenizer = runtime.LLTokenizer(tokenizer, n_vocab=width, eos_token=sorted(eos_ids))
        self._tokenizer = tokenizer
        # Without its state, which holds what the model has said.
        self._limits: Any = runtime.LLParserLimits(verbose_errors=False)
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def start(self, schema: str) -> Grammar:
        """Begin an answer to *schema*, a JSON Schema as text. Raises Refused when it cannot be followed."""
        fresh = self._kept.pop(schema, None) or self._compiled(schema)
        self._kept[schema] = fresh
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return Grammar(fresh.deep_copy(), self.width)  # copies share what they learn of the vocabulary

    def _compiled(self, schema: str) -> Any:
        try:
            wanted = json.dumps(_closed(json.loads(schema)))
            grammar: str = self._matcher.grammar_from_json_schema(wanted, overrides=_OPTIONS)
        except (ValueError, RecursionError) as failure:
            raise _refused(failure) from failure
        matcher = self._matcher(self._tokenizer, grammar, log_level=0, limits=self._limits)
        if matcher.is_error():
            raise _refused(matcher.get_error())
        return matcher


class Grammar:
    """Where one answer stands in its schema."""

    def __init__(self, matcher: Any, width: int) -> None:
        self._matcher = matcher
        self._width = width

    @property
    def is_over(self) -> bool:
        """Whether the answer is complete: nothing but an end may follow."""
        return self._matcher.is_stopped()

    def mask(self) -> NDArray[numpy.bool_]:
        """Tell of each token whether it may come next. An end may, once the JSON is whole."""
        bits = numpy.frombuffer(self._matcher.compute_bitmask(), dtype=numpy.uint8)
        self._check()
        return numpy.unpackbits(bits, count=self._width, bitorder="little").view(numpy.bool_)

    def accept(self, token: int) -> None:
        """Take the token that was sampled. Raises Refused when the mask did not allow it."""
        self._matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise _refused(self._matcher.get_error())


# What says more about an object's properties beside `properties`; whoever writes it means what he says.
_SAYS_MORE = frozenset({
    "additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames",
    "allOf", "anyOf", "oneOf", "$ref", "if", "minProperties",
})  # fmt: skip
_MAPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "prefixItems")


def _closed(schema: Any) -> Any:
    """Close objects whose properties are named: a small model invents others until its tokens are spent.

    What is valid after that was valid before.
    """
    return schema if '"allOf"' in json.dumps(schema) else _each_closed(schema)


def _each_closed(schema: Any) -> Any:
    if not is_object(schema):
        return schema
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _MAPS and is_object(value):
            found[name] = {key: _each_closed(item) for key, item in value.items()}
        elif name in _LISTS and is_array(value) and "properties" not in schema:
            found[name] = [_each_closed(item) for item in value]
        else:
            found[name] = _each_closed(value) if name in ("items", "additionalProperties") else value
    properties = as_object(schema.get("properties"))
    if (
        properties
        and not _SAYS_MORE & schema.keys()
        and properties.keys() >= set(map(str, as_array(schema.get("required"))))
    ):
        found["additionalProperties"] = False
    return found


def _refused(reason: object) -> Refused:
    words = str(reason).strip().partition("\n")[0][:_LONGEST_REASON]
    return Refused("ConfigurationError", f"the runtime cannot follow this JSON Schema: {words}")
