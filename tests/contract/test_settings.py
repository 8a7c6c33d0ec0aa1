"""CONTRACT A3: argument, then environment, then the row's default, for every row."""

from __future__ import annotations

import pytest

from abstractcore import AuthenticationError, ConfigurationError, create_llm
from abstractcore.providers.catalog import PROVIDERS
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

# The variables that each service documents, and the path that its base URL leads to.
ROWS = {
    "openai": ("OPENAI_API_KEY", ("OPENAI_BASE_URL",), "https://api.openai.com/v1"),
    "anthropic": ("ANTHROPIC_API_KEY", ("ANTHROPIC_BASE_URL",), "https://api.anthropic.com/v1"),
    "ollama": (None, ("OLLAMA_BASE_URL", "OLLAMA_HOST"), "http://localhost:11434"),
    "lmstudio": (None, ("LMSTUDIO_BASE_URL",), "http://localhost:1234/v1"),
    "openrouter": ("OPENROUTER_API_KEY", ("OPENROUTER_BASE_URL",), "https://openrouter.ai/api/v1"),
    "vllm": (None, ("VLLM_BASE_URL",), "http://localhost:8000/v1"),
    "llama-server": (None, ("LLAMA_SERVER_BASE_URL",), "http://localhost:8080/v1"),
    "sglang": (None, ("SGLANG_BASE_URL",), "http://localhost:30000/v1"),
    "openai-compatible": (None, ("OPENAI_COMPATIBLE_BASE_URL",), None),
    "groq": ("GROQ_API_KEY", ("GROQ_BASE_URL",), "https://api.groq.com/openai/v1"),
    "deepseek": ("DEEPSEEK_API_KEY", ("DEEPSEEK_BASE_URL",), "https://api.deepseek.com/v1"),
    "mistral": ("MISTRAL_API_KEY", ("MISTRAL_BASE_URL",), "https://api.mistral.ai/v1"),
    "together": ("TOGETHER_API_KEY", ("TOGETHER_BASE_URL",), "https://api.together.xyz/v1"),
    "xai": ("XAI_API_KEY", ("XAI_BASE_URL",), "https://api.x.ai/v1"),
    "gemini": (
        "GEMINI_API_KEY",
        ("GEMINI_BASE_URL",),
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
    "fireworks": ("FIREWORKS_API_KEY", ("FIREWORKS_BASE_URL",), "https://api.fireworks.ai/inference/v1"),
    "cerebras": ("CEREBRAS_API_KEY", ("CEREBRAS_BASE_URL",), "https://api.cerebras.ai/v1"),
}
# What is asked at a base URL that ends with /v1 and is not the vendor's own, where it is no chat of OpenAI's.
PATHS = {"anthropic": "/v1/messages", "ollama": "/api/chat"}
VARIABLES = [(name, variable) for name, (_, variables, _) in ROWS.items() for variable in variables]
WITH_KEY = [name for name, (key, _, _) in ROWS.items() if key]


def test_a3_every_row_is_in_the_table_here():
    assert set(ROWS) == set(PROVIDERS)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row[2]])
def test_a3_without_a_word_a_row_goes_to_its_own_address(name: str, monkeypatch: pytest.MonkeyPatch):
    from abstractcore.providers.settings import resolve

    key, _, url = ROWS[name]
    if key:
        monkeypatch.setenv(key, "sk-env")

    found = resolve(name, PROVIDERS[name], None, None)

    assert found.base_url == url
    assert (found.key is not None and found.key.reveal()) == ("sk-env" if key else False)


