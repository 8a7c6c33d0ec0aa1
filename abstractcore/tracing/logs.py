"""The loggers of the package, and the lines they write: who was asked, how it went, and nobody's words.

A program that wants lines has imported logging and set a level. Until it has, nothing is looked up.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from abstractcore.errors import AbstractCoreError, APIError

if TYPE_CHECKING:
    from logging import Logger

LOGGER = "abstractcore"
# Those of logging.DEBUG, INFO and WARNING.
DEBUG, INFO, WARNING = 10, 20, 30


class Log:
    """One logger. What it writes holds no prompt, no answer, no argument and no key."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger: Logger | None = None

    def writes(self, level: int) -> bool:
        """Whether a line of *level* would be written."""
        if "logging" not in sys.modules:
            return False
        logger = self._logger
        if logger is None:
            logger = self._logger = _find(self._name)
        return logger.isEnabledFor(level)

    def write(self, level: int, line: str, *values: object, failure: BaseException | None = None) -> None:
        """Write a line, with the traceback of *failure* where DEBUG lines are written."""
        if self.writes(level):
            assert self._logger is not None
            self._logger.log(level, line, *values, exc_info=failure if self.writes(DEBUG) else None)


CALLS = Log(f"{LOGGER}.calls")
TOOLS = Log(f"{LOGGER}.tools")


def shortly(failure: AbstractCoreError) -> str:
    """Name a failure without its words, which may repeat a prompt."""
    status = f" {failure.status_code}" if isinstance(failure, APIError) and failure.status_code else ""
    request = f", request id {failure.request_id}" if failure.request_id else ""
    return f"{type(failure).__name__}{status}{request}"


def _find(name: str) -> Logger:
    import logging

    # So that a program which sets up no logging reads nothing of ours on its stderr:
    # https://docs.python.org/3/howto/logging.html#configuring-logging-for-a-library
    root = logging.getLogger(LOGGER)
    if not any(isinstance(handler, logging.NullHandler) for handler in root.handlers):
        root.addHandler(logging.NullHandler())
    return logging.getLogger(name)
