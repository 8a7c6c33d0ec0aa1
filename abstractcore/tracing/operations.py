"""One operation under way: its span where spans are kept, and its duration where metrics are.

The names are those of OpenTelemetry's conventions for generative AI. Knows no model and no message.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from abstractcore.drivers.base import Deadline
from abstractcore.drivers.generators import Nested
from abstractcore.errors import APIError
from abstractcore.tracing import telemetry

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from abstractcore.types import Usage

T = TypeVar("T")
Kind = Literal["chat", "embeddings", "execute_tool", "invoke_agent", "invoke_workflow"]

_NOTHING: Mapping[str, str] = {}
_CLIENT = (
    "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model",
    "server.address", "server.port", "error.type",
)  # fmt: skip
# The metric of each kind's duration, and the attributes that it has: few values each, so that they add up.
_DURATIONS: dict[Kind, tuple[str, tuple[str, ...]]] = {
    "chat": (telemetry.CALL_SECONDS, _CLIENT),
    "embeddings": (telemetry.CALL_SECONDS, _CLIENT),
    "execute_tool": (
        telemetry.TOOL_SECONDS,
        ("gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.agent.name", "error.type"),
    ),
    "invoke_agent": (
        telemetry.AGENT_SECONDS,
        ("gen_ai.agent.name", "gen_ai.request.model", "error.type"),
    ),
    "invoke_workflow": (telemetry.WORKFLOW_SECONDS, ("gen_ai.workflow.name", "error.type")),
}


class Operation:
    """An operation that has begun. Nothing of it is kept but by who set up OpenTelemetry; what that raises
    breaks no operation.

    *subject* stands after the kind in the span's name. Attributes that are None are left out.
    """

    def __init__(
        self, kind: Kind, subject: str | None, attributes: Mapping[str, Any], *, asks_server: bool = False
    ) -> None:
        given = {"gen_ai.operation.name": kind, **attributes}
        self._attributes = {name: value for name, value in given.items() if value is not None}
        self._kind: Kind = kind
        self._began = Deadline.after(0.0)
        self._has_ended = False
        self._span: Span | None = None
        self._start(f"{kind} {subject}" if subject else kind, asks_server)

    @telemetry.harmless
    def _start(self, name: str, asks_server: bool) -> None:
        tracer = telemetry.tracer()
        if tracer is not None:
            from opentelemetry.trace import SpanKind

            self._span = tracer.start_span(
                name,
                kind=SpanKind.CLIENT if asks_server else SpanKind.INTERNAL,
                attributes=self._attributes,
            )

    @property
    def keeps_content(self) -> bool:
        """Whether what people and models have said belongs into the span."""
        return self._span is not None and self._span.is_recording() and telemetry.keeps_content()

    def seconds(self) -> float:
        """Tell how long it has been under way."""
        return -self._began.left()

    @telemetry.harmless
    def note(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes; those that are None are left out."""
        known = {name: value for name, value in attributes.items() if value is not None}
        self._attributes |= known
        if self._span is not None:
            self._span.set_attributes(known)

    @telemetry.harmless
    def event(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Add a moment to the span."""
        if self._span is not None:
            self._span.add_event(name, {key: value for key, value in attributes.items() if value is not None})

    @telemetry.harmless
    def record(self, metric: str, value: float, more: Mapping[str, str] = _NOTHING) -> None:
        """Add *value* to a metric, under the attributes that this kind of operation has there, and *more*."""
        histogram = telemetry.histogram(metric)
        if histogram is not None:
            names = _DURATIONS[self._kind][1]
            told = {name: self._attributes[name] for name in names if name in self._attributes}
            histogram.record(value, {**told, **more}, self._context())

    @telemetry.harmless
    def fail(self, failure: BaseException) -> None:
        """Say that it failed. The failure's words may repeat a prompt, and go where content goes."""
        if self._has_ended:
            return
        kind = error_type(failure)
        self.note({"error.type": kind})
        if self._span is not None and self._span.is_recording():
            from opentelemetry.trace import StatusCode

            status = failure.status_code if isinstance(failure, APIError) else None
            short = kind.rpartition(".")[2] if status is None else f"{kind.rpartition('.')[2]} ({status})"
            self._span.set_status(StatusCode.ERROR, str(failure) if self.keeps_content else short)

    @telemetry.harmless
    def end(self) -> None:
        """End it; once it has ended, this does nothing."""
        if self._has_ended:
            return
        self._has_ended = True
        self.record(_DURATIONS[self._kind][0], self.seconds())
        if self._span is not None:
            self._span.end()

    async def around(self, work: Coroutine[Any, Any, T], last_words: Callable[[T], None]) -> T:
        """Await *work* in the span, and end with it; *last_words* is called with what it gives."""
        try:
            with self._current():
                result = await work
            last_words(result)
            return result
        except BaseException as failure:
            self.fail(failure)
            raise
        finally:
            self.end()

    async def steps(
        self, source: AsyncGenerator[T], last_words: Callable[[Operation], None] | None = None
    ) -> AsyncGenerator[T]:
        """Give what *source* gives, and end with it; *last_words* is called when it has come to its end.

        While the source works its span is the current one, and never while its values are read: one who
        reads may be another task, or may be in a span of its own. Whoever leaves early has not failed.
        """
        try:
            async with aclosing(Nested(source)) as values:
                while True:
                    with self._current():
                        try:
                            value = await anext(values)
                        except StopAsyncIteration:
                            break
                    yield value
            if last_words is not None:
                last_words(self)
        except GeneratorExit:
            raise
        except BaseException as failure:
            self.fail(failure)
            raise
        finally:
            self.end()

    @contextmanager
    def _current(self) -> Generator[None]:
        inside = self._context()
        if inside is None:
            yield
            return
        from opentelemetry import context

        token = context.attach(inside)
        try:
            yield
        finally:
            context.detach(token)

    def _context(self) -> Context | None:
        if self._span is None:
            return None
        from opentelemetry.trace import set_span_in_context

        return set_span_in_context(self._span)


def usage_attributes(usage: Usage) -> dict[str, int | None]:
    """Give what is known of the tokens that an operation took."""
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.cache_write.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }


def error_type(failure: BaseException) -> str:
    """Name the kind of *failure*, as OpenTelemetry names exceptions."""
    kind = type(failure)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
