"""What any request becomes on a wire is accepted by the vendor's own types, with all that is in it.

The requests are made as `generate` makes them: the history cleaned, the sampling checked, the request
fitted to its model. Beside the types, each wire's rules of order are checked: a call and its results.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st

from abstractcore.codecs.base import Codec
from abstractcore.generation.history import sendable
from abstractcore.generation.messages import check_sampling
from abstractcore.providers.catalog import PROVIDERS
from abstractcore.providers.profiles import fit
from abstractcore.types import GenerateRequest, OutputSchema, ToolSpec
from tests.codecs.vendor_types import assert_accepted
from tests.fakes.requests import Fields
from tests.fakes.wires import WIRES, check_is_valid
from tests.properties.any_history import histories, images, linked_images, names, texts
from tests.properties.searching import forms, search


@dataclass(frozen=True)
class Vendor:
    """A vendor's own codec, its models, and the images that it takes."""

    codec: Codec
    models: tuple[str, ...]
    images: st.SearchStrategy[Any]


_GPT = ("m", "gpt-4.1", "gpt-5.2", "gpt-5-pro", "o3", "gpt-5.5", "gpt-6-luna")
_CLAUDE = (
    "m",
    "claude-sonnet-4-5",
    "claude-3-7-sonnet-latest",
    "claude-opus-4-8",
    "claude-sonnet-5-5",
    "claude-fable-5",
)
_ANY_IMAGE = images | linked_images
VENDORS = {
    "openai_chat": Vendor(PROVIDERS["openai"].apis["chat"], _GPT, _ANY_IMAGE),
    "openai_responses": Vendor(PROVIDERS["openai"].apis["responses"], _GPT, _ANY_IMAGE),
    "anthropic_messages": Vendor(PROVIDERS["anthropic"].codec, _CLAUDE, _ANY_IMAGE),
    "ollama_chat": Vendor(PROVIDERS["ollama"].codec, ("m", "qwen3:4b", "gpt-oss:20b"), images),
}

_leaves = st.sampled_from([
    {"type": "string"}, {"type": "integer"}, {"type": "number", "minimum": 0}, {"type": "boolean"},
    {"type": "null"}, {"enum": ["a", "b"]}, {"type": ["string", "null"]}, {"const": 1}, {},
    {"type": "string", "format": "date"}, {"$ref": "#/$defs/Node"},
    {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "A"},
])  # fmt: skip


def _object(properties: dict[str, Any], required: int) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties][:required]}


_schemas: st.SearchStrategy[Any] = st.recursive(
    _leaves,
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(_object, st.dictionaries(names, inner, max_size=3), st.integers(0, 3))
    ),
    max_leaves=5,
)
_NODE = {"Node": _object({"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}, 1)}
objects = st.builds(
    lambda properties, required: {**_object(properties, required), "$defs": _NODE},
    st.dictionaries(names, _schemas, max_size=3),
    st.integers(0, 3),
)
tools = st.lists(st.builds(ToolSpec, names, texts, objects), max_size=3, unique_by=lambda tool: tool.name)
samplings = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2) | st.integers(0, 1),
        "top_p": st.floats(0, 1, exclude_min=True),
        "top_k": st.integers(0, 100),
        "seed": st.integers(-(2**63), 2**63 - 1),
        "stop": texts.filter(bool) | st.lists(texts.filter(bool), max_size=3),
        "max_output_tokens": st.integers(1, 200_000),
        "presence_penalty": st.floats(-2, 2),
        "frequency_penalty": st.floats(-2, 2),
    },
)


@st.composite
def requests(draw: st.DrawFn, vendor: Vendor) -> GenerateRequest:
    offered = draw(tools)
    choices = [None, "auto", "none", "required", *(tool.name for tool in offered)]
    history = [*draw(histories(vendor.images)), {"role": "user", "content": draw(texts)}]
    return GenerateRequest(
        draw(st.sampled_from(vendor.models)),
        sendable(draw(st.none() | texts), history),
        stream=draw(st.booleans()),
        tools=offered,
        tool_choice=draw(st.sampled_from(choices)),
        schema=draw(st.none() | st.builds(OutputSchema, names | texts, objects)),
        thinking=draw(st.sampled_from([None, True, False, "low", "medium", "high"])),
        **check_sampling(**draw(samplings)),
    )


def _of_the_newest_models(body: dict[str, Any]) -> dict[str, Any]:
    """Anthropic's package has no sampling since its first release; the API takes it of older models."""
    return {field: value for field, value in body.items() if field not in ("temperature", "top_p", "top_k")}


def _of_ollamas_client(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a tool what Ollama's client does not know, and its server does not read."""
    for tool in body.get("tools", ()):
        tool["function"]["parameters"] = parameters = dict(tool["function"]["parameters"])
        properties = parameters.get("properties", {})
        parameters["properties"] = {name: _of_a_property(schema) for name, schema in properties.items()}
    return body


def _of_a_property(schema: dict[str, Any]) -> dict[str, Any]:
    return {field: schema[field] for field in ("type", "items", "description", "enum") if field in schema}


_KNOWN: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "openai_chat": dict,
    "openai_responses": dict,
    "anthropic_messages": _of_the_newest_models,
    "ollama_chat": _of_ollamas_client,
}


@forms(short=75, long=5_000)
@pytest.mark.parametrize("wire", VENDORS)
def test_the_vendors_own_types_accept_any_request(wire: str, examples: int) -> None:
    vendor = VENDORS[wire]

    def check(request: GenerateRequest) -> None:
        codec, fitted, _ = fit(vendor.codec, request)

        body = codec.encode(fitted).body

        text = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        assert_accepted(wire, _KNOWN[wire](dict(body)))
        if not any(wire in message.get("provider_data", {}) for message in request.messages):
            # What goes back as it came may be of kinds that only the vendor knows.
            items = WIRES[wire].read(json.loads(text, object_hook=Fields)).items
            check_is_valid(items)
            calls = [item.id for item in items if item.kind == "call"]
            assert len({*calls}) == len(calls)

    assert search(examples, requests(vendor), check) >= examples


@pytest.mark.parametrize("wire", VENDORS)
def test_the_vendors_own_types_refuse_what_is_wrong(wire: str) -> None:
    """Else the test above would prove nothing."""
    request = GenerateRequest("m", sendable(None, [{"role": "user", "content": "hi"}]))
    body = dict(VENDORS[wire].codec.encode(request).body)
    assert_accepted(wire, body)

    with pytest.raises((AssertionError, ValueError)):
        assert_accepted(wire, {**body, "unheard_of": 1})
    with pytest.raises((AssertionError, ValueError)):
        assert_accepted(wire, {**body, "model": ["m"]})
