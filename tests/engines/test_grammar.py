"""Tokens that a JSON Schema allows: whatever is sampled from them is valid JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abstractcore.engines.runtime import Refused

pytest.importorskip("llguidance", reason="the extras mlx and huggingface are not installed")
tokenizers = pytest.importorskip("tokenizers", reason="the extras mlx and huggingface are not installed")
numpy = pytest.importorskip("numpy", reason="the extras mlx and huggingface are not installed")

from abstractcore.engines.worker.grammar import Grammar, Grammars  # noqa: E402

FILE = Path(__file__).parents[1] / "models" / "tiny-llama-chat" / "tokenizer.json"
EOS = 2
WIDTH = 512  # more logits than tokens, as padded models have
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tokenizers.Tokenizer.from_file(str(FILE))


@pytest.fixture(scope="module")
def grammars(tokenizer: Any) -> Grammars:
    return Grammars(tokenizer.to_str(), {EOS}, WIDTH)


def start(grammars: Grammars, schema: Any) -> Grammar:
    return grammars.start(json.dumps(schema))


def allowed(grammar: Grammar) -> list[int]:
    return numpy.flatnonzero(grammar.mask()).tolist()


def feed(grammar: Grammar, tokenizer: Any, text: str) -> None:
    for token in tokenizer.encode(text, add_special_tokens=False).ids:
        assert grammar.mask()[token], text
        grammar.accept(token)


def sample(grammar: Grammar, choose: Callable[[list[int]], int], most: int) -> list[int]:
    """Sample as an engine does: an end token, or a grammar that is over, ends the answer."""
    ids: list[int] = []
    while not grammar.is_over and len(ids) < most:
        token = choose(allowed(grammar))
        if token == EOS:
            break
        grammar.accept(token)
        ids.append(token)
    return ids


# ---- what is allowed ----


def test_a_mask_tells_of_each_logit(grammars: Grammars, tokenizer: Any) -> None:
    mask = start(grammars, PERSON).mask()

    assert (mask.shape, mask.dtype) == ((WIDTH,), numpy.dtype(bool))
    assert mask[tokenizer.token_to_id("{")]
    assert not mask[tokenizer.get_vocab_size() :].any()


def test_an_answer_ends_when_its_json_is_whole(grammars: Grammars, tokenizer: Any) -> None:
    grammar = start(grammars, PERSON)
    feed(grammar, tokenizer, '{"name": "Ann", "age": 33')
    assert not grammar.is_over
    assert EOS not in allowed(grammar)

    feed(grammar, tokenizer, "}")
    assert grammar.is_over
    assert allowed(grammar) == [EOS]


def test_json_that_may_go_on_may_end_too(grammars: Grammars, tokenizer: Any) -> None:
    grammar = start(grammars, {"type": "integer"})
    feed(grammar, tokenizer, "1")

    assert not grammar.is_over
    assert EOS in allowed(grammar)
    grammar.accept(EOS)
    assert grammar.is_over


def test_control_tokens_are_never_allowed(grammars: Grammars, tokenizer: Any) -> None:
    grammar = start(grammars, {"type": "string"})
    feed(grammar, tokenizer, '"a')

    assert not {0, 1, 2}.intersection(allowed(grammar))


def test_white_space_has_an_end(grammars: Grammars, tokenizer: Any) -> None:
    """A small model that would write spaces for ever comes to the point."""
    grammar = start(grammars, PERSON)

    def likes_space(ids: list[int]) -> int:
        return next((one for one in ids if tokenizer.decode([one]).isspace()), ids[0])

    ids = sample(grammar, likes_space, 400)

    assert grammar.is_over
    assert tokenizer.decode(ids).count("\t") > 20
    assert json.loads(tokenizer.decode(ids))


OPEN = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize(
    "schema",
    [
        OPEN,
        {"type": "array", "items": OPEN, "minItems": 1},
        {"$defs": {"o": OPEN}, "$ref": "#/$defs/o"},
        {"anyOf": [OPEN, {"type": "null"}]},
        {"type": "object", "properties": {"in": OPEN}, "required": ["in"]},
    ],
)
def test_properties_that_are_not_named_are_not_invented(
    grammars: Grammars, tokenizer: Any, schema: dict[str, Any]
) -> None:
    """A small model goes on with properties of its own until its tokens are spent."""
    grammar = start(grammars, schema)
    first = {"array": "[", "object": '{"in":'}.get(schema.get("type", ""), "") if schema is not OPEN else ""
    feed(grammar, tokenizer, first + '{"a": 1')

    assert not grammar.mask()[tokenizer.token_to_id(",")]


@pytest.mark.parametrize(
    "schema",
    [
        OPEN | {"additionalProperties": True},
        OPEN | {"additionalProperties": {"type": "integer"}},
        OPEN | {"patternProperties": {"^b": {"type": "integer"}}},
        {"allOf": [OPEN, {"type": "object", "properties": {"b": {"type": "integer"}}}]},
        OPEN | {"anyOf": [{"properties": {"b": {"type": "integer"}}, "required": ["b"]}]},
        {"type": "object"},
    ],
)
def test_properties_that_are_asked_for_may_come(
    grammars: Grammars, tokenizer: Any, schema: dict[str, Any]
) -> None:
    grammar = start(grammars, schema)
    feed(grammar, tokenizer, '{"a": 1, "b": 2}')

    assert grammar.is_over


SCHEMAS: dict[str, dict[str, Any]] = {
    "an object": PERSON,
    "a list": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4},
    "a choice": {"enum": ["red", "green", 3, None]},
    "any of": {"anyOf": [PERSON, {"type": "null"}]},
    "one of": {"oneOf": [PERSON, {"type": "boolean"}]},
    "all of": {"allOf": [PERSON, {"properties": {"age": {"minimum": 18}}}]},
    "references": {
        "$defs": {"p": PERSON},
        "type": "object",
        "properties": {"who": {"$ref": "#/$defs/p"}},
        "required": ["who"],
        "additionalProperties": False,
    },
    "a tree": {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                "required": ["next"],
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/node",
    },
    "a pattern": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
    "a date": {"type": "string", "format": "date"},
    "a number in a range": {"type": "number", "exclusiveMinimum": 0, "maximum": 1.5},
    "constants": {"type": "object", "properties": {"kind": {"const": "x"}}, "required": ["kind"]},
    "free keys": {"type": "object", "additionalProperties": {"type": "boolean"}},
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
@pytest.mark.parametrize("seed", range(4))
def test_random_tokens_make_valid_json(
    grammars: Grammars, tokenizer: Any, schema: dict[str, Any], seed: int
) -> None:
    """The worst model there is: it samples what is allowed, blindly, and goes towards the end when it may."""
    jsonschema = pytest.importorskip("jsonschema")
    rng = random.Random(seed)

    def blind(ids: list[int]) -> int:
        closing = [
            one for one in ids if one == EOS or tokenizer.id_to_token(one) in {'"', "}", "]", ".", "0"}
        ]
        return rng.choice(closing) if closing and rng.random() < 0.5 else rng.choice(ids)

    for _ in range(20):
        grammar = start(grammars, schema)
        ids = sample(grammar, blind, 600)
        if grammar.is_over or EOS in allowed(grammar):
            jsonschema.validate(json.loads(tokenizer.decode(ids, skip_special_tokens=False)), schema)
            return
    pytest.fail("no answer came to its end")


def test_answers_of_one_schema_do_not_touch_each_other(grammars: Grammars, tokenizer: Any) -> None:
    one, other = start(grammars, PERSON), start(grammars, PERSON)
    feed(one, tokenizer, '{"name": "Ann", "age": 3}')

    assert one.is_over
    assert not other.is_over
    feed(other, tokenizer, "{")


def test_only_the_last_schemas_are_kept(grammars: Grammars) -> None:
    for number in range(200):
        start(grammars, {"const": number})

    assert len(grammars._kept) == 64
    assert not start(grammars, {"const": 0}).is_over


# ---- what is refused ----


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ('{"type": "object", "not": {"type": "string"}}', "not"),
        ('{"type": "thing"}', "thing"),
        ('{"$ref": "#/nowhere"}', "/nowhere"),
        ('{"$ref": "http://127.0.0.1:9/x"}', "http://127.0.0.1:9/x"),
        ('{"type": "string", "pattern": "(?=a)b"}', "regex"),
        ('{"type": "integer", "minimum": 5, "maximum": 3}', "minimum"),
        ('{"enum": []}', "anyOf"),
        ('{"type": "array", "uniqueItems": true}', "uniqueItems"),
        ("[]", "object"),
        ("no JSON", ""),
        ("[" * 5_000, ""),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused(grammars: Grammars, schema: str, words: str) -> None:
    """CONTRACT I1: one bad request fails alone."""
    with pytest.raises(Refused) as caught:
        grammars.start(schema)

    assert caught.value.kind == "ConfigurationError"
    assert "this JSON Schema" in caught.value.message
    assert words in caught.value.message
    assert len(caught.value.message) < 300
    assert not start(grammars, PERSON).is_over


def test_a_token_that_was_not_allowed_is_refused(grammars: Grammars, tokenizer: Any) -> None:
    grammar = start(grammars, PERSON)
    feed(grammar, tokenizer, '{"name": "secret')

    with pytest.raises(Refused) as caught:
        grammar.accept(EOS)

    assert "secret" not in caught.value.message
    with pytest.raises(Refused):
        grammar.mask()


def test_a_pattern_that_explodes_ends_its_own_answer(grammars: Grammars, tokenizer: Any) -> None:
    """CONTRACT I1: what takes more work than one step may have is refused; its neighbours go on."""
    neighbour = start(grammars, PERSON)
    pattern = "^(.*a.{500}b.{700}c|.*b.{500}c.{900}a|.*c.{300}a.{999}b|.*a.*b.{500}c.*.{800}d)$"
    greedy = start(grammars, {"type": "string", "pattern": pattern})

    with pytest.raises(Refused) as caught:
        feed(greedy, tokenizer, '"' + "abcacbabc" * 300)

    assert caught.value.kind == "ConfigurationError"
    feed(neighbour, tokenizer, '{"name": "Ann", "age": 3}')
    assert neighbour.is_over
