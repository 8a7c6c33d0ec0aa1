"""FAULTS 1.8, in processes of their own: loops one after the other, forks, and the interpreter's end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from typing import Any

import pytest

from abstractcore import BasicSession
from tests.fakes import openai_chat
from tests.fakes.replies import Hang, Reply, WaitFor, sse
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer

TEXT = "one two three four"
STRICT = ("-X", "dev", "-W", "error")
BEGINNING = """
import asyncio, os, sys
from abstractcore import BasicSession, create_llm
llm = create_llm("openai-compatible", "test-model", base_url=sys.argv[1])
"""


def child(server: FakeServer, code: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in an interpreter of its own: it must end well, within its time and without a word."""
    program = BEGINNING + textwrap.dedent(code)
    command = [sys.executable, *flags, "-c", program, server.url + "/v1"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    # On a busy machine asyncio's debug mode tells which of its steps were slow.
    said = re.sub(r"(?m)^Executing .* took [\d.]+ seconds\n", "", ended.stderr)
    assert (ended.returncode, said) == (0, "")
    return ended


def hanging() -> Reply:
    """A stream that gives TEXT and then nothing more, until the client leaves."""
    return sse([*openai_chat.text_chunks(TEXT, usage=False)[:-1], Hang()], done=False)


def echo(request: Recorded) -> Reply:
    return openai_chat.text(str(request.messages[-1].content))


# ---- loops ------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [2, 200])
def test_loops_may_follow_each_other(runs: int, server: FakeServer) -> None:
    """1.8: asyncio.run twice, and 200 times, under -X dev -W error; nothing of an ended loop is kept."""
    server.route = echo
    said = child(
        server,
        f"""
        async def main(number):
            one, two = await asyncio.gather(llm.agenerate(f"{{number}}"), llm.agenerate("x"))
            text = "".join([chunk.content async for chunk in llm.agenerate("y", stream=True)])
            return one.content + two.content + text

        for number in range({runs}):
            assert asyncio.run(main(number)) == f"{{number}}xy"
            assert llm.generate("blocking").content == "blocking"
        print(len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0)
        """,
        *STRICT,
    )
    assert int(said.stdout) < 20
    assert len(server.requests) == 4 * runs
    server.wait_for(lambda s: s.open_sockets == 0)


LEFT_OPEN: dict[str, str] = {
    "an async stream that was broken off last": """
        async def main():
            async for chunk in llm.agenerate("hi", stream=True):
                break
        for _ in range(20):
            asyncio.run(main())
        """,
    "an async stream in a variable": """
        async def main():
            global stream
            stream = await llm.agenerate("hi", stream=True)
            await anext(stream)
        asyncio.run(main())
        """,
    "an async stream that was broken off, in a variable": """
        async def main():
            global stream
            stream = llm.agenerate("hi", stream=True)
            async for chunk in stream:
                break
        asyncio.run(main())
        """,
    "an async stream of a session": """
        session = BasicSession(llm)
        async def main():
            global stream
            stream = await session.agenerate("hi", stream=True)
            await anext(stream)
        asyncio.run(main())
        assert session.messages == []
        """,
    "a blocking stream in a variable": """
        stream = llm.generate("hi", stream=True)
        """,
    "a blocking stream that was begun": """
        stream = llm.generate("hi", stream=True)
        next(stream)
        loop = iter(llm.generate("hi", stream=True))
        next(loop)
        """,
    "a blocking stream in a loop": """
        async def main():
            global stream
            stream = llm.generate("hi", stream=True)
            next(stream)
        asyncio.run(main())
        """,
    "streams in threads": """
        import threading
        def read():
            for chunk in llm.generate("hi", stream=True):
                ready.release()
        ready = threading.Semaphore(0)
        for _ in range(3):
            threading.Thread(target=read, daemon=True).start()
        for _ in range(12):
            ready.acquire()
        """,
    "a task that nobody awaits": """
        async def main():
            global task
            task = asyncio.create_task(read())
            await asyncio.sleep(0.1)
        async def read():
            async for chunk in llm.agenerate("hi", stream=True):
                pass
        asyncio.run(main())
        """,
    "a loop that is stopped and never closed": """
        loop = asyncio.new_event_loop()
        stream = loop.run_until_complete(llm.agenerate("hi", stream=True))
        """,
}


@pytest.mark.parametrize("flags", [(), ("-X", "dev")], ids=["", "dev"])
@pytest.mark.parametrize("name", LEFT_OPEN)
def test_a_process_ends_with_streams_open(name: str, flags: tuple[str, ...], server: FakeServer) -> None:
    """1.8: exit code 0, no hang, no noise."""
    if flags and "never closed" in name:
        pytest.skip("asyncio itself warns of a loop that was not closed")
    server.replies(hanging())
    begun = time.monotonic()

    child(server, LEFT_OPEN[name], *flags)

    assert time.monotonic() - begun < 10
    server.wait_for(lambda s: s.open_sockets == 0)


# ---- forks ------------------------------------------------------------------------------------

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def in_child(work: Any) -> None:
    """Do *work* in a forked child; it must end well."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_connections_of_its_own(server: FakeServer) -> None:
    """1.8: the parent's connection serves on, and the child never writes to it."""
    server.route = echo
    llm = server.llm()
    session = BasicSession(llm)
    assert session.generate("parent").content == "parent"

    def work() -> None:
        assert llm.generate("child").content == "child"
        assert session.generate("child too").content == "child too"
        llm.close()

    in_child(work)

    assert llm.generate("parent again").content == "parent again"
    by = {request.messages[-1].content: request.connection_id for request in server.requests}
    assert by["parent"] == by["parent again"] == 1
    assert by["child"] == by["child too"] == 2
    assert len(session.messages) == 2


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_stream_goes_on_after_a_fork(server: FakeServer) -> None:
    """1.8: a child that drops, or closes, its copy of the stream does not end the parent's."""
    import threading

    gate = threading.Event()
    events = openai_chat.text_chunks(TEXT, usage=False)
    server.replies(sse([*events[:2], WaitFor(gate), *events[2:]]))
    stream = server.llm().generate("hi", stream=True)
    first = next(stream).content

    in_child(stream.close)

    gate.set()
    assert first + "".join(chunk.content for chunk in stream) == TEXT


@needs_fork
def test_a_child_of_a_program_with_a_loop_starts_its_own(server: FakeServer) -> None:
    """1.8: fork after use on the async surface; both ends are quiet."""
    server.route = echo
    said = child(
        server,
        """
        async def ask(text):
            return (await llm.agenerate(text)).content

        assert asyncio.run(ask("before")) == "before"
        assert llm.generate("before").content == "before"
        if pid := os.fork():
            assert asyncio.run(ask("parent")) == llm.generate("parent").content == "parent"
            assert os.waitpid(pid, 0)[1] == 0
            print("parent")
        else:
            assert asyncio.run(ask("child")) == llm.generate("child").content == "child"
        """,
        *STRICT,
    )
    assert said.stdout == "parent\n"


# ---- signals ----------------------------------------------------------------------------------


def test_ctrl_c_ends_a_program(server: FakeServer) -> None:
    """1.8: KeyboardInterrupt < 1 s, in a process whose only thread is in the call; no other request."""
    import signal

    server.replies(hanging())
    code = BEGINNING + "for chunk in llm.generate('hi', stream=True): pass"
    command = [sys.executable, *STRICT, "-c", code, server.url + "/v1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        server.wait_for(lambda s: s.hanging == 1, 10)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=5)
    assert time.monotonic() - begun < 1.0
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in said
    server.wait_for(lambda s: s.disconnects == 1 and s.open_sockets == 0)
    assert len(server.requests) == 1


def test_ctrl_c_ends_an_async_program(server: FakeServer) -> None:
    """1.8: asyncio.run cancels the task; the socket is closed, and nothing else is said."""
    import signal

    server.replies(hanging())
    code = BEGINNING + textwrap.dedent("""
        async def main():
            async for chunk in llm.agenerate("hi", stream=True):
                pass
        asyncio.run(main())
        """)
    command = [sys.executable, *STRICT, "-c", code, server.url + "/v1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        server.wait_for(lambda s: s.hanging == 1, 10)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=5)
    assert time.monotonic() - begun < 1.0
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in said
    assert "never" not in said
    server.wait_for(lambda s: s.disconnects == 1 and s.open_sockets == 0)
