"""One connection to one server, held by a task of its own, so that any task may call and close it.

anyio wants a connection left in the task that entered it. The owner task enters, waits until it
is told to stop, and leaves; a call is a task beside it, and ends when either of them does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from abstractcore.errors import AbstractCoreError, ClosedError, MCPConnectionError, RequestTimeoutError

if TYPE_CHECKING:
    from abstractcore.mcp.sources import Source

T = TypeVar("T")

# The longest that mcp takes to end a program that does not want to end is 6.5 seconds.
_TO_CLOSE = 8.0
_TO_GIVE_UP = 0.5
_MOST_PAGES = 100
# What mcp itself says, under the code of the peer's own errors, when the way to the server broke.
_BROKEN = ("Connection closed", "Session terminated")
_CUT = ("SSE stream", "Server returned an error response")


class Connection:
    """A server that is connected to, from `open` until `close` or its end."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._stop = asyncio.Event()
        self._is_closing = False
        self._end: AbstractCoreError | None = None
        self._client: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._owner: asyncio.Task[None] | None = None
        self.is_stale = False
        """Whether the server has said that its tools changed since they were listed."""

    @property
    def where(self) -> str:
        """How errors name the server."""
        return self._source.where

    async def open(self, seconds: float) -> None:
        """Connect. Raises MCPConnectionError when the server cannot be reached in *seconds*."""
        self._owner = asyncio.create_task(self._own(), name=f"mcp: {self.where}")
        await asyncio.wait((self._client, self._owner), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._client.done():
            return
        if self._owner.done():
            raise self._over()
        await self.close()
        raise MCPConnectionError(f"mcp: {self.where} did not answer within {seconds:g} seconds")

    async def close(self) -> None:
        """Leave the server, from any task of the loop; a second time does nothing."""
        self.stop()
        if self._owner is None or self._owner.done():
            return
        await asyncio.wait((self._owner,), timeout=_TO_CLOSE if self._client.done() else 0)
        self._owner.cancel()
        await asyncio.wait((self._owner,), timeout=_TO_CLOSE)

    def stop(self) -> None:
        """Tell the owner to leave, and wait for nothing."""
        self._is_closing = True
        self._stop.set()

    async def list_tools(self, seconds: float) -> list[Any]:
        """Give all that the server lists, as mcp's Tool."""
        self.is_stale = False  # before asking: a change that is announced meanwhile counts
        try:
            return await self.ask(_all_tools, seconds)
        except BaseException:
            self.is_stale = True
            raise

    async def ask(self, question: Callable[[Any], Coroutine[Any, Any, T]], seconds: float) -> T:
        """Ask the client something, for at most *seconds*.

        Raises MCPConnectionError as soon as the server is gone, RequestTimeoutError, and what mcp
        raises for a request that the server refused. A cancel cancels the request at the server.
        """
        if self._owner is None or self._owner.done() or self._stop.is_set():
            raise self._over()
        asking = asyncio.create_task(question(self._client.result()))
        asking.add_done_callback(_take_note)
        try:
            await asyncio.wait((asking, self._owner), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return await self._answer(asking)
            if self._owner.done():
                raise self._over()
            message = f"mcp: {self.where} did not answer within {seconds:g} seconds"
            raise RequestTimeoutError(message, phase="total")
        finally:
            await _give_up(asking)

    def scrub(self, text: str) -> str:
        """Replace what must not be shown of the way to this server."""
        return self._source.scrub(text)

    def reason(self, failure: BaseException) -> str:
        """Say in words why *failure* happened."""
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        if isinstance(failure, OSError) and failure.strerror:
            return self.scrub(failure.strerror)
        text = str(failure) or type(failure).__name__
        if text.startswith(_CUT) and self._source.problem:
            return self._source.problem
        return self.scrub(text)

    async def _own(self) -> None:
        watching: asyncio.Task[None] | None = None
        try:
            async with self._source.opened(self._on_message) as client:
                self._client.set_result(client)
                watching = asyncio.create_task(self._watch(client))
                watching.add_done_callback(_take_note)
                await self._stop.wait()
                await _give_up(watching)
        except AbstractCoreError as failure:
            self._end = failure
        except (Exception, BaseExceptionGroup) as failure:  # noqa: BLE001  the caller is told, by _over
            self._end = MCPConnectionError(f"mcp: {self.where}: {self.reason(failure)}")
        finally:
            if watching is not None:
                watching.cancel()

    async def _watch(self, client: Any) -> None:
        """Since 2026 a server tells of changes only on a stream that was asked for."""
        capabilities = client.server_capabilities
        tools = capabilities and capabilities.tools
        if tools and tools.list_changed and client.protocol_version >= "2026":
            try:
                async with client.listen(tools_list_changed=True) as events:
                    async for _ in events:
                        self.is_stale = True
            finally:
                self.is_stale = True

    async def _on_message(self, message: Any) -> None:
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            self.is_stale = True

    async def _answer(self, asking: asyncio.Task[T]) -> T:
        if asking.cancelled():
            raise await self._lost()
        failure = asking.exception()
        if failure is None:
            return asking.result()
        if _is_mcp_error(failure) and str(failure).startswith(_BROKEN):
            raise await self._lost() from None
        if _is_mcp_error(failure) and str(failure).startswith(_CUT):
            raise MCPConnectionError(f"mcp: {self.where}: {self.reason(failure)}") from None
        raise failure

    async def _lost(self) -> AbstractCoreError:
        """The server is gone: end the connection, and learn why if that is to be had at once."""
        self._stop.set()
        if self._owner is not None:
            await asyncio.wait((self._owner,), timeout=_TO_GIVE_UP)
        return self._over()

    def _over(self) -> AbstractCoreError:
        if self._is_closing:
            return ClosedError(f"mcp: the connection to {self.where} was closed")
        if self._end is not None:
            return type(self._end)(self._end.message)
        return MCPConnectionError(f"mcp: {self.where} went away")


async def _all_tools(client: Any) -> list[Any]:
    """Walk the pages of tools/list."""
    tools: list[Any] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools
    raise MCPConnectionError(f"mcp: the server lists its tools on more than {_MOST_PAGES} pages")


async def _give_up(task: asyncio.Task[Any]) -> None:
    """Cancel a task and let it tell the server, which takes a moment at most."""
    if not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=_TO_GIVE_UP)


def _take_note(task: asyncio.Task[Any]) -> None:
    """See a task's failure, so that asyncio does not report it as never retrieved."""
    if not task.cancelled():
        task.exception()


def _is_mcp_error(failure: BaseException) -> bool:
    return any(kind.__name__ == "MCPError" for kind in type(failure).__mro__)
