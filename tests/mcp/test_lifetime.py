"""CONTRACT A7, G1 to G3: tasks, loops, threads, processes, and the end of each."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from abstractcore import ClosedError, ConfigurationError, MCPConnectionError
from abstractcore.mcp import AsyncMCPClient, MCPClient
from tests.fakes.processes import children
from tests.fakes.surfaces import Surface
from tests.mcp.conftest import ROOT, Connect
from tests.mcp.toolboxes import Toolbox, on_fastmcp, on_mcp_server

SUM = ("add", {"a": 1, "b": 2})


@pytest.fixture(params=["FastMCP", "MCPServer"])
def http_server(request: pytest.FixtureRequest) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server over HTTP in a process of its own: its URL, and the process."""
    command = [sys.executable, "-m", "tests.mcp.toolboxes", request.param]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield f"http://127.0.0.1:{port}/mcp", process
        process.kill()


def test_g1_a_server_over_http_is_connected_to(surface: Surface, connect: Connect, http_server: Any):
    client = connect(url=http_server[0], headers={"X-Test": "1"})
    told: list[float] = []

    result = surface.call(
        client, "call_tool", "count", {"to": 2}, progress=lambda done, *_: told.append(done)
    )

    assert (result, told) == ("counted", [1, 2])
    calls = [surface.later(client, "meet", {"others": 5}, method="call_tool") for _ in range(5)]
    assert surface.gather(*calls, timeout=20) == ["5"] * 5


def test_g3_a_server_over_http_that_dies_fails_the_calls_under_way(
    surface: Surface, connect: Connect, http_server: Any
):
    url, process = http_server
    client = connect(url=url)
    calls = [surface.start(surface.later(client, "wait", method="call_tool")) for _ in range(3)]
    assert surface.call(client, "call_tool", *SUM) == "3"

    process.send_signal(signal.SIGKILL)

    for call in calls:
        assert isinstance(call.outcome(5), MCPConnectionError)
    with pytest.raises(MCPConnectionError, match="127"):
        surface.call(client, "call_tool", *SUM)


def test_g3_a_program_that_dies_in_mid_call_fails_every_call_at_once(
    surface: Surface, connect: Connect, program: dict[str, Any]
):
    client = connect(**program)
    waiting = surface.start(surface.later(client, "wait", method="call_tool"))
    assert surface.call(client, "call_tool", *SUM) == "3"

    with pytest.raises(MCPConnectionError):
        surface.call(client, "call_tool", "stop")

    assert isinstance(waiting.outcome(5), MCPConnectionError)
    with pytest.raises(MCPConnectionError, match="went away"):
        surface.call(client, "list_tools")


def test_g3_a_program_that_is_killed_fails_the_call_under_way(
    surface: Surface, connect: Connect, program: dict[str, Any]
):
    before = children()
    client = connect(**program)
    (server,) = children() - before
    call = surface.start(surface.later(client, "wait", method="call_tool"))
    surface.call(client, "call_tool", *SUM)

    os.kill(server, signal.SIGKILL)

    assert isinstance(call.outcome(5), MCPConnectionError)


def test_closing_twice_is_as_closing_once_and_a_closed_client_says_so(
    surface: Surface, connect: Connect, box: Toolbox
):
    client = connect(server=box.server)

    surface.close(client)
    surface.close(client)

    for method, arguments in (("list_tools", ()), ("as_tools", ()), ("call_tool", SUM)):
        with pytest.raises(ClosedError):
            surface.call(client, method, *arguments)


@pytest.mark.parametrize("way", ["in process", "program"])
async def test_g1_a_client_is_closed_from_another_task_than_it_was_connected_in(
    box: Toolbox, program: dict[str, Any], way: str
):
    options = program if way == "program" else {"server": box.server}
    client = await asyncio.create_task(AsyncMCPClient.connect(**options))

    assert await asyncio.create_task(client.call_tool(*SUM)) == "3"
    await asyncio.gather(*(asyncio.create_task(client.aclose()) for _ in range(3)))


async def test_a_cancelled_connect_leaves_no_process(raw: Callable[..., Any]):
    before = children()
    connecting = asyncio.create_task(AsyncMCPClient.connect(**raw("silent")))
    while children() == before:
        await asyncio.sleep(0.01)

    connecting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert children() == before


@pytest.mark.parametrize("way", ["in process", "program"])
def test_a7_an_async_client_works_in_a_second_asyncio_run(program: dict[str, Any], way: str):
    """The first run ends its connection, as it ends every task; the second connects again."""
    options = program if way == "program" else {"server": on_mcp_server().server}
    client = asyncio.run(AsyncMCPClient.connect(**options))

    async def use() -> list[str]:
        return await asyncio.gather(client.call_tool(*SUM), client.call_tool(*SUM))

    assert asyncio.run(use()) == ["3", "3"]
    assert asyncio.run(use()) == ["3", "3"]
    asyncio.run(client.aclose())


