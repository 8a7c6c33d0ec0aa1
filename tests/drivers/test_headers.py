"""The headers that a caller gives stand over ours, whatever their case, and none can bend the request."""

from __future__ import annotations

import pytest

from abstractcore.drivers.base import HttpRequest
from abstractcore.drivers.targets import raw_headers, target_of
from abstractcore.errors import ConfigurationError
from tests.fakes.openai_chat import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface


def values(server: FakeServer, name: str) -> list[str]:
    return [value for header, value in server.requests[0].raw_headers if header.lower() == name]


@pytest.mark.parametrize(
    ("name", "given"), [("user-agent", "mine/1"), ("ACCEPT", "application/json"), ("x-team", "blue")]
)
def test_a_header_of_the_caller_is_sent_once(
    surface: Surface, server: FakeServer, name: str, given: str
) -> None:
    server.replies(text("fine"))

    surface.generate(server.llm(headers={name: given}), "Hi")

    assert values(server, name.lower()) == [given]


def test_a_login_of_the_callers_own_stands_in_place_of_the_key(surface: Surface, server: FakeServer) -> None:
    server.replies(text("fine"))

    surface.generate(server.llm(api_key="sk-key", headers={"authorization": "Custom word"}), "Hi")

    assert values(server, "authorization") == ["Custom word"]


def test_the_body_is_json_whatever_the_caller_calls_it(surface: Surface, server: FakeServer) -> None:
    server.replies(text("fine"))

    surface.generate(server.llm(headers={"content-type": "text/plain"}), "Hi")

    assert values(server, "content-type") == ["application/json"]


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection", "a b", "a:b"])
def test_a_header_that_would_bend_the_request_is_refused(server: FakeServer, name: str) -> None:
    with pytest.raises(ConfigurationError, match="header"):
        server.llm(headers={name: "1"})


def test_a_post_without_a_body_says_so() -> None:
    """Some servers refuse one that does not, with a 411 (RFC 9110, 8.6)."""
    url = "http://127.0.0.1/v1/batches/b/cancel"

    assert (b"Content-Length", b"0") in raw_headers(HttpRequest("POST", url, {}), target_of(url))
    assert b"Content-Length" not in dict(raw_headers(HttpRequest("GET", url, {}), target_of(url)))


@pytest.mark.parametrize("path", ["a b", "a\x01b", "ü", "a\x7f"])
def test_a_url_that_cannot_be_sent_is_told(surface: Surface, server: FakeServer, path: str) -> None:
    llm = server.llm(base_url=f"{server.url}/{path}")

    with pytest.raises(ConfigurationError, match="not a URL"):
        surface.generate(llm, "Hi")
