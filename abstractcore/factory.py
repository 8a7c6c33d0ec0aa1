"""create_llm: names and arguments to an LLM. No network, no file, no waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, Unpack

from abstractcore.drivers.keys import Headers, Secret, conceal
from abstractcore.engines.catalog import ENGINE_OPTIONS, ENGINES, Engine, engine_provider
from abstractcore.errors import ConfigurationError, UnknownProviderError
from abstractcore.generation.ask import SAMPLING, Sampling, check_known, sampling_fields
from abstractcore.generation.messages import check_retries, check_timeout
from abstractcore.generation.retry import Retry
from abstractcore.llm import LLM
from abstractcore.providers.base import Provider
from abstractcore.providers.catalog import PROVIDERS, Endpoint


class Options(Sampling, total=False):
    """What `create_llm` takes beside the provider, the model and the policy.

    For a service or server: *base_url*, *api_key*, *headers* sent with each request, *api*
    ("responses" or "chat" on openai: Responses at OpenAI's own address, chat anywhere else),
    *max_connections* (no limit unless set), *connect_timeout* (5 s at most per connection),
    *read_timeout* (120 s of silence once an answer has begun), *max_body_bytes* (64 MB of one
    answer, decompressed). *client* is a ready client of openai or anthropic (Azure, Bedrock and
    Vertex among them) that logs in and sends in place of all that leads there; it stays the
    caller's to close, answers on its own surface alone, and such an LLM does not pickle.

    *prompted_tools*: describe tools in the prompt and read their calls out of the text; without
    it that is done once a server says that its model has no tools, and with False never.

    For a model in this process, where its engine has them: *deterministic* (the same greedy text
    alone and in a batch, slower), *device*, *dtype*, *cache_gb* (the most memory that the KV cache
    takes, 2), *max_batch* (calls that are answered at a time, 16), *max_context* (tokens of the longest
    prompt and answer), *threads* (of the CPU; all of them unless set), *prefix_cache* (keep the KV cache
    for a conversation's next turn, True), *adapters* (paths of LoRA adapters), *draft_model* (the path of
    a smaller model that guesses ahead), *step_timeout* (seconds that its process may compute without a
    word, 1,800).

    Sampling parameters are the defaults of every call.
    """

    base_url: str | None
    api_key: str | None
    headers: Mapping[str, str] | None
    api: str | None
    prompted_tools: bool | None
    client: Any
    max_connections: int | None
    connect_timeout: float
    read_timeout: float
    max_body_bytes: int
    deterministic: bool
    device: str | None
    dtype: str | None
    cache_gb: int
    max_batch: int
    max_context: int | None
    threads: int | None
    prefix_cache: bool
    adapters: str | Sequence[str]
    draft_model: str | None
    step_timeout: float


_LIMITS = ("max_connections", "connect_timeout", "read_timeout", "max_body_bytes")
_NAMED = ("provider", "model", "timeout", "max_retries", "strict")
_REMOTE = ("base_url", "api_key", "headers", "api", "client", "prompted_tools", *_LIMITS)


def create_llm(
    provider: str,
    model: str | None = None,
    *,
    timeout: float | None = None,
    max_retries: int = 2,
    strict: bool = False,
    **options: Unpack[Options],
) -> LLM:
    """Make the LLM of *provider* and *model*, or of one text such as `"openai:gpt-5-mini"`.

    Nothing is sent and nothing is loaded. Every setting is the argument, else the
    environment variable of the provider's row, else the row's default; `Options` lists them.

    *timeout* bounds a whole call (600 s). *max_retries* counts the requests after the first.
    With *strict* a parameter that the provider cannot take is UnsupportedFeatureError, and
    not a line in `response.warnings`.

    Raises UnknownProviderError, AuthenticationError for a key that is missing,
    MissingDependencyError for an extra that is not installed, TypeError for an argument that
    does not exist.
    """
    conceal(options)
    name, model = _split(provider, model)
    known, make = _maker(name)
    given, defaults = _checked(known, options, timeout)
    retry = Retry(check_retries(max_retries))
    policy = {"timeout": timeout, "max_retries": max_retries, "strict": strict}
    again = {"provider": name, "model": model, **policy, **_without_secrets(options)}
    return LLM(
        make(model, strict=strict, **given),
        retry=retry,
        defaults=defaults,
        made_by=None if "client" in given else (create_llm, again),
    )


def _maker(name: str) -> tuple[Sequence[str], Callable[..., Provider]]:
    """Give the options that the provider *name* takes, and what makes it.

    Raises UnknownProviderError, and ConfigurationError for one of another package that is broken.
    """
    if name in ENGINES:
        return ENGINE_OPTIONS, partial(engine_provider, name, engine=ENGINES[name])
    if name in PROVIDERS:
        return _REMOTE, partial(_remote, name, row=PROVIDERS[name])
    from abstractcore import plugins  # which reads the metadata of what is installed

    plugin = plugins.find(name)
    if plugin is None:
        raise _unknown(name, (*PROVIDERS, *ENGINES, *plugins.names()))
    if isinstance(plugin.row, Endpoint):
        return _REMOTE, partial(_remote, name, row=plugin.row)
    if isinstance(plugin.row, Engine):
        return ENGINE_OPTIONS, partial(engine_provider, name, engine=plugin.row)
    return plugin.options(), plugin.make


def _unknown(name: str, known: Sequence[str]) -> UnknownProviderError:
    close = get_close_matches(name, known, 3, 0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else f" There are: {', '.join(sorted(known))}."
    return UnknownProviderError(f"unknown provider {name!r}.{hint}")


def _checked(
    known: Sequence[str], options: Mapping[str, Any], timeout: float | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the options of the provider, and the defaults of every call, apart."""
    given = {key: value for key, value in options.items() if value is not None}
    check_known(options, (*SAMPLING, *known, *_REMOTE, *ENGINE_OPTIONS, *_NAMED), "create_llm")
    check_known(given, (*SAMPLING, *known, *_NAMED), "create_llm")
    defaults = {key: given.pop(key) for key in SAMPLING if key in given}
    sampling_fields(defaults)
    if (seconds := check_timeout(timeout)) is not None:
        defaults["timeout"] = seconds
    return given, defaults


def _split(provider: str, model: str | None) -> tuple[str, str | None]:
    if not isinstance(provider, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"provider must be a name such as 'openai', not {type(provider).__name__}")
    name, colon, rest = provider.strip().partition(":")
    if colon and model is not None:
        raise ConfigurationError(f"two models were named: {rest!r} and {model!r}")
    return name.strip().lower(), rest if colon else model


def _remote(
    name: str,
    model: str | None,
    *,
    row: Endpoint,
    strict: bool,
    base_url: str | None = None,
    api_key: Secret | None = None,
    headers: Mapping[str, str] | None = None,
    api: str | None = None,
    prompted_tools: bool | None = None,
    client: Any = None,
    max_connections: int | None = None,
    connect_timeout: float = 5.0,
    read_timeout: float = 120.0,
    max_body_bytes: int = 64 * 1024 * 1024,
) -> Provider:
    from abstractcore.providers.http import HttpProvider, limits
    from abstractcore.providers.prompted import PromptedTools
    from abstractcore.providers.sdk import check_alone, client_transport, resolve_client
    from abstractcore.providers.settings import choose_codec, resolve

    bounds = limits(max_connections, connect_timeout, read_timeout, max_body_bytes)
    if client is not None:
        check_alone(name, {"base_url": base_url, "api_key": api_key, "max_connections": max_connections})
    where = resolve(name, row, base_url, api_key) if client is None else resolve_client(name, row, client)
    codec = choose_codec(name, row, api, is_own=where.is_own)
    provider = HttpProvider(
        name,
        _model_name(name, model),
        endpoint=row,
        codec=codec,
        where=where,
        limits=bounds,
        headers=headers or {},
        strict=strict,
        transport=None if client is None else client_transport(name, codec, client, bounds),
    )
    return provider if prompted_tools is False else PromptedTools(provider, always=bool(prompted_tools))


def _model_name(name: str, model: str | None) -> str:
    if not model:
        raise ConfigurationError(f"{name}: which model? Pass model=, or {name}:<model>.")
    if not isinstance(model, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{name}: model must be a name, not {type(model).__name__}")
    return model


def _without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in options.items() if key != "api_key"}
    if headers := options.get("headers"):
        kept["headers"] = Headers(headers).shareable()
    return kept
