"""Several generators at the same time, and what they yield as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from abstractcore.drivers.base import Driver

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End:
    failure: BaseException | None


async def interleaved(
    driver: Driver, sources: Sequence[Callable[[], AsyncGenerator[T]]]
) -> AsyncGenerator[T]:
    """Run the *sources* side by side. Leaving this generator ends them all.

    A failure ends the others where `driver.gather` does so, and is raised as it raises it.
    """
    mailbox = driver.mailbox()
    is_left = False

    async def one(source: Callable[[], AsyncGenerator[T]]) -> None:
        async with aclosing(source()) as values:
            async for value in values:
                if is_left:
                    return
                mailbox.put(value)

    async def everyone() -> None:
        failure: BaseException | None = None
        try:
            await driver.gather([lambda source=source: one(source) for source in sources])
        except BaseException as raised:  # noqa: BLE001  the reader raises it
            failure = raised
        mailbox.put(_End(failure))

    job = driver.background(everyone)
    try:
        while not isinstance(value := await mailbox.get(), _End):
            yield value
        if value.failure is not None:
            raise value.failure
    finally:
        is_left = True
        await job.stop()
