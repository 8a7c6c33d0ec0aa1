"""The pytest plugin: the fixtures `scripted_llm` and `cassette`, and the switch `--record`.

pytest loads it by its entry point, so nothing of the package is imported before a test asks for a fixture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from abstractcore.testing import Cassette, ScriptedLLM

pytest.register_assert_rewrite("abstractcore.testing.provider_suite")

_NOT_IN_A_NAME = re.compile(r'[\x00-\x1f<>:"/\\|?*]')  # Windows refuses these
_LONGEST = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch by its long name, which is nobody else's."""
    _add_switch(parser, "--abstractcore-record")


@pytest.hookimpl(trylast=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> None:
    """Add the switch by its short name, unless a conftest, which is read by now, has one of that name."""
    try:
        _, unknown = parser.parse_known_and_unknown_args(["--record"])
    except pytest.UsageError:  # one that wants a value
        return
    if unknown:
        _add_switch(parser, "--record")


def _add_switch(parser: pytest.Parser, name: str) -> None:
    parser.getgroup("abstractcore").addoption(
        name,
        action="store_true",
        dest="abstractcore_record",
        help="ask the real providers, and record their answers for the tests that use the fixture cassette",
    )


@pytest.fixture
def scripted_llm() -> Iterator[Callable[..., ScriptedLLM]]:
    """Make a `ScriptedLLM` of a script: `llm = scripted_llm(["Hello."])`; any number of them.

    They are closed after the test, which fails when an answer was not asked for; with
    `all_used=False` it does not.
    """
    from abstractcore.testing import ScriptedLLM

    made: list[tuple[ScriptedLLM, bool]] = []

    def make(script: Iterable[Any], *, all_used: bool = True, **options: Any) -> ScriptedLLM:
        llm = ScriptedLLM(script, **options)
        made.append((llm, all_used))
        return llm

    yield make
    for llm, _ in made:
        llm.close()
    if unused := sum(llm.unused for llm, all_used in made if all_used):
        pytest.fail(f"{unused} of the answers of scripted_llm were not asked for", pytrace=False)


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """Answer the provider calls of the test from `cassettes/<file>/<test>.jsonl`, beside the test's file.

    With `--record` the providers are asked, and the file is written anew. Without it none is asked
    whatever happens: a call that was not recorded is CassetteMissError.
    """
    from abstractcore.testing import Cassette

    path = request.path.parent / "cassettes" / request.path.stem / _file_of(request.node.nodeid)
    recorded = request.config.getoption("abstractcore_record")
    with Cassette(path, "record" if recorded else "replay") as opened:
        yield opened


def _file_of(nodeid: str) -> Path:
    """Give a test's file: its name, with its class, as file systems take it."""
    test = ".".join(nodeid.split("::")[1:])
    name = _NOT_IN_A_NAME.sub("_", test)[:_LONGEST]
    return Path(f"{name}.jsonl" if name == test else f"{name}-{sha256(test.encode()).hexdigest()[:8]}.jsonl")
