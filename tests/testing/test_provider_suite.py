"""The suite for providers, run on three of ours: a script, a service over HTTP, a model in this process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from abstractcore import LLM, BadRequestError, Usage, create_llm
from abstractcore.errors import AbstractCoreError
from abstractcore.testing import FunctionLLM, ScriptedLLM, tool_call
from abstractcore.testing.both_surfaces import Surface
from abstractcore.testing.provider_suite import ProviderSuite
from abstractcore.testing.scripts import pieces_of
from tests.engines.toy import scheduler_of
from tests.fakes import any_wire
from tests.fakes.replies import Reply, WaitFor
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.wires import WIRES, Wire

KEY = "sk-live-0123456789abcdef"
TINY = Path(__file__).parent.parent / "models" / "tiny-llama-chat.gguf"


class TestOfAScript(ProviderSuite):
    lacks = frozenset({"cancel"})  # nobody sees a script being left

    def make_llm(self, **options: Any) -> LLM:
        self.llm_made = ScriptedLLM([], **options)
        return self.llm_made

    def _add(self, *answer: Any) -> None:
        self.llm_made._left.append(pieces_of([*answer, Usage(4, 6, 10)]))

    def will_answer(self, text: str) -> None:
        self._add(text[:3], text[3:])

    def will_call(self, name: str, arguments: dict[str, Any]) -> None:
        self._add(tool_call(name, **arguments))

    def will_fail(self) -> type[AbstractCoreError]:
        self.llm_made._left.append(pieces_of(BadRequestError("no")))
        return BadRequestError


class TestOfAService(ProviderSuite):
    key = KEY

    @pytest.fixture(autouse=True, params=list(WIRES))
    def served(self, request: pytest.FixtureRequest, server: FakeServer) -> Iterator[None]:
        self.server = server
        self.wire: Wire = WIRES[request.param]
        self.gate = threading.Event()
        self.script: deque[Reply] = deque()
        server.always["GET /api/tags"] = any_wire.models()
        server.route = lambda request: self.script.popleft()
        yield
        self.gate.set()

    def make_llm(self, **options: Any) -> LLM:
        return self.wire.llm(self.server, api_key=KEY, **options)

    def will_answer(self, text: str) -> None:
        self.script.append(any_wire.text(text))

    def will_call(self, name: str, arguments: dict[str, Any]) -> None:
        self.script.append(any_wire.call(name, **arguments))

    def will_fail(self) -> type[AbstractCoreError]:
        self.script.append(any_wire.error(400, f"no: {KEY}"))
        return BadRequestError

    def will_go_on(self) -> None:
        streamed = any_wire.held_after(any_wire.text("one two", piece=4), "one ", self.gate)
        whole = any_wire.text("one two").after(WaitFor(self.gate))
        self.script.append(Reply(lambda asked: (streamed if self._streams(asked) else whole).steps(asked)))

    def _streams(self, asked: Recorded | None) -> bool:
        assert asked is not None
        return asked.json.get("stream") is True

    def is_answering(self) -> bool:
        return bool(self.server.requests)

    def has_been_left(self) -> bool:
        return self.server.disconnects > 0


@dataclass
class Person:
    name: str
    age: int


@pytest.mark.skipif(find_spec("openvino_genai") is None, reason="openvino is not installed")
class TestOfAModelInThisProcess(ProviderSuite):
    lacks = frozenset({"tools"})  # the tiny model knows no call of ours by heart
    prompt = "hello"
    typed_prompt = "Make up a person. Reply as JSON with name and age."
    typed_model = Person

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def kept_loaded(cls) -> Iterator[None]:
        """One set of weights for all checks, since one is in use all the time."""
        with create_llm("openvino", str(TINY)) as llm:
            llm.load()
            yield

    def make_llm(self, **options: Any) -> LLM:
        self.made: Any = create_llm("openvino", str(TINY), **{"max_output_tokens": 32, **options})
        return self.made

    def will_go_on(self) -> None:
        # Until its context is full.
        self.made._defaults |= {"extra": {"ignore_eos": True}, "max_output_tokens": None}

    def is_answering(self) -> bool:
        return bool(scheduler_of(self.made)._running)

    def has_been_left(self) -> bool:
        return not self.is_answering()


def test_a_key_in_a_frame_of_the_traceback_is_found() -> None:
    """An error whose words and repr are clean is not enough: a traceback may be printed with its locals."""

    class Careless(TestOfAScript):
        key = KEY

    def answer(request: object) -> str:
        login = f"Bearer {KEY}"
        raise BadRequestError(f"refused a login of {len(login)} characters")

    suite, surface = Careless(), Surface()
    suite.will_fail = lambda: BadRequestError  # type: ignore[method-assign]
    with FunctionLLM(answer) as llm, pytest.raises(AssertionError):
        suite.test_the_key_shows_nowhere(llm, surface)
    surface.shut()
