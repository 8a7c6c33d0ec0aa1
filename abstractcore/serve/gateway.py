"""What the paths of one gateway share: its models, its door, its counts. Knows no HTTP."""

from __future__ import annotations

import time

from abstractcore.serve.door import Door
from abstractcore.serve.metrics import Metrics
from abstractcore.serve.models import ModelTable
from abstractcore.serve.refusals import refused

_BUSY = "This gateway has as many requests under way as it takes."


class Gateway:
    """What the paths of one gateway share."""

    def __init__(self, models: ModelTable, door: Door, max_body_bytes: int, max_requests: int) -> None:
        self.models = models
        self.door = door
        self.max_body_bytes = max_body_bytes
        self.under_way = UnderWay(max_requests)
        self.metrics = Metrics()
        self.created = int(time.time())


class UnderWay:
    """Counts the requests under way, and refuses one too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    def __enter__(self) -> None:
        if self._count >= self._most:
            raise refused(503, "overloaded", _BUSY, retry_after=1)
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1
