"""list_models and health, on every wire and both surfaces; the server sees what was asked."""

from importlib.util import find_spec

import pytest

from abstractcore import AuthenticationError, ConnectionFailedError, ModelLoadError, create_llm
from tests.fakes import anthropic_messages, ollama_chat, openai_chat, openai_responses
from tests.fakes.network import refused_port

WIRES = {
    "openai-compatible": ("/v1/models", openai_chat, {}),
    "openai": ("/v1/models", openai_responses, {"api": "responses"}),
    "anthropic": ("/v1/models", anthropic_messages, {}),
    "ollama": ("/api/tags", ollama_chat, {}),
}
wires = pytest.mark.parametrize("provider", WIRES)


def made(server, provider, **options):
    base = server.url if provider in ("anthropic", "ollama") else server.url + "/v1"
    return create_llm(
        provider, "m", base_url=base, api_key="sk-test-0123456789", **WIRES[provider][2], **options
    )


@wires
def test_the_models_of_a_provider_are_listed(surface, server, opened_llms, provider):
    path, dialect, _ = WIRES[provider]
    server.always[f"GET {path}"] = dialect.models("one", "two")
    opened_llms.append(llm := made(server, provider))

    assert surface.call(llm, "list_models") == ["one", "two"]
    assert server.requests[0].method == "GET"
    assert server.requests[0].headers["authorization"] == "Bearer sk-test-0123456789"
    assert (server.requests[0].headers.get("anthropic-version") is not None) == (provider == "anthropic")


@wires
def test_listing_is_retried_as_an_answer_is(surface, server, opened_llms, monkeypatch, provider):
    path, dialect, _ = WIRES[provider]
    monkeypatch.setattr("abstractcore.generation.retry._FIRST_BACKOFF", 0.001)
    server.always.pop(f"GET {path}", None)
    server.replies(dialect.error(503), dialect.error(503), dialect.models("one"))
    opened_llms.append(llm := made(server, provider))

    assert surface.call(llm, "list_models") == ["one"]
    assert len(server.requests) == 3


@wires
def test_a_provider_that_answers_is_healthy(surface, server, opened_llms, provider):
    path, dialect, _ = WIRES[provider]
    server.always[f"GET {path}"] = dialect.models("one")
    opened_llms.append(llm := made(server, provider))

    health = surface.call(llm, "health")

    assert health
    assert health.error is None
    assert 0 < health.seconds < 5


@wires
def test_a_refused_key_is_no_health_and_is_asked_for_once(surface, server, opened_llms, provider):
    path, dialect, _ = WIRES[provider]
    server.always[f"GET {path}"] = dialect.error(401, "no sk-test-0123456789 here")
    opened_llms.append(llm := made(server, provider))

    health = surface.call(llm, "health")

    assert not health
    assert isinstance(health.error, AuthenticationError)
    assert provider in str(health.error)
    assert "0123456789" not in repr(health)
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_no_health(surface):
    with create_llm("vllm", "m", base_url=f"http://127.0.0.1:{refused_port()}/v1") as llm:
        health = surface.call(llm, "health", timeout=2)
    assert not health
    assert isinstance(health.error, ConnectionFailedError)


def test_an_empty_list_of_models_is_an_empty_list(surface, server, opened_llms):
    """mlx_lm.server answers /v1/models with an empty body."""
    from tests.fakes.replies import whole

    server.always["GET /v1/models"] = whole(200, b"")
    opened_llms.append(llm := made(server, "openai-compatible"))
    assert surface.call(llm, "list_models") == []


def test_the_models_of_this_machine_are_listed(surface, monkeypatch):
    if find_spec("openvino_genai") is None:
        pytest.skip("the openvino engine is not installed")
    path = "tests/models/tiny-llama-chat.gguf"
    with create_llm("openvino", path) as llm:
        assert surface.call(llm, "list_models")[0] == path
        assert surface.call(llm, "health")
    with create_llm("openvino", "no/such/model.gguf") as llm:
        health = surface.call(llm, "health")
        assert isinstance(health.error, ModelLoadError)
