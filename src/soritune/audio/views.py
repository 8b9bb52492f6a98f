"""A file put together from parts of another one and from bytes of our own."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO

Part = bytes | tuple[int, int]
"""Bytes, or start and end of a span of the file behind."""
FARTHEST = (1 << 63) - 1
"""libsndfile's positions are signed numbers of 64 bits."""


class View(io.RawIOBase):
    """Reads `parts` one after the other; those that are spans come from `file`.

    Its place is its own, whoever else reads `file`, and stays where a seek would lead nowhere.
    """

    def __init__(self, file: BinaryIO, parts: Sequence[Part]) -> None:
        self._file = file
        self._parts = parts
        sizes = [len(part) if isinstance(part, bytes) else part[1] - part[0] for part in parts]
        self._starts = [0, *accumulate(sizes)]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._position, self._starts[-1])[whence]
        # A damaged header sends libsndfile anywhere, and what is raised in a callback is printed.
        if 0 <= base + offset <= FARTHEST:
            self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        num_read = 0
        while num_read < len(buffer):
            content = self._read_from_part(len(buffer) - num_read)
            if not content:
                break
            buffer[num_read : num_read + len(content)] = content
            num_read += len(content)
        return num_read

    def _read_from_part(self, size: int) -> bytes:
        index = bisect_right(self._starts, self._position) - 1
        if index >= len(self._parts):
            return b""
        part, inside = self._parts[index], self._position - self._starts[index]
        if isinstance(part, bytes):
            content = part[inside : inside + size]
        else:
            self._file.seek(part[0] + inside)
            content = self._file.read(min(size, part[1] - part[0] - inside))
        self._position += len(content)
        return content
