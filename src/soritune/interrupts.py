"""Interruptions: work ends where it is safe.

SIGTERM, which clusters send, and SIGHUP, which a terminal that is closed sends, are treated as
Ctrl-C. A signal that is ignored when the process starts (`nohup`, a job in the background of a
script) stays ignored. SIGQUIT (Ctrl-\\) ends the process at once, as users of it want.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

INTERRUPTED = "interrupted; run the same command to continue"


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Ctrl-C, with another exit code."""

    number: int = signal.SIGTERM


class HungUp(Terminated):
    """SIGHUP: the terminal is gone."""

    number = signal.SIGHUP


def exit_code(interruption: KeyboardInterrupt) -> int:
    """Return 128 and the number of the signal, as shells have it."""
    return 128 + (interruption.number if isinstance(interruption, Terminated) else signal.SIGINT)


def report(line: str) -> None:
    """Write a line to standard error, if the terminal is still there."""
    with suppress(OSError):
        print(f"\n{line}", file=sys.stderr, flush=True)


def signals_as_interrupt() -> None:
    """Let SIGTERM and SIGHUP raise `Terminated` from now on, as Ctrl-C KeyboardInterrupt."""
    if threading.current_thread() is threading.main_thread():
        for number in _heard(signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _terminate)


def _heard(*numbers: signal.Signals) -> list[signal.Signals]:
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise _interruption(number)


def _interruption(number: int) -> KeyboardInterrupt:
    kinds = {signal.SIGTERM: Terminated, signal.SIGHUP: HungUp}
    return kinds.get(signal.Signals(number), KeyboardInterrupt)()


class StopRequest:
    """Whether this process was asked to stop, and how."""

    def __init__(self) -> None:
        self.requested = False
        self._number: int = signal.SIGINT
        self._process = os.getpid()

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Remember the first signal; a second Ctrl-C stops at once."""
        if os.getpid() != self._process:
            return  # a data loader's process, which its parent ends
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested = True
            self._number = number
            report("stopping: a checkpoint is saved after this step (Ctrl-C again stops at once)")

    def interruption(self) -> KeyboardInterrupt:
        """Return the exception that ends the work."""
        return _interruption(self._number)


@contextmanager
def postponed(stop: StopRequest | None = None) -> Iterator[StopRequest]:
    """Note Ctrl-C, SIGTERM and SIGHUP during the block, which looks at them where it can stop.

    Args:
        stop: where they are noted, for a caller that looks at it after the block; default: a new
            one.
    """
    stop = stop or StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = _heard(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop.handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
