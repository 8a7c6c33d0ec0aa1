"""What a model thought goes to the client sealed, comes back with the next turn, and goes on as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from tests.fakes import anthropic_messages, openai_responses
from tests.fakes.server import FakeServer

from .conftest import Serving

Serve = Callable[..., Serving]
TOOL: Any = {"type": "object", "properties": {"a": {"type": "integer"}}}


def test_signed_thoughts_go_back_to_an_anthropic_model(serve: Serve, server: FakeServer) -> None:
    wanted = [("add", {"a": 1})]
    server.replies(
        anthropic_messages.calls(wanted, reasoning="Hm.", content="Wait."), anthropic_messages.text("Two.")
    )
    llm = server.llm("anthropic", "claude-sonnet-4-6", base_url=server.url, api_key="k" * 20)
    serving = serve(models={"far": llm})
    tools: Any = [{"name": "add", "input_schema": TOOL}]
    said: list[Any] = [{"role": "user", "content": "1+1?"}]

    with anthropic.Anthropic(base_url=serving.url, api_key="k", max_retries=0) as client:
        first = client.messages.create(model="far", max_tokens=50, messages=said, tools=tools)
        call = first.content[-1]
        assert call.type == "tool_use"
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "2"}
        said += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        client.messages.create(model="far", max_tokens=50, messages=said, tools=tools)

    answered = server.requests[1].json["messages"][1]["content"]
    assert [block["type"] for block in answered] == ["thinking", "text", "tool_use"]
    assert answered[0] == anthropic_messages.thinking_block("Hm.")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_encrypted_reasoning_goes_back_to_an_openai_model(
    serve: Serve, server: FakeServer, stream: bool
) -> None:
    server.replies(
        openai_responses.calls([("add", {"a": 1})], reasoning="Hm."), openai_responses.text("Two.")
    )
    serving = serve(models={"far": server.llm("openai", "gpt-5-mini", api="responses", api_key="k" * 20)})
    tools: Any = [{"type": "function", "name": "add", "parameters": TOOL, "strict": False}]
    said: list[Any] = [{"role": "user", "content": "1+1?"}]

    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="k", max_retries=0) as client:
        first: Any = client.responses.create(model="far", input=said, tools=tools, stream=stream)
        if stream:
            first = list(first)[-1].response
        call = first.output[-1]
        said += [item.model_dump(exclude_none=True) for item in first.output]
        said.append({"type": "function_call_output", "call_id": call.call_id, "output": "2"})
        client.responses.create(model="far", input=said, tools=tools)

    sent = server.requests[1].json["input"]
    assert [item["type"] for item in sent] == [
        "message", "reasoning", "function_call", "function_call_output",
    ]  # fmt: skip
    assert sent[1] == openai_responses.reasoning_item("Hm.")