async def test_a7_an_async_client_works_from_the_loop_of_another_thread(box: Toolbox):
    async with await AsyncMCPClient.connect(server=box.server) as client:
        assert await asyncio.to_thread(lambda: asyncio.run(client.call_tool(*SUM))) == "3"


async def test_g2_the_sync_client_works_inside_a_running_loop(box: Toolbox):
    with MCPClient(server=box.server) as client:
        assert client.call_tool(*SUM) == "3"
        assert {tool.name for tool in client.as_tools()} >= {"add", "fail"}


def test_g2_the_sync_client_works_from_several_threads(box: Toolbox):
    with MCPClient(server=box.server) as client:
        results: list[str] = []
        threads = [
            threading.Thread(target=lambda: results.append(client.call_tool("meet", {"others": 4})))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

    assert results == ["4"] * 4


def test_a_tool_that_calls_its_own_sync_client_is_told_that_it_cannot():
    box = on_fastmcp()
    clients: list[MCPClient] = []
    failures: list[Exception] = []

    @box.server.tool
    async def again() -> str:
        try:
            return clients[0].call_tool(*SUM)
        except Exception as failure:
            failures.append(failure)
            return "refused"

    with MCPClient(server=box.server) as client:
        clients.append(client)
        assert client.call_tool("again") == "refused"

    assert isinstance(failures[0], ConfigurationError)


def test_a_forgotten_sync_client_ends_its_thread_and_its_server(program: dict[str, Any]):
    before = children()
    client = MCPClient(**program)
    (thread,) = [each for each in threading.enumerate() if each.name == "abstractcore-mcp"]

    del client
    gc.collect()

    thread.join(10)
    assert not thread.is_alive()
    assert children() == before


async def test_a_forgotten_async_client_leaves_its_server(program: dict[str, Any]):
    before = children()
    client = await AsyncMCPClient.connect(**program)
    (owner,) = [task for task in asyncio.all_tasks() if task.get_name().startswith("mcp:")]

    del client
    gc.collect()

    await asyncio.wait((owner,), timeout=10)
    assert owner.done()
    assert children() == before


def run_script(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "script.py"
    script.write_text("import sys\nfrom abstractcore.mcp import MCPClient, AsyncMCPClient\n" + code)
    return subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.mark.parametrize(
    "code",
    [
        "client = MCPClient(**PROGRAM)\nprint(client.call_tool(*SUM))",
        "import asyncio\nasync def main():\n    global client\n"
        "    client = await AsyncMCPClient.connect(**PROGRAM)\n"
        "    print(await client.call_tool(*SUM))\nasyncio.run(main())",
    ],
    ids=["sync", "async"],
)
def test_a_program_that_ends_with_an_open_client_ends_quietly(
    code: str, program: dict[str, Any], tmp_path: Path
):
    pid_file = tmp_path / "pid"
    serve = (
        f"import os; open({str(pid_file)!r}, 'w').write(str(os.getpid())); import tests.mcp.toolboxes as t"
    )
    options = {
        "command": program["command"],
        "args": ["-c", f"{serve}; t.on_mcp_server().server.run('stdio')"],
        "cwd": str(ROOT),
    }

    done = run_script(f"PROGRAM = {options!r}\nSUM = {SUM!r}\n{code}", tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_connects_for_itself(tmp_path: Path):
    done = run_script(
        f"""
import os
from tests.mcp.toolboxes import on_mcp_server
with MCPClient(server=on_mcp_server().server) as client:
    if os.fork() == 0:
        print("child", client.call_tool(*{SUM!r}), flush=True)
        client.close()
        os._exit(0)
    os.wait()
    print("parent", client.call_tool(*{SUM!r}))
""",
        tmp_path,
    )

    assert (done.returncode, done.stdout.split()) == (0, ["child", "3", "parent", "3"]), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send here")
def test_ctrl_c_ends_a_sync_call_and_leaves_the_client_usable(tmp_path: Path):
    done = run_script(
        f"""
import os, signal, threading
from tests.mcp.toolboxes import on_mcp_server
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
box = on_mcp_server()
with MCPClient(server=box.server) as client:
    def interrupt():
        box.started.wait()
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    try:
        client.call_tool("wait")
    except KeyboardInterrupt:
        print("interrupted", box.cancelled.wait(5), client.call_tool(*{SUM!r}))
""",
        tmp_path,
    )

    assert (done.returncode, done.stdout) == (0, "interrupted True 3\n"), done.stderr
