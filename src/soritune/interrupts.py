"""Interruptions: SIGTERM, which clusters send, is treated as Ctrl-C; work ends where it is safe."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = "interrupted; run the same command to continue"


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Ctrl-C, with another exit code."""


def exit_code(interruption: KeyboardInterrupt) -> int:
    """Return 128 and the number of the signal, as shells have it."""
    return 128 + (signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT)


def sigterm_as_interrupt() -> None:
    """Let SIGTERM raise `Terminated` from now on, as Ctrl-C raises KeyboardInterrupt."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


class StopRequest:
    """Whether this process was asked to stop, and how."""

    def __init__(self) -> None:
        self.requested = False
        self._kind: type[KeyboardInterrupt] = KeyboardInterrupt
        self._process = os.getpid()

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Remember the first signal; a second Ctrl-C stops at once."""
        if os.getpid() != self._process:
            return  # a data loader's process, which its parent ends
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested = True
            self._kind = Terminated if number == signal.SIGTERM else KeyboardInterrupt
            print(
                "\nstopping: a checkpoint is saved after this step (Ctrl-C again stops at once)",
                file=sys.stderr,
                flush=True,
            )

    def interruption(self) -> KeyboardInterrupt:
        """Return the exception that ends the work."""
        return self._kind()


@contextmanager
def postponed(stop: StopRequest | None = None) -> Iterator[StopRequest]:
    """Note Ctrl-C and SIGTERM during the block, which looks at them where it can stop.

    Args:
        stop: where they are noted, for a caller that looks at it after the block; default: a new
            one.
    """
    stop = stop or StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop.handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
