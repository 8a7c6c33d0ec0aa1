"""What `ray_map` and `dask_map` refuse before any worker is asked, and what a worker does with its rows."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import pytest

from abstractcore import AuthenticationError, ConfigurationError, MissingDependencyError, create_llm, fallback
from abstractcore.distributed import dask_map, ray_map
from abstractcore.distributed.rows import RowMap, loaded
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer


@pytest.mark.parametrize("package", ["ray", "dask"])
def test_a_package_that_is_not_there_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, {"ray": "ray.data", "dask": "dask.bag"}[package], None)
    function: Any = {"ray": ray_map, "dask": dask_map}[package]

    with pytest.raises(MissingDependencyError, match=rf'pip install "abstractcore\[{package}\]"'):
        function(create_llm("ollama", "m"), ["a"])


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"column": "response"}, ConfigurationError, "response"),
        ({"concurrency": 0}, ConfigurationError, "concurrency"),
        ({"rate": -1}, ConfigurationError, "rate"),
        ({"temprature": 1}, TypeError, "'temperature'"),
        ({"checkpoint": "a.jsonl"}, TypeError, "checkpoint"),
        ({"temperature": "hot"}, ConfigurationError, "temperature"),
        ({"llm": "openai:gpt-5-mini"}, ConfigurationError, "create_llm"),
    ],
)
def test_a_wrong_argument_is_raised_at_the_call(
    options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    pytest.importorskip("dask.bag", reason="dask is not installed: `make test` does that")
    given = {"llm": create_llm("ollama", "m"), "data": ["a"], **options}

    with pytest.raises(kind, match=message):
        dask_map(given.pop("llm"), given.pop("data"), **given)


@pytest.mark.parametrize(("function", "package"), [(ray_map, "ray.data"), (dask_map, "dask.bag")])
@pytest.mark.parametrize(
    ("data", "message"), [([], "no prompts"), ("one text", "not str"), ({"prompt": "a"}, "not dict")]
)
def test_what_is_no_list_of_prompts_is_refused(function: Any, package: str, data: Any, message: str) -> None:
    """One text is not many, and no cluster is begun for it."""
    pytest.importorskip(package, reason="it is not installed: `make test` does that")

    with pytest.raises(ConfigurationError, match=message):
        function(create_llm("ollama", "m"), data)


def test_what_goes_to_the_workers_holds_no_key() -> None:
    llm = create_llm("openai", "m", api_key="sk-live-0123456789", headers={"X-Api-Key": "sk-header-0123"})

    sent = pickle.dumps(RowMap.of("f", llm, column="c", concurrency=2, rate=None, options={}))

    assert b"sk-live" not in sent
    assert b"sk-header" not in sent


def test_a_worker_without_a_key_fails_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = RowMap.of(
        "f", create_llm("openai", "m", api_key="k"), column="c", concurrency=2, rate=None, options={}
    )

    with pytest.raises(AuthenticationError, match="OPENAI_API_KEY"):
        rows(["a", "b"])


def test_a_fallback_goes_to_the_workers_too(server: FakeServer) -> None:
    server.route = lambda request: text(f"echo {request.messages[-1].content}")
    both = fallback([server.llm(), server.llm()])
    rows = RowMap.of("f", both, column="c", concurrency=2, rate=None, options={})

    answered = pickle.loads(pickle.dumps(rows))(["a", {"c": "b", "id": 7}, {"id": 8}])

    assert [row["response"] for row in answered] == ["echo a", "echo b", None]
    assert [row.get("id") for row in answered] == [None, 7, 8]
    assert loaded(rows.spec) is loaded(bytes(bytearray(rows.spec)))
    loaded(rows.spec).close()
