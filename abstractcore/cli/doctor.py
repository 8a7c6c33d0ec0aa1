"""`abstractcore doctor`: what is set up here, and what to do about the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from abstractcore.cli.offers import Offer
    from abstractcore.errors import AbstractCoreError

State = Literal["ok", "--", "!!"]
# The package that an import name comes from, where they differ by more than _ and -.
_DISTRIBUTIONS = {"llama_cpp": "llama-cpp-python"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and the *advice* about it; *answers*: a model can answer by it."""

    state: State
    what: str
    detail: str
    advice: str = ""
    answers: bool = False


def doctor(
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for servers.")] = 5.0,
) -> None:
    """Look at keys, servers, engines and versions, and say what to do about each.

    No key is shown. Asks each provider that a key or an address is set for, and the servers of this machine,
    for its list of models, which uses no tokens. Ends with 1 when nothing here can answer.
    """
    from abstractcore.cli.tables import show

    found = [*_python(), *_default(), *_providers(timeout), *_plugins(), *_engines(), *_extras()]
    show(
        ("", "what", "found", "what to do"), [(one.state, one.what, one.detail, one.advice) for one in found]
    )
    if not any(one.answers for one in found):
        typer.echo(
            "error: nothing here can answer: set a key, start a server, or install an engine", err=True
        )
        raise typer.Exit(1)


def _python() -> Iterator[Finding]:
    import platform

    from abstractcore import __version__

    yield Finding("ok", "abstractcore", str(__version__))
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _default() -> Iterator[Finding]:
    """The model that answers when none is named."""
    from abstractcore.cli.options import MODEL, open_model
    from abstractcore.errors import AbstractCoreError

    named = os.environ.get(MODEL)
    what = MODEL if named else "default model"
    try:
        with open_model(named) as llm:
            yield Finding("ok", what, f"{llm.provider}:{llm.model}")
    except AbstractCoreError as failure:
        state: State = "!!" if named else "--"
        yield Finding(state, what, failure.message, f"set {MODEL} to provider:model, or pass --model")


def _providers(timeout: float) -> Iterator[Finding]:
    from abstractcore.cli import offers

    asked = [name for name in offers.PROVIDERS if offers.is_worth_asking(name)]
    answered = {one.provider: one for one in offers.offers(asked, timeout)}
    for name, row in offers.PROVIDERS.items():
        if name in answered:
            yield _answered(answered[name])
        elif row.key is not None:
            yield Finding("--", name, "no key", f"set {row.key}")
        else:
            yield Finding("--", name, "no address", f"set {row.url_variables[0]}")


def _answered(one: Offer) -> Finding:
    from abstractcore.cli import offers

    if one.error is None:
        detail = f"answers after {one.seconds:.2f} s, {len(one.models)} models"
        return Finding("ok", one.provider, detail, answers=bool(one.models))
    if not offers.is_set(one.provider):
        variable = offers.PROVIDERS[one.provider].url_variables[0]
        return Finding("--", one.provider, "no server here", f"start it, or set {variable}")
    return Finding("!!", one.provider, one.error.message, _advice(one.provider, one.error))


def _advice(provider: str, failure: AbstractCoreError) -> str:
    """Say what to do, by whose turn it is."""
    from abstractcore import errors
    from abstractcore.providers.catalog import PROVIDERS

    row = PROVIDERS[provider]
    address = row.url_variables[0]
    if isinstance(failure, errors.AuthenticationError | errors.PermissionDeniedError):
        return f"check {row.key or 'the key that the server wants'}"
    if isinstance(failure, errors.TransportError):
        return f"start it, or check {address}" if row.is_local else f"check the network, and {address} if set"
    if isinstance(failure, errors.RateLimitError | errors.ServerError):
        return "wait, and try again"
    return f"check {address}"


def _plugins() -> Iterator[Finding]:
    """The providers that other packages bring; none is loaded or asked."""
    from abstractcore.plugins import installed

    for plugin in installed():
        if plugin.problem is None:
            yield Finding("ok", plugin.name, f"a provider of the package {plugin.package}")
        else:
            advice = f"uninstall {plugin.package}, or ask for another name"
            yield Finding("!!", plugin.name, f"{plugin.package}: {plugin.problem}", advice)


def _engines() -> Iterator[Finding]:
    from abstractcore.cli import offers
    from abstractcore.engines.catalog import ENGINES

    for name in offers.engines():
        row = ENGINES[name]
        assert row is not None
        if not offers.is_installed(name):
            yield Finding("--", name, "not installed", f'pip install "abstractcore[{row.extra}]"')
            continue
        versions = ", ".join(
            f"{package} {_version(package) or 'of unknown version'}" for package in row.packages
        )
        models = offers.of_engine(name).models
        advice = "" if models else "name a model's file or its id on the hub: see docs/local-models.md"
        yield Finding("ok", name, f"{versions}; models here: {len(models)}", advice, answers=bool(models))


def _extras() -> Iterator[Finding]:
    """The extras that are no engines, as pip knows them."""
    from abstractcore.engines.catalog import ENGINES

    shown = {"all", *(row.extra for row in ENGINES.values() if row is not None)}
    for extra, packages in _required().items():
        if extra in shown:
            continue
        versions = {package: _version(package) for package in packages}
        missing = [package for package, version in versions.items() if version is None]
        told = ", ".join(f"{package} {version or 'missing'}" for package, version in versions.items())
        advice = f'pip install "abstractcore[{extra}]"' if missing else ""
        yield Finding("--" if missing else "ok", f"extra {extra}", told, advice)


def _required() -> dict[str, list[str]]:
    """Name the packages that each extra brings, as they stand in this installation's metadata."""
    import re
    from importlib.metadata import requires

    found: dict[str, list[str]] = {}
    for line in requires("abstractcore") or ():
        extra = re.search(r"extra == ['\"]([\w-]+)", line)
        package = re.match(r"[\w.-]+", line)
        if extra and package and package[0] != "abstractcore":
            found.setdefault(extra[1], []).append(package[0])
    return found


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(_DISTRIBUTIONS.get(package, package.replace("_", "-")))
    except PackageNotFoundError:
        return None
