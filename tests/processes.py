"""Processes that are killed in the middle of something."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def kill_in_fork(work: Callable[[], object]) -> None:
    """Run `work`, which must kill its process, in a fork: a new interpreter imports for seconds."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
