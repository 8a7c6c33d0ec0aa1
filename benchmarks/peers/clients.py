"""Who is measured: a row for each client, with the versions that its environment gets.

Versions are pinned. Move them together, and measure all anew: figures of two runs are no comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Client:
    """One client; without *requirements* it runs in the environment of this suite."""

    name: str
    adapter: str
    package: str
    requirements: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict[str, str])
    """Of its environment, where it would otherwise reach for the network."""
    ours: bool = False
    light: bool = False
    """Whether a quick run asks it a thousand times at once: of the others each takes many seconds."""


OURS = "abstractcore"
BASE = "httpx"
CLIENTS = (
    Client(OURS, "with_abstractcore", "abstractcore", ours=True, light=True),
    Client("abstractcore (Messages)", "with_abstractcore_messages", "abstractcore", ours=True, light=True),
    # sniffio: without it httpx 0.28 looks for it again in each request, and pays a third more.
    Client(BASE, "with_httpx", "httpx", ("httpx==0.28.1", "sniffio==1.3.1"), light=True),
    Client("httpx2", "with_httpx2", "httpx2", ("httpx2==2.16.2",), light=True),
    Client("aiohttp", "with_aiohttp", "aiohttp", ("aiohttp==3.14.5",), light=True),
    Client("openai", "with_openai", "openai", ("openai==3.54.0",)),
    Client("anthropic (Messages)", "with_anthropic", "anthropic", ("anthropic==2.12.0",)),
    Client(
        "litellm", "with_litellm", "litellm", ("litellm==1.106.2",), {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    ),
    Client("any-llm", "with_any_llm", "any-llm-sdk", ("any-llm-sdk[openai]==1.40.2",)),
    Client("pydantic-ai", "with_pydantic_ai", "pydantic-ai-slim", ("pydantic-ai-slim[openai]==2.68.0",)),
    Client("langchain-openai", "with_langchain_openai", "langchain-openai", ("langchain-openai==1.7.3",)),
    Client("aimu", "with_aimu", "aimu", ("aimu[openai-compat]==0.38.0",)),
    Client("abstractcore-pypi", "with_abstractcore_pypi", "abstractcore", ("abstractcore[openai]==2.30.0",)),
)
