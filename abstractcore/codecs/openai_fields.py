"""What OpenAI's two wires, Chat Completions and Responses, write and read the same."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from abstractcore.codecs.http_errors import error_in_body
from abstractcore.codecs.json_text import clean, is_array, is_object
from abstractcore.costs import Charge, Charges
from abstractcore.errors import ResponseError
from abstractcore.types import Thinking, ToolCallDict


def whole_answer(body: Any) -> dict[str, Any]:
    """Give a whole answer's JSON object. Raises ResponseError, or the error that it is."""
    try:
        body = clean(body)
    except RecursionError:
        raise ResponseError("the answer is JSON that is nested too deeply") from None
    if not is_object(body):
        raise ResponseError("the answer is not a JSON object")
    if body.get("object") == "error":  # vLLM before 0.10
        raise error_in_body(body)
    return body


def model_ids(body: Any) -> list[str]:
    """Read the ids out of the list of models; mlx_lm.server's empty body holds none."""
    if body is None:
        return []
    listed = (body.get("data") or body.get("models") or []) if is_object(body) else body
    if not is_array(listed):
        raise ResponseError("the list of models is not a list")
    ids = [(item.get("id") or item.get("name")) if is_object(item) else item for item in listed]
    return [name for name in ids if isinstance(name, str)]


def told_charges(usage: Mapping[str, Any]) -> Charges:
    """Read what OpenRouter says that an answer cost, in US dollars.

    https://openrouter.ai/docs/use-cases/usage-accounting
    """
    cost = usage.get("cost")
    if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < math.inf:
        return ()
    return ((Charge(told=repr(cost)),),)


def image_url(part: Mapping[str, Any]) -> str:
    """Give an image's URL, or its data as one."""
    return part.get("url") or f"data:{part.get('media_type', 'image/png')};base64,{part.get('data', '')}"


def arguments_text(call: ToolCallDict, *, raw: bool = True) -> str:
    """Give a past call's arguments as JSON; *raw*: as the model wrote them, also when that is no JSON."""
    written = call.get("arguments_raw")
    if raw and written is not None:
        return written
    arguments = call["arguments"] if written is None else {"arguments": written}
    return json.dumps(arguments, ensure_ascii=False)


def schema_name(name: str) -> str:
    """OpenAI takes letters, digits, _ and -, 64 at most; a generic model is called `Page[City]`."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", name).strip("_")[:64] or "answer"


def reasoning_effort(thinking: Thinking) -> str:
    """OpenAI: "none" is what models since gpt-5.1 take and start from, so True has to ask for some.

    Older ones think by "medium" and refuse "none".
    https://platform.openai.com/docs/api-reference/chat/create#chat-create-reasoning_effort
    """
    return thinking if isinstance(thinking, str) else "medium" if thinking else "none"
