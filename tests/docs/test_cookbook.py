"""Each recipe of the cookbook, by itself, does what its text says."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.answers import TEXT, answer, embedded
from tests.docs.conftest import Run, no_engine
from tests.docs.pages import ROOT, blocks, name_of
from tests.fakes.any_wire import call, error, text, unfinished
from tests.fakes.replies import Hang, Reply, compact_json, whole
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.wires import sent
from tests.real.processes import free_url, running

FOLDER = ROOT / "docs" / "cookbook"
Cook = Callable[..., str]


def recipe(page: str, heading: str) -> str:
    """The first block under a heading."""
    path = FOLDER / f"{page}.md"
    lines = path.read_text(encoding="utf-8").split("\n")
    after = lines.index(f"## {heading}")
    return next(block.text for block in blocks(path) if block.first_line > after)


@pytest.fixture
def cook(run_python: Run, tmp_path: Path) -> Cook:
    """Run a recipe to its end in an empty folder; what it printed comes back."""

    def run(page: str, heading: str) -> str:
        path = tmp_path / "a_recipe.py"
        path.write_text(recipe(page, heading), encoding="utf-8")
        return run_python(path)

    return run


def test_every_recipe_is_cooked_here() -> None:
    """Each heading stands in a test of this file."""
    here = Path(__file__).read_text(encoding="utf-8")
    headings = [
        line[3:] for page in sorted(FOLDER.glob("*.md")) for line in page.read_text("utf-8").split("\n")
        if line.startswith("## ")
    ]  # fmt: skip

    assert len(headings) >= 12
    assert [heading for heading in headings if f'"{heading}"' not in here] == []


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=name_of)
def test_a_recipe_needs_no_other(page: Path) -> None:
    """It imports what it uses."""
    for block in blocks(page):
        assert block.skipped or re.search(
            r"^from abstractcore|^import abstractcore", block.text, re.MULTILINE
        )


# ---- work through data ---------------------------------------------------------------------


def test_invoices_are_read_once(cook: Cook, docs_server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "invoices").mkdir()
    for name in ("a", "b", "broken"):
        (tmp_path / "invoices" / f"{name}.txt").write_text(f"The invoice {name}.")

    def route(request: Recorded) -> Reply:
        return error(400, "no") if "broken" in sent(request).last else answer(request)

    docs_server.route = route

    printed = cook("data", "Typed data out of a folder of documents")

    assert "document 2 failed" in printed
    with (tmp_path / "invoices.csv").open() as file:
        assert [row[0] for row in csv.reader(file)] == ["0", "1"]

    cook("data", "Typed data out of a folder of documents")

    assert [sent(request).last[-7:] for request in docs_server.requests[3:]] == ["broken."]


def test_a_book_is_summarised_by_its_parts(cook: Cook, docs_server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("\n\n".join(f"{n} " + "word " * 700 for n in range(9)))
    docs_server.route = lambda request: text(f"<{len(docs_server.requests)}>")

    cook("data", "A summary of a text that is too long")

    *parts, last = [sent(request).last for request in docs_server.requests]
    assert len(parts) == 3
    assert all(len(part) < 13_000 for part in parts)
    assert len(re.findall(r"<\d>", last)) == 3


def test_the_nearest_passages_are_told(cook: Cook, docs_server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "handbook").mkdir()
    subjects = ("holiday", "salary", "office", "coffee")
    (tmp_path / "handbook" / "a.md").write_text("\n\n".join(f"On the {subject}." for subject in subjects))

    def route(request: Recorded) -> Reply:
        if not request.path.endswith("/embeddings"):
            return text("28.")
        vectors = [[1.0 + 9 * (subject in said) for subject in subjects] for said in request.json["input"]]
        return embedded(request, vectors)

    docs_server.route = route

    assert cook("data", "Answer from your own documents").strip() == "28."
    prompt = sent(docs_server.requests[-1]).last
    assert prompt.index("(a.md) On the holiday.") < prompt.index("Question:")
    assert sum(subject in prompt for subject in subjects) == 3


def test_most_votes_win(cook: Cook, docs_server: FakeServer) -> None:
    kinds = iter(["complaint", "question", "complaint", "praise", "complaint"])
    docs_server.route = lambda request: text(compact_json({"kind": next(kinds)}))

    assert "('complaint', 0.6)" in cook("data", "A vote in place of one answer")


def test_the_critic_sends_back_and_passes(cook: Cook, docs_server: FakeServer) -> None:
    verdicts = iter([{"passed": False, "feedback": "Shorter."}, {"passed": True, "feedback": ""}])
    texts = iter(["A long text.", "A text."])

    def route(request: Recorded) -> Reply:
        return text(
            compact_json(next(verdicts)) if "strict editor" in (sent(request).system or "") else next(texts)
        )

    docs_server.route = route

    assert cook("data", "A model judges another one's work").strip() == "A text."
    assert "Shorter." in sent(docs_server.requests[2]).last


def test_the_work_ends_with_the_budget(cook: Cook, docs_server: FakeServer) -> None:
    usage = {"input_tokens": 15_000, "output_tokens": 5_000}
    docs_server.route = lambda request: text("A fact.", usage=usage)

    assert "spent 60000" in cook("data", "A budget of tokens")
    assert len(docs_server.requests) < 20


def test_a_local_model_answers_eight(cook: Cook) -> None:
    if reason := no_engine():
        pytest.skip(reason)

    lines = cook("data", "A batch on a model in this process")

    assert {line.partition(" ")[0] for line in lines.splitlines()} >= set("01234567")


# ---- build an application ------------------------------------------------------------------


@pytest.fixture
def chat(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The address of the FastAPI recipe."""
    code = recipe("applications", "A chat over server-sent events, with FastAPI")
    (tmp_path / "chat.py").write_text(code, encoding="utf-8")
    url, log = free_url(), tmp_path / "uvicorn.log"
    command = [sys.executable, "-m", "uvicorn", "chat:app", "--app-dir", str(tmp_path)]
    command += ["--port", url.rpartition(":")[2]]
    with running(command, ready=url + "/openapi.json", log=log, environment=environment):
        yield url
    assert "Traceback" not in log.read_text()


