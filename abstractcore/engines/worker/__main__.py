"""The process that a model lives in: it does one step for each message that it is sent.

A step may hold Python's lock for its whole length and a damaged file can end the process, so neither
happens in the caller's. It ends when the caller's end of the pipe does.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO

from abstractcore.engines.frames import receive, send
from abstractcore.engines.model_files import look_at
from abstractcore.engines.worker.architectures import check_architecture
from abstractcore.engines.worker.batch import Batch
from abstractcore.engines.worker.embeddings import EmbeddingBatch
from abstractcore.errors import AbstractCoreError


def main() -> None:
    """Load the model that the first message names, then step for each further one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to see
    warnings.simplefilter("ignore")
    inbox, outbox = _take_pipes()
    try:
        _work(inbox, outbox)
    except (EOFError, BrokenPipeError):
        pass  # the caller has gone
    except BaseException as failure:  # noqa: BLE001 - the caller is told, and raises it there
        send(outbox, {"died": f"{type(failure).__name__}: {failure}"})
    os._exit(0)  # the runtime's own clean-up takes long, and has nothing left to save


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take the pipes off the standard streams, where native code may print into them."""
    inbox = os.fdopen(os.dup(0), "rb", buffering=0)
    outbox = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return inbox, outbox


def _work(inbox: BinaryIO, outbox: BinaryIO) -> None:
    order = receive(inbox)
    began = time.monotonic()

    def tell(stage: str, done: float | None = None) -> None:
        send(outbox, {"stage": stage, "done": done})

    try:
        batch, name = _load(order, tell)
    except AbstractCoreError as failure:
        return send(outbox, {"refused": str(failure), "kind": type(failure).__name__})
    except (RuntimeError, LookupError, ValueError, OSError, MemoryError) as failure:
        return send(outbox, {"refused": f"{type(failure).__name__}: {failure}"})
    tell(f"{name} is ready after {time.monotonic() - began:.1f} s", 1.0)
    send(outbox, {"ready": True})
    while True:
        send(outbox, {"events": _step(batch, receive(inbox))})


def _load(order: Any, tell: Callable[..., None]) -> tuple[Batch | EmbeddingBatch, str]:
    """Find the files, start the runtime, and load the model."""
    path = order["path"]
    if order["is_on_hub"]:
        from abstractcore.engines.worker.hub import find_model

        path = find_model(path, order["formats"], tell, embeds=order["embeds"])
    os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")  # no runtime has any reason to ask
    files = look_at(path, order["formats"], embeds=order["embeds"])
    check_architecture(order["engine"], files.path)
    name = f"{os.path.basename(order['path'])} ({files.size_bytes / 1e6:,.0f} MB)"
    tell(f"starting {order['engine']}: {name}")
    module = import_module(order["module"])
    tell(f"reading the weights: {name}")
    model = module.Model({**order["options"], "path": path, "context_length": files.context_length})
    return EmbeddingBatch(model) if order["embeds"] else Batch(model), name


def _step(batch: Batch | EmbeddingBatch, message: Any) -> list[Any]:
    for number in message["cancel"]:
        batch.cancel(number)
    events: list[Any] = []
    for number, prompt in message["add"]:
        events += batch.add(number, prompt)
    return events + batch.step()


if __name__ == "__main__":
    sys.exit(main())
