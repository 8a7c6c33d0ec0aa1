"""The rows: which services there are, where they listen, which key they want, which wire they speak.

A difference between two servers is a named field here or in its codec, with a quiet
default. The variables are those that each service's own documentation names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from abstractcore.codecs.openai_chat import OpenAIChat

if TYPE_CHECKING:
    from abstractcore.codecs.base import Codec


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One service. *key* and *url_variables* name environment variables."""

    codec: Codec
    url: str
    key: str | None = None
    url_variables: tuple[str, ...] = ()
    prefix: str = ""
    """What stands between the base URL and the wire's paths, unless the URL already ends with it."""
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    is_local: bool = False
    """A server that people run themselves: it wants no key."""


def _chat(url: str, key: str, codec: OpenAIChat | None = None, prefix: str = "") -> Endpoint:
    """Give the row of a hosted service that speaks OpenAI's chat wire."""
    variable = key.replace("_API_KEY", "_BASE_URL")
    return Endpoint(codec or OpenAIChat(), url, key=key, url_variables=(variable,), prefix=prefix)


def _server(url: str, *variables: str, codec: OpenAIChat | None = None, prefix: str = "") -> Endpoint:
    """Give the row of a server that people run themselves."""
    return Endpoint(codec or OpenAIChat(), url, url_variables=variables, prefix=prefix, is_local=True)


PROVIDERS: Mapping[str, Endpoint] = {
    # https://platform.openai.com/docs/api-reference/chat/create: max_tokens is deprecated, top_k unknown.
    "openai": _chat(
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        OpenAIChat(
            max_tokens_field="max_completion_tokens",
            top_k=False,
            strict_schema=True,
            thinking="reasoning_effort",
            think_marks=False,
        ),
    ),
    # https://docs.claude.com/en/api/openai-sdk: Anthropic's own endpoint for this wire. The variable is
    # its SDK's, and holds the host alone; so it is with Groq and Cerebras.
    "anthropic": _chat(
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
        OpenAIChat(top_k=False, seed_field=None, penalties=False, schema_mode=None),
        prefix="/v1",
    ),
    # https://docs.ollama.com/openai
    "ollama": _server(
        "http://localhost:11434",
        "OLLAMA_BASE_URL",
        "OLLAMA_HOST",
        prefix="/v1",
        codec=OpenAIChat(thinking="reasoning_effort", top_k=False),
    ),
    # https://lmstudio.ai/docs/developer/openai-compat
    "lmstudio": _server("http://localhost:1234/v1", "LMSTUDIO_BASE_URL", codec=OpenAIChat()),
    # https://openrouter.ai/docs/api-reference/overview: usage always comes, include_usage is deprecated.
    "openrouter": _chat(
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        OpenAIChat(thinking="reasoning", reasoning_details=True, stream_usage=False),
    ),
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    "vllm": _server(
        "http://localhost:8000/v1",
        "VLLM_BASE_URL",
        codec=OpenAIChat(thinking="chat_template_kwargs", raw_arguments=False),
    ),
    "llama-server": _server(
        "http://localhost:8080/v1",
        "LLAMA_SERVER_BASE_URL",
        codec=OpenAIChat(thinking="chat_template_kwargs", raw_arguments=False),
    ),
    "sglang": _server(
        "http://localhost:30000/v1",
        "SGLANG_BASE_URL",
        codec=OpenAIChat(thinking="chat_template_kwargs", raw_arguments=False),
    ),
    "openai-compatible": _server("", "OPENAI_COMPATIBLE_BASE_URL"),
    "groq": _chat(
        "https://api.groq.com",
        "GROQ_API_KEY",
        OpenAIChat(top_k=False, penalties=False),
        prefix="/openai/v1",
    ),
    "deepseek": _chat(
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
        # https://api-docs.deepseek.com/guides/json_mode: JSON objects, no schema.
        OpenAIChat(
            top_k=False,
            seed_field=None,
            schema_mode="json_object",
            thinking="thinking_type",
            reasoning_back="reasoning_content",
        ),
    ),
    # https://docs.mistral.ai/api: the seed is called random_seed.
    "mistral": _chat(
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        OpenAIChat(top_k=False, seed_field="random_seed", stream_usage=False),
    ),
    "together": _chat("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "xai": _chat("https://api.x.ai/v1", "XAI_API_KEY", OpenAIChat(top_k=False, thinking="reasoning_effort")),
    # https://ai.google.dev/gemini-api/docs/openai
    "gemini": _chat(
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        OpenAIChat(top_k=False, seed_field=None, thinking="reasoning_effort"),
    ),
    "fireworks": _chat("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "cerebras": _chat("https://api.cerebras.ai", "CEREBRAS_API_KEY", OpenAIChat(top_k=False), prefix="/v1"),
}