async def test_a_visitor_that_leaves_ends_the_request_and_leaves_no_trace(
    chat: str, docs_server: FakeServer
) -> None:
    docs_server.route = None
    docs_server.replies(text("Hello."), unfinished("Once upon ", ending="hang"), text("Bye."))

    async with httpx.AsyncClient(trust_env=False) as browser:
        first = await browser.get(chat + "/chat/ann", params={"text": "Hi."})
        assert "event: done" in first.text
        async with contextlib.AsyncExitStack() as leaving:
            other = await leaving.enter_async_context(httpx.AsyncClient(trust_env=False))
            page = await leaving.enter_async_context(
                other.stream("GET", chat + "/chat/ann", params={"text": "A story!"})
            )
            async for line in page.aiter_lines():
                if "Once" in line:
                    break
        await docs_server.until(lambda server: server.disconnects == 1, timeout=10)
        await browser.get(chat + "/chat/ann", params={"text": "Bye."})

    last = [words for kind, words in sent(docs_server.requests[-1]).turns if kind != "system"]
    assert last == ["Hi.", "Hello.", "Bye."]


def test_ctrl_c_ends_the_answer_and_not_the_program(
    environment: dict[str, str], docs_server: FakeServer, tmp_path: Path
) -> None:
    docs_server.route = None
    docs_server.replies(unfinished("Once upon ", ending="hang"), text("Rust is fast."))
    path = tmp_path / "a_recipe.py"
    path.write_text(recipe("applications", "Stream to a terminal, and stop with Ctrl-C"), encoding="utf-8")

    with subprocess.Popen(
        [sys.executable, "-u", str(path)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as program:
        assert program.stdout is not None
        seen = program.stdout.read(len("Once"))
        program.send_signal(signal.SIGINT)
        rest = program.stdout.read().decode()

    assert seen == b"Once"
    assert program.returncode == 0, rest
    assert re.search(r"\[stopped after \d+ characters\]", rest)
    assert "Rust is fast." in rest
    docs_server.wait_for(lambda server: server.disconnects == 1, timeout=10)


def test_a_refused_tool_is_not_run(cook: Cook, docs_server: FakeServer) -> None:
    docs_server.route = None
    docs_server.replies(call("delete_note", day="monday"), text("What shall I do instead?"))

    printed = cook("applications", "Ask a person before a tool is run")

    assert "{'monday': 'Call the plumber.'}" in printed
    assert "the user said no" in sent(docs_server.requests[-1]).last


def test_a_summary_is_made_between_the_turns(cook: Cook, docs_server: FakeServer) -> None:
    docs_server.route = lambda request: text("A summary, or an answer.")

    cook("applications", "Shorten a long conversation in the background")

    assert len(docs_server.requests) in (4, 5)  # three answers, and a summary of the long one


def test_the_agent_reads_the_hosts_it_may(
    cook: Cook, docs_server: FakeServer, environment: dict[str, str]
) -> None:
    environment["HOSTS"] = "127.0.0.1"

    def route(request: Recorded) -> Reply:
        if request.path == "/pep8":
            return whole(200, b"79 characters", headers={"Content-Type": "text/html"})
        match sent(request).kinds.count("result"):
            case 0:
                return call("read_page", url=docs_server.url + "/pep8")
            case 1:
                return call("read_page", url="http://localhost:1/secrets")
            case _:
                return text("79.")

    docs_server.route = route

    assert cook("applications", "An agent that reads the web, within limits").strip() == "79."
    read, refused = sent(docs_server.requests[-1]).all("result")
    assert read.text == "79 characters"
    assert "only these hosts may be read: 127.0.0.1" in refused.text


def test_both_surfaces_work_in_a_cell(run_python: Run, tmp_path: Path) -> None:
    """As IPython runs cells: inside of a loop, with await outside of functions."""
    page = FOLDER / "applications.md"
    wanted = recipe("applications", "In a notebook")
    cells = [block.text for block in blocks(page)]
    cells = cells[cells.index(wanted) :]
    assert len(cells) == 2
    program = f"""
import ast, asyncio, inspect
async def notebook(cells):
    names = {{}}
    for cell in cells:
        code = compile(cell, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        made = eval(code, names)
        if inspect.iscoroutine(made):
            await made
    print(len(names["answers"]))
    await names["llm"].aclose()
asyncio.run(notebook({cells!r}))
"""
    path = tmp_path / "a_notebook.py"
    path.write_text(program, encoding="utf-8")

    assert run_python(path).rstrip().endswith("5")


# ---- run it for real -----------------------------------------------------------------------


def _anthropic_answers(other: Reply) -> Callable[[Recorded], Reply]:
    return lambda request: text(TEXT) if request.path.endswith("/messages") else other


def test_the_second_is_asked_after_a_retry(cook: Cook, docs_server: FakeServer) -> None:
    docs_server.route = _anthropic_answers(error(503, "down"))

    printed = cook("production", "Retry here, then ask someone else")

    assert "retry openai" in printed
    assert f"anthropic {TEXT}" in printed
    assert len(docs_server.requests) == 3


def test_the_slower_one_is_cancelled(cook: Cook, docs_server: FakeServer) -> None:
    docs_server.route = _anthropic_answers(Reply(lambda _: [Hang()]))

    assert f"anthropic {TEXT}" in cook("production", "Ask two, take the first")
    docs_server.wait_for(lambda server: server.disconnects == 1, timeout=10)


def test_a_call_is_one_line_of_json(cook: Cook, docs_server: FakeServer) -> None:
    line = json.loads(cook("production", "A line of log for each call"))

    assert line["model"] == "gpt-5-mini"
    assert line["output"] is not None

    docs_server.route = lambda request: error(401, "no")
    assert json.loads(cook("production", "A line of log for each call"))["error"] == "AuthenticationError"


def test_no_address_leaves_the_house(cook: Cook, docs_server: FakeServer) -> None:
    docs_server.route = lambda request: text("<address 1> is Alice.")

    assert cook("production", "Keep a secret out of what is sent").strip() == "alice@example.org is Alice."
    assert "@" not in sent(docs_server.requests[0]).last


def test_a_recording_is_made_once(cook: Cook, docs_server: FakeServer) -> None:
    cook("production", "Test a prompt with a recording")

    assert len(docs_server.requests) == 1
