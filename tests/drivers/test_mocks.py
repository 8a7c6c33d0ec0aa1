"""respx stands in the place of HTTP while it is on, for connections that wait too, or lets requests pass."""

from __future__ import annotations

import httpx
import pytest
import respx

from abstractcore import RequestTimeoutError
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

MOCKED = {"choices": [{"message": {"role": "assistant", "content": "mocked"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
def test_a_mock_answers_while_it_is_on(surface: Surface, server: FakeServer, is_warm: bool) -> None:
    server.replies(text("real"))
    llm = server.llm()
    if is_warm:
        assert surface.generate(llm, "Hi").content == "real"

    with respx.mock:
        respx.post(f"{server.url}/v1/chat/completions").mock(httpx.Response(200, json=MOCKED))
        for _ in range(2):
            assert surface.generate(llm, "Hi").content == "mocked"
    assert len(server.requests) == is_warm

    assert surface.generate(llm, "Hi").content == "real"


@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
def test_what_a_mock_lets_pass_reaches_the_server(
    surface: Surface, server: FakeServer, is_warm: bool
) -> None:
    server.replies(text("real"))
    llm = server.llm()
    if is_warm:
        assert surface.generate(llm, "Hi").content == "real"

    with respx.mock:
        respx.route(host="127.0.0.1").pass_through()
        for _ in range(2):
            assert surface.generate(llm, "Hi").content == "real"
        with surface.open_stream(llm, "Hi") as stream:
            stream.rest()
            assert stream.response.content == "real"

    assert surface.generate(llm, "Hi").content == "real"
    assert len(server.requests) == 4 + is_warm


def test_what_a_mock_raises_is_our_error(surface: Surface, server: FakeServer) -> None:
    llm = server.llm(max_retries=0)
    with respx.mock:
        respx.post(f"{server.url}/v1/chat/completions").mock(side_effect=httpx.ConnectTimeout("slow"))
        with pytest.raises(RequestTimeoutError) as caught:
            surface.generate(llm, "Hi")
    assert caught.value.phase == "connect"
