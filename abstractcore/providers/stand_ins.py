"""What answers in a provider's place while calls are recorded or played back.

Knows which stand-in holds for a call. Knows no file and no format.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from abstractcore.errors import ConfigurationError

if TYPE_CHECKING:
    from abstractcore.drivers.base import Driver
    from abstractcore.providers.base import Provider


class StandIn(Protocol):
    """Something between the calls and their providers."""

    thread: int
    """The thread that opened it."""

    def provider(self, provider: Provider) -> Provider:
        """Give what answers in place of *provider*."""
        ...

    def driver(self, driver: Driver) -> Driver:
        """Give the driver that the call waits by between its attempts."""
        ...


_open: list[StandIn] = []
_own: ContextVar[StandIn | None] = ContextVar("abstractcore_stand_in", default=None)


def standing_in(driver: Driver, provider: Provider) -> tuple[Driver, Provider]:
    """Give what a call is made with: *driver* and *provider* themselves, unless something stands in."""
    if not _open:
        return driver, provider
    stand_in = _of_this_call(driver)
    if stand_in is None:
        return driver, provider
    return stand_in.driver(driver), stand_in.provider(provider)


def _of_this_call(driver: Driver) -> StandIn | None:
    own = _own.get()
    if own in _open:
        return own
    # A thread begins without contextvars, and is still inside; a task of the same thread is beside.
    here = driver.caller().thread
    others = [each for each in _open if each.thread != here]
    if len(others) > 1:
        raise ConfigurationError(
            "several recordings are open, and this thread was started without the context of one: "
            "run it with contextvars.copy_context().run"
        )
    return others[0] if others else None


def enter(stand_in: StandIn) -> StandIn | None:
    """Let *stand_in* answer from now on; what answered before comes back, for `leave`."""
    outer = _own.get()
    _own.set(stand_in)
    _open.append(stand_in)
    return outer


def leave(stand_in: StandIn, outer: StandIn | None) -> None:
    """Undo `enter`."""
    _open.remove(stand_in)
    _own.set(outer)
