"""The form of a corpus's transcripts: what a recipe may say of their numerals and marks.

Rules belong to a language and live in its room; a text in a language without one stays as it is.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

LANGUAGES = ("ko",)
RULES = 1
"""Raised by hand when the rules of a language change what comes of the same text."""


class TextForm(BaseModel):
    """How transcripts and translations are written; each option leaves them as they are at first.

    `numerals`: words reads them out (3개 → 세 개), digits writes them (세 개 → 3개) where the words
    can mean nothing else. `punctuation`: drop takes out marks that are not part of a numeral.
    `letters`: hangul names abbreviations (KBS → 케이비에스). `spacing`: correct parts words by
    their grammar (the extra `korean`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    numerals: Literal["keep", "words", "digits"] = "keep"
    punctuation: Literal["keep", "drop"] = "keep"
    letters: Literal["keep", "hangul"] = "keep"
    spacing: Literal["keep", "correct"] = "keep"

    def apply(self, text: str, language: str | None) -> str:
        """`text` of that language (ISO 639-1 code) in this form."""
        if language not in LANGUAGES:
            return text
        from soritune.languages.ko import normalize

        return normalize(
            text,
            numerals=self.numerals,
            punctuation=self.punctuation,
            letters=self.letters,
            spacing=self.spacing,
        )

    def described(self) -> dict[str, Any]:
        """All that decides what comes of a text, as JSON values.

        Raises UserError where a library that it needs is not installed.
        """
        described: dict[str, Any] = {**self.model_dump(), "rules": RULES}
        if self.spacing == "correct":
            from soritune.languages.ko.spacing import spacing_version

            described["spacing_by"] = spacing_version()
        return described
