"""The models of a gateway: names that a request may say, and the LLM that answers to each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from abstractcore.drivers.eventloop import ASYNC
from abstractcore.errors import ConfigurationError
from abstractcore.factory import create_llm
from abstractcore.llm import LLM
from abstractcore.serve.refusals import refused

Spec = str | tuple[str, str] | LLM
Models = Mapping[str, Spec] | Iterable[str]
"""Which models are served: names with what answers to them, or specs that are their own names."""


class ModelTable:
    """The LLMs by name. Those that were made here are closed here; one that was passed in is not."""

    def __init__(self, models: Models) -> None:
        named = models if isinstance(models, Mapping) else {spec: spec for spec in _specs(models)}
        if not named:
            raise ConfigurationError("a gateway needs a model at least: name one, such as openai/gpt-5-mini")
        self._made: list[LLM] = []
        self._llms: dict[str, LLM] = {}
        for name, spec in named.items():
            if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError("a model's name at the gateway is text")
            self._llms[name] = self._llm(spec)
        self._short = _short_names(self._llms)

    def _llm(self, spec: Any) -> LLM:
        if isinstance(spec, LLM):
            return spec
        if isinstance(spec, str):
            llm = create_llm(with_colon(spec))
        elif isinstance(spec, tuple | list) and len(spec) == 2:
            llm = create_llm(spec[0], spec[1])
        else:
            raise ConfigurationError(
                "a model is an LLM, a text such as openai/gpt-5-mini, or (provider, model), not "
                f"{type(spec).__name__}"
            )
        self._made.append(llm)
        return llm

    def __iter__(self) -> Iterator[str]:
        return iter(self._llms)

    def find(self, name: str) -> tuple[str, LLM]:
        """Give the name that a model is served under, and its LLM. Raises Refused: 404."""
        served = name if name in self._llms else self._short.get(name)
        if served is None:
            shown = name if len(name) <= 100 else name[:100] + "…"
            raise refused(404, "not_found", f"The model {shown!r} is not served here.", param="model")
        return served, self._llms[served]

    def load(self) -> None:
        """Load the models of this process, with a bar on a terminal."""
        for llm in dict.fromkeys(self._llms.values()):
            llm.load(progress=True)

    async def aload(self) -> None:
        """Load the models of this process, so that the first request need not wait for one."""
        for llm in dict.fromkeys(self._llms.values()):
            await llm.aload()

    async def aclose(self) -> None:
        """Close the LLMs that were made here."""
        await ASYNC.gather([llm.aclose for llm in self._made])

    def __enter__(self) -> ModelTable:
        return self

    def __exit__(self, *_: object) -> None:
        for llm in self._made:
            llm.close()


def with_colon(spec: str) -> str:
    """Give *spec* as `create_llm` takes it: the first `:` or `/` ends the provider's name."""
    spec = spec.strip()
    slash, colon = spec.find("/"), spec.find(":")
    if slash != -1 and (colon == -1 or slash < colon):
        return f"{spec[:slash]}:{spec[slash + 1 :]}"
    return spec


def named_specs(words: Iterable[str]) -> dict[str, str]:
    """Read the words of a command line: a spec, which is its own name, or name=spec."""
    named: dict[str, str] = {}
    for word in words:
        name, equals, spec = word.partition("=")
        if not equals or ":" in name or "/" in name:  # the "=" stands in a model's own name
            name = spec = word
        if name in named:
            raise ConfigurationError(f"two models are called {name}")
        named[name] = spec
    return named


def _specs(models: Iterable[Any]) -> list[str]:
    if isinstance(models, str):
        raise ConfigurationError(
            'models is a list, ["openai/gpt-5-mini"], or names with what answers to them'
        )
    specs = list(models)
    if not all(isinstance(spec, str) for spec in specs):
        raise ConfigurationError("a list of models holds texts; give an LLM a name: {'fast': llm}")
    return specs


def _short_names(llms: Mapping[str, LLM]) -> dict[str, str]:
    """Give each model's id that one name alone stands for: clients may say it without its provider."""
    ids = [llm.model for llm in llms.values()]
    return {llm.model: name for name, llm in llms.items() if ids.count(llm.model) == 1}
