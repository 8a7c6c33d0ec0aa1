"""The servers of one client as one set of tools: names, pins, calls. It lives on one event loop."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar

from abstractcore.errors import (
    AbstractCoreError,
    ClosedError,
    ConfigurationError,
    MCPConnectionError,
    ToolError,
)
from abstractcore.mcp.connection import Connection
from abstractcore.mcp.results import text_of
from abstractcore.tools import strict_json
from abstractcore.types import ToolSpec

if TYPE_CHECKING:
    from abstractcore.mcp.pins import Pins
    from abstractcore.mcp.sources import Source

T = TypeVar("T")
Progress = Callable[[float, float | None, str | None], Awaitable[None] | None]

_LONGEST_NAME = 64
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")


class Servers:
    """Connections of the running loop to *sources*; connecting begins at once."""

    def __init__(self, sources: Mapping[str, Source], timeout: float, pins: Pins) -> None:
        self._timeout = timeout
        self._pins = pins
        self._connections = {name: Connection(source) for name, source in sources.items()}
        self._lists: dict[str, list[Any]] = {}
        self._routes: dict[str, tuple[Connection, str]] = {}
        self._pid = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._opening = asyncio.create_task(self._open())
        self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def has_lost_its_loop(self) -> bool:
        """Whether the loop has ended, or belongs to the process that this one was forked from."""
        return self._pid != os.getpid() or not self._loop.is_running()

    async def on_its_loop(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something on the loop that the connections live on, from any running loop."""
        if asyncio.get_running_loop() is self._loop:
            return await work()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self._loop))

    async def when_ready(self, work: Callable[[Servers], Coroutine[Any, Any, T]]) -> T:
        """Do something with the servers once all are connected. Everyone is told of a failure to connect."""
        if not self._opening.done():
            await asyncio.wait((self._opening,))
        if self._opening.cancelled():
            raise ClosedError("mcp: the client was closed while it connected")
        self._opening.result()
        return await work(self)

    async def list_tools(self) -> list[ToolSpec]:
        """Ask every server for its tools.

        Raises MCPToolsChangedError when one is described otherwise than before, and
        ConfigurationError when two have one name.
        """
        specs = await self._look(self._connections)
        self._pins.check()
        return specs

    async def call_tool(
        self, name: str, arguments: Mapping[str, Any] | None, timeout: float | None, progress: Progress | None
    ) -> str:
        """Call a tool by the name that `list_tools` gives it; its result is text."""
        if stale := self._stale_for(name):
            await self._look(stale)
        self._pins.check(name)
        connection, own_name = self._route(name)
        call = _Call(own_name, _json_object(name, arguments), progress)
        try:
            result = await connection.ask(call.send, self._timeout if timeout is None else timeout)
        except AbstractCoreError:
            raise
        except Exception as failure:
            if call.broken is failure:  # the caller's own progress function
                raise
            raise ToolError(f"{name}: {connection.reason(failure)}") from None
        if result.is_error:
            raise ToolError(connection.scrub(text_of(result)) or f"{name} failed")
        return text_of(result)

    async def close(self) -> None:
        """Leave every server."""
        self._opening.cancel()
        await asyncio.gather(*(connection.close() for connection in self._connections.values()))

    def abandon(self) -> None:
        """Leave every server some time soon; from any thread, and when the loop has ended too."""
        if not self.has_lost_its_loop:
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._opening.cancel()
        for connection in self._connections.values():
            connection.stop()

    async def _open(self) -> None:
        connections = self._connections.values()
        try:
            await asyncio.gather(*(connection.open(self._timeout) for connection in connections))
            await self.list_tools()
        except BaseException:
            await asyncio.gather(*(connection.close() for connection in connections))
            raise

    async def _look(self, servers: Iterable[str]) -> list[ToolSpec]:
        """Ask *servers* what they have, and put it together with what the others had."""
        asked = list(servers)
        lists = await asyncio.gather(*(self._listed(self._connections[server]) for server in asked))
        self._lists.update(zip(asked, lists, strict=True))
        specs: list[ToolSpec] = []
        routes: dict[str, tuple[Connection, str]] = {}
        for server, connection in self._connections.items():
            for tool in self._lists[server]:
                name = _offered(f"{server}__{tool.name}" if server else tool.name)
                if name in routes:
                    places = f"one of {routes[name][0].where}, one of {connection.where}"
                    raise ConfigurationError(f"mcp: two tools would be called {name!r}: {places}")
                routes[name] = (connection, tool.name)
                specs.append(ToolSpec(name, tool.description or "", tool.input_schema))
        self._routes = routes
        self._pins.see(specs)
        return specs

    def _stale_for(self, name: str) -> list[str]:
        """Name the servers to be asked again before a call: that of the tool, all when none has it."""
        known = self._routes.get(name)
        return [
            server
            for server, connection in self._connections.items()
            if connection.is_stale and (known is None or known[0] is connection)
        ]

    async def _listed(self, connection: Connection) -> list[Any]:
        try:
            return await connection.list_tools(self._timeout)
        except AbstractCoreError:
            raise
        except Exception as failure:  # noqa: BLE001  whatever it is, the server did not list
            text = f"mcp: {connection.where} does not list its tools: {connection.reason(failure)}"
            raise MCPConnectionError(text) from None

    def _route(self, name: str) -> tuple[Connection, str]:
        if name not in self._routes:
            raise ToolError(f"there is no tool {name!r}; there are: {', '.join(self._routes) or 'none'}")
        return self._routes[name]


class _Call:
    """One call of a tool. *broken* is what the caller's progress function raised, which ends the call."""

    def __init__(self, name: str, arguments: dict[str, Any], progress: Progress | None) -> None:
        self._name, self._arguments, self._progress = name, arguments, progress
        self._sending: asyncio.Task[Any] | None = None
        self.broken: Exception | None = None

    async def send(self, client: Any) -> Any:
        """Send the call and wait for its result."""
        callback = self._told if self._progress is not None else None
        self._sending = asyncio.create_task(
            client.call_tool(self._name, self._arguments, progress_callback=callback)
        )
        try:
            return await self._sending
        except asyncio.CancelledError:
            if self.broken is not None:
                raise self.broken from None
            raise

    async def _told(self, done: float, total: float | None, message: str | None) -> None:
        assert self._progress is not None
        assert self._sending is not None
        try:
            waited = self._progress(done, total, message)
            if isawaitable(waited):
                await waited
        except Exception as failure:  # noqa: BLE001  raised to the caller by send; mcp would only log it
            self.broken = failure
            self._sending.cancel()


def _offered(name: str) -> str:
    """Give a name that every provider takes for a tool; one that is cut ends with a hash of the whole."""
    plain = _NOT_IN_A_NAME.sub("_", name)
    if len(plain) <= _LONGEST_NAME:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: _LONGEST_NAME - 9]}_{digest}"


def _json_object(name: str, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        return strict_json.plain(dict(arguments or {}))
    except (TypeError, ValueError) as failure:
        raise ToolError(f"{name}: the arguments are not a JSON object: {failure}") from None
