"""What a server allows: one record, with the reason beside each number."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from soritune.errors import UserError, visible
from soritune.files import read_regular

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class ServerSettings:
    """Limits of one server.

    Attributes:
        max_upload_bytes: of one request's body. OpenAI's own limit is 25 MB.
        max_audio_s: of one recording, after decompression.
        max_requests: requests that are at work or wait; more get 503. Each has a thread.
        max_waiting: clips that wait for the model; more get 503.
        max_sessions: live connections; more get 503.
        upload_pause_s: longest pause within an upload.
        upload_bytes_per_s: least mean rate of an upload, beyond one such pause.
        request_s: longest time that a request may take.
        retry_after_s: what a refused client is asked to wait.
        drain_s: how long a stopping server finishes what it has begun.
        batch_size: clips of the longest kind in one batch; of shorter ones as many as cost no more.
        batch_wait_s: how long the first clip waits for others.
        api_keys: accepted keys; empty leaves the server open.
        page: whether the page at `/` is served.
    """

    max_upload_bytes: int = 100 * MEBIBYTE
    max_audio_s: float = 4 * 3600.0
    max_requests: int = 256
    max_waiting: int = 1024
    max_sessions: int = 32
    upload_pause_s: float = 30.0
    upload_bytes_per_s: float = 1024.0
    request_s: float = 3600.0
    retry_after_s: int = 2
    drain_s: float = 30.0
    batch_size: int = 8
    batch_wait_s: float = 0.01
    api_keys: tuple[str, ...] = ()
    page: bool = True


def read_keys(path: Path) -> tuple[str, ...]:
    """Read one key a line; empty lines and those that begin with # are left out.

    Raises:
        UserError: the file cannot be read, or has no key.
    """
    try:
        lines = read_regular(path).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not a text file"
        raise UserError(
            f"--api-key-file {path}: {reason}. Give a file with a key a line."
        ) from None
    keys = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not keys:
        raise UserError(f"--api-key-file {path}: has no key. Write one a line.")
    if os.name == "posix" and path.stat().st_mode & stat.S_IROTH:
        line = f"warning: --api-key-file {path}: other users can read it. chmod 600 {path}"
        print(visible(line), file=sys.stderr)
    return keys
