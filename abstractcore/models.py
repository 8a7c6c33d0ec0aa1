"""Ids of well-known models, as names that an editor completes. Advice: every other id works too.

Each member is a str, and knows its `provider`: `client(OpenAIModel.GPT_5_MINI)`. `list_models` lists what is
on this machine.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class ModelName(StrEnum):
    """A model's id, with the name of the *provider* that has it."""

    _provider: str

    def __init_subclass__(cls, *, provider: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._provider = provider

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._provider


class OpenAIModel(ModelName, provider="openai"):
    """Models of OpenAI."""

    GPT_5 = "gpt-5"
    GPT_5_MINI = "gpt-5-mini"
    GPT_5_NANO = "gpt-5-nano"
    GPT_4_1 = "gpt-4.1"
    GPT_4O = "gpt-4o"
    GPT_4O_MINI = "gpt-4o-mini"
    O3 = "o3"
    O4_MINI = "o4-mini"


class AnthropicModel(ModelName, provider="anthropic"):
    """Models of Anthropic."""

    CLAUDE_OPUS_4_1 = "claude-opus-4-1"
    CLAUDE_SONNET_4_5 = "claude-sonnet-4-5"
    CLAUDE_SONNET_4_6 = "claude-sonnet-4-6"
    CLAUDE_HAIKU_4_5 = "claude-haiku-4-5"


class OllamaModel(ModelName, provider="ollama"):
    """Models that Ollama serves."""

    QWEN_3_4B_INSTRUCT = "qwen3:4b-instruct"
    QWEN_3_8B = "qwen3:8b"
    QWEN_3_5_9B = "qwen3.5:9b"
    LLAMA_3_2 = "llama3.2"
    GPT_OSS_20B = "gpt-oss:20b"
    SMOLLM2_135M = "smollm2:135m"


class HuggingFaceModel(ModelName, provider="huggingface"):
    """Models that transformers loads into this process."""

    QWEN_3_0_6B = "Qwen/Qwen3-0.6B"
    QWEN_3_4B = "Qwen/Qwen3-4B"
    QWEN_3_8B = "Qwen/Qwen3-8B"
    SMOLLM2_135M_INSTRUCT = "HuggingFaceTB/SmolLM2-135M-Instruct"


class MLXModel(ModelName, provider="mlx"):
    """Models that MLX loads into this process, on Apple silicon."""

    QWEN_3_4B_4BIT = "mlx-community/Qwen3-4B-4bit"
    QWEN_3_8B_4BIT = "mlx-community/Qwen3-8B-4bit"
    LLAMA_3_2_3B_INSTRUCT_4BIT = "mlx-community/Llama-3.2-3B-Instruct-4bit"


class LlamaCppModel(ModelName, provider="llamacpp"):
    """Models that llama.cpp loads into this process."""

    QWEN_3_8B_GGUF = "Qwen/Qwen3-8B-GGUF"
    SMOLLM2_135M_INSTRUCT_GGUF = "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF"


def list_models(engine: str) -> list[str]:
    """List the models on this machine that an *engine* ("mlx", "openvino", "local" ...) can load.

    Paths come from `ABSTRACTCORE_LOCAL_MODEL` and installed packages, ids from the local cache of the
    Hugging Face hub. No network is used. Raises UnknownProviderError for what is no engine; the
    models of a service are `create_llm(...).list_models()`.
    """
    from abstractcore.engines.catalog import ENGINES, models_here
    from abstractcore.errors import UnknownProviderError

    name = engine.strip().lower()
    if name not in ENGINES:
        raise UnknownProviderError(
            f"{engine!r} is no engine in this process; there are: {', '.join(ENGINES)}"
        )
    return models_here(name)
