"""The entry point of the command line; the commands are imported inside it.

So Ctrl-C ends in one line from the first moment on.
"""

from __future__ import annotations

import sys
from typing import Any

from soritune.interrupts import INTERRUPTED, exit_code, report, signals_as_interrupt


def main() -> None:
    """Entry point of the `soritune` command."""
    try:
        signals_as_interrupt()
        from soritune.cli.commands import app

        app()
    except KeyboardInterrupt as interruption:
        report(INTERRUPTED)
        sys.exit(exit_code(interruption))


def __getattr__(name: str) -> Any:
    """Import the commands where they are asked for."""
    if name == "app":
        from soritune.cli.commands import app

        return app
    raise AttributeError(name)
