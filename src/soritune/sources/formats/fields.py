"""What a source says of a recording beside its audio, found by the names that people use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from soritune.languages import languages_with_modules
from soritune.languages.names import language_code
from soritune.sources.formats.written import is_written
from soritune.utterance import Rejected, Split, Utterance

Meaning = Literal[
    "audio", "text", "id", "speaker", "translation", "translation_language", "language", "source"
]

COLUMNS = {
    "audio": ("audio", "path", "audio_path", "audio_filepath", "file", "file_name", "wav"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "id": ("id", "utt_id"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "translation": ("translation", "english_transcription"),
    "translation_language": ("translation_language",),
    "language": ("language", "source_lang", "lang", "locale"),
    "split": ("split",),
    "source": ("source",),
}
"""What a column may be called, the first name that a line has counts; languages add their words."""
SAID: tuple[Meaning, ...] = ("text", "translation")
SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}
"""What a split may be called."""


class Columns(BaseModel):
    """Where a data set keeps what; None: under one of the common names (docs/sources.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    audio: str | None = None
    text: str | None = None
    id: str | None = None
    speaker: str | None = None
    translation: str | None = None
    translation_language: str | None = None
    language: str | None = None

    def given(self, meaning: Meaning) -> str | None:
        """Return the name that a recipe gives; `source` has its usual name alone."""
        name: str | None = getattr(self, meaning, None)
        return name

    def names(self, meaning: Meaning) -> tuple[str, ...]:
        """Return names to look for, the first that is there counts."""
        given = self.given(meaning)
        return (given,) if given is not None else usual_names(meaning)


@cache
def usual_names(meaning: str) -> tuple[str, ...]:
    """Return what a column is called where nothing is said, in all languages with a module."""
    words = [language.headings.get(meaning, ()) for language in languages_with_modules()]
    return (*COLUMNS[meaning], *(word for of_language in words for word in of_language))


@dataclass(frozen=True)
class Metadata:
    """A recording without its audio; languages are ISO 639-1 codes."""

    id: str
    text: str
    language: str
    speaker: str | None
    translation: str | None
    translation_language: str | None
    # Not in the digest of rows without one (`rows.identity_of`): they are what they were.
    source: str | None = field(default=None, repr=False)

    def utterance(self, audio: Any, split: Split) -> Utterance:
        """Return the same with its audio (see `Utterance`) and its split."""
        return Utterance(
            id=self.id,
            audio=audio,
            text=self.text,
            language=self.language,
            split=split,
            speaker=self.speaker,
            translation=self.translation,
            translation_language=self.translation_language,
            source=self.source,
        )


def read_metadata(
    values: Mapping[Meaning, Any],
    own_id: str,
    where: str,
    language: str,
    translation_language: str | None,
) -> Metadata | Rejected:
    """Values by meaning to a record; `own_id` and the languages are the default.

    A meaning that the source lacks is not in `values`. What is not text (a list, an object, true
    or false) cannot be used; numbers are taken as they are written, where that is known; of a
    transcript it has to be. NaN is where tables had nothing, and is nothing.
    """
    texts: dict[Meaning, str] = {}
    for meaning, value in values.items():
        if isinstance(value, dict | list | bool | bytes):
            if meaning == "source":
                continue  # something else of that name, and nothing depends on it
            return Rejected(own_id, "bad-line", f"the value of {meaning} is not text", where)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        if meaning in SAID and not is_written(value):
            detail = (
                f"the {meaning} is kept as a number or a date ({value}), so it is not known how it "
                f"was written (007?). Store it as text."
            )
            return Rejected(own_id, "bad-text", detail, where)
        texts[meaning] = str(value).strip()
    if "text" not in values:
        return Rejected(own_id, "bad-line", "has no transcript", where)
    translation = texts.get("translation") or None
    target = language_code(texts.get("translation_language") or translation_language or "")
    return Metadata(
        id=texts.get("id") or own_id,
        text=texts.get("text", ""),
        language=language_code(texts.get("language") or language),
        speaker=texts.get("speaker") or None,
        translation=translation,
        translation_language=(target or None) if translation else None,
        source=texts.get("source") or None,
    )
