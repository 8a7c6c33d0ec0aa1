"""The two surfaces behind one face, so that a check of the suite for providers is written once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from abstractcore.llm import LLM
    from abstractcore.types import GenerateResponse, StreamChunk

_LOOK = 0.01
_LOOKS = 1000


class Surface:
    """One of the two ways to ask: an object's methods, called or awaited."""

    name = "sync"

    def ask(self, obj: Any, *arguments: Any, **options: Any) -> Any:
        """Give the whole answer."""
        return obj.generate(*arguments, **options)

    def stream(self, obj: Any, *arguments: Any, **options: Any) -> tuple[list[StreamChunk], GenerateResponse]:
        """Read a stream to its end."""
        stream = obj.generate(*arguments, stream=True, **options)
        return list(stream), stream.response

    def take_one(self, obj: Any, *arguments: Any, **options: Any) -> StreamChunk | None:
        """Leave a stream after its first chunk."""
        for chunk in obj.generate(*arguments, stream=True, **options):
            return chunk
        return None

    def together(self, obj: Any, count: int, *arguments: Any, **options: Any) -> list[Any]:
        """Ask several times at once."""
        with ThreadPoolExecutor(count) as pool:
            asked = [pool.submit(obj.generate, *arguments, **options) for _ in range(count)]
            return [each.result() for each in asked]

    def wait_until(self, holds: Callable[[], bool]) -> bool:
        """Wait for something that a server or a model makes true, ten seconds at most."""
        pause = threading.Event()
        return any(holds() or pause.wait(_LOOK) for _ in range(_LOOKS))

    def models(self, llm: LLM) -> list[str]:
        """List the models."""
        return llm.list_models()

    def close(self, llm: LLM) -> None:
        """Close it."""
        llm.close()

    def shut(self) -> None:
        """End the surface itself."""


class AwaitedSurface(Surface):
    """The other: all of a test's calls on one event loop."""

    name = "async"

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def ask(self, obj: Any, *arguments: Any, **options: Any) -> Any:
        """Give the whole answer."""

        async def work() -> Any:
            return await obj.agenerate(*arguments, **options)

        return self._runner.run(work())

    def stream(self, obj: Any, *arguments: Any, **options: Any) -> tuple[list[StreamChunk], GenerateResponse]:
        """Read a stream to its end."""

        async def work() -> tuple[list[StreamChunk], GenerateResponse]:
            stream = obj.agenerate(*arguments, stream=True, **options)
            return [chunk async for chunk in stream], stream.response

        return self._runner.run(work())

    def take_one(self, obj: Any, *arguments: Any, **options: Any) -> StreamChunk | None:
        """Leave a stream after its first chunk."""

        async def work() -> StreamChunk | None:
            async for chunk in obj.agenerate(*arguments, stream=True, **options):
                return chunk
            return None

        return self._runner.run(work())

    def together(self, obj: Any, count: int, *arguments: Any, **options: Any) -> list[Any]:
        """Ask several times at once."""

        async def work() -> list[Any]:
            return list(await asyncio.gather(*(obj.agenerate(*arguments, **options) for _ in range(count))))

        return self._runner.run(work())

    def cancel(self, llm: LLM, has_begun: Callable[[], bool], *arguments: Any) -> None:
        """Cancel a call once *has_begun*."""

        async def work() -> None:
            task = asyncio.ensure_future(llm.agenerate(*arguments))
            await _until(lambda: has_begun() or task.done())
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled(), "a cancelled call must raise CancelledError, and nothing in its place"

        self._runner.run(work())

    def wait_until(self, holds: Callable[[], bool]) -> bool:
        """Wait while the event loop runs: what a task left is closed there."""
        return self._runner.run(_until(holds))

    def models(self, llm: LLM) -> list[str]:
        """List the models."""
        return self._runner.run(llm.alist_models())

    def close(self, llm: LLM) -> None:
        """Close it."""
        self._runner.run(llm.aclose())

    def shut(self) -> None:
        """End the event loop."""
        self._runner.close()


async def _until(holds: Callable[[], bool]) -> bool:
    for _ in range(_LOOKS):
        if holds():
            return True
        await asyncio.sleep(_LOOK)
    return False
