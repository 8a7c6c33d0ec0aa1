"""The batch APIs of OpenAI and Anthropic, for the fake server: files, batches, cancel, results in any order.

A batch is done at the look that *looks* names. What it says of itself is checked by the vendors' own types.
https://platform.openai.com/docs/api-reference/batch
https://platform.claude.com/docs/en/api/messages/batches
"""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import anthropic_messages, openai_chat, openai_responses
from .replies import Reply, whole
from .requests import Fields, Recorded
from .server import FakeServer
from .wires import WIRES, Wire

TIME = "2026-11-22T10:00:00Z"


@dataclass(frozen=True)
class Outcome:
    """What becomes of one request: a *body* with a *status*, an *ending* without one, or nothing at all."""

    body: Any = None
    status: int = 200
    ending: str | None = None
    is_missing: bool = False


EXPIRED = Outcome(ending="expired")
CANCELLED = Outcome(ending="canceled")
MISSING = Outcome(is_missing=True)


class FakeBatches:
    """A route that serves the batches of *wire*; *answer* gives what becomes of each request."""

    def __init__(self, wire: str, answer: Callable[[FakeBatches, str], Outcome] | None = None) -> None:
        self.wire: Wire = WIRES[wire]
        self.answer = answer or (lambda fake, prompt: fake.says(f"echo {prompt}"))
        self.looks = 2
        self._left = 0
        self.ends_as = "completed"
        self.problems: list[dict[str, Any]] = []
        self.uploads: list[tuple[dict[str, str], bytes]] = []
        self.created: list[Any] = []
        self.sent: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.batch: dict[str, Any] = {}
        self.kept: dict[str, Any] = {}
        """Replies of a path that stand before what the fake would say, each for one request."""

    def llm(self, server: FakeServer, **options: Any) -> Any:
        """An LLM whose provider has these batches."""
        chosen = {"api": self.wire.name.removeprefix("openai_")} if self.is_openai else {}
        return server.llm(self.provider, **{"api_key": "batch-key", **chosen, **options})

    @property
    def provider(self) -> str:
        return "openai" if self.is_openai else "anthropic"

    @property
    def is_openai(self) -> bool:
        return self.wire.name != "anthropic_messages"

    def says(self, text: str) -> Outcome:
        """An answer of this wire."""
        if self.wire.name == "openai_chat":
            return Outcome(openai_chat.completion({"role": "assistant", "content": text}))
        if self.wire.name == "openai_responses":
            return Outcome(openai_responses.response(openai_responses.text_items(text)))
        return Outcome(anthropic_messages.message(anthropic_messages.text_blocks(text)))

    def fails(self, status: int, message: str) -> Outcome:
        """A failure of this wire."""
        kind = anthropic_messages.ERRORS.get(status) if not self.is_openai else None
        return Outcome(self.wire.dialect.error_body(message, type=kind), status)

    def prompt_of(self, body: Any) -> str:
        """What was asked last in one request."""
        return self.wire.read(_fields(body)).last

    # What the server is asked.

    def __call__(self, request: Recorded) -> Reply:
        replies: list[Reply] = self.kept.get(f"{request.method} {request.path}", [])
        if replies:
            return replies.pop(0)
        path = request.path.removeprefix("/v1")
        if request.method == "POST" and path == "/files":
            return self._upload(request)
        if request.method == "GET" and path.startswith("/files/"):
            return self._file(path.split("/")[2])
        home = "/batches" if self.is_openai else "/messages/batches"
        if request.method == "POST" and path == home:
            return self._create(request.json)
        if not path.startswith(f"{home}/{self.batch.get('id')}"):
            return whole(404, self.wire.dialect.error_body("no such batch"))
        rest = path.removeprefix(f"{home}/{self.batch['id']}")
        if rest == "/cancel":
            return self._cancel()
        if rest == "/results":
            return self._file("results")
        return whole(200, self._looked_at())

    def _upload(self, request: Recorded) -> Reply:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        form = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
        fields: dict[str, str] = {}
        content = b""
        for part in form.iter_parts():  # type: ignore[attr-defined]
            name = part.get_param("name", header="content-disposition")
            if part.get_filename():
                content = part.get_payload(decode=True)
                fields[name] = f"{part.get_filename()} {part.get_content_type()}"
            else:
                fields[name] = part.get_payload(decode=True).decode()
        self.uploads.append((fields, content))
        self.files["file-in"] = content
        told = {"id": "file-in", "object": "file", "bytes": len(content), "created_at": 1}
        told |= {"filename": "batch.jsonl", "purpose": fields["purpose"], "status": "processed"}
        from openai.types import FileObject

        FileObject.model_validate(told)
        return whole(200, told)

    def _create(self, asked: Any) -> Reply:
        self.created.append(asked)
        self._left = self.looks
        if self.is_openai:
            self.sent = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
            self.batch = {
                "id": "batch_1", "object": "batch", "endpoint": asked["endpoint"], "status": "validating",
                "input_file_id": asked["input_file_id"], "completion_window": asked["completion_window"],
                "created_at": 1, "metadata": asked.get("metadata"), "errors": None,
                "output_file_id": None, "error_file_id": None,
                "request_counts": {"total": 0, "completed": 0, "failed": 0},
            }  # fmt: skip
        else:
            self.sent = [dict(each) for each in asked["requests"]]
            self.batch = {
                "id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress",
                "created_at": TIME, "expires_at": TIME, "ended_at": None, "archived_at": None,
                "cancel_initiated_at": None, "results_url": None, "request_counts": self._tally({}),
            }  # fmt: skip
        return whole(200, self._checked())

    def _cancel(self) -> Reply:
        if self._is_over():
            return whole(409, self.wire.dialect.error_body("the batch is over"))
        if self.is_openai:
            self.batch["status"] = "cancelling"
        else:
            self.batch |= {"processing_status": "canceling", "cancel_initiated_at": TIME}
        self.ends_as, self._left = "cancelled", 1
        return whole(200, self._checked())

    def _looked_at(self) -> dict[str, Any]:
        self._left -= 1
        if self._left <= 0 and not self._is_over():
            self._end()
        elif self.is_openai and self.batch["status"] == "validating":
            self.batch["status"] = "in_progress"
        return self._checked()

    def _is_over(self) -> bool:
        state = self.batch["status" if self.is_openai else "processing_status"]
        return state in ("completed", "failed", "expired", "cancelled", "ended")

    def _end(self) -> None:
        if self.problems:
            self.batch |= {"status": "failed", "errors": {"object": "list", "data": self.problems}}
            return
        outcomes = {
            each["custom_id"]: self.answer(self, self.prompt_of(each.get("body") or each.get("params")))
            for each in reversed(self.sent)  # whatever the order, it is not ours
        }
        lines = {name: self._line(name, each) for name, each in outcomes.items() if not each.is_missing}
        if not self.is_openai:
            self.files["results"] = _jsonl(lines.values())
            self.batch |= {"processing_status": "ended", "ended_at": TIME}
            self.batch |= {
                "results_url": "http://elsewhere.invalid/results",
                "request_counts": self._tally(lines),
            }
            return
        good = [line for line in lines.values() if (line["response"] or {}).get("status_code") == 200]
        bad = [line for line in lines.values() if line not in good]
        self.batch |= {"status": self.ends_as}
        self.batch["request_counts"] = {"total": len(self.sent), "completed": len(good), "failed": len(bad)}
        for name, part in (("output", good), ("error", bad)):
            if part:
                self.files[f"file-{name}"] = _jsonl(part)
                self.batch[f"{name}_file_id"] = f"file-{name}"

    def _line(self, custom_id: str, outcome: Outcome) -> dict[str, Any]:
        if not self.is_openai:
            result: dict[str, Any] = {"type": outcome.ending or "succeeded"}
            if outcome.ending is None and outcome.status == 200:
                result["message"] = outcome.body
            elif outcome.ending is None:
                result = {"type": "errored", "error": outcome.body}
            line = {"custom_id": custom_id, "result": result}
            from anthropic.types.messages import MessageBatchIndividualResponse

            MessageBatchIndividualResponse.model_validate(line)
            return line
        if outcome.ending is not None:
            code = {"expired": "batch_expired", "canceled": "batch_cancelled"}[outcome.ending]
            failure = {"code": code, "message": "This request could not be executed."}
            return {"id": "batch_req_1", "custom_id": custom_id, "response": None, "error": failure}
        response = {
            "status_code": outcome.status,
            "request_id": f"req-{custom_id}",
            "body": outcome.body,
        }
        return {"id": "batch_req_1", "custom_id": custom_id, "response": response, "error": None}

    def _tally(self, lines: Mapping[str, Any]) -> dict[str, int]:
        kinds = [line["result"]["type"] for line in lines.values()]
        told = {name: kinds.count(name) for name in ("succeeded", "errored", "canceled", "expired")}
        return {"processing": 0 if lines else len(self.sent), **told}

    def _checked(self) -> dict[str, Any]:
        """The vendor's own type takes the batch as it stands."""
        from anthropic.types.messages import MessageBatch
        from openai.types import Batch

        (Batch if self.is_openai else MessageBatch).model_validate(self.batch)
        return self.batch

    def _file(self, name: str) -> Reply:
        if name not in self.files:
            return whole(404, self.wire.dialect.error_body("no such file"))
        return whole(200, self.files[name], headers=[("Content-Type", "application/octet-stream")])


def _jsonl(lines: Any) -> bytes:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def _fields(value: Any) -> Any:
    return json.loads(json.dumps(value), object_hook=Fields)
