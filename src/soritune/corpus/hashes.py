"""Sets of digests in eight bytes a slot: what has been seen of millions of ids or sentences."""

from __future__ import annotations

import hashlib
from array import array

FEWEST_SLOTS = 1 << 10
MAX_LOAD = 0.6


def digest64(*parts: str) -> int:
    """64 bits of a digest of `parts`, the same in every process.

    Of ten million texts, two fall together with a probability of 3e-6.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        content = part.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return int.from_bytes(digest.digest(), "big")


class DigestSet:
    """A set of 64-bit digests (open addressing); it only grows, and takes 14 to 27 bytes each."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * FEWEST_SLOTS))
        self._size = 0

    def add(self, digest: int) -> bool:
        """Put `digest` in; whether it is new."""
        slot, there = self._find(digest)
        if there:
            return False
        self._slots[slot] = digest or 1
        self._size += 1
        if self._size > MAX_LOAD * len(self._slots):
            self._grow()
        return True

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(16 * len(old)))
        for digest in old:
            if digest:
                self._slots[self._find(digest)[0]] = digest

    def _find(self, digest: int) -> tuple[int, bool]:
        """The slot where `digest` is or belongs, and whether it is there."""
        wanted = digest or 1  # 0 marks an empty slot
        mask = len(self._slots) - 1
        slot = wanted & mask
        while found := self._slots[slot]:
            if found == wanted:
                return slot, True
            slot = (slot + 1) & mask
        return slot, False

    def __contains__(self, digest: int) -> bool:
        return self._find(digest)[1]

    def __len__(self) -> int:
        return self._size
