"""Where a server of tools is: in this process, at a URL, or behind a command; alone, or several by name.

Knows the ways to a server that `mcp` has. What may hold a key shows in no repr, traceback or error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol, TypedDict

from abstractcore.drivers.keys import Headers, Secret, without_credentials
from abstractcore.errors import ConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    import httpx2

_CONNECT_TIMEOUT = 30.0
_BELONGS = {"headers": "url", "args": "command", "env": "command", "cwd": "command"}
_KINDS = ("server", "url", "command", "config")


class OnMessage(Protocol):
    """Told of each notification of the server."""

    async def __call__(self, message: Any) -> None:
        """Take one."""
        ...


class ServerOptions(TypedDict, total=False):
    """Where the server is. Exactly one of *server*, *url*, *command* and *config*."""

    server: Any
    """A FastMCP or MCP server in this process, or a transport of `mcp` or `fastmcp`."""
    url: str
    """Where a streamable HTTP server listens."""
    headers: Mapping[str, str]
    """Sent with each request to *url*."""
    command: str
    """A program that speaks MCP on its stdin and stdout."""
    args: Sequence[str]
    env: Mapping[str, str]
    """Added to a minimal environment: the variables of this process are not inherited."""
    cwd: str | os.PathLike[str]
    config: Mapping[str, Any]
    """Several servers, as MCP hosts write them down: `{"mcpServers": {name: {"command": …}, …}}`."""


class Source(Protocol):
    """One server that can be connected to, any number of times."""

    where: str
    """How errors name it."""
    problem: str | None
    """What it last said of a request that it refused, when its protocol would not say it."""

    def opened(self, on_message: OnMessage) -> AbstractAsyncContextManager[Any]:
        """Connect; gives the client, which is to be left in the task that entered it."""
        ...

    def scrub(self, text: str) -> str:
        """Replace what must not be shown of the way to this server."""
        ...


def sources_of(options: ServerOptions) -> dict[str, Source]:
    """Give the servers by name; the only one, without a config, is called "".

    What may hold a key is wrapped in *options*, in place, so that no frame which holds them
    shows it. Raises ConfigurationError for anything but one whole source.
    """
    _conceal(options)
    if unknown := [name for name in options if name not in ServerOptions.__annotations__]:
        raise TypeError(f"MCPClient has no argument {unknown[0]!r}")
    given = {name: value for name, value in options.items() if value is not None}
    _require_mcp()
    if "config" not in given:
        return {"": _one(given, "MCPClient")}
    if len(given) > 1:
        raise ConfigurationError(f"MCPClient: {' and '.join(given)} do not go together; pass one source")
    return _several(given["config"])


def _conceal(options: Any) -> None:
    if isinstance(options.get("url"), str):
        options["url"] = Secret(options["url"])
    if isinstance(options.get("args"), Sequence) and not isinstance(options["args"], (str, bytes)):
        options["args"] = [Secret(each) if isinstance(each, str) else each for each in options["args"]]
    for name in ("headers", "env", "config"):
        if isinstance(options.get(name), Mapping):
            options[name] = Headers(options[name])


def _require_mcp() -> None:
    try:
        import mcp  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError as failure:
        if failure.name != "mcp":
            raise
        raise MissingDependencyError('mcp is not installed: pip install "abstractcore[mcp]"') from None


def _one(given: Mapping[str, Any], who: str) -> Source:
    kinds = [name for name in _KINDS if name in given]
    if len(kinds) != 1:
        raise ConfigurationError(
            f"{who}: pass one of server=, url=, command= and config=, not {' and '.join(kinds) or 'none'}"
        )
    for name, kind in _BELONGS.items():
        if name in given and kind not in kinds:
            raise ConfigurationError(f"{who}: {name}= goes with {kind}=, not with {kinds[0]}=")
    if kinds == ["server"]:
        return InProcess(given["server"])
    if kinds == ["url"]:
        return AtURL(given["url"], _texts(given, "headers", who))
    args = given.get("args", [])
    is_texts = isinstance(args, list) and all(isinstance(each, Secret) for each in args)
    if not isinstance(given["command"], str) or not is_texts:
        raise ConfigurationError(f"{who}: command is a str, and args a list of str")
    return Command(given["command"], args, _texts(given, "env", who), given.get("cwd"))


def _texts(given: Mapping[str, Any], name: str, who: str) -> Headers:
    texts = given.get(name, Headers())
    values: list[object] = [*texts.values()] if isinstance(texts, Headers) else [texts]
    if not all(isinstance(value, str) for value in values):
        raise ConfigurationError(f"{who}: {name}= is a dict of texts")
    return texts


def _several(config: Any) -> dict[str, Source]:
    servers = config.get("mcpServers") if isinstance(config, Mapping) else None
    if not isinstance(servers, Mapping) or not servers:
        raise ConfigurationError('MCPClient: config is {"mcpServers": {name: {"command": …} or {"url": …}}}')
    return {name: _entry(name, entry) for name, entry in servers.items() if not _is_disabled(entry)}


def _is_disabled(entry: Any) -> bool:
    return isinstance(entry, Mapping) and entry.get("disabled") is True


def _entry(name: str, entry: Any) -> Source:
    """Read one server of a config. What hosts add for themselves (a description, say) is passed over."""
    who = f"MCPClient: the server {name!r}"
    if not name or not isinstance(entry, Mapping):
        raise ConfigurationError(f"{who}: a name, and a dict of command or url")
    if "sse" in (entry.get("type"), entry.get("transport")):
        raise ConfigurationError(
            f"{who}: pass mcp.client.sse.sse_client(url) as server=, in a client of its own"
        )
    options: dict[str, Any] = {
        key: value
        for key, value in entry.items()
        if key in ("url", "command", *_BELONGS) and value is not None
    }
    _conceal(options)
    source = _one(options, who)
    source.where = f"{name} ({source.where})"
    return source


class InProcess:
    """A server object of this process."""

    problem: str | None = None

    def __init__(self, server: Any) -> None:
        if isinstance(server, (str, os.PathLike, Mapping)):
            raise ConfigurationError(
                f"MCPClient: server= takes a FastMCP or an MCP server, not {_kind(server)}"
            )
        self._server = server
        self.where = f"the {type(server).__name__} in this process"

    def opened(self, on_message: OnMessage) -> AbstractAsyncContextManager[Any]:
        """Connect without a wire."""
        from mcp import Client
        from mcp.server import Server
        from mcp.server.mcpserver import MCPServer

        if isinstance(self._server, (Server, MCPServer)):
            return Client(self._server, cache=None, message_handler=on_message)
        # A FastMCP keeps its Server in a private attribute, and tells progress only to messages on a wire.
        inner = getattr(self._server, "_mcp_server", None)
        if isinstance(inner, Server):
            return Client(inner, cache=None, message_handler=on_message, mode="legacy")
        if hasattr(self._server, "__aenter__"):
            return Client(self._server, cache=None, message_handler=on_message)
        return _ThroughFastMCP(self._server, on_message)

    def scrub(self, text: str) -> str:
        """Nothing is secret here."""
        return text


class AtURL:
    """A server over streamable HTTP."""

    def __init__(self, url: Any, headers: Headers) -> None:
        text = url.reveal() if isinstance(url, Secret) else ""
        if not text.startswith(("http://", "https://")):
            raise ConfigurationError("MCPClient: url begins with http:// or https://")
        self._url, self._headers = url, headers
        self.where = without_credentials(text)
        self.problem: str | None = None

    @asynccontextmanager
    async def opened(self, on_message: OnMessage) -> AsyncGenerator[Any]:
        """Connect over HTTP; how long an answer may take is the caller's to say, and not the socket's."""
        import httpx2
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        async with httpx2.AsyncClient(
            headers=dict(self._headers),
            timeout=httpx2.Timeout(_CONNECT_TIMEOUT, read=None),
            event_hooks={"response": [self._note]},
        ) as http:
            way = streamable_http_client(self._url.reveal(), http_client=http)
            async with Client(way, cache=None, message_handler=on_message) as client:
                yield client

    async def _note(self, response: httpx2.Response) -> None:
        if response.request.method == "POST":
            status = f"HTTP {response.status_code} {response.reason_phrase}".strip()
            self.problem = status if response.status_code >= 300 else None

    def scrub(self, text: str) -> str:
        """Replace the URL's secrets and the headers that hold keys."""
        return self._headers.scrub(text.replace(self._url.reveal(), self.where))


