"""A function in a thread of its own, waited for no longer than it may take."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from abstractcore.drivers.base import Deadline
from abstractcore.drivers.stops import CURRENT, Stop

if TYPE_CHECKING:
    from abstractcore.drivers.base import Driver, Mailbox

T = TypeVar("T")


async def call_bounded(driver: Driver, function: Callable[[], T], seconds: float) -> T:
    """Run *function* in a daemon thread, with the caller's context variables.

    Raises what it raises, and TimeoutError after *seconds*: the thread is then abandoned, as when the
    caller is cancelled, since nothing can stop it; it keeps neither the program nor another call from
    going on. Whatever it waits for of ours, a request or a call of a server, is ended.
    """
    mailbox = driver.mailbox()
    context = contextvars.copy_context()
    outer = CURRENT.get()
    word = Stop(outer)
    context.run(CURRENT.set, word)
    threading.Thread(target=_deliver, args=(context, function, mailbox), daemon=True).start()
    try:
        result, failure = await mailbox.get(Deadline.after(seconds))
    except BaseException:
        word.say()
        raise
    finally:
        if outer is not None:
            outer.forget(word.say)
    if failure is not None:
        raise failure
    return result


def _deliver(
    context: contextvars.Context,
    function: Callable[[], T],
    mailbox: Mailbox[tuple[T | None, BaseException | None]],
) -> None:
    try:
        result = context.run(function)
    except BaseException as failure:  # noqa: BLE001  the waiting caller raises it
        mailbox.put((None, failure))
    else:
        mailbox.put((result, None))
