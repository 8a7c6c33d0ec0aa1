"""What a tool may ask to know of the run it is called in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from abstractcore.types import Message, ToolCall


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The run that a tool is called in; given to a parameter annotated `ToolContext`.

    The model is not told of that parameter. *messages* is the conversation up to the call,
    *iteration* the number of the model call that asked for the tool.
    """

    tool_call: ToolCall | None = None
    messages: Sequence[Message] = ()
    agent: str | None = None
    iteration: int = 0
    tell: Callable[[str], None] | None = field(default=None, repr=False, compare=False)

    def progress(self, text: str) -> None:
        """Tell how far the tool is, from any thread: a chunk of the stream, and an event of the run."""
        if self.tell is not None:
            self.tell(text)
