"""When a failed request is sent again, and how long that waits. tenacity runs the loop.

The loop is entered at the first failure only: a call that succeeds pays nothing for it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from abstractcore.errors import AbstractCoreError, APIError

if TYPE_CHECKING:
    from abstractcore.drivers.base import Deadline, Driver

T = TypeVar("T")

LONGEST_RETRY_AFTER = 60.0
_FIRST_BACKOFF = 0.5
_LONGEST_BACKOFF = 8.0
_RETRY_AFTER_JITTER = 0.25

# The retry quota of the AWS SDKs' standard mode: a retry takes 5 of 500 tokens, a success gives
# one back, so that a failing provider is not asked three times as often as a healthy one.
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_BUCKET = 500
_RETRY_COST = 5


class Retry:
    """The policy of one provider object; *max_retries* requests more, at most."""

    def __init__(self, max_retries: int) -> None:
        self.max_retries = max_retries
        self._tokens = _BUCKET

    async def run(self, driver: Driver, attempt: Callable[[], Awaitable[T]], deadline: Deadline) -> T:
        """Await *attempt*, and again while its failure is worth it and *deadline* allows the wait."""
        try:
            return await self._rewarded(attempt)
        except AbstractCoreError as failure:
            if not self._worth_it(failure) or self._wait(failure, 1) >= deadline.left():
                raise
            return await self._again(driver, attempt, deadline, failure)

    async def _again(
        self,
        driver: Driver,
        attempt: Callable[[], Awaitable[T]],
        deadline: Deadline,
        failure: AbstractCoreError,
    ) -> T:
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

        failed = [failure]  # tenacity's first turn is the attempt that has failed already
        retrying = AsyncRetrying(
            sleep=driver.sleep,
            wait=lambda state: self._wait(_failure_of(state), state.attempt_number),
            stop=lambda state: (
                stop_after_attempt(self.max_retries + 1)(state) or state.upcoming_sleep >= deadline.left()
            ),
            retry=retry_if_exception(self._worth_it),
            reraise=True,
        )
        async for turn in retrying:
            with turn:
                if failed:
                    raise failed.pop()
                self._tokens -= _RETRY_COST
                return await self._rewarded(attempt)
        raise failure

    async def _rewarded(self, attempt: Callable[[], Awaitable[T]]) -> T:
        result = await attempt()
        self._tokens = min(_BUCKET, self._tokens + 1)
        return result

    def wait_before(self, attempt: int, failure: AbstractCoreError) -> float | None:
        """Tell how long to wait after the failure of the *attempt*th, or None when it was the last."""
        if attempt > self.max_retries or not self._worth_it(failure):
            return None
        return self._wait(failure, attempt)

    def _worth_it(self, failure: BaseException) -> bool:
        if self.max_retries < 1 or self._tokens < _RETRY_COST:
            return False
        if not isinstance(failure, AbstractCoreError) or not failure.retryable:
            return False
        told = failure.retry_after if isinstance(failure, APIError) else None
        return told is None or told <= LONGEST_RETRY_AFTER

    def _wait(self, failure: BaseException | None, attempt: int) -> float:
        told = failure.retry_after if isinstance(failure, APIError) else None
        if told is not None:
            return told + random.uniform(0, _RETRY_AFTER_JITTER)
        return random.uniform(0, min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** (attempt - 1)))


def _failure_of(state: Any) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
