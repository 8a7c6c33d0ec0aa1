"""Client: a conversation in short words. `chat` gives the text, and runs the tools.

A thin face over BasicSession: one history, one transaction rule, one order of turns.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, Unpack, overload

from abstractcore.errors import ConfigurationError
from abstractcore.factory import Options, create_llm
from abstractcore.generation.ask import CallOptions
from abstractcore.generation.tool_runs import check_served, runnable
from abstractcore.llm import LLM
from abstractcore.session import BasicSession
from abstractcore.streams import Stream
from abstractcore.types import PHASES, GenerateResponse, Message, Usage

if TYPE_CHECKING:
    from types import TracebackType

    from abstractcore.generation.media import Media

M = TypeVar("M")
C = TypeVar("C", bound="ClientCore")
Model = str | LLM

_IN_PROCESS = ("huggingface", "llamacpp", "local", "mlx", "openvino")


class ClientCore:
    """What both clients are: the session under them, and its parts by their short names."""

    _blocks: ClassVar[bool] = False

    def __init__(self, session: BasicSession) -> None:
        self.session = session

    @property
    def llm(self) -> LLM:
        """The model that answers."""
        if self.session.provider is None:
            raise ConfigurationError("this client has no model")
        return self.session.provider

    @property
    def messages(self) -> list[Message]:
        """The history: plain dicts, that you may read and edit; the system message is not among them."""
        return self.session.messages

    @messages.setter
    def messages(self, messages: Sequence[Message]) -> None:
        self.session.messages[:] = messages

    @property
    def system_message(self) -> str | None:
        """The instructions; they may be changed between two turns."""
        return self.session.system_prompt

    @system_message.setter
    def system_message(self, text: str | None) -> None:
        self.session.system_prompt = text

    @property
    def tools(self) -> list[Any]:
        """The tools that every turn may use."""
        return self.session.tools

    @tools.setter
    def tools(self, tools: Sequence[Any]) -> None:
        self._check_tools(tools)
        self.session.tools[:] = tools

    @property
    def mcp_client(self) -> Any:
        """A connected MCPClient, whose tools join the others; None without one.

        The sync surface takes a sync one alone (else AsyncToolError); the async one runs it in threads.
        """
        return self.session.mcp_client

    @mcp_client.setter
    def mcp_client(self, client: Any) -> None:
        check_served(client, blocking=self._blocks)
        self.session.mcp_client = client

    @property
    def usage(self) -> Usage:
        """The tokens of all turns so far."""
        return self.session.usage

    def reset(self) -> None:
        """Forget the messages; the system message and the tools stay."""
        self.session.clear()

    def _check_tools(self, tools: Sequence[Any]) -> None:
        """Raise for tools that this client could not run, before any request."""
        runnable(tools, blocking=self._blocks)

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        """Say in `generate`'s words what `chat` was given."""
        if given["tools"] is not None:
            self._check_tools(given["tools"])
        return {
            "tools": given["tools"],
            "response_model": given["schema"],
            "media": given["images"],
            "timeout": given["timeout"],
            "run_tools": True,
            **given["params"],
        }

    def _say(self, ask: Callable[..., Any], given: dict[str, Any]) -> Any:
        """Do a turn with *ask*, the session's `generate` or `agenerate`."""
        options = self._options(given)
        if given["stream"]:
            include = PHASES if given["include"] is None else given["include"]
            return ask(given["text"], stream=True, include=include, **options)
        return _text(ask(given["text"], include=given["include"], **options))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.llm.provider}:{self.llm.model}, {len(self.messages)} messages>"


def _text(answer: Any) -> Any:
    if isinstance(answer, Coroutine):
        return _awaited_text(answer)
    return answer.content if isinstance(answer, GenerateResponse) else answer


async def _awaited_text(answering: Coroutine[Any, Any, Any]) -> Any:
    return _text(await answering)


