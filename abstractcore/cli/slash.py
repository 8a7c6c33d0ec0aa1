"""What a line that begins with a slash does in `abstractcore chat`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from abstractcore.errors import ConfigurationError

if TYPE_CHECKING:
    from abstractcore.cli.talk import Talk


def command(talk: Talk, line: str) -> None:
    """Do what *line* says. Raises ConfigurationError for a command that does not exist."""
    name, _, words = line.partition(" ")
    if name not in COMMANDS:
        close = get_close_matches(name, COMMANDS, 1)
        raise ConfigurationError(
            f"there is no {name}. " + (f"Did you mean {close[0]}?" if close else "See /help.")
        )
    COMMANDS[name](talk, words.strip())


def _save(talk: Talk, path: str) -> None:
    """FILE: keep the conversation in a file."""
    path = _needed(path, "/save", "a file")
    talk.session.save(path)
    talk.say(f"saved {len(talk.session.messages)} messages in {path}")


def _load(talk: Talk, path: str) -> None:
    """FILE: go on with a conversation that was saved."""
    path = _needed(path, "/load", "a file")
    talk.load(path)
    talk.say(f"loaded {len(talk.session.messages)} messages from {path}")


def _model(talk: Talk, name: str) -> None:
    """[provider:model]: let another model answer; alone, say which one does."""
    if name:
        talk.change_model(name)
    talk.say(talk.model_name)


def _system(talk: Talk, text: str) -> None:
    """[TEXT]: set the system prompt, with - none; alone, show it."""
    if text:
        talk.session.system_prompt = None if text == "-" else text
    talk.say(talk.session.system_prompt or "there is no system prompt")


def _image(talk: Talk, path: str) -> None:
    """[FILE or URL]: a picture for the next message; alone, leave the pictures out."""
    from abstractcore.generation.media import image_part

    if not path:
        talk.images = []
        talk.say("no picture goes with the next message")
        return
    talk.images = [*talk.images, image_part(_unquoted(path), where="/image")]
    talk.say(f"{len(talk.images)} with the next message")


def _tools(talk: Talk, _: str) -> None:
    """List the tools that the model may call."""
    for tool in talk.session.tools:
        talk.say(f"{tool.name}: {tool.description}")
    if not talk.session.tools:
        talk.say("there are no tools: start with --tools FILE or --mcp SERVER")


def _usage(talk: Talk, _: str) -> None:
    """Tell the tokens of this conversation."""
    usage = talk.session.usage
    counts = (usage.input_tokens, usage.output_tokens)
    into, out = ("not told" if count is None else f"{count:,}" for count in counts)
    talk.say(f"tokens in: {into}, out: {out}")


def _clear(talk: Talk, _: str) -> None:
    """Forget the conversation; the system prompt and the tools stay."""
    talk.session.clear()
    talk.images = []
    talk.say("cleared")


def _help(talk: Talk, _: str) -> None:
    """List the commands."""
    for name, work in COMMANDS.items():
        talk.say(f"{name:8} {(work.__doc__ or '').strip()}")
    talk.say("Ctrl-C stops an answer. A backslash at the end of a line goes on in the next one.")


def _quit(talk: Talk, _: str) -> None:
    """Leave; so does Ctrl-D."""
    talk.is_over = True


def _needed(word: str, name: str, what: str) -> str:
    if not word:
        raise ConfigurationError(f"{name} needs {what}")
    return _unquoted(word)


def _unquoted(path: str) -> str:
    """Take off the quotes that a shell would, as a dropped file's path has them."""
    import os

    is_quoted = len(path) > 1 and path[0] == path[-1] and path[0] in "\"'"
    return os.path.expanduser(path[1:-1] if is_quoted else path)


COMMANDS: Mapping[str, Callable[[Talk, str], None]] = {
    "/help": _help,
    "/model": _model,
    "/system": _system,
    "/image": _image,
    "/tools": _tools,
    "/save": _save,
    "/load": _load,
    "/usage": _usage,
    "/clear": _clear,
    "/quit": _quit,
    "/exit": _quit,
}
