"""Runs a request's listening in a thread of its own and ends it when the client leaves."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request

from soritune.serving.batcher import ClosedError, LineFullError
from soritune.serving.engines import ClientGoneError, UpstreamError
from soritune.serving.errors import ApiError
from soritune.serving.settings import ServerSettings

log = logging.getLogger("soritune.serving")

Item = TypeVar("Item")

TOO_MANY = "is full: too many requests wait"
STOPS = "is stopping"
FAILS_BEHIND = "behind this one does not answer"


@dataclass(frozen=True)
class _End:
    """What a thread says last."""

    error: Exception | None


class Workers:
    """Threads for requests: as many as may be at work or wait; more are refused."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(settings.max_requests, "soritune-request")
        self._free = settings.max_requests
        self._listening: set[asyncio.Queue[Any]] = set()

    @property
    def busy(self) -> int:
        """Number of requests at work."""
        return self._settings.max_requests - self._free

    def refusal(self, why: str, code: str = "overloaded") -> ApiError:
        """Return the answer of a server that is full, stops, or has lost what answers."""
        return ApiError(
            503,
            f"the server {why}. Try again in a moment.",
            code=code,
            retry_after_s=self._settings.retry_after_s,
        )

    async def items(
        self, work: Callable[[Callable[[Item], None]], None], gone: threading.Event
    ) -> AsyncIterator[Item]:
        """Run `work` in a thread and yield what it passes to its argument, from any thread.

        Args:
            gone: set here when the caller stops listening or the time is over; `work` looks at it.

        Raises:
            ApiError: the server is full, stops, or the time is over.
            Exception: what `work` raises.
        """
        if self._free <= 0:
            raise self.refusal(TOO_MANY)
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[Item | _End] = asyncio.Queue()

        def put(item: Item | _End) -> None:
            # The loop may have ended, with all who listened.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(waiting.put_nowait, item)

        def run() -> None:
            try:
                work(put)
            except Exception as error:
                put(_End(error))
            else:
                put(_End(None))

        self._free -= 1
        self._listening.add(waiting)
        deadline = time.monotonic() + self._settings.request_s
        loop.run_in_executor(self._pool, run).add_done_callback(lambda _: self._release())
        try:
            while True:
                left_s = deadline - time.monotonic()
                item = await asyncio.wait_for(waiting.get(), max(left_s, 0.001))
                if not isinstance(item, _End):
                    yield item
                elif item.error is None:
                    return
                else:
                    raise self._told(item.error)
        except TimeoutError:
            raise ApiError(
                503,
                f"the request took longer than {self._settings.request_s:.0f} s",
                code="timeout",
            ) from None
        finally:
            self._listening.discard(waiting)
            gone.set()

    def give_up(self) -> None:
        """Refuse all that is at work: there is no more time."""
        for waiting in self._listening:
            waiting.put_nowait(_End(ClosedError()))

    def close(self) -> None:
        """End the threads that wait."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _release(self) -> None:
        self._free += 1

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, LineFullError):
            return self.refusal("is full: too many clips wait for the model")
        if isinstance(error, ClosedError):
            return self.refusal(STOPS)
        if isinstance(error, UpstreamError):
            log.warning("the server behind this one fails: %s", error)
            return self.refusal(FAILS_BEHIND, code="upstream")
        return error


@asynccontextmanager
async def watched(request: Request, gone: threading.Event) -> AsyncIterator[None]:
    """Set `gone` when the client leaves during the block."""

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(0.25)
        gone.set()

    task = asyncio.create_task(watch())
    try:
        yield
    except ClientGoneError:
        # Nobody reads the answer; 499 is nginx's word for it in logs.
        raise ApiError(499, "the client has left", code="cancelled") from None
    finally:
        task.cancel()
