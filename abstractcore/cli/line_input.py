"""The line that a user types: edited, completed and remembered by readline, where there is one."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

_REMEMBERED = 1_000


def history_file() -> Path:
    """Where what was typed is kept: `$XDG_STATE_HOME/abstractcore/chat_history`."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "abstractcore" / "chat_history"


class LineInput:
    """Reads lines from the terminal, or from whatever stdin is. *words* are completed by the tab key."""

    def __init__(self, words: Sequence[str], *, remembers: bool = True) -> None:
        self.is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self._words = words
        self._file = history_file() if remembers else None
        self._readline = _readline() if self.is_terminal else None
        if self._readline is not None:
            self._prepare()

    def read(self, prompt: str) -> str:
        """Give the next line, and those that its last character, a backslash, joins. Raises EOFError."""
        lines = [self._line(prompt)]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(self._line("  "))
        return "\n".join(lines).strip()

    def agrees(self, question: str) -> bool:
        """Ask for a yes, within `without_echo` too; anything else, and no terminal, is a no."""
        if not self.is_terminal:
            return False
        is_changed = _switch_echo(on=True)
        try:
            print(question, end="", flush=True)
            return sys.stdin.readline().strip().lower() in ("y", "yes")
        finally:
            if is_changed:
                _switch_echo(on=False)

    @contextmanager
    def without_echo(self) -> Generator[None]:
        """Keep off the screen what is typed during the block; it is there for the next line."""
        before = _switch_echo(on=False) if self.is_terminal else False
        try:
            yield
        finally:
            if before:
                _switch_echo(on=True)

    def close(self) -> None:
        """Keep what was typed, for its owner's eyes alone; a home that cannot be written keeps nothing."""
        from abstractcore.drivers.files import write_whole

        if self._readline is None or self._file is None:
            return
        count = self._readline.get_current_history_length()
        typed = [self._readline.get_history_item(number) or "" for number in range(1, count + 1)]
        lines = [line for line in typed if "\n" not in line][-_REMEMBERED:]
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))

    def _line(self, prompt: str) -> str:
        if self.is_terminal:
            return input(prompt)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")

    def _prepare(self) -> None:
        readline = self._readline
        assert readline is not None
        is_libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")
        readline.set_completer_delims(" \t\n")
        readline.set_completer(self._completed)
        if self._file is not None:
            with suppress(OSError, UnicodeDecodeError):
                for line in self._file.read_text("utf-8").splitlines():
                    readline.add_history(line)

    def _completed(self, begun: str, number: int) -> str | None:
        fitting = [word for word in self._words if begun and word.startswith(begun)]
        return f"{fitting[number]} " if number < len(fitting) else None


def _switch_echo(*, on: bool) -> bool:
    """Let the terminal show what is typed, or not; tell whether it was changed."""
    try:
        import termios
    except ImportError:  # no POSIX terminal
        return False
    mode = termios.tcgetattr(sys.stdin)
    was_on = bool(mode[3] & termios.ECHO)
    mode[3] = mode[3] | termios.ECHO if on else mode[3] & ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)
    return was_on != on


def _readline() -> ModuleType | None:
    try:
        import readline
    except ImportError:  # as on Windows, whose console edits lines itself
        return None
    return readline