@pytest.mark.parametrize(("name", "variable"), VARIABLES)
def test_a3_the_environment_says_where(
    name: str, variable: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    server.replies(text("Hi."))
    monkeypatch.setenv(variable, server.url + "/v1")

    with create_llm(name, "m") as llm:
        assert llm.generate("hello").content == "Hi."
    assert server.requests[0].path.endswith(PATHS.get(name, "/v1/chat/completions"))


@pytest.mark.parametrize("name", WITH_KEY)
def test_a3_the_key_of_the_environment_goes_where_the_environment_says(
    name: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    key, variables, _ = ROWS[name]
    server.replies(text("Hi."))
    monkeypatch.setenv(str(key), "sk-env")
    monkeypatch.setenv(variables[0], server.url + "/v1")

    with create_llm(name, "m") as llm:
        llm.generate("hello")
    assert server.requests[0].headers["authorization"] == "Bearer sk-env"


@pytest.mark.parametrize("name", WITH_KEY)
def test_a3_an_argument_beats_the_environment(name: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    key, variables, _ = ROWS[name]
    server.replies(text("Hi."))
    monkeypatch.setenv(str(key), "sk-env")
    monkeypatch.setenv(variables[0], "http://127.0.0.1:9")

    with create_llm(name, "m", base_url=server.url + "/v1", api_key="sk-argument") as llm:
        llm.generate("hello")
    assert server.requests[0].headers["authorization"] == "Bearer sk-argument"


def test_a3_the_first_variable_of_a_row_beats_the_second(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    server.replies(text("Hi."))
    monkeypatch.setenv("OLLAMA_BASE_URL", server.url)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")

    with create_llm("ollama", "m") as llm:
        assert llm.generate("hello").content == "Hi."


@pytest.mark.parametrize(
    "form", ["127.0.0.1:{port}", "http://127.0.0.1:{port}/", "http://127.0.0.1:{port}/v1/"]
)
def test_a3_ollama_s_host_is_taken_as_ollama_takes_it(
    form: str, surface: Surface, server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    server.replies(text("Hi."))
    monkeypatch.setenv("OLLAMA_HOST", form.format(port=server.port))
    llm = create_llm("ollama", "m")
    server.llms.append(llm)

    assert surface.generate(llm, "hello").content == "Hi."
    assert server.requests[0].path == "/api/chat"


def test_a3_ollama_s_host_may_lack_its_port(monkeypatch: pytest.MonkeyPatch):
    """https://docs.ollama.com/faq: OLLAMA_HOST=0.0.0.0 is what the server listens on, at 11434."""
    from abstractcore.providers.settings import resolve

    monkeypatch.setenv("OLLAMA_HOST", "192.168.1.5")

    assert resolve("ollama", PROVIDERS["ollama"], None, None).base_url == "http://192.168.1.5:11434"


@pytest.mark.parametrize("listening", ["0.0.0.0", "0.0.0.0:11435", "[::]:11435", ":11435"])
def test_a3_an_address_to_listen_on_is_reached_on_this_machine(
    listening: str, monkeypatch: pytest.MonkeyPatch
):
    """People set OLLAMA_HOST for the server; its own clients then go to the loopback address."""
    from abstractcore.providers.settings import resolve

    monkeypatch.setenv("OLLAMA_HOST", listening)

    port = 11435 if "11435" in listening else 11434
    found = resolve("ollama", PROVIDERS["ollama"], None, None).base_url
    assert found in (f"http://127.0.0.1:{port}", f"http://[::1]:{port}")


@pytest.mark.parametrize("name", ["anthropic", "groq", "cerebras"])
def test_a3_a_base_url_as_the_vendor_s_own_sdk_takes_it_finds_the_wire(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    """Their SDKs' variable holds the host alone; OpenAI's holds the path too."""
    from abstractcore.providers.settings import resolve

    key, variables, url = ROWS[name]
    host = "/".join(str(url).split("/")[:3])
    monkeypatch.setenv(str(key), "sk-env")
    monkeypatch.setenv(variables[0], host)

    assert resolve(name, PROVIDERS[name], None, None).base_url == url


def test_a3_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "")

    with pytest.raises(AuthenticationError):
        create_llm("openai", "m")


def test_a3_a_key_of_blanks_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", " \n")

    with pytest.raises(AuthenticationError):
        create_llm("openai", "m")


def test_a3_a_row_without_an_address_asks_for_one():
    with pytest.raises(ConfigurationError, match=r"Pass base_url= or set OPENAI_COMPATIBLE_BASE_URL"):
        create_llm("openai-compatible", "m")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host",
        "http://",
        "http://user:pw@host",
        "http://host/?key=1",
        "http://[::1",
        "http://host:99999",
    ],
)
def test_a3_a_url_that_cannot_be_used_is_refused_without_its_secrets(url: str):
    with pytest.raises(ConfigurationError, match="base_url") as raised:
        create_llm("ollama", "m", base_url=url)
    assert "pw" not in str(raised.value)


def test_a3_a_key_over_plain_http_to_another_machine_is_warned_of():
    with pytest.warns(UserWarning, match=r"unencrypted to example\.com"):
        create_llm("openai", "m", base_url="http://example.com/v1", api_key="sk-x").close()


def test_a3_openai_speaks_responses_at_its_own_address():
    """And chat at any other, where few servers know more; `api=` chooses at both."""
    from abstractcore.providers.settings import choose_codec

    row = PROVIDERS["openai"]

    assert choose_codec("openai", row, None, is_own=True).name == "openai_responses"
    assert choose_codec("openai", row, "chat", is_own=True).name == "openai_chat"
    assert choose_codec("openai", row, None, is_own=False).name == "openai_chat"


@pytest.mark.parametrize("api", [None, "chat", "responses"])
def test_a3_api_chooses_the_wire(surface: Surface, server: FakeServer, api: str | None):
    server.replies(text("Hi."))

    assert surface.generate(server.llm("openai", api=api), "hello").content == "Hi."
    wanted = "/v1/responses" if api == "responses" else "/v1/chat/completions"
    assert server.requests[0].path == wanted


@pytest.mark.parametrize(
    ("name", "api", "known"),
    [("openai", "completions", "'responses' or 'chat'"), ("ollama", "chat", "no choice: leave it out")],
)
def test_a3_an_api_that_a_row_has_not_is_refused(name: str, api: str, known: str):
    with pytest.raises(ConfigurationError, match=f"api='{api}' is not known; there is {known}"):
        create_llm(name, "m", base_url="http://localhost:1", api=api)
