"""The two surfaces of the package behind one face, so that a test is written once for both.

The asynchronous one has an event loop in a thread of its own: it goes on running between the calls of
a test, so a socket that was left is closed while the test waits for it at the server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .loop_thread import LoopThread, Started
from .server import FakeServer


class Surface:
    """What both surfaces do alike. `run` and `start` take a call as `later` makes it."""

    name: str

    def method(self, obj: Any, name: str) -> Callable[..., Any]:
        """The method of *obj* that this surface uses for *name*."""
        raise NotImplementedError

    def start(self, call: Callable[[], Any]) -> Started:
        """Begin a call and come back at once."""
        raise NotImplementedError

    def run(self, call: Callable[[], Any]) -> Any:
        """Do a call to its end."""
        raise NotImplementedError

    def iterate(self, stream: Any) -> Any:
        """An iterator over a stream, of this surface's kind."""
        raise NotImplementedError

    def step(self, iterator: Any) -> Any:
        """The next of *iterator*; None at the end."""
        raise NotImplementedError

    def take(self, obj: Any, count: int, *args: Any, **options: Any) -> tuple[list[Any], Any]:
        """Leave the loop over a stream by `break` after *count* chunks; the chunks and the stream."""
        raise NotImplementedError

    def later(self, obj: Any, *args: Any, method: str = "generate", **options: Any) -> Callable[[], Any]:
        """A call that is not made yet, for `start`, `run` and `gather`."""
        return lambda: self.method(obj, method)(*args, **options)

    def call(self, obj: Any, name: str, /, *args: Any, **options: Any) -> Any:
        """`obj.name(...)`, or `await obj.aname(...)` where it exists."""
        return self.run(lambda: self.method(obj, name)(*args, **options))

    def generate(self, obj: Any, *args: Any, **options: Any) -> Any:
        return self.call(obj, "generate", *args, **options)

    def open_stream(self, obj: Any, *args: Any, **options: Any) -> StreamHandle:
        """Send the request of a stream and read nothing of it yet."""
        return StreamHandle(self, self.generate(obj, *args, stream=True, **options))

    def stream(self, obj: Any, *args: Any, **options: Any) -> list[Any]:
        """All chunks of a stream."""
        with self.open_stream(obj, *args, **options) as stream:
            return stream.rest()

    def gather(self, *calls: Callable[[], Any], timeout: float | None = None) -> list[Any]:
        """Make the calls at the same time; their results, or the exception in a result's place."""
        return [started.outcome(timeout) for started in [self.start(call) for call in calls]]

    def close(self, obj: Any) -> None:
        """`close()` or `aclose()`."""
        self.call(obj, "close")

    def wait_for(self, server: FakeServer, holds: Callable[[FakeServer], Any], timeout: float = 1.0) -> None:
        """The same as `server.wait_for`; the surface's loop runs on meanwhile."""
        server.wait_for(holds, timeout)

    def shut(self) -> None:
        """End the surface itself."""


class BlockingSurface(Surface):
    """Calls as they are; concurrency by threads."""

    name = "sync"

    def method(self, obj: Any, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(obj, name)
        return method

    def start(self, call: Callable[[], Any]) -> Started:
        started = Started()

        def work() -> None:
            try:
                started.future.set_result(call())
            except BaseException as failure:  # an outcome to hand over, whatever it is
                started.future.set_exception(failure)

        threading.Thread(target=work, name="sync surface", daemon=True).start()
        return started

    def run(self, call: Callable[[], Any]) -> Any:
        return call()

    def iterate(self, stream: Any) -> Any:
        return iter(stream)

    def step(self, iterator: Any) -> Any:
        return next(iterator, None)

    def take(self, obj: Any, count: int, *args: Any, **options: Any) -> tuple[list[Any], Any]:
        stream = obj.generate(*args, stream=True, **options)
        taken: list[Any] = []
        for chunk in stream:
            taken.append(chunk)
            if len(taken) == count:
                break
        return taken, stream


class AsyncSurface(Surface):
    """The `a` names, awaited in an event loop that lives as long as the test."""

    name = "async"

    def __init__(self) -> None:
        self.thread = LoopThread("async surface")

    def method(self, obj: Any, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(obj, f"a{name}", None) or getattr(obj, name)
        return method

    def start(self, call: Callable[[], Any]) -> Started:
        return self.thread.start(call)

    def run(self, call: Callable[[], Any]) -> Any:
        return self.thread.run(call)

    def iterate(self, stream: Any) -> Any:
        return self.run(lambda: aiter(stream))

    def step(self, iterator: Any) -> Any:
        return self.run(lambda: anext(iterator, None))

    def take(self, obj: Any, count: int, *args: Any, **options: Any) -> tuple[list[Any], Any]:
        async def take() -> tuple[list[Any], Any]:
            stream = obj.agenerate(*args, stream=True, **options)
            taken: list[Any] = []
            async for chunk in stream:
                taken.append(chunk)
                if len(taken) == count:
                    break
            return taken, stream

        taken: tuple[list[Any], Any] = self.run(take)
        return taken

    def shut(self) -> None:
        self.thread.close()


class StreamHandle:
    """A stream under way on either surface; leaving a `with` block closes it."""

    def __init__(self, surface: Surface, stream: Any) -> None:
        self.surface = surface
        self.stream = stream
        self._iterator: Any = None

    def __enter__(self) -> StreamHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def next(self) -> Any:
        """The next chunk; None at the end."""
        if self._iterator is None:
            self._iterator = self.surface.iterate(self.stream)
        return self.surface.step(self._iterator)

    def rest(self) -> list[Any]:
        """All chunks that are left."""
        chunks: list[Any] = []
        while (chunk := self.next()) is not None:
            chunks.append(chunk)
        return chunks

    def close(self) -> None:
        self.surface.close(self.stream)

    @property
    def response(self) -> Any:
        return self.stream.response

    @property
    def partial(self) -> Any:
        return self.stream.partial


class WholeOrStream:
    """One way to ask, whether the answer comes in one body or in a stream."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.streams = name == "stream"

    def ask(self, surface: Surface, obj: Any, *args: Any, **options: Any) -> Any:
        """The response; a stream is consumed first."""
        if not self.streams:
            return surface.generate(obj, *args, **options)
        with surface.open_stream(obj, *args, **options) as stream:
            stream.rest()
            return stream.response


def surface_named(name: str) -> Surface:
    return BlockingSurface() if name == "sync" else AsyncSurface()
