"""What the searches of this folder found, kept as plain cases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.types import GenerateRequest, Message
from tests.codecs.vendor_types import assert_accepted
from tests.fakes.wires import WIRES
from tests.properties.played import answered
from tests.properties.test_any_answer import asked, check_answer

BLOCK: dict[str, Any] = {"type": "server_tool_use", "id": "s", "name": "n", "input": {"a": 0}}
ITEM: dict[str, Any] = {"type": "mcp_call", "id": "m", "name": "n", "score": 0}
SAID: dict[str, Any] = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hi"}],
}
DETAIL: dict[str, Any] = {"type": "reasoning.text", "text": "Hm.", "index": 0, "score": 0}
FUNCTION: dict[str, Any] = {"name": "f", "arguments": {"a": 0}}
WHOLE: dict[str, Any] = {
    "openai_chat": {
        "choices": [{"message": {"content": "Hi", "reasoning_details": [DETAIL]}, "finish_reason": "stop"}]
    },
    "openai_responses": {"id": "r", "status": "completed", "output": [ITEM, SAID]},
    "anthropic_messages": {
        "id": "m",
        "content": [BLOCK, {"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
    },
    "ollama_chat": {"message": {"content": "Hi", "tool_calls": [{"function": FUNCTION}]}, "done": True},
}
STREAM: dict[str, list[Any]] = {
    "openai_chat": [
        {"choices": [{"delta": WHOLE["openai_chat"]["choices"][0]["message"], "finish_reason": "stop"}]}
    ],
    "openai_responses": [{"type": "response.completed", "response": WHOLE["openai_responses"]}],
    "anthropic_messages": [
        {"type": "message_start", "message": WHOLE["anthropic_messages"]},
        {"type": "message_stop"},
    ],
    "ollama_chat": [WHOLE["ollama_chat"]],
}


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("wire", WIRES)
def test_a_number_that_is_none_does_not_spoil_the_history(wire: str, streams: bool, number: str) -> None:
    """It could be neither saved nor sent back, so that each later question would have failed."""
    texts = [json.dumps(event).replace(": 0}", f": {number}}}") for event in STREAM[wire]]
    body = "".join(f"{text}\n" if wire == "ollama_chat" else f"data: {text}\n\n" for text in texts)
    if not streams:
        body = json.dumps(WHOLE[wire]).replace(": 0}", f": {number}}}")
    assert number in body

    with asked(wire, "sync") as (asking,):
        asking.peer.pieces = answered(200, "text/plain", [body.encode()], ends="close")
        response = asking.streamed("Hi") if streams else asking.whole("Hi")

        assert response.content == "Hi"
        assert response.provider_data or response.tool_calls
        check_answer(asking, response)


PNG: Any = {"type": "image", "data": "aGk=", "media_type": "image/png"}


def test_the_images_of_tool_results_follow_them_on_the_chat_wire() -> None:
    """There a tool's message is text alone; the next message that may hold an image is the user's."""
    calls: Any = [{"id": name, "name": "look", "arguments": {}} for name in ("a", "b")]
    messages: list[Message] = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": [{"type": "text", "text": "A cat"}, PNG], "tool_call_id": "a"},
        {"role": "tool", "content": [PNG], "tool_call_id": "b"},
        {"role": "assistant", "content": "Cats."},
    ]

    body = OpenAIChat().encode(GenerateRequest("m", messages)).body

    assert_accepted("openai_chat", body)
    sent = body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool", "user", "assistant"]
    told = {"type": "text", "text": "(its image is in the next message of the user)"}
    assert [sent[2]["content"], sent[3]["content"]] == [[{"type": "text", "text": "A cat"}, told], [told]]
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    assert sent[4]["content"] == [
        {"type": "text", "text": "From the tool result a:"},
        url,
        {"type": "text", "text": "From the tool result b:"},
        url,
    ]
    assert messages[2]["content"] == [{"type": "text", "text": "A cat"}, PNG], "the history stays as it was"
