"""The form of a corpus's transcripts: how a recipe wants numerals, marks and spaces written.

The rules belong to each language; a text in a language without rules stays as it is.
"""

from __future__ import annotations

from typing import Any, Literal

from soritune.languages import find_language, languages_with_modules
from soritune.settings import Settings

RULES = 3
"""Raised by hand when the rules of a language change what comes of the same text."""


class TextForm(Settings):
    """How transcripts and translations are written; each option keeps them as they are by default.

    `numerals`: words writes digits as words. `punctuation`: drop removes marks that are not part
    of a numeral. `letters`: hangul writes abbreviations by the names of their letters. `spacing`:
    correct separates words by their grammar.
    """

    numerals: Literal["keep", "words"] = "keep"
    punctuation: Literal["keep", "drop"] = "keep"
    letters: Literal["keep", "hangul"] = "keep"
    spacing: Literal["keep", "correct"] = "keep"

    def apply(self, text: str, language: str | None) -> str:
        """Return `text` of a language (ISO 639-1 code) in this form."""
        normalize = find_language(language).normalize if language else None
        return text if normalize is None else normalize(text, **self.model_dump())

    def described(self) -> dict[str, Any]:
        """Return all that decides what comes of a text, as JSON values.

        Raises UserError where a library that it needs is not installed.
        """
        described: dict[str, Any] = {**self.model_dump(), "rules": RULES}
        if self.spacing == "correct":
            versions = [each.spacing_version for each in languages_with_modules()]
            described["spacing_by"] = ", ".join(version() for version in versions if version)
        return described
