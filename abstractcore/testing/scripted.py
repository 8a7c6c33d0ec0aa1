"""LLMs that need no model: one answers from a script, one asks a function.

Both are real LLMs over a provider of their own, so that sessions, clients, agents, retries and
deadlines are those of any other.
"""

from __future__ import annotations

import copy
import inspect
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Unpack

from abstractcore.codecs.base import EmbedLimits
from abstractcore.codecs.vectors import checked
from abstractcore.errors import (
    AbstractCoreError,
    ClosedError,
    ConfigurationError,
    RequestTimeoutError,
    UnsupportedFeatureError,
)
from abstractcore.generation.ask import SAMPLING, Sampling, check_known, sampling_fields
from abstractcore.generation.messages import check_retries, check_timeout
from abstractcore.generation.retry import Retry
from abstractcore.llm import LLM
from abstractcore.testing.scripts import Answer, Piece, Wait, pieces_of, steps
from abstractcore.types import EmbeddingResponse, EmbedRequest, GenerateRequest, StreamChunk

if TYPE_CHECKING:
    from abstractcore.drivers.base import Deadline, Driver

Source = Callable[["Driver", "Request", "Deadline"], Awaitable[list[Piece]]]
Embeddings = Callable[[str], Sequence[float]]
_POLICY = ("model", "timeout", "max_retries", "embeddings")
_SHOWN = 60


class ScriptError(ConfigurationError):
    """The program asked once more than its script has answers."""


class Request(GenerateRequest):
    """A request as the model saw it, kept for assertions; later changes of a history do not change it."""

    __slots__ = ()

    @classmethod
    def of(cls, request: GenerateRequest) -> Request:
        """Copy *request*, whose messages are copies of the caller's already."""
        given: dict[str, Any] = {each.name: getattr(request, each.name) for each in fields(GenerateRequest)}
        given["messages"] = list(request.messages)
        return cls(**given)

    @property
    def prompt(self) -> str:
        """The text of the last message of the user; "" without one."""
        said = (message["content"] for message in reversed(self.messages) if message["role"] == "user")
        return _text(next(said, ""))

    @property
    def system_prompt(self) -> str | None:
        """The text of the system message, or None."""
        said = (message["content"] for message in self.messages if message["role"] == "system")
        found = next(said, None)
        return None if found is None else _text(found)

    @property
    def tool_names(self) -> list[str]:
        """The names of the tools that the model was offered."""
        return [tool.name for tool in self.tools]

    @property
    def tool_results(self) -> list[str]:
        """What the tools gave back, in the order of the conversation."""
        return [_text(message["content"]) for message in self.messages if message["role"] == "tool"]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


class _Told:
    """The provider: it keeps every request and plays what *source* gives for it."""

    def __init__(self, name: str, model: str, source: Source, embeddings: Embeddings | None) -> None:
        self.name = name
        self.model = model
        self._embeddings = embeddings
        self.requests: list[Request] = []
        self._source = source
        self._closed = False

    async def stream(
        self, driver: Driver, request: GenerateRequest, deadline: Deadline
    ) -> AsyncGenerator[StreamChunk]:
        """Answer *request* once, as it is told."""
        self._check_open()
        seen = Request.of(request)
        self.requests.append(seen)
        number = len(self.requests)
        pieces = await self._source(driver, seen, deadline)
        for step in steps(pieces, request, number):
            if isinstance(step, AbstractCoreError):
                raise copy.copy(step)  # each time a new one: a call writes its own facts into it
            if isinstance(step, Wait):
                await _wait(driver, step.seconds, deadline)
            else:
                yield step

    def embed_limits(self) -> EmbedLimits:
        """Tell how much one `embed` may hold. Raises UnsupportedFeatureError without a function for it."""
        self._embedding()
        return EmbedLimits()

    async def embed(self, driver: Driver, request: EmbedRequest, deadline: Deadline) -> EmbeddingResponse:
        """Give the function's vector for each text."""
        self._check_open()
        embedding = self._embedding()
        given = [await driver.call(embedding, text) for text in request.texts]
        vectors = checked([list(map(float, vector)) for vector in given], len(given), request.dimensions)
        return EmbeddingResponse(vectors, model=request.model)

    def _embedding(self) -> Embeddings:
        if self._embeddings is None:
            raise UnsupportedFeatureError(f"{self.name} has no embeddings: pass embeddings=word_vector")
        return self._embeddings

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self.name}: the provider is closed")

    async def models(self, driver: Driver, deadline: Deadline) -> list[str]:
        """List the one model."""
        return [self.model]

    def close(self) -> None:
        """Answer nothing from now on."""
        self._closed = True


