"""What a caller asks: the arguments of one `generate`, checked before any IO.

Knows the names of the arguments. Knows no provider and no surface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypedDict

from abstractcore.errors import ConfigurationError
from abstractcore.generation.media import Media, image_parts, needs_reading
from abstractcore.generation.messages import build_messages, check_sampling, check_timeout, check_tool_choice
from abstractcore.generation.schema import output_schema
from abstractcore.tools.schema import as_specs
from abstractcore.types import GenerateRequest, Message, Thinking

if TYPE_CHECKING:
    from abstractcore.drivers.base import Driver
    from abstractcore.generation.call import BeforeRequest
    from abstractcore.generation.tool_runs import Approve
    from abstractcore.types import AgentEvent

DEFAULT_TIMEOUT = 600.0


class Sampling(TypedDict, total=False):
    """How the model writes; what is not given is left to the provider.

    *stop* ends the answer before the text it names. *thinking* switches reasoning on, off
    or to an effort. *extra* goes to the wire unchanged.
    """

    temperature: float | None
    top_p: float | None
    top_k: int | None
    seed: int | None
    stop: str | Sequence[str] | None
    max_output_tokens: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    thinking: Thinking
    extra: Mapping[str, Any] | None


class ToolOptions(TypedDict, total=False):
    """How the tools of a turn with `run_tools=True` are run, in an Agent's words.

    *max_iterations* model calls may ask for tools. *approve* sees each call first: anything but True
    refuses it, a text with its reason. *tool_timeout* is in seconds, for each call. *events* sees each
    model call, answer, tool call, progress and result; what it raises ends the turn.
    """

    max_iterations: int | None
    approve: Approve | None
    concurrent_tool_calls: bool | None
    tool_timeout: float | None
    events: Callable[[AgentEvent], None] | None


class CallOptions(Sampling, ToolOptions, total=False):
    """How the model of one call writes, and how its tools are run."""


SAMPLING: tuple[str, ...] = tuple(Sampling.__annotations__)
TOOL_OPTIONS: tuple[str, ...] = tuple(ToolOptions.__annotations__)
_ARGUMENTS = (
    "prompt", "messages", "system_prompt", "tools", "tool_choice", "response_model", "return_response",
    "media", "stream", "include", "timeout", "run_tools",
)  # fmt: skip
_THINKING = (None, True, False, "low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Ask:
    """One question, checked: *request* lacks only its messages; *seconds* bounds the whole call."""

    request: GenerateRequest
    prompt: str | None
    messages: Sequence[Mapping[str, Any]] | None
    system_prompt: str | None
    media: Sequence[Media]
    response_model: Any
    return_response: bool
    seconds: float
    tools: Sequence[Any] | None = None
    """The tools to run; None when their calls are only handed back."""
    before_request: BeforeRequest | None = None
    tool_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """How they are run, as far as this call says it."""


def make_ask(
    model: str,
    defaults: Mapping[str, Any],
    *,
    stream: bool,
    prompt: str | None,
    messages: Sequence[Mapping[str, Any]] | None,
    system_prompt: str | None,
    tools: Sequence[Any] | None,
    tool_choice: str | None,
    run_tools: bool,
    response_model: Any,
    return_response: bool,
    media: Any,
    timeout: float | None,
    sampling: Mapping[str, Any],
) -> Ask:
    """Check the arguments of one call. Raises ConfigurationError, or TypeError for an unknown name."""
    check_known(sampling, (*_ARGUMENTS, *SAMPLING, *TOOL_OPTIONS), "generate")
    given = {**defaults, **{name: value for name, value in sampling.items() if value is not None}}
    request = GenerateRequest(
        model,
        (),
        stream=stream,
        tools=as_specs(tools) if tools else (),
        tool_choice=check_tool_choice(tool_choice),
        schema=None if response_model is None else output_schema(response_model),
        **sampling_fields(given),
    )
    if prompt is None and not messages:
        raise ConfigurationError("nothing to send: pass a prompt or messages")
    pieces: Sequence[Media] = () if media is None else media if isinstance(media, list | tuple) else (media,)
    seconds = check_timeout(timeout) or given.get("timeout") or DEFAULT_TIMEOUT
    run = list(tools or ()) if run_tools else None
    return Ask(
        request,
        prompt,
        messages,
        system_prompt,
        pieces,
        response_model,
        return_response,
        seconds,
        run,
        tool_options=_tool_options(given, run_tools),
    )


def _tool_options(given: Mapping[str, Any], run_tools: bool) -> dict[str, Any]:
    found = {name: given[name] for name in TOOL_OPTIONS if name in given}
    if found and not run_tools:
        raise ConfigurationError(f"{', '.join(found)}: nothing is run without run_tools=True")
    if found:
        from abstractcore.generation.tool_runs import ToolPolicy

        ToolPolicy(**found)  # which checks them
    return found


def sampling_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the sampling arguments among *given*, and give those that are set as a request's fields."""
    thinking, extra = given.get("thinking"), given.get("extra")
    if thinking not in _THINKING:
        raise ConfigurationError('thinking must be True, False, "low", "medium" or "high"')
    if extra is not None and not isinstance(extra, Mapping):
        raise ConfigurationError("extra must be a dict of fields for the wire")
    checked = check_sampling(**{k: given.get(k) for k in SAMPLING if k not in ("thinking", "extra")})
    return {**checked, "thinking": thinking, "extra": dict(extra or {})}


async def write_messages(driver: Driver, ask: Ask) -> list[Message]:
    """Give the messages that *ask* brings; image files are read where that stops nobody else."""
    media: Sequence[Any] = ask.media
    if any(needs_reading(item) for item in media):
        media = await driver.call(image_parts, ask.media)
    return build_messages(ask.prompt, ask.messages, ask.system_prompt, media)


def check_known(given: Iterable[str], known: Iterable[str], function: str) -> None:
    """Raise TypeError, with the close match, for a keyword that *function* does not take."""
    names = list(known)
    for name in given:
        if name not in names:
            close = get_close_matches(name, names, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}.{hint}")


def with_messages(ask: Ask, messages: Sequence[Message]) -> GenerateRequest:
    """Give the request, whole."""
    return replace(ask.request, messages=messages)
