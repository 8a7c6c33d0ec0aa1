"""A conversation at the terminal: read a line, show the answer, go on.

Ctrl-C in an answer ends its request; the conversation is then as it was before. Where stdin is no terminal
its lines are the prompts, and the first failure ends the program.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console

from abstractcore import __version__
from abstractcore.cli.exits import tell
from abstractcore.cli.interrupts import Interrupts
from abstractcore.cli.markdown import MarkdownAnswer
from abstractcore.cli.terminal import Answer, PlainAnswer, warn_of, without_controls
from abstractcore.errors import AbstractCoreError
from abstractcore.session import BasicSession
from abstractcore.types import PHASES, ImagePart, ToolCall

if TYPE_CHECKING:
    from abstractcore.cli.line_input import LineInput
    from abstractcore.llm import LLM


class Talk:
    """One conversation, with what its slash commands change: the session, and the images to come.

    *command* does what a line that begins with a slash says.
    """

    def __init__(
        self,
        session: BasicSession,
        lines: LineInput,
        open_model: Callable[[str], LLM],
        command: Callable[[Talk, str], None],
        *,
        is_plain: bool,
    ) -> None:
        self.session = session
        self.images: list[ImagePart] = []
        self.is_over = False
        self._lines = lines
        self._open_model = open_model
        self._command = command
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._is_plain = is_plain or not self._console.is_terminal
        self._answer: Answer | None = None
        self._interrupts = Interrupts()

    def __enter__(self) -> Talk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self.llm.close()

    @property
    def llm(self) -> LLM:
        """The model that answers."""
        assert self.session.provider is not None
        return self.session.provider

    def run(self) -> None:
        """Talk until /quit or the end of the input."""
        if self._lines.is_terminal:
            self.say(f"abstractcore {__version__}: /help lists the commands, Ctrl-D leaves.")
            self.say(self.model_name)
            self.llm.load(progress=True)
        with self._interrupts if self._lines.is_terminal else nullcontext():
            while not self.is_over:
                self._step()

    def _step(self) -> None:
        """Read a line and do what it says; the end of the input ends the talk."""
        try:
            with self._interrupts.allowed:
                line = self._lines.read("> ")
        except EOFError:
            self.is_over = True
            self.say("")
        except KeyboardInterrupt:
            if not self._lines.is_terminal:
                raise
            self.say("\nCtrl-D or /quit leaves.")
        else:
            self._attempt(line)

    def say(self, text: str) -> None:
        """Show a line of the program's own; into a pipe goes nothing but the answers."""
        if self._lines.is_terminal:
            self._console.print(without_controls(text), style="dim")

    @property
    def model_name(self) -> str:
        """The model, as `--model` and /model take it."""
        return f"{self.llm.provider}:{self.llm.model}"

    def change_model(self, name: str) -> None:
        """Let another model answer from here on. One that cannot be loaded changes nothing."""
        former, other = self.llm, self._open_model(name)
        try:
            other.load(progress=self._lines.is_terminal)
        except BaseException:
            other.close()
            raise
        self.session.provider = other
        former.close()

    def load(self, path: str) -> None:
        """Go on with the conversation of a file; the model and the tools stay."""
        saved = BasicSession.load(path)
        self.session.messages[:] = saved.messages
        self.session.system_prompt = saved.system_prompt
        self.session.temperature, self.session.seed = saved.temperature, saved.seed

    def ask_before_tools(self) -> None:
        """Let the user refuse each call of a tool."""
        self.session.tool_policy = replace(self.session.tool_policy, approve=self._is_approved)

    def _attempt(self, line: str) -> None:
        """Do what may fail or be stopped, and go on; where nobody is at a terminal a failure ends it all."""
        try:
            if line.startswith("/"):
                with self._interrupts.allowed:
                    self._command(self, line)
            elif line:
                self._turn(line)
        except KeyboardInterrupt:
            if not self._lines.is_terminal:
                raise
            self.say("stopped")
        except AbstractCoreError as failure:
            if not self._lines.is_terminal:
                raise
            tell(failure.message)

    def _turn(self, text: str) -> None:
        """Show one answer. The images go with it; after a failure they wait for the next one."""
        options: dict[str, Any] = {"media": self.images or None, "run_tools": True, "include": PHASES}
        with self._lines.without_echo(), self._shown() as answer, self._interrupts.allowed:
            self._answer = answer
            with self.session.generate(text, stream=True, **options) as stream:
                for chunk in stream:
                    answer.take(chunk)
        self.images = []
        warn_of(stream.response)

    def _shown(self) -> Answer:
        return PlainAnswer() if self._is_plain else MarkdownAnswer(self._console)

    def _is_approved(self, call: ToolCall) -> bool:
        """Ask whether a call may be run, with the picture at rest meanwhile."""
        assert self._answer is not None
        with self._answer.paused():
            return self._lines.agrees(f"run {call.name}? [y/N] ")
