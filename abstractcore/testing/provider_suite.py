"""What every provider must do, as tests that any provider can run against itself.

Subclass `ProviderSuite` in a test file, say how your LLM is made, and let your server or model answer as the
checks want; pytest runs the rest. A check that needs what you do not override is skipped, and says so.
"""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, cast

import pytest

from abstractcore.errors import AbstractCoreError, ClosedError, RequestTimeoutError
from abstractcore.llm import LLM
from abstractcore.session import BasicSession
from abstractcore.testing.both_surfaces import AwaitedSurface, Surface
from abstractcore.types import PHASES, GenerateResponse

_REASONS = ("stop", "length", "tool_calls", "content_filter", "other", None)
Feature = Literal["usage", "tools", "structured_output", "cancel", "pickle"]


@dataclass
class Weather:
    """What the check of structured output asks for."""

    city: str
    celsius: int


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Sun in {city}."


class ProviderSuite:
    """Subclass it as `class TestMine(ProviderSuite)` and override `make_llm`, and what else you can.

    The `will_…` methods let your server or model answer as a check wants it, once and next. Without them
    the checks that need them are skipped, as are those of a feature that *lacks* names.
    """

    lacks: frozenset[Feature] = frozenset()
    """What the provider cannot do by its nature."""
    prompt = "Say hello."
    timeout = 60.0
    """Seconds that one call may take here."""
    typed_prompt = "The weather in Oslo, please."
    typed_answer = '{"city": "Oslo", "celsius": 21}'
    typed_model: type[Any] = Weather
    """What the check of structured output asks for, and the text that answers it."""
    key: str | None = None
    """The key that `make_llm` passes, if any: it must show nowhere."""

    # ---- what you override ----

    def make_llm(self, **options: Any) -> LLM:
        """Make a new LLM, with these *options* of `create_llm` beside your own."""
        raise NotImplementedError("a ProviderSuite needs make_llm")

    def will_answer(self, text: str) -> None:
        """Let the next request be answered with *text*, in several pieces where it is streamed."""
        self._skip("will_answer")

    def will_call(self, name: str, arguments: dict[str, Any]) -> None:
        """Let the next request be answered with a call of the tool *name*."""
        self._skip("will_call")

    def will_fail(self) -> type[AbstractCoreError]:
        """Let the next request fail in a way that is not retried; give the error that must be raised."""
        self._skip("will_fail")

    def will_go_on(self) -> None:
        """Let the next answer begin, and go on until it is left."""
        self._skip("will_go_on")

    def is_answering(self) -> bool:
        """Whether the answer of `will_go_on` is under way at the server or in the model."""
        self._skip("is_answering")

    def has_been_left(self) -> bool:
        """Whether the server or model has seen that nobody waits for that answer any more."""
        self._skip("has_been_left")

    def _skip(self, method: str) -> NoReturn:
        pytest.skip(f"{type(self).__name__} does not override {method}")

    # ---- fixtures ----

    @pytest.fixture(params=["sync", "async"])
    def surface(self, request: pytest.FixtureRequest) -> Iterator[Surface]:
        """Each check runs on both surfaces."""
        surface = Surface() if request.param == "sync" else AwaitedSurface()
        yield surface
        surface.shut()

    @pytest.fixture
    def make(self, surface: Surface) -> Iterator[Callable[..., LLM]]:
        """Make LLMs that are closed after the check, on its surface."""
        made: list[LLM] = []

        def make(**options: Any) -> LLM:
            made.append(self.make_llm(**{"timeout": self.timeout, **options}))
            return made[-1]

        yield make
        for llm in made:
            surface.close(llm)

    @pytest.fixture
    def llm(self, make: Callable[..., LLM]) -> LLM:
        """Make an LLM."""
        return make()

    def _needs(self, feature: Feature) -> None:
        if feature in self.lacks:
            pytest.skip(f"{type(self).__name__} lacks {feature}")

    def _any_answer(self, text: str = "Hello there.") -> None:
        """Let the next answer be *text* where that can be arranged; any other serves as well."""
        if type(self).will_answer is not ProviderSuite.will_answer:
            self.will_answer(text)

    # ---- whole answers and streams ----

    def test_a_whole_answer_says_all_that_is_known(self, llm: LLM, surface: Surface) -> None:
        """The text is a str, the finish reason one of ours, and provider and model are named."""
        self._any_answer()
        answer = surface.ask(llm, self.prompt)
        assert isinstance(answer, GenerateResponse)
        assert answer.content
        assert answer.finish_reason in _REASONS
        assert (answer.provider, bool(answer.model)) == (llm.provider, True)

    def test_a_stream_ends_with_the_one_done(self, llm: LLM, surface: Surface) -> None:
        """The last chunk is `done`, and there is one; text chunks hold new text; all phases are ours."""
        self._any_answer()
        chunks, response = surface.stream(llm, self.prompt, include=PHASES)
        assert [chunk.phase for chunk in chunks].count("done") == 1
        assert chunks[-1].phase == "done"
        assert {chunk.phase for chunk in chunks} <= set(PHASES)
        assert "".join(chunk.content for chunk in chunks if chunk.phase == "generating") == response.content

    def test_a_stream_says_what_the_whole_answer_says(self, llm: LLM, surface: Surface) -> None:
        """The same answer is the same text, finish reason and usage, streamed or not."""
        self.will_answer("One two three.")
        whole = surface.ask(llm, self.prompt)
        self.will_answer("One two three.")
        _, streamed = surface.stream(llm, self.prompt)
        assert whole.content == streamed.content == "One two three."
        assert (whole.finish_reason, whole.usage) == (streamed.finish_reason, streamed.usage)

    def test_text_comes_back_character_for_character(self, llm: LLM, surface: Surface) -> None:
        """No blank, line break or character outside ASCII is lost or changed, however a stream is cut."""
        text = "Grüße aus 東京 🙂\n\n  * indented"
        self.will_answer(text)
        assert surface.ask(llm, self.prompt).content == text
        self.will_answer(text)
        assert surface.stream(llm, self.prompt)[1].content == text

    def test_calls_side_by_side_do_not_mix(self, llm: LLM, surface: Surface) -> None:
        """One object answers many callers at once."""
        for _ in range(4):
            self._any_answer("Hello.")
        answers = surface.together(llm, 4, self.prompt)
        assert all(answer.content for answer in answers)
        if type(self).will_answer is not ProviderSuite.will_answer:
            assert [answer.content for answer in answers] == ["Hello."] * 4

    def test_one_object_serves_both_surfaces(self, llm: LLM, surface: Surface) -> None:
        """It can be asked from sync code and from one event loop after another."""
        other = Surface() if surface.name == "async" else AwaitedSurface()
        try:
            for each in (surface, other, surface):
                self._any_answer()
                assert each.ask(llm, self.prompt).content
        finally:
            other.shut()

    # ---- usage ----

    def test_usage_is_counted_or_none(self, llm: LLM, surface: Surface) -> None:
        """A count that is not known is None, never 0 for a prompt; what is known is known of streams too."""
        self._needs("usage")
        self._any_answer()
        whole = surface.ask(llm, self.prompt).usage
        self._any_answer()
        streamed = surface.stream(llm, self.prompt)[1].usage
        for usage in (whole, streamed):
            assert usage.input_tokens
            assert usage.output_tokens
            assert usage.total_tokens in (None, usage.input_tokens + usage.output_tokens)

    # ---- leaving early ----

    def test_a_stream_that_is_left_stops_the_work(self, llm: LLM, surface: Surface) -> None:
        """`break` ends the request or the job at once: nobody pays for what nobody reads."""
        self._needs("cancel")
        self.will_go_on()
        assert surface.take_one(llm, self.prompt) is not None
        self._check_left(surface)

    @pytest.mark.parametrize("surface", ["async"], indirect=True)
    def test_a_cancelled_call_stops_the_work(self, llm: LLM, surface: AwaitedSurface) -> None:
        """A cancel ends the request or the job at once, and is raised as it is."""
        self._needs("cancel")
        self.will_go_on()
        surface.cancel(llm, self.is_answering, self.prompt)
        self._check_left(surface)

    def test_a_timeout_is_kept(self, llm: LLM, surface: Surface) -> None:
        """An answer that takes longer than `timeout=` is RequestTimeoutError, and its work stops."""
        self._needs("cancel")
        self.will_go_on()
        with pytest.raises(RequestTimeoutError):
            surface.ask(llm, self.prompt, timeout=0.5)
        self._check_left(surface)

    def _check_left(self, surface: Surface) -> None:
        assert surface.wait_until(self.has_been_left), "the work went on after its caller had left"

    # ---- closing, names and copies ----

    def test_a_closed_llm_refuses(self, llm: LLM, surface: Surface) -> None:
        """After `close`, which may be called again, a call is ClosedError."""
        surface.close(llm)
        surface.close(llm)
        with pytest.raises(ClosedError):
            surface.ask(llm, self.prompt)

    def test_models_are_listed_by_their_ids(self, llm: LLM, surface: Surface) -> None:
        """`list_models` gives texts."""
        assert all(isinstance(name, str) for name in cast("list[Any]", surface.models(llm)))

    def test_an_argument_that_does_not_exist_is_refused(self, make: Callable[..., LLM]) -> None:
        """Of `create_llm` and of `generate`: it is never swallowed."""
        with pytest.raises(TypeError):
            make(no_such_argument=1)
        with pytest.raises(TypeError):
            cast("Any", make()).generate(self.prompt, no_such_argument=1)

    def test_a_copy_answers_too(self, llm: LLM, surface: Surface) -> None:
        """It pickles, without its key: the copy reads the environment where it is loaded."""
        self._needs("pickle")
        pickled = pickle.dumps(llm)
        if self.key is not None:
            assert self.key.encode() not in pickled
        try:
            copied = pickle.loads(pickled)
        except AbstractCoreError:  # no key is in the environment here
            return
        assert (copied.provider, copied.model) == (llm.provider, llm.model)
        surface.close(copied)

    def test_the_key_shows_nowhere(self, llm: LLM, surface: Surface) -> None:
        """Neither in a `repr`, nor in an error and its traceback, the locals of its frames among it."""
        if self.key is None:
            pytest.skip(f"{type(self).__name__} says no key")
        self.will_fail()
        with pytest.raises(AbstractCoreError) as caught:
            surface.ask(llm, self.prompt)
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        shown = f"{llm!r} {vars(llm)!r} {caught.value!r} {vars(caught.value)!r} {''.join(told.format())}"
        assert self.key not in shown

    # ---- errors and history ----

    def test_a_failure_is_one_of_ours_and_names_the_provider(self, llm: LLM, surface: Surface) -> None:
        """Whatever goes wrong is an AbstractCoreError, with provider, model and attempts."""
        kind = self.will_fail()
        with pytest.raises(kind) as caught:
            surface.ask(llm, self.prompt)
        assert isinstance(caught.value, AbstractCoreError)
        assert (caught.value.provider, caught.value.model) == (llm.provider, llm.model)
        assert str(caught.value)

    def test_a_failed_turn_leaves_the_history_alone(self, llm: LLM, surface: Surface) -> None:
        """The session is as it was before, and can be asked again."""
        session = BasicSession(llm, "Be kind.")
        kind = self.will_fail()
        before = copy.deepcopy(session.messages)
        with pytest.raises(kind):
            surface.ask(session, self.prompt)
        assert session.messages == before
        self._any_answer()
        assert surface.ask(session, self.prompt).content

    def test_a_conversation_goes_on(self, llm: LLM, surface: Surface) -> None:
        """Two turns of a session are four messages, system prompt aside."""
        session = BasicSession(llm, "Be kind.")
        for _ in range(2):
            self._any_answer()
            surface.ask(session, self.prompt)
        roles = [message["role"] for message in session.messages if message["role"] != "system"]
        assert roles == ["user", "assistant"] * 2

    def test_messages_of_the_caller_are_left_as_they_are(self, llm: LLM, surface: Surface) -> None:
        """A provider reads the history, and changes nothing in it."""
        messages = [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "My name is Alice."},
            {"role": "assistant", "content": "Hello, Alice."},
            {"role": "user", "content": self.prompt},
        ]
        before = copy.deepcopy(messages)
        self._any_answer()
        assert surface.ask(llm, messages=messages).content
        assert messages == before

    # ---- tools and structured output ----

    def test_a_tool_call_comes_back_whole(self, llm: LLM, surface: Surface) -> None:
        """With an id, its name and its arguments as a dict, streamed or not; nothing is run."""
        self._needs("tools")
        for ask in (surface.ask, lambda *args, **options: surface.stream(*args, **options)[1]):
            self.will_call("get_weather", {"city": "Oslo"})
            answer = ask(llm, "Weather in Oslo?", tools=[get_weather])
            [call] = answer.tool_calls
            assert (call.name, call.arguments, bool(call.id)) == ("get_weather", {"city": "Oslo"}, True)
            assert answer.finish_reason == "tool_calls"

    def test_a_tool_s_result_goes_back(self, llm: LLM, surface: Surface) -> None:
        """The loop runs the tool, and the provider takes the call and its result as history."""
        self._needs("tools")
        self.will_call("get_weather", {"city": "Oslo"})
        self.will_answer("Sunny.")
        session = BasicSession(llm, tools=[get_weather])
        assert surface.ask(session, "Weather in Oslo?", run_tools=True).content == "Sunny."
        results = [message["content"] for message in session.messages if message["role"] == "tool"]
        assert results == ["Sun in Oslo."]

    def test_a_typed_answer_is_an_object(self, llm: LLM, surface: Surface) -> None:
        """With `response_model` the answer follows the schema, and is given as the object."""
        self._needs("structured_output")
        self._any_answer(self.typed_answer)
        answer = surface.ask(llm, self.typed_prompt, response_model=self.typed_model)
        assert isinstance(answer, self.typed_model)