class Command:
    """A program of this machine, over its stdin and stdout; its stderr is this process's."""

    problem: str | None = None

    def __init__(
        self, command: str, args: Sequence[Secret], env: Headers, cwd: str | os.PathLike[str] | None
    ) -> None:
        self._command, self._args, self._env, self._cwd = command, args, env, cwd
        self.where = command

    @asynccontextmanager
    async def opened(self, on_message: OnMessage) -> AsyncGenerator[Any]:
        """Start the program, and end it with all that it started."""
        from mcp import Client, StdioServerParameters
        from mcp.client.stdio import stdio_client

        program = StdioServerParameters(
            command=self._command,
            args=[each.reveal() for each in self._args],
            env=dict(self._env),
            cwd=None if self._cwd is None else os.fspath(self._cwd),
        )
        with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230  opening it does not wait
            way = stdio_client(program, errlog=_stderr(nowhere))
            async with Client(way, cache=None, message_handler=on_message) as client:
                yield client

    def scrub(self, text: str) -> str:
        """Replace the values of variables that hold keys."""
        return self._env.scrub(text)


def _stderr(otherwise: IO[str]) -> Any:
    """Give this process's stderr if a program can write to it, which a notebook's may not allow."""
    try:
        sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return otherwise
    return sys.stderr


def _kind(server: Any) -> str:
    return type(server).__name__


class _ThroughFastMCP:
    """fastmcp's own client, asked as that of mcp is."""

    def __init__(self, server: Any, on_message: OnMessage) -> None:
        try:
            import fastmcp  # pyright: ignore[reportMissingImports]

            self._client: Any = fastmcp.Client(server, message_handler=on_message)
        except (ImportError, TypeError, ValueError):
            raise ConfigurationError(
                f"MCPClient: server= takes a FastMCP or an MCP server, not {_kind(server)}"
            ) from None
        self.server_capabilities = None

    async def __aenter__(self) -> _ThroughFastMCP:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self._client.__aexit__(*failure)

    async def list_tools(self, *, cursor: str | None = None) -> Any:
        """Give one page of the tools."""
        return await self._client.list_tools_mcp(cursor=cursor)

    async def call_tool(self, name: str, arguments: dict[str, Any], *, progress_callback: Any = None) -> Any:
        """Call a tool; a failing one is a result too."""
        return await self._client.call_tool_mcp(name, arguments, progress_handler=progress_callback)
