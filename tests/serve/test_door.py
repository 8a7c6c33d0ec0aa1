"""Who may come in: with keys whoever has one, without any only this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from abstractcore.errors import AuthenticationError, ConfigurationError, UnknownProviderError
from abstractcore.serve import app, run
from abstractcore.serve.models import named_specs, with_colon
from abstractcore.testing import ScriptedLLM

from .asking import PATHS, RIGHT, get, post
from .conftest import Serving
from .speakers import Speaker

Serve = Callable[..., Serving]
Speak = Callable[..., Speaker]
KEYS = ("first-key-of-two", "second-key-of-two")


@pytest.mark.parametrize("key", KEYS)
def test_each_of_the_keys_lets_a_client_in(serve: Serve, speak: Speak, key: str) -> None:
    assert speak(serve("ok", keys=KEYS), api_key=key).ask().text == "ok"


@pytest.mark.parametrize("key", ["wrong-key", KEYS[0][:-1], KEYS[0] + "x", "schlüssel"])
def test_any_other_key_is_the_clients_authentication_error(
    serve: Serve, speak: Speak, key: str, dialect: str
) -> None:
    llm = ScriptedLLM(["ok"])
    serving = serve(models={"scripted": llm}, keys=KEYS)
    if key.isascii():
        with pytest.raises(speak(serving, api_key=key).errors.AuthenticationError):
            speak(serving, api_key=key).ask()
    body = {"model": "scripted", **RIGHT[dialect]}

    status, answer = post(serving.url + PATHS[dialect], body, x_api_key=key)

    assert status == 401
    assert key not in json.dumps(answer)
    assert llm.requests == []


def test_both_headers_carry_a_key(serve: Serve) -> None:
    serving = serve(keys=KEYS, models={"m": ScriptedLLM([])})

    assert get(f"{serving.url}/v1/models", Authorization=f"Bearer {KEYS[0]}")[0] == 200
    assert get(f"{serving.url}/v1/models", Authorization=f"bearer {KEYS[1]}")[0] == 200
    assert get(f"{serving.url}/v1/models", x_api_key=KEYS[1])[0] == 200
    assert get(f"{serving.url}/v1/models", Authorization=f"Basic {KEYS[0]}")[0] == 401
    assert get(f"{serving.url}/v1/models")[0] == 401


def test_a_key_is_asked_for_by_all_but_the_page_and_health(serve: Serve) -> None:
    serving = serve(keys=KEYS, models={"m": ScriptedLLM([])})

    statuses = {path: get(serving.url + path)[0] for path in ("/", "/health", "/metrics", "/v1/models", "/x")}

    assert statuses == {"/": 200, "/health": 200, "/metrics": 401, "/v1/models": 401, "/x": 401}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "gateway.example:8000"},
        {"Host": "192.168.1.7:8000"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Host": "["},
        {"Host": "localhost.example"},
    ],
)
def test_without_keys_no_page_of_another_site_gets_an_answer(
    serve: Serve, headers: dict[str, str], dialect: str
) -> None:
    """A browser's page can send to this machine, under a name of its own too."""
    llm = ScriptedLLM(["ok"])
    serving = serve(models={"scripted": llm})
    body = {"model": "scripted", **RIGHT[dialect]}

    status, _ = post(serving.url + PATHS[dialect], body, **headers)

    assert status == 403
    assert llm.requests == []


async def test_without_keys_another_machine_gets_no_answer() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/health", "headers": [(b"host", b"localhost")],
        "client": ("192.168.1.7", 5), "query_string": b"",
    }  # fmt: skip
    await app({"m": ScriptedLLM([])})(scope, receive, send)

    assert sent[0]["status"] == 403


def test_the_gateways_own_page_may_ask(serve: Serve, dialect: str) -> None:
    serving = serve("ok")
    body = {"model": "scripted", **RIGHT[dialect]}

    assert post(serving.url + PATHS[dialect], body, Origin=serving.url)[0] == 200


def test_mounted_in_another_app_the_same_is_open_and_the_same_is_closed(serve: Serve) -> None:
    """The path at which it is mounted is no part of its own paths."""
    serving = serve("ok")
    gateway = app({"m": ScriptedLLM(["ok"])}, keys=KEYS)
    serving.app = Starlette(routes=[Mount("/gateway", gateway)])
    asked = {"model": "m", **RIGHT["messages"]}
    url = serving.url + "/gateway"

    statuses = {path: get(url + path)[0] for path in ("/", "/health", "/metrics", "/v1/models")}
    refused = post(url + PATHS["messages"], asked)
    answered = post(url + PATHS["messages"], asked, x_api_key=KEYS[0])

    assert statuses == {"/": 200, "/health": 200, "/metrics": 401, "/v1/models": 401}
    assert refused[1]["error"]["type"] == "authentication_error"
    assert answered[1]["content"] == [{"type": "text", "text": "ok"}]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "gateway.example"])
def test_other_machines_are_served_with_keys_alone(host: str) -> None:
    with pytest.raises(ConfigurationError, match="there are no keys"):
        run({"m": ScriptedLLM([])}, host=host)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(ConfigurationError, match="a port is 0 to 65535"):
        run({"m": ScriptedLLM([])}, port=port)


@pytest.mark.parametrize("keys", ["a-key-as-one-text", ["short"], [""], ["schlüssel-schlüssel"]])
def test_keys_that_are_none_are_refused(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="key"):
        app({"m": ScriptedLLM([])}, keys=keys)


# ---- the models --------------------------------------------------------------------------------


def test_models_are_made_before_anything_is_served() -> None:
    with pytest.raises(UnknownProviderError, match="opnai"):
        app(["opnai:gpt-5-mini"])
    with pytest.raises(AuthenticationError, match="OPENAI_API_KEY"):
        app(["openai/gpt-5-mini"])


@pytest.mark.parametrize("models", [[], {}, "openai/gpt-5-mini", [ScriptedLLM([])], {"": "x"}, {"a": 7}])
def test_models_that_are_none_are_refused(models: Any) -> None:
    with pytest.raises(ConfigurationError):
        app(models)


def test_a_spec_names_a_provider_and_a_model_with_its_own_slashes() -> None:
    assert with_colon("openai/gpt-5-mini") == "openai:gpt-5-mini"
    assert with_colon("openrouter/openai/gpt-5") == "openrouter:openai/gpt-5"
    assert with_colon("ollama:qwen3:4b") == "ollama:qwen3:4b"
    assert with_colon("local") == "local"
    assert with_colon("openvino:/models/a") == "openvino:/models/a"
    assert with_colon("of-another-package/its/model:4b") == "of-another-package:its/model:4b"


def test_the_words_of_a_command_line_name_models() -> None:
    assert named_specs(["openai/gpt-5-mini", "fast=ollama:qwen3", "local:/a=b"]) == {
        "openai/gpt-5-mini": "openai/gpt-5-mini",
        "fast": "ollama:qwen3",
        "local:/a=b": "local:/a=b",
    }
    with pytest.raises(ConfigurationError, match="two models are called fast"):
        named_specs(["fast=local", "fast=ollama:qwen3"])
