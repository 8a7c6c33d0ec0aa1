"""Providers of other packages: found by entry points, and refused with the package's name when broken."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abstractcore import ConfigurationError, UnknownProviderError, create_llm, plugins
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "examples" / "plugin"
TINY = ROOT / "tests" / "models" / "tiny-llama-chat.gguf"
Install = Callable[..., None]

GOOD = """
from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.plugins import Endpoint, Engine
from abstractcore.types import StreamChunk

ROW = Endpoint(OpenAIChat(), "", url_variables=("PLUGIN_BASE_URL",), is_local=True)

class Says:
    def __init__(self, name, model, *, word="Hello.", api_key=None):
        self.name, self.model, self._word = name, model or "says", word

    async def stream(self, driver, request, deadline):
        yield StreamChunk("generating", self._word)
        yield StreamChunk("done", finish_reason="stop")

    async def models(self, driver, deadline):
        return [self.model]

    def close(self):
        pass

def breaks(name, model):
    raise OSError("no such device")

def gives_nothing(name, model):
    return None

def takes_too_much(name, model, third):
    pass

NO_MODULE = Engine(formats=("gguf",))
NO_CODEC = Endpoint(None, "")
NUMBER = 7
BUILT_IN = dict
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lay a package down as pip would have, with a module and its entry points."""
    monkeypatch.setattr(plugins, "_loaded", {})

    def install(package: str, *, source: str = GOOD, **points: str) -> None:
        folder = tmp_path / package
        module = package.replace("-", "_")
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name.replace('_', '-')} = {module}:{value}" for name, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[abstractcore.providers]", *lines, ""]))
        (folder / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


def test_a_row_of_another_package_is_a_provider(
    install: Install, surface: Surface, server: FakeServer
) -> None:
    install("plugin-a", plugin_row="ROW")
    server.replies(text("Hello there."))

    llm = server.llm("Plugin-Row", temperature=0.5)

    assert surface.generate(llm, "Hi").content == "Hello there."
    assert llm.provider == "plugin-row"


def test_a_class_of_another_package_is_a_provider(install: Install, surface: Surface) -> None:
    install("plugin-b", plugin_says="Says")

    llm = create_llm("plugin-says:m", word="Good evening.", temperature=0.5)  # pyright: ignore[reportCallIssue]

    answer = surface.generate(llm, "Hi")
    assert (answer.content, answer.provider, answer.model) == ("Good evening.", "plugin-says", "m")
    assert surface.generate(pickle.loads(pickle.dumps(llm)), "Hi").content == "Good evening."


def test_an_option_that_it_does_not_take_is_refused(install: Install) -> None:
    install("plugin-b", plugin_says="Says")

    with pytest.raises(TypeError, match="Did you mean 'word'"):
        create_llm("plugin-says", wort="Hi")  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match="base_url"):
        create_llm("plugin-says", base_url="http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="strict= is not known to the package plugin-b"):
        create_llm("plugin-says", strict=True)


def test_its_key_is_in_no_pickle(install: Install) -> None:
    install("plugin-b", plugin_says="Says")

    assert b"sk-live" not in pickle.dumps(create_llm("plugin-says", api_key="sk-live-0123456789abcdef"))


def test_an_unknown_name_is_told_from_all_that_there_are(install: Install) -> None:
    install("plugin-b", plugin_says="Says")

    with pytest.raises(UnknownProviderError, match="Did you mean plugin-says"):
        create_llm("plugin-say")


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ("missing", "cannot be loaded: AttributeError"),
        ("breaks", "is broken: OSError: no such device"),
        ("gives_nothing", "it has no name, model, stream"),
        ("takes_too_much", "must take two arguments, name and model"),
        ("BUILT_IN", "must take two arguments, name and model"),
        ("NO_MODULE", "names no module"),
        ("NO_CODEC", "codec without name"),
        ("NUMBER", "no Endpoint, Engine, class or function, but int"),
    ],
)
def test_a_broken_one_names_its_package(install: Install, point: str, words: str) -> None:
    install("plugin-c", broken=point)

    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        create_llm("broken", "m")

    assert "the package plugin-c" in str(caught.value)


def test_one_that_fails_at_its_import_names_its_package(install: Install) -> None:
    install("plugin-d", source="import no_such_package", broken="ROW")

    with pytest.raises(ConfigurationError, match=r"package plugin-d .*No module named 'no_such_package'"):
        create_llm("broken", "m")


def test_two_packages_with_one_name_are_refused(install: Install) -> None:
    install("plugin-e", twice="ROW")
    install("plugin-f", twice="Says")

    with pytest.raises(ConfigurationError, match="plugin-e and plugin-f"):
        create_llm("twice", "m")
    assert [plugin.problem for plugin in plugins.installed() if plugin.name == "twice"] == [
        "two packages bring a provider of this name"
    ] * 2


def test_none_of_ours_is_hidden_by_another_s(
    install: Install, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("plugin-g", vllm="Says", local="Says")
    server.replies(text("ours"))

    assert server.llm("vllm").generate("Hi").content == "ours"
    told = {plugin.name: plugin.problem or "" for plugin in plugins.installed()}
    assert "abstractcore has a provider of this name" in told["vllm"]
    assert "abstractcore has a provider of this name" in told["local"]
    assert "vllm" not in plugins.names()


def test_nothing_is_looked_up_for_a_name_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Any:
        raise AssertionError("the metadata was read")

    monkeypatch.setattr(plugins, "_entry_points", never)

    create_llm("vllm", "m").close()


def test_a_list_loads_nothing(install: Install) -> None:
    install("plugin-d", source="raise SystemExit", lazy="ROW")

    assert plugins.InstalledPlugin("lazy", "plugin-d") in plugins.installed()


def test_the_doctor_names_them(install: Install) -> None:
    pytest.importorskip("typer")
    from abstractcore.cli import doctor

    install("plugin-a", plugin_row="ROW", vllm="Says")

    found = {one.what: one for one in doctor._plugins()}
    assert (found["plugin-row"].state, found["plugin-row"].advice) == ("ok", "")
    assert (found["vllm"].state, found["vllm"].advice) == (
        "!!",
        "uninstall plugin-a, or ask for another name",
    )


@pytest.mark.timeout(240)
def test_the_template_installs_and_passes_its_own_tests(tmp_path: Path) -> None:
    """pip really installs it; its tests, the suite among them, then run in a process of their own."""
    source, site = tmp_path / "source", tmp_path / "site"
    shutil.copytree(TEMPLATE, source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(site), str(source)], check=True)
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "EXAMPLE_GGUF": str(TINY)}

    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"],
        cwd=source, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-5000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 70
