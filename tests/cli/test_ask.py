"""`abstractcore ask`: what it sends, what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from abstractcore import errors
from abstractcore.cli.exits import CODES, code_of
from abstractcore.engines.catalog import ENGINES
from abstractcore.errors import AbstractCoreError
from tests.cli.conftest import Run, one_line_of
from tests.docs.conftest import TINY_MODEL, no_engine
from tests.fakes import any_wire
from tests.fakes.network import refused_port
from tests.fakes.server import FakeServer
from tests.real.processes import absent

KEY = "sk-never-to-be-shown-0123456789"
CITY = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def test_the_answer_is_printed_as_it_is(run: Run, server: FakeServer, at_server: list[str]) -> None:
    server.replies(any_wire.text("**Hello** \x1b[1m you"))

    done = run("ask", *at_server, "Say", "hello", "--system", "Be kind.", "-t", "0.5")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "**Hello** \x1b[1m you\n", "")
    sent = server.requests[0].json
    assert [message["content"] for message in sent["messages"]] == ["Be kind.", "Say hello"]
    assert sent["temperature"] == 0.5
    assert not sent.get("stream")


@pytest.mark.parametrize(
    ("prompt", "piped", "asked"),
    [
        (["Shorten:"], "a long\ntext\n", "Shorten:\n\na long\ntext"),
        ([], "only this", "only this"),
        (["Hi"], "", "Hi"),
    ],
)
def test_what_is_piped_in_stands_after_the_prompt(
    prompt: list[str], piped: str, asked: str, run: Run, server: FakeServer, at_server: list[str]
) -> None:
    server.replies(any_wire.text("ok"))

    assert run("ask", *at_server, *prompt, input=piped).exit_code == 0

    assert server.requests[0].json["messages"][-1]["content"] == asked


def test_with_nothing_to_ask_it_says_so(run: Run, at_server: list[str]) -> None:
    done = run("ask", *at_server)

    assert done.exit_code == 2
    assert "nothing to ask" in one_line_of(done)


def test_bytes_that_are_no_text_are_refused(run: Run, server: FakeServer, at_server: list[str]) -> None:
    done = run("ask", *at_server, input=b"\xff\xfe\x00")

    assert done.exit_code == 2
    assert "not text" in one_line_of(done)
    assert server.requests == []


def test_json_gives_the_whole_response(run: Run, server: FakeServer, at_server: list[str]) -> None:
    server.replies(any_wire.text("Hi", usage={"input_tokens": 3, "output_tokens": 1}))

    told = json.loads(run("ask", *at_server, "Hello", "--json").stdout)

    assert told["content"] == "Hi"
    assert told["usage"]["input_tokens"] == 3
    assert told["finish_reason"] == "stop"
    assert told["provider"] == "openai-compatible"
    assert not {"raw", "provider_data"} & told.keys()


def test_a_schema_gives_an_object_that_follows_it(
    run: Run, server: FakeServer, at_server: list[str], tmp_path: Path
) -> None:
    (tmp_path / "city.json").write_text(json.dumps(CITY))
    server.replies(any_wire.text('{"name": "Zürich"}'))

    done = run("ask", *at_server, "Which city?", "--schema", str(tmp_path / "city.json"))

    assert json.loads(done.stdout) == {"name": "Zürich"}
    assert "Zürich" in done.stdout
    assert "name" in json.dumps(server.requests[0].json["response_format"])


def test_an_answer_that_does_not_follow_the_schema_ends_with_9(
    run: Run, server: FakeServer, at_server: list[str], tmp_path: Path
) -> None:
    (tmp_path / "city.json").write_text(json.dumps(CITY))
    server.replies(any_wire.text('{"city": 1}'))

    done = run("ask", *at_server, "Which city?", "--schema", str(tmp_path / "city.json"))

    assert done.exit_code == 9
    one_line_of(done)


@pytest.mark.parametrize(("written", "told"), [("{", "not JSON"), (None, "No such file"), ("7", "schema")])
def test_a_schema_that_is_none_is_named(
    written: str | None, told: str, run: Run, server: FakeServer, at_server: list[str], tmp_path: Path
) -> None:
    if written is not None:
        (tmp_path / "s.json").write_text(written)

    done = run("ask", *at_server, "Hi", "--schema", str(tmp_path / "s.json"))

    assert done.exit_code == 2
    assert told in one_line_of(done)
    assert server.requests == []


def test_a_picture_goes_with_the_question(
    run: Run, server: FakeServer, at_server: list[str], picture: str
) -> None:
    server.replies(any_wire.text("A pixel."))

    assert run("ask", *at_server, "What is it?", "--image", picture).stdout == "A pixel.\n"

    parts = server.requests[0].json["messages"][-1]["content"]
    assert [part["type"] for part in parts] == ["image_url", "text"]


def test_tools_of_a_file_are_run(run: Run, server: FakeServer, at_server: list[str], tools_file: str) -> None:
    server.replies(any_wire.call("add", a=2, b=3), any_wire.text("It is 5."))

    done = run("ask", *at_server, "2 + 3?", "--tools", tools_file)

    assert done.stdout == "It is 5.\n"
    assert server.requests[1].json["messages"][-1]["content"] == "5"


def test_tools_of_a_server_are_run(run: Run, server: FakeServer, at_server: list[str]) -> None:
    server.replies(any_wire.call("add", a=2, b=3), any_wire.text("It is 5."))

    done = run("ask", *at_server, "2 + 3?", "--mcp", f"{sys.executable} -m tests.mcp.toolboxes")

    assert done.stdout == "It is 5.\n"
    assert server.requests[1].json["messages"][-1]["content"] == "5"


def test_what_was_left_out_and_what_is_not_whole_is_told(
    run: Run, server: FakeServer, at_server: list[str]
) -> None:
    server.replies(any_wire.text("Once upon", finish_reason="length"))

    done = run("ask", *at_server, "A story.", "--max-output-tokens", "2")

    assert (done.exit_code, done.stdout) == (0, "Once upon\n")
    assert done.stderr == "warning: the answer is not whole: it ended by length\n"


@pytest.mark.parametrize(
    ("status", "code"), [(400, 4), (401, 3), (403, 3), (404, 4), (429, 5), (500, 6), (529, 6)]
)
def test_the_exit_code_is_that_of_the_error(status: int, code: int, run: Run, server: FakeServer) -> None:
    """And the key is nowhere, though the server repeats it."""
    server.replies(any_wire.error(status, f"a problem\nwith {KEY}", headers={"Retry-After": "0"}))

    done = run("ask", "-m", "openai/gpt-5-mini", "Hi", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"{server.url}/v1")

    assert done.exit_code == code
    assert "a problem" in one_line_of(done)
    assert KEY not in done.output


def test_nobody_listening_ends_with_7(run: Run) -> None:
    url = f"http://127.0.0.1:{refused_port()}/v1"

    done = run("ask", "-m", "openai-compatible:m", "--base-url", url, "Hi")

    assert done.exit_code == 7
    one_line_of(done)


def test_too_late_ends_with_8(run: Run, server: FakeServer, at_server: list[str]) -> None:
    server.replies(any_wire.text("never").cut(0, ending="hang"))

    done = run("ask", *at_server, "Hi", "--timeout", "0.2")

    assert done.exit_code == 8
    one_line_of(done)
    server.wait_for(lambda s: s.disconnects == 1, 10)


def test_every_error_has_a_code_of_its_branch() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.__name__: code_of(kind("x")) for kind in kinds if issubclass(kind, AbstractCoreError)}

    assert set(CODES) <= set(codes)
    assert {name for name, code in codes.items() if code == 1} == {"AbstractCoreError"}
    assert codes["MissingDependencyError"] == codes["UnknownProviderError"] == 2
    assert codes["QuotaExceededError"] == 5
    assert codes["IncompleteStreamError"] == 7


def test_without_a_model_it_is_that_of_the_environment(run: Run, server: FakeServer) -> None:
    server.replies(any_wire.text("ok"))

    done = run(
        "ask",
        "Hi",
        ABSTRACTCORE_MODEL="openai-compatible/org/model:7b",
        OPENAI_COMPATIBLE_BASE_URL=f"{server.url}/v1",
    )

    assert done.exit_code == 0
    assert server.requests[0].json["model"] == "org/model:7b"


@pytest.mark.parametrize(
    ("named", "told"),
    [("opeanai:x", "Did you mean openai"), ("openai/x", "OPENAI_API_KEY"), ("ollama", "which")],
)
def test_a_model_that_cannot_be_is_explained(named: str, told: str, run: Run) -> None:
    done = run("ask", "-m", named, "Hi")

    assert done.exit_code in (2, 3)
    assert told in one_line_of(done)


def test_a_reader_that_leaves_gets_no_traceback(server: FakeServer) -> None:
    """As in `abstractcore ask … | head -1`."""
    server.replies(any_wire.text("line\n" * 50_000).in_pieces(65_536))
    command = f"{sys.executable} -m abstractcore ask -m openai-compatible:m --base-url {server.url}/v1 Hi"

    done = subprocess.run(
        f"{command} | head -1", shell=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=50
    )

    assert done.stdout == b"line\n"
    assert done.stderr == b""


def test_without_any_key_a_model_of_this_machine_answers(run: Run) -> None:
    if reason := no_engine():
        absent(reason)
    words = ["--max-output-tokens", "5", "--json", "Hello"]

    done = run("ask", *words, ABSTRACTCORE_LOCAL_MODEL=str(TINY_MODEL))

    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["provider"] in ENGINES
    assert told["usage"]["output_tokens"] == 5
