"""list_models and health, on every wire and both surfaces; the server sees what was asked."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from abstractcore import AuthenticationError, ConnectionFailedError, ModelLoadError, create_llm
from tests.fakes import any_wire
from tests.fakes.network import refused_port
from tests.fakes.replies import whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire

KEY = "sk-test-0123456789"


def test_the_models_of_a_provider_are_listed(surface: Surface, server: FakeServer, wire: Wire):
    server.always[f"GET {wire.models_path}"] = any_wire.models("one", "two")
    llm = wire.llm(server, api_key=KEY)

    assert surface.call(llm, "list_models") == ["one", "two"]
    (asked,) = server.requests
    assert (asked.method, asked.headers["authorization"]) == ("GET", f"Bearer {KEY}")
    assert ("anthropic-version" in asked.headers) == (wire.name == "anthropic_messages")


def test_listing_is_retried_as_an_answer_is(
    surface: Surface, server: FakeServer, monkeypatch: pytest.MonkeyPatch, wire: Wire
):
    monkeypatch.setattr("abstractcore.generation.retry._FIRST_BACKOFF", 0.001)
    server.always.pop(f"GET {wire.models_path}", None)
    server.replies(any_wire.error(503), any_wire.error(503), any_wire.models("one"))

    assert surface.call(wire.llm(server), "list_models") == ["one"]
    assert len(server.requests) == 3


def test_a_provider_that_answers_is_healthy(surface: Surface, server: FakeServer, wire: Wire):
    server.always[f"GET {wire.models_path}"] = any_wire.models("one")

    health = surface.call(wire.llm(server), "health")

    assert health
    assert health.error is None
    assert 0 < health.seconds < 5


def test_a_refused_key_is_no_health_and_is_asked_for_once(surface: Surface, server: FakeServer, wire: Wire):
    server.always[f"GET {wire.models_path}"] = any_wire.error(401, f"no {KEY} here")

    health = surface.call(wire.llm(server, api_key=KEY), "health")

    assert not health
    assert isinstance(health.error, AuthenticationError)
    assert wire.provider in str(health.error)
    assert "0123456789" not in repr(health)
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_no_health(surface: Surface):
    with create_llm("vllm", "m", base_url=f"http://127.0.0.1:{refused_port()}/v1") as llm:
        health = surface.call(llm, "health", timeout=2)
    assert not health
    assert isinstance(health.error, ConnectionFailedError)


def test_an_empty_list_of_models_is_an_empty_list(surface: Surface, server: FakeServer):
    """mlx_lm.server, which speaks this wire alone, answers /v1/models with an empty body."""
    server.always["GET /v1/models"] = whole(200, b"")

    assert surface.call(server.llm(), "list_models") == []


def test_the_models_of_this_machine_are_listed(surface: Surface):
    if find_spec("openvino_genai") is None:
        pytest.skip("the openvino engine is not installed")
    path = "tests/models/tiny-llama-chat.gguf"
    with create_llm("openvino", path) as llm:
        assert surface.call(llm, "list_models")[0] == path
        assert surface.call(llm, "health")
    with create_llm("openvino", "no/such/model.gguf") as llm:
        health = surface.call(llm, "health")
        assert isinstance(health.error, ModelLoadError)
