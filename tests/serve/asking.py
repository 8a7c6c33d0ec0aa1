"""Plain HTTP for what no vendor's client would send."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

PATHS = {
    "chat_completions": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
#: The least that each dialect takes, without the model.
RIGHT: dict[str, dict[str, Any]] = {
    "chat_completions": {"messages": [{"role": "user", "content": "x"}]},
    "responses": {"input": "x"},
    "messages": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9},
}
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, bytes, Any]:
    """Ask; give the status, the body and the headers. A name's _ is a header's -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, named, method=method)
    try:
        with _OPENER.open(request, timeout=30) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as failure:
        with failure:
            return failure.code, failure.read(), failure.headers


def post(url: str, body: Any, **headers: str) -> tuple[int, Any]:
    """POST a JSON body, or bytes; give the status and the JSON that came back."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, answer, _ = get(url, "POST", data, Content_Type="application/json", **headers)
    return status, json.loads(answer)
