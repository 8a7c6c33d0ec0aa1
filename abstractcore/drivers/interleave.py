"""Several generators at the same time, and what they yield as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from abstractcore.drivers.base import Driver, Mailbox

T = TypeVar("T")

# The most values of one source that wait to be read are two batches.
_BATCH = 8


@dataclass(frozen=True, slots=True)
class _End:
    failure: BaseException | None


@dataclass(frozen=True, slots=True)
class _Sent(Generic[T]):
    lane: _Lane[T]
    value: T


class _Lane(Generic[T]):
    """The way of one source's values. A source that is two batches ahead of the reader waits."""

    def __init__(
        self, source: Callable[[], AsyncGenerator[T]], mailbox: Mailbox[Any], words: Mailbox[None]
    ) -> None:
        self._source = source
        self._mailbox = mailbox
        self._words = words
        self._taken = 0
        self._is_left = False

    async def run(self) -> None:
        """Send the source's values."""
        sent = 0
        async with aclosing(self._source()) as values:
            async for value in values:
                if sent >= 2 * _BATCH and sent % _BATCH == 0:
                    await self._words.get()
                if self._is_left:
                    return
                self._mailbox.put(_Sent(self, value))
                sent += 1

    def took(self) -> None:
        """Note, at the reader's end, that one of the values has been read."""
        self._taken += 1
        if self._taken % _BATCH == 0:
            self._words.put(None)

    def leave(self) -> None:
        """Let the source send no more and wait no more, once the reader has left."""
        self._is_left = True
        self._words.put(None)


async def interleaved(
    driver: Driver, sources: Sequence[Callable[[], AsyncGenerator[T]]], aside: Mailbox[T] | None = None
) -> AsyncGenerator[T]:
    """Run the *sources* side by side. Leaving this generator ends them all.

    A slow reader holds them back. What anybody puts into *aside* meanwhile is given too. A failure ends
    the others where `driver.gather` does so, and is raised as it raises it.
    """
    mailbox: Mailbox[Any] = driver.mailbox() if aside is None else aside
    lanes = [_Lane(source, mailbox, driver.mailbox()) for source in sources]

    async def everyone() -> None:
        failure: BaseException | None = None
        try:
            await driver.gather([lane.run for lane in lanes])
        except BaseException as raised:  # noqa: BLE001  the reader raises it
            failure = raised
        mailbox.put(_End(failure))

    job = driver.background(everyone)
    try:
        while not isinstance(got := await mailbox.get(), _End):
            if not isinstance(got, _Sent):
                yield got
                continue
            yield got.value
            got.lane.took()
        if got.failure is not None:
            raise got.failure
    finally:
        for lane in lanes:
            lane.leave()
        await job.stop()
