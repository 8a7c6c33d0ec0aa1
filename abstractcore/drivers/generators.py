"""Which async generators an event loop is told of.

A loop that ends closes every generator that it has seen begin, all at the same time. Of
generators inside one another it must know the outermost alone: that one closes the others,
and a second close beside the first is a RuntimeError that the loop reports.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Kept(threading.local):
    hooks: Any = None


_kept = _Kept()


class Inside(Awaitable[T], Generic[T]):
    """Await this in place of *work*: the loop is not told of the generators that begin in it."""

    __slots__ = ("_work",)

    def __init__(self, work: Awaitable[T]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, Any, T]:
        steps: Any = self._work.__await__()
        step, argument = steps.send, None
        while True:
            try:
                waited_for = _unseen(step, argument)
            except StopIteration as end:
                return end.value
            try:
                argument = yield waited_for
                step = steps.send
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as failure:  # noqa: BLE001  # it is raised again, inside the work
                step, argument = steps.throw, failure


class Nested(AsyncIterator[T], Generic[T]):
    """A generator inside another that has begun already: the loop is not told of it either."""

    __slots__ = ("_has_begun", "_source")

    def __init__(self, source: AsyncGenerator[T]) -> None:
        self._source = source
        self._has_begun = False

    def __anext__(self) -> Awaitable[T]:
        if self._has_begun:
            return self._source.__anext__()
        self._has_begun = True
        return Inside(self._source.__anext__())

    async def aclose(self) -> None:
        """Close the generator."""
        await self._source.aclose()


def _unseen(step: Any, argument: Any) -> Any:
    hooks = sys.get_asyncgen_hooks()
    outer, _kept.hooks = _kept.hooks, _kept.hooks or hooks
    sys.set_asyncgen_hooks(None, None)
    try:
        return step(argument)
    finally:
        _kept.hooks = outer
        sys.set_asyncgen_hooks(*hooks)


def begun_before_the_loop(generator: AsyncGenerator[T]) -> Awaitable[T]:
    """Give the first step of *generator*, of which the loop is told, wherever this is called."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(*(_kept.hooks or hooks))
    try:
        return anext(generator)
    finally:
        sys.set_asyncgen_hooks(*hooks)
