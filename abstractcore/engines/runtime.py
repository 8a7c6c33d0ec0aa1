"""What a runtime is to the scheduler: something that loads a model and steps a batch of jobs.

Knows tokens, text and jobs. Knows no thread, no mailbox and no provider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from abstractcore.errors import AbstractCoreError
from abstractcore.types import FinishReason


class Stage(str):
    """One line of text on how a load goes, with the share of this stage that is done where that is known."""

    done: float | None = None

    @classmethod
    def of(cls, text: str, done: float | None) -> Stage:
        """Make one."""
        stage = cls(text)
        stage.done = done
        return stage


Progress = Callable[[str], None]
"""Takes a `Stage` for each step of a load."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one job asks, as plain JSON-ready data.

    *messages* and *tools* are as chat templates read them, where content with images is a list of its
    parts. *template* holds what else the chat template is told, *sampling* what was given of our
    sampling parameters, *schema* is a JSON Schema as text, and *extra* the runtime's own parameters.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    template: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])
    max_output_tokens: int | None = None
    stop: Sequence[str] = ()
    schema: str | None = None
    described: Sequence[Mapping[str, Any]] | None = None
    """Where there are tools, the messages with all of it in their words, for a template that knows none."""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Accepted:
    """The runtime's first word on a job: its prompt has been read and its prefill begins.

    *thinks* says that the chat template has opened a think block, *warnings* what of the prompt this
    model cannot take, *cached_tokens* how many of the input came out of the KV cache, where that is known.
    *input_tokens* is None where only the end tells it: the runtime alone knows how long an image is.
    """

    job: int
    input_tokens: int | None
    thinks: bool = False
    warnings: tuple[str, ...] = ()
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """What one step added to a job. One with a *finish_reason* is the job's last.

    That one tells the prompt's *input_tokens* where `Accepted` did not.
    """

    job: int
    text: str = ""
    tokens: int = 0
    finish_reason: FinishReason | None = None
    input_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The end of one job alone; its neighbours go on."""

    job: int
    error: AbstractCoreError


@dataclass(frozen=True, slots=True)
class Texts:
    """What one job for an embedding model asks: a vector for each of *texts*.

    *extra* names the prompt that stands before each text. With *truncate* what is too long is cut.
    """

    texts: Sequence[str]
    dimensions: int | None = None
    truncate: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Embedded:
    """The end of a job for an embedding model: its *vectors* as base64 of float32, and its *tokens*."""

    job: int
    vectors: Sequence[str]
    tokens: int


Work = Prompt | Texts
Event = Accepted | Delta | Failed | Embedded


class Refused(Exception):
    """A prompt that a runtime cannot take: *kind* names the class of the error that the caller gets."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Runtime(Protocol):
    """One model, loaded once and owned by one thread, which calls everything but `interrupt`."""

    max_batch: int
    """How many jobs it takes at a time."""

    def load(self, progress: Progress) -> None:
        """Load the model. Raises ModelLoadError, naming the path."""
        ...

    def add(self, job: int, prompt: Work) -> None:
        """Take a job; its prefill begins with the next step."""
        ...

    def remove(self, job: int) -> None:
        """Forget a job; the next step does nothing more for it."""
        ...

    def step(self) -> Sequence[Event]:
        """Advance each job by one step, and tell what that gave.

        A job that fails alone is a `Failed`; what is raised is the end of the whole runtime.
        """
        ...

    def close(self) -> None:
        """Free the model. It is not used again."""
        ...

    def interrupt(self) -> None:
        """From any thread: end a load or step that is under way, if that is possible; it may raise there."""
        ...

    def forget(self) -> None:
        """In a forked child: let go of what belongs to the parent, and leave the parent's model alone."""
        ...
