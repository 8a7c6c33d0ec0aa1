"""The rows: which services there are, where they listen, which key they want, which wire they speak.

A difference between two servers is a named field here or in its codec, with a quiet
default. The variables are those that each service's own documentation names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from abstractcore.codecs.base import Codec, EmbeddingCodec, EmbedLimits
from abstractcore.codecs.openai_chat import OpenAIChat

if TYPE_CHECKING:
    from abstractcore.codecs.batches import BatchCodec

Embeddings = EmbeddingCodec | Callable[[], EmbeddingCodec]
"""A codec, or what makes it at the first `embed`."""


def _embeddings(**differences: Any) -> Callable[[], EmbeddingCodec]:
    """Say how a service's embeddings differ from OpenAI's wire: the fields of OpenAIEmbeddings."""

    def make() -> EmbeddingCodec:
        from abstractcore.codecs.openai_embeddings import OpenAIEmbeddings

        return OpenAIEmbeddings(**differences)

    return make


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
    foreign_suffix: str = ""
    """How base URLs of another wire of the same server end; it is cut off."""
    apis: Mapping[str, Codec] = field(default_factory=dict[str, Codec])
    """The wires that `api=` chooses from; *codec* is the one at the row's own origin."""
    embeddings: Embeddings | None = None
    """None where the service has none; a codec, or what makes it."""
    prices: str | None = None
    """The service's name in the price list of genai-prices."""
    batches: BatchCodec | None = None
    """The service's own batch API, which answers within hours at a lower price."""


def _hosted(
    url: str,
    key: str,
    codec: Codec | None = None,
    prefix: str = "",
    headers: Mapping[str, str] | None = None,
    batches: BatchCodec | None = None,
    embeddings: Embeddings | None = None,
    prices: str | None = None,
) -> Endpoint:
    """Give the row of a hosted service; without a *codec* it speaks OpenAI's chat wire."""
    variable = key.replace("_API_KEY", "_BASE_URL")
    return Endpoint(
        codec or OpenAIChat(),
        url,
        key=key,
        url_variables=(variable,),
        prefix=prefix,
        headers=headers or {},
        batches=batches,
        embeddings=embeddings,
        prices=prices or key.removesuffix("_API_KEY").lower(),
    )


def _server(
    url: str, *variables: str, codec: Codec | None = None, embeddings: Embeddings | None = None
) -> Endpoint:
    """Give the row of a server that people run themselves; without *embeddings* it speaks OpenAI's wire."""
    return Endpoint(
        codec or OpenAIChat(),
        url,
        url_variables=variables,
        is_local=True,
        embeddings=embeddings or _embeddings(),
    )


# https://platform.openai.com/docs/api-reference/chat/create: max_tokens is deprecated, top_k unknown.
_OPENAI_CHAT = OpenAIChat(
    max_tokens_field="max_completion_tokens",
    top_k=False,
    strict_schema=True,
    thinking="reasoning_effort",
    think_marks=False,
)


def _openai() -> Endpoint:
    from abstractcore.codecs.openai_batches import OpenAIBatches
    from abstractcore.codecs.openai_responses import OpenAIResponses

    return Endpoint(
        OpenAIResponses(),
        "https://api.openai.com/v1",
        key="OPENAI_API_KEY",
        url_variables=("OPENAI_BASE_URL",),
        apis={"responses": OpenAIResponses(), "chat": _OPENAI_CHAT},
        batches=OpenAIBatches(),
        # https://platform.openai.com/docs/api-reference/embeddings/create names all three.
        embeddings=_embeddings(base64=True, limits=EmbedLimits(2048, 300_000, 8192)),
        prices="openai",
    )


def _anthropic() -> Endpoint:
    """https://platform.claude.com/docs/en/api/messages/create.

    The variable is its SDK's, and holds the host alone; so it is with Groq and Cerebras.
    """
    from abstractcore.codecs.anthropic_batches import AnthropicBatches
    from abstractcore.codecs.anthropic_messages import AnthropicMessages

    wire = AnthropicMessages(path="/messages", models_path="/models?limit=1000")
    return _hosted(
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
        wire,
        prefix="/v1",
        headers={"anthropic-version": wire.version},
        batches=AnthropicBatches(),
    )


