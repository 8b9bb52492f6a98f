"""How a command ends when something goes wrong: one line and an exit code."""

from __future__ import annotations

import errno
import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from soritune.errors import UserError, visible
from soritune.interrupts import INTERRUPTED, exit_code

P = ParamSpec("P")

EXIT_USER_ERROR = 2
DISK_FULL = "the disk is full; free some space and run the same command again to continue"


def plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Show users' mistakes, interruptions and full disks of a command without a traceback.

    Other exceptions are our own mistakes and keep theirs.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except UserError as error:
            show_error(str(error))
            raise typer.Exit(EXIT_USER_ERROR) from None
        except KeyboardInterrupt as interruption:
            print(f"\n{str(interruption) or INTERRUPTED}", file=sys.stderr)
            raise typer.Exit(exit_code(interruption)) from None
        except Exception as error:
            if not is_disk_full(error):
                raise
            show_error(DISK_FULL)
            raise typer.Exit(EXIT_USER_ERROR) from None

    return wrapped


def show_error(message: str) -> None:
    """Write one line to standard error, red on a terminal."""
    line = visible(" ".join(message.split()))
    typer.secho(f"error: {line}", fg=typer.colors.RED, err=True)


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether an exception or its cause is a full disk.

    Writers in other languages (safetensors, torch) wrap the system's error in text.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