class Client(ClientCore):
    """A conversation with one model, from sync code. `client()` makes it."""

    _blocks = True

    @overload
    def chat(
        self,
        text: str,
        *,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: None = None,
        images: Media | Sequence[Media] | None = None,
        timeout: float | None = None,
        **params: Unpack[CallOptions],
    ) -> str: ...
    @overload
    def chat(
        self,
        text: str,
        *,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: type[M],
        images: Media | Sequence[Media] | None = None,
        timeout: float | None = None,
        **params: Unpack[CallOptions],
    ) -> M: ...
    @overload
    def chat(
        self,
        text: str,
        *,
        stream: Literal[True],
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: Any = None,
        images: Media | Sequence[Media] | None = None,
        timeout: float | None = None,
        **params: Unpack[CallOptions],
    ) -> Stream: ...
    def chat(
        self,
        text: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: Any = None,
        images: Media | Sequence[Media] | None = None,
        timeout: float | None = None,
        **params: Unpack[CallOptions],
    ) -> Any:
        """Say *text*, and give the answer's text; both are in `messages` then.

        Tools are run until an answer calls none. With *schema* (as `response_model` of
        `generate`) the validated object is given. With *stream*, a stream of every phase, or
        of those in *include*. *timeout* (seconds) bounds the whole turn. After an error the
        history is as it was.
        """
        return self._say(self.session.generate, {**locals()})

    def fork(self) -> Client:
        """Give a client that goes on from here by itself: a copy of the messages, the same model."""
        return Client(self.session.fork())

    def close(self) -> None:
        """Release the model's connections or weights."""
        self.llm.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def new_client(
    kind: type[C], model: Any, system: str | None, tools: Sequence[Any] | None, options: Options
) -> C:
    """Make a client of *kind*: of a model, or an async one of a sync client, whose session it shares."""
    if isinstance(model, ClientCore):
        return _sharing(kind, model, system, tools, options)
    if not kind._blocks:  # pyright: ignore[reportPrivateUsage]
        _check_remote(model)
    made = kind(_new_session(model, system, options))
    made.tools = tools or ()
    return made


def _sharing(
    kind: type[C], client: ClientCore, system: str | None, tools: Sequence[Any] | None, options: Options
) -> C:
    blocks, theirs = kind._blocks, client._blocks  # pyright: ignore[reportPrivateUsage]
    if blocks == theirs:
        raise ConfigurationError(f"this client is {'a sync' if blocks else 'an async'} one already")
    if blocks:
        raise ConfigurationError("an async client cannot be made a sync one; the other way it can")
    _check_none_given(options)
    made = kind(client.session)
    if tools is not None:
        made.tools = tools
    if system is not None:
        made.system_message = system
    return made


def _check_remote(model: Model) -> None:
    if isinstance(model, LLM):
        return
    name = getattr(model, "provider", model.partition(":")[0]).strip().lower()
    if name not in _IN_PROCESS:
        return
    raise ConfigurationError(
        f"{name} runs in this process, and two clients must not load its weights twice. Wrap a sync client:\n"
        "    sync_client = abstractcore.client(...)\n"
        "    async_client = aio.client(sync_client)"
    )


def _new_session(model: Model, system: str | None, options: Options) -> BasicSession:
    """Make the session of a new client: *model* is an LLM, `provider:model`, or a member of `models`."""
    if isinstance(model, LLM):
        _check_none_given(options)
        return BasicSession(model, system)
    provider = getattr(model, "provider", None)
    llm = create_llm(model, **options) if provider is None else create_llm(provider, str(model), **options)
    return BasicSession(llm, system)


def _check_none_given(options: Mapping[str, Any]) -> None:
    if options:
        names = ", ".join(options)
        raise ConfigurationError(
            f"{names}: the model is made already; say this to create_llm, or in each chat"
        )


def client(
    model: Model,
    *,
    system: str | None = None,
    tools: Sequence[Any] | None = None,
    **options: Unpack[Options],
) -> Client:
    """Make a client of a model: `"provider:model"`, a member of `abstractcore.models`, or an LLM.

    *options* are those of `create_llm`, and none for an LLM, which has its own. Raises AsyncToolError
    for an async tool: `abstractcore.aio` runs those.
    """
    return new_client(Client, model, system, tools, options)


@overload
def chat(
    text: str,
    *,
    model: Model,
    system: str | None = None,
    stream: Literal[False] = False,
    include: str | Iterable[str] | None = None,
    tools: Sequence[Any] | None = None,
    schema: None = None,
    images: Media | Sequence[Media] | None = None,
    timeout: float | None = None,
    **params: Unpack[CallOptions],
) -> str: ...
@overload
def chat(
    text: str,
    *,
    model: Model,
    system: str | None = None,
    stream: Literal[False] = False,
    include: str | Iterable[str] | None = None,
    tools: Sequence[Any] | None = None,
    schema: type[M],
    images: Media | Sequence[Media] | None = None,
    timeout: float | None = None,
    **params: Unpack[CallOptions],
) -> M: ...
@overload
def chat(
    text: str,
    *,
    model: Model,
    system: str | None = None,
    stream: Literal[True],
    include: str | Iterable[str] | None = None,
    tools: Sequence[Any] | None = None,
    schema: Any = None,
    images: Media | Sequence[Media] | None = None,
    timeout: float | None = None,
    **params: Unpack[CallOptions],
) -> Stream: ...
def chat(text: str, *, model: Model, system: str | None = None, **arguments: Any) -> Any:
    """Ask once: as `client(model, system=system).chat(text, ...)`; nothing is kept."""
    return client(model, system=system).chat(text, **arguments)
