"""A hub on loopback with one model: what huggingface_hub asks for, answered from a folder."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40


class FakeHub:
    """Serves the files of *folder* as the model *name*. `asked` lists the paths of the requests."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self, with_body=True)

            def do_HEAD(self) -> None:
                hub.answer(self, with_body=False)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, *, with_body: bool) -> None:
        path = unquote(urlsplit(request.path).path)
        self.asked.append(path)
        headers: dict[str, str] = {"X-Repo-Commit": COMMIT}
        body, status = b"", 200
        resolved = next(
            (path.removeprefix(start) for start in self._resolving() if path.startswith(start)), None
        )
        if resolved is not None and (self.folder / resolved).is_file():
            body = (self.folder / resolved).read_bytes()
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
        elif path.startswith(f"/api/models/{self.name}/tree/"):
            body = json.dumps([self._entry(file) for file in self._files()]).encode()
        elif path.startswith(f"/api/models/{self.name}"):
            body = json.dumps(self._info()).encode()
        else:
            status, headers["X-Error-Code"] = 404, "RepoNotFound"
        request.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(key, value)
        request.end_headers()
        if with_body:
            request.wfile.write(body)

    def _files(self) -> list[Path]:
        return sorted(file for file in self.folder.rglob("*") if file.is_file())

    def _name_of(self, file: Path) -> str:
        return file.relative_to(self.folder).as_posix()

    def _resolving(self) -> tuple[str, ...]:
        return tuple(f"/{self.name}/resolve/{revision}/" for revision in ("main", COMMIT))

    def _entry(self, file: Path) -> dict[str, Any]:
        digest = hashlib.sha1(file.read_bytes()).hexdigest()
        return {"type": "file", "path": self._name_of(file), "size": file.stat().st_size, "oid": digest}

    def _info(self) -> dict[str, Any]:
        siblings = [{"rfilename": self._name_of(file)} for file in self._files()]
        return {"_id": "1", "id": self.name, "modelId": self.name, "sha": COMMIT, "siblings": siblings}
