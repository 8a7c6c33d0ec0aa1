"""The two clients: the async one, and the one for callers without an event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Mapping
from inspect import iscoroutinefunction
from typing import Any, Self, Unpack
from weakref import finalize

from abstractcore.errors import ClosedError, ConfigurationError, RequestTimeoutError, ToolError
from abstractcore.generation.messages import check_timeout
from abstractcore.mcp.pins import Pins
from abstractcore.mcp.portal import Portal, Put
from abstractcore.mcp.servers import Progress, Servers
from abstractcore.mcp.sources import ServerOptions, Source, sources_of
from abstractcore.tools.context import ToolContext
from abstractcore.tools.decorator import Tool
from abstractcore.types import ToolSpec

Work = Callable[[Servers], Coroutine[Any, Any, Any]]

_DEFAULT_TIMEOUT = 60.0


class _Client:
    """What both clients hold: where the servers are, and what was approved of them."""

    _sources: dict[str, Source]
    _timeout: float
    _pins: Pins
    _lock: threading.Lock
    _is_closed: bool

    def _prepare(self, timeout: float, options: ServerOptions) -> None:
        self._sources = sources_of(options)
        self._timeout = check_timeout(timeout) or _DEFAULT_TIMEOUT
        self._pins = Pins()
        self._lock = threading.Lock()
        self._is_closed = False

    def approve_changes(self) -> None:
        """Approve what the last MCPToolsChangedError showed; nothing that the server says later."""
        self._pins.approve()

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise ClosedError("mcp: the client is closed")

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else ", ".join(one.where for one in self._sources.values())
        return f"<{type(self).__name__} {state}>"


class AsyncMCPClient(_Client):
    """Tools of one or several MCP servers, awaited: `await MCPClient.connect(url="http://…/mcp")`.

    It may be used and closed from any task and any running loop. When the loop that it was
    connected in has ended, the next use connects again.
    """

    _servers: Servers
    _abandoned: finalize[Any, Any]

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ConfigurationError("an async client is connected: await MCPClient.connect(…)")

    @classmethod
    async def connect(cls, *, timeout: float = _DEFAULT_TIMEOUT, **options: Unpack[ServerOptions]) -> Self:
        """Connect to a server, or to those of a config, and read what tools they have.

        *timeout* bounds connecting, and each call that names no other, in seconds. Raises
        MCPConnectionError, MissingDependencyError, and ConfigurationError for anything but
        exactly one of *server*, *url*, *command* and *config*.
        """
        client = cls.__new__(cls)
        client._prepare(timeout, options)
        client._connect()
        try:
            await client._do(_nothing)
        except BaseException:
            await client.aclose()
            raise
        return client

    async def list_tools(self) -> list[ToolSpec]:
        """Give name, description and JSON Schema of each tool; `server__tool` for those of a config.

        Raises MCPToolsChangedError when a server describes one otherwise than before.
        """
        return await self._do(Servers.list_tools)

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Call a tool, and give its result as text.

        *progress* is called with how much is done, the total or None, and a message or None. Raises
        ToolError with the server's words when the tool fails, RequestTimeoutError, and
        MCPConnectionError when the server is gone. A cancelled call leaves the client usable.
        """
        seconds = check_timeout(timeout)
        return await self._do(lambda servers: servers.call_tool(name, arguments, seconds, progress))

    async def as_tools(self) -> list[Tool[..., Any]]:
        """Give the tools as async Tools, for a client or an agent."""
        return [self._tool(spec) for spec in await self.list_tools()]

    async def aclose(self) -> None:
        """Leave the servers, from any task; a second time does nothing."""
        self._is_closed = True
        self._abandoned.detach()
        if not self._servers.has_lost_its_loop:
            await self._servers.on_its_loop(self._servers.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _do(self, work: Work) -> Any:
        self._refuse_when_closed()
        with self._lock:
            if self._servers.has_lost_its_loop:
                self._abandoned.detach()
                self._connect()
            servers = self._servers
        return await servers.on_its_loop(lambda: servers.when_ready(work))

    def _connect(self) -> None:
        self._servers = Servers(self._sources, self._timeout, self._pins)
        self._abandoned = finalize(self, self._servers.abandon)
        self._abandoned.atexit = False

    def _tool(self, spec: ToolSpec) -> Tool[..., Any]:
        async def call(*, abstractcore_context: ToolContext | None = None, **arguments: Any) -> str:
            try:
                return await self.call_tool(spec.name, arguments, progress=_teller(abstractcore_context))
            except RequestTimeoutError as failure:
                raise ToolError(failure.message) from None

        return Tool(call, name=spec.name, description=spec.description, parameters=spec.parameters)


class MCPClient(_Client):
    """Tools of one or several MCP servers, for code without `await`: `MCPClient(url="http://…/mcp")`.

    The constructor connects. It works inside a running loop too, which it blocks, as every sync
    call does. A thread of its own holds the connections, from the constructor until `close`.
    """

    _portal: Portal
    _servers: Servers
    _abandoned: finalize[Any, Any]

    def __init__(self, *, timeout: float = _DEFAULT_TIMEOUT, **options: Unpack[ServerOptions]) -> None:
        self._prepare(timeout, options)
        self._connect()
        try:
            self._do(lambda servers, _: _nothing(servers))
        except BaseException:
            self.close()
            raise

    def list_tools(self) -> list[ToolSpec]:
        """Give name, description and JSON Schema of each tool; `server__tool` for those of a config.

        Raises MCPToolsChangedError when a server describes one otherwise than before.
        """
        return self._do(lambda servers, _: servers.list_tools())

    def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        progress: Callable[[float, float | None, str | None], None] | None = None,
    ) -> str:
        """Call a tool, and give its result as text.

        *progress* is called, in this thread, with how much is done, the total or None, and a message
        or None. Raises ToolError with the server's words when the tool fails, RequestTimeoutError, and
        MCPConnectionError when the server is gone. Ctrl-C cancels the call.
        """
        if iscoroutinefunction(progress):
            raise ConfigurationError("progress= is async: use abstractcore.aio")
        seconds = check_timeout(timeout)

        def call(servers: Servers, put: Put) -> Coroutine[Any, Any, str]:
            return servers.call_tool(name, arguments, seconds, put if progress else None)

        return self._do(call, progress)

    def as_tools(self) -> list[Tool[..., Any]]:
        """Give the tools as Tools, for a client or an agent."""
        return [self._tool(spec) for spec in self.list_tools()]

    def close(self) -> None:
        """Leave the servers and end the thread; a second time does nothing."""
        self._is_closed = True
        self._abandoned.detach()
        self._portal.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(
        self, work: Callable[[Servers, Put], Coroutine[Any, Any, Any]], told: Callable[..., Any] | None = None
    ) -> Any:
        self._refuse_when_closed()
        with self._lock:
            if self._servers.has_lost_its_loop:
                self._abandoned.detach()
                self._connect()
            portal, servers = self._portal, self._servers
        return portal.call(lambda put: servers.when_ready(lambda its: work(its, put)), told)

    def _connect(self) -> None:
        async def begin(_: Put) -> Servers:
            return Servers(self._sources, self._timeout, self._pins)

        self._portal = Portal()
        self._servers = self._portal.call(begin)
        self._portal.at_end(self._servers.close)
        self._abandoned = finalize(self, self._portal.end, wait=False)
        self._abandoned.atexit = False

    def _tool(self, spec: ToolSpec) -> Tool[..., Any]:
        def call(*, abstractcore_context: ToolContext | None = None, **arguments: Any) -> str:
            try:
                return self.call_tool(spec.name, arguments, progress=_teller(abstractcore_context))
            except RequestTimeoutError as failure:
                raise ToolError(failure.message) from None

        return Tool(call, name=spec.name, description=spec.description, parameters=spec.parameters)


def _teller(context: ToolContext | None) -> Callable[[float, float | None, str | None], None] | None:
    """Give what tells a server's progress to the run that a tool is called in, if it is called in one."""
    if context is None or context.tell is None:
        return None

    def tell(done: float, total: float | None, message: str | None) -> None:
        steps = f"{done:g}" if total is None else f"{done:g}/{total:g}"
        context.progress(f"{steps} {message}" if message else steps)

    return tell


async def _nothing(_: Servers) -> None:
    """What `connect` waits for: that everything before it was done."""
