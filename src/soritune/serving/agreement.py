"""Partial results that do not flicker: what two passes in a row agree on is shown, and stays.

LocalAgreement-2 (Liu et al., 2020, "Low-latency sequence-to-sequence speech recognition and
translation by partial hypothesis selection"; as in whisper_streaming).
"""

from __future__ import annotations

from soritune.decoding.joining import unspaced


class Agreement:
    """Decides what of a growing transcript can be shown; what was shown is never taken back."""

    def __init__(self) -> None:
        self.shown = ""
        self._before: str | None = None

    def add(self, text: str) -> str:
        """Take the text of the next pass and return what is newly certain."""
        before, self._before = self._before, text
        if before is None:
            return ""
        pairs = enumerate(zip(before, text, strict=False))
        end = next((i for i, (a, b) in pairs if a != b), min(len(before), len(text)))
        return self._show(_whole_words(text[:end], text))

    def finish(self, text: str) -> str:
        """Take the final text and return what is still to be shown of it.

        Where it differs from what was shown, that stands; the words behind as many words as were
        shown follow.
        """
        if text.startswith(self.shown):
            return self._show(text)
        shown, final = self.shown.split(), text.split()
        rest = " ".join(final[len(shown) :])
        return self._show(f"{self.shown} {rest}") if rest else ""

    def _show(self, text: str) -> str:
        if not text.startswith(self.shown) or text == self.shown:
            return ""
        new = text[len(self.shown) :]
        self.shown = text
        return new


def _whole_words(prefix: str, text: str) -> str:
    """Return a prefix of `text` without the word that may still grow."""
    if prefix == text or text[len(prefix)] == " " or (prefix and unspaced(prefix[-1])):
        return prefix.rstrip()
    end = prefix.rfind(" ")
    return prefix[: max(end, 0)]
