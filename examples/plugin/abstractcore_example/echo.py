"""A provider that is a class of its own: it says what it hears.

`stream` gets a driver, whose verbs work on both surfaces (`sleep`, `call` for a function that blocks,
`send` for HTTP …), and awaits nothing else. What it gives are chunks, the last of which is `done`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from abstractcore.errors import BadRequestError, ClosedError, RequestTimeoutError
from abstractcore.types import GenerateRequest, StreamChunk, Usage


class Echo:
    """`create_llm("example-echo", "loud", pause=0.1)`: options are the keyword arguments."""

    def __init__(self, name: str, model: str | None, *, pause: float = 0.0) -> None:
        self.name = name
        self.model = model or "plain"
        self._pause = pause
        self._is_closed = False

    async def stream(
        self, driver: Any, request: GenerateRequest, deadline: Any
    ) -> AsyncGenerator[StreamChunk]:
        """Answer *request* once, word by word."""
        if self._is_closed:
            raise ClosedError(f"{self.name}: the provider is closed")
        heard = request.messages[-1]["content"]
        if not isinstance(heard, str):
            raise BadRequestError(f"{self.name} hears text alone")
        said = heard.upper() if self.model == "loud" else heard
        words = said.split(" ")
        for number, word in enumerate(words):
            await self._wait(driver, deadline)
            yield StreamChunk("generating", word if number == 0 else f" {word}")
        yield StreamChunk("done", usage=Usage(len(words), len(words), 2 * len(words)), finish_reason="stop")

    async def _wait(self, driver: Any, deadline: Any) -> None:
        await driver.sleep(max(0.0, min(self._pause, deadline.left())))
        if deadline.left() <= 0:
            raise RequestTimeoutError(f"the call took longer than {deadline.seconds:g} s", phase="total")

    async def models(self, driver: Any, deadline: Any) -> list[str]:
        """List what can be asked for."""
        return ["plain", "loud"]

    def close(self) -> None:
        """Answer nothing from now on."""
        self._is_closed = True
