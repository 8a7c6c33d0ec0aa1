"""Keeps a stream alive while its model says nothing: a proxy cuts off an answer that is silent for long."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from abstractcore.serve.replies import Header, Reply

SECONDS = 15.0
_COMMENT = b": still at work\n\n"  # what every reader of server-sent events passes over


@asynccontextmanager
async def kept_alive(reply: Reply, headers: Sequence[Header]) -> AsyncGenerator[None]:
    """Send a comment whenever the block has sent nothing for 15 s, and first the head, if it is not sent."""

    async def keep() -> None:
        with suppress(OSError):  # whoever watches the client sees it leave
            while True:
                await asyncio.sleep(SECONDS - reply.quiet())
                if reply.quiet() >= SECONDS:
                    await reply.events(headers)
                    await reply.write(_COMMENT)

    keeper = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeper.cancel()