def _ollama() -> Endpoint:
    """https://docs.ollama.com/api/chat."""
    from abstractcore.codecs.ollama_chat import OllamaChat

    return Endpoint(
        OllamaChat(),
        "http://localhost:11434",
        url_variables=("OLLAMA_BASE_URL", "OLLAMA_HOST"),
        foreign_suffix="/v1",
        is_local=True,
        embeddings=_ollama_embeddings,
    )


def _ollama_embeddings() -> EmbeddingCodec:
    from abstractcore.codecs.ollama_embeddings import OllamaEmbeddings

    return OllamaEmbeddings()


def _groq() -> Endpoint:
    """https://console.groq.com/docs/batch: OpenAI's, its endpoint named /v1/chat/completions too."""
    from abstractcore.codecs.openai_batches import OpenAIBatches

    return _hosted(
        "https://api.groq.com",
        "GROQ_API_KEY",
        OpenAIChat(top_k=False, penalties=False),
        prefix="/openai/v1",
        batches=OpenAIBatches(),
    )


class Rows(Mapping[str, Endpoint]):
    """The rows by name. Those on a wire of their own are made, and the wire loaded, when asked for."""

    def __init__(self, rows: Mapping[str, Endpoint | Callable[[], Endpoint]]) -> None:
        self._rows = dict(rows)

    def __getitem__(self, name: str) -> Endpoint:
        row = self._rows[name]
        if not isinstance(row, Endpoint):
            row = self._rows[name] = row()
        return row

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


_ROWS: Mapping[str, Endpoint | Callable[[], Endpoint]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "ollama": _ollama,
    # https://lmstudio.ai/docs/developer/openai-compat: the wire as it is. Its own /api/v1/chat takes neither
    # tools nor assistant messages, and a token is wanted only where the user has switched that on.
    "lmstudio": _server("http://localhost:1234/v1", "LMSTUDIO_BASE_URL"),
    # https://openrouter.ai/docs/api-reference/overview: usage always comes, include_usage is deprecated.
    "openrouter": _hosted(
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        OpenAIChat(thinking="reasoning", reasoning_details=True, stream_usage=False, tells_cost=True),
        # No base64: the answer is empty where the provider behind it has none. The least of their limits.
        embeddings=_embeddings(limits=EmbedLimits(96), tells_cost=True),
    ),
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    "vllm": _server(
        "http://localhost:8000/v1",
        "VLLM_BASE_URL",
        codec=OpenAIChat(thinking="chat_template_kwargs", raw_arguments=False),
        embeddings=_embeddings(base64=True, truncation={"truncate_prompt_tokens": -1}),
    ),
    "llama-server": _server(
        "http://localhost:8080/v1",
        "LLAMA_SERVER_BASE_URL",
        codec=OpenAIChat(thinking="chat_template_kwargs", raw_arguments=False),
        embeddings=_embeddings(base64=True, dimensions_field=None),
    ),
    "sglang": _server(
        "http://localhost:30000/v1",
        "SGLANG_BASE_URL",
        codec=OpenAIChat(thinking="chat_template_kwargs", raw_arguments=False),
    ),
    "openai-compatible": _server("", "OPENAI_COMPATIBLE_BASE_URL"),
    "groq": _groq,
    "deepseek": _hosted(
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
    "mistral": _hosted(
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        OpenAIChat(top_k=False, seed_field="random_seed", stream_usage=False),
        # Its codestral-embed alone takes the dimensions; more tokens than these are error 3210.
        embeddings=_embeddings(dimensions_field="output_dimension", limits=EmbedLimits(128, 16_384, 8192)),
    ),
    "together": _hosted(
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
        embeddings=_embeddings(dimensions_field=None),
    ),
    "xai": _hosted(
        "https://api.x.ai/v1",
        "XAI_API_KEY",
        OpenAIChat(top_k=False, thinking="reasoning_effort"),
        prices="x-ai",
    ),
    # https://ai.google.dev/gemini-api/docs/openai
    "gemini": _hosted(
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        OpenAIChat(top_k=False, seed_field=None, thinking="reasoning_effort"),
        embeddings=_embeddings(limits=EmbedLimits(100)),
        prices="google",
    ),
    "fireworks": _hosted(
        "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", embeddings=_embeddings()
    ),
    "cerebras": _hosted("https://api.cerebras.ai", "CEREBRAS_API_KEY", OpenAIChat(top_k=False), prefix="/v1"),
}
PROVIDERS = Rows(_ROWS)
