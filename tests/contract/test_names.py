"""CONTRACT Names: what a user imports, from where, in any order."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

import abstractcore
import abstractcore.tools
from abstractcore import errors

OBJECTS = (
    "create_llm", "BasicSession", "client", "chat", "Client", "Agent", "Chain", "Parallel", "Router",
    "EvaluatorOptimizer", "MCPClient", "tool", "Tool", "ToolContext", "GenerateResponse", "StreamChunk",
    "ToolCall", "Usage", "pretty_print",
)  # fmt: skip
MODULES = ("aio", "errors", "models", "testing", "tools", "types")
ERRORS = [
    name
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, errors.AbstractCoreError)
]
# As a user may write them, each in a package that was never imported before.
ORDERS = (
    "from abstractcore import create_llm",
    "from abstractcore import create_llm, BasicSession",
    "import abstractcore\nfrom abstractcore.tools import tool, Tool, ToolContext",
    "from abstractcore.tools import tool\nfrom abstractcore import create_llm",
    "import abstractcore.tools\nfrom abstractcore import tool",
    "from abstractcore.tools import MCPClient\nfrom abstractcore import MCPClient",
    "from abstractcore import tool\nimport abstractcore.tools",
    "from abstractcore import tools\nfrom abstractcore import tool",
    "from abstractcore import aio\nfrom abstractcore import client, chat, Agent",
    "import abstractcore.aio\nfrom abstractcore.conversation import client\nfrom abstractcore import Client",
    "import abstractcore.agents.agent\nfrom abstractcore import Agent, pretty_print",
    "from abstractcore.session import BasicSession\nfrom abstractcore import create_llm",
    "from abstractcore.types import StreamChunk\nfrom abstractcore import *",
    "from abstractcore.errors import RateLimitError\nfrom abstractcore import RateLimitError",
)


@pytest.mark.parametrize("name", [*OBJECTS, *ERRORS, *MODULES])
def test_names_every_public_name_stands_in_the_package(name: str):
    assert name in abstractcore.__all__
    assert name in dir(abstractcore)
    assert getattr(abstractcore, name) is getattr(import_module("abstractcore"), name)


@pytest.mark.parametrize("name", ERRORS)
def test_names_every_error_is_the_one_of_the_tree(name: str):
    assert getattr(abstractcore, name) is getattr(errors, name)


@pytest.mark.parametrize("name", MODULES)
def test_names_the_modules_are_modules(name: str):
    assert isinstance(getattr(abstractcore, name), ModuleType)


def test_names_tools_has_the_decorator_and_its_types():
    for name in ("tool", "Tool", "ToolContext", "MCPClient"):
        assert getattr(abstractcore.tools, name) is getattr(abstractcore, name)


def test_names_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'clinet'"):
        abstractcore.clinet  # noqa: B018


def test_names_the_version_is_the_installed_one():
    assert abstractcore.__version__[0].isdigit()


@pytest.mark.parametrize("package", [abstractcore, abstractcore.tools], ids=lambda package: package.__name__)
def test_names_no_module_shadows_a_public_function(package: ModuleType):
    """Importing a room named as a function would put the room in the function's place."""
    public = (*OBJECTS, *ERRORS)
    rooms = [module.name for module in pkgutil.iter_modules(package.__path__)]

    assert [room for room in rooms if room in public] == []


def test_names_any_import_order_gives_the_same_objects():
    """One child process runs every order, each with none of our modules loaded."""
    code = f"""
import sys
for order in {ORDERS!r}:
    for name in [name for name in sys.modules if name.partition(".")[0] == "abstractcore"]:
        del sys.modules[name]
    exec(order, space := {{}})
    import abstractcore
    for name in {OBJECTS!r}:
        assert callable(getattr(abstractcore, name)), (order, name)
    for name in {MODULES!r}:
        assert type(getattr(abstractcore, name)).__name__ == "module", (order, name)
    for name, value in space.items():
        assert name in ("__builtins__", "abstractcore") or value is getattr(abstractcore, name), (order, name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["generate", "agenerate"])
@pytest.mark.parametrize("kind", ["LLM", "BasicSession"])
def test_names_arguments_have_the_words_of_the_contract(kind: str, name: str):
    """*thinking* names the switch; `system_prompt`, `response_model` and `media` stand on providers."""
    words = inspect.signature(getattr(getattr(abstractcore, kind), name)).parameters

    assert {"prompt", "messages", "system_prompt", "response_model", "media", "stream", "include"} <= set(
        words
    )
    assert not {"system", "schema", "images"} & set(words)


def test_names_thinking_is_the_phase_and_reasoning_the_text():
    assert "thinking" in abstractcore.types.PHASES
    assert {"reasoning"} <= set(abstractcore.GenerateResponse.__dataclass_fields__)
    assert {"reasoning_tokens"} <= set(abstractcore.Usage.__dataclass_fields__)