async def _wait(driver: Driver, seconds: float, deadline: Deadline) -> None:
    left = deadline.left()
    await driver.sleep(max(0.0, min(seconds, left)))
    if seconds >= left:
        raise _too_long(deadline)


def _too_long(deadline: Deadline) -> RequestTimeoutError:
    return RequestTimeoutError(f"the call took longer than {deadline.seconds:g} s", phase="total")


class _ToldLLM(LLM):
    """What both are: an LLM that remembers what it was asked."""

    def __init__(
        self,
        name: str,
        model: str,
        source: Source,
        made_by: dict[str, Any],
        max_retries: int,
        timeout: float | None,
        embeddings: Embeddings | None,
        sampling: Sampling,
    ) -> None:
        check_known(sampling, (*SAMPLING, *_POLICY), type(self).__name__)
        defaults = {key: value for key, value in sampling.items() if value is not None}
        sampling_fields(defaults)
        if (seconds := check_timeout(timeout)) is not None:
            defaults["timeout"] = seconds
        if embeddings is not None and (not callable(embeddings) or inspect.iscoroutinefunction(embeddings)):
            raise ConfigurationError("embeddings is a plain function that gives the vector of a text")
        self._told = _Told(name, model, source, embeddings)
        made_by |= {"model": model, "timeout": timeout, "max_retries": max_retries, "embeddings": embeddings}
        made_by |= sampling
        retry = Retry(check_retries(max_retries))
        super().__init__(self._told, retry=retry, defaults=defaults, made_by=(type(self), made_by))

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in the order they came; those of retries too."""
        return self._told.requests


class ScriptedLLM(_ToldLLM):
    """An LLM that gives the answers of *script*, one for each request, in order.

    An answer is a text, a tool call, an error, a dict (its JSON is the text), or a list of texts,
    `thinking(...)`, tool calls, `Usage`, `wait(...)`, chunks, and at the end an error. A request
    beyond the last answer is ScriptError. Errors are raised at once unless *max_retries* is set:
    then a retry takes the next answer. *embeddings* gives the vector of a text, as `word_vector` does.
    """

    def __init__(
        self,
        script: Iterable[Answer],
        *,
        model: str = "scripted",
        timeout: float | None = None,
        max_retries: int = 0,
        embeddings: Embeddings | None = None,
        **sampling: Unpack[Sampling],
    ) -> None:
        if isinstance(script, str):
            raise ConfigurationError('a script is a list of answers: ScriptedLLM(["..."])')
        answers = list(script)
        self._left = deque([pieces_of(answer) for answer in answers])
        self._length = len(answers)
        made_by = {"script": answers}
        super().__init__("scripted", model, self._next, made_by, max_retries, timeout, embeddings, sampling)

    @property
    def unused(self) -> int:
        """How many answers nobody has asked for."""
        return len(self._left)

    async def _next(self, driver: Driver, request: Request, deadline: Deadline) -> list[Piece]:
        try:
            return self._left.popleft()
        except IndexError:
            pass
        last = request.prompt if len(request.prompt) <= _SHOWN else request.prompt[:_SHOWN] + "…"
        answers = "1 answer" if self._length == 1 else f"{self._length} answers"
        raise ScriptError(
            f"the script has {answers}, and this is request {len(self.requests)}, whose prompt is {last!r}"
        )


class FunctionLLM(_ToldLLM):
    """An LLM whose answers *function* gives: it takes the `Request` and returns what a script holds.

    The async surface awaits a coroutine function and runs any other in a thread; the sync one refuses
    the first with AsyncToolError. What the function raises is raised by the call. *embeddings* gives the
    vector of a text, as `word_vector` does.
    """

    def __init__(
        self,
        function: Callable[[Request], Answer | Awaitable[Answer]],
        *,
        model: str = "function",
        timeout: float | None = None,
        max_retries: int = 0,
        embeddings: Embeddings | None = None,
        **sampling: Unpack[Sampling],
    ) -> None:
        if not callable(function):
            raise ConfigurationError(f"FunctionLLM takes a function, not {type(function).__name__}")
        self._function = function
        made_by = {"function": function}
        super().__init__("function", model, self._asked, made_by, max_retries, timeout, embeddings, sampling)

    async def _asked(self, driver: Driver, request: Request, deadline: Deadline) -> list[Piece]:
        if inspect.iscoroutinefunction(self._function):
            answer: Any = self._function(request)
        else:
            answer = await driver.call(self._function, request)
        if inspect.isawaitable(answer):
            try:
                answer = await driver.bounded(answer, max(0.0, deadline.left()))
            except TimeoutError:
                if deadline.left() > 0:  # the function's own
                    raise
                raise _too_long(deadline) from None
        return pieces_of(answer)
