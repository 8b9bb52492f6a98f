"""The error of a recording that cannot be used."""

from __future__ import annotations

from soritune.errors import UserError


class AudioError(UserError):
    """A recording that cannot be used.

    `reason` is one word for programs (missing, empty, unreadable, truncated, damaged, too-short,
    too-long, silent, non-finite, bad-rate, outside), `detail` the words for people, `where` the
    file ("" if there is none).
    """

    def __init__(self, reason: str, detail: str, where: str = "") -> None:
        super().__init__(reason, detail, where)
        self.reason = reason
        self.detail = detail
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.detail}" if self.where else self.detail
