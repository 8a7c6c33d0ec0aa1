"""A client that goes away: the work for it is cancelled, and so the model behind it stops."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from abstractcore.serve.bodies import ClientLeft

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive


@asynccontextmanager
async def watched(receive: Receive) -> AsyncGenerator[None]:
    """Cancel the body of the block when the client leaves; ClientLeft is raised then.

    The request's body must have been read: from there on the server tells one thing, the end.
    """
    task = asyncio.current_task()
    assert task is not None
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        while (await receive())["type"] != "http.disconnect":
            pass
        has_left = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if has_left and task.uncancel() == 0:
            raise ClientLeft from None
        raise
    finally:
        watcher.cancel()
