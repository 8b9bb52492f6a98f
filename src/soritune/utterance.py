"""One recording with its transcript: what every source yields and what `prepare` takes."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Split = Literal["train", "dev", "test"]


@runtime_checkable
class RenderedAudio(Protocol):
    """Audio that is computed when it is needed (synthetic speech); it must be picklable."""

    def render(self) -> tuple[npt.NDArray[np.float32], int]:
        """Return mono samples in [-1, 1], shape (num_samples,), and their rate in Hz."""
        ...


@dataclass(frozen=True)
class Excerpt:
    """A part of a longer file: from `start_s` on for `duration_s` seconds (None: to its end).

    Both ends count at the frame that is nearest to them, so parts that follow each other in time
    share no frame and miss none. `channel` (from 0) is the only one heard; None: their mean.
    """

    path: Path
    start_s: float
    duration_s: float | None
    channel: int | None = None

    def __str__(self) -> str:
        last = "the end" if self.duration_s is None else f"{self.start_s + self.duration_s:.3f} s"
        of_channel = "" if self.channel is None else f", channel {self.channel}"
        return f"{self.path}, {self.start_s:.3f} s to {last}{of_channel}"


@dataclass(frozen=True)
class Utterance:
    """A recording and what is said in it, as its source gives it (nothing checked yet).

    `audio` is a path to an encoded file, the bytes of one, a part of a file, or something that
    renders itself.
    `language` and `translation_language` are ISO 639-1 codes. Without `speech`, nothing is said and
    the empty text is its transcript. `source` is where a mixed collection has it from.
    """

    id: str
    audio: Path | bytes | Excerpt | RenderedAudio
    text: str
    language: str
    split: Split
    speaker: str | None = None
    translation: str | None = None
    translation_language: str | None = None
    speech: bool = True
    source: str | None = None


@dataclass(frozen=True)
class Rejected:
    """An entry of a source, or a recording, that cannot be used: one line of the quarantine.

    `reason` is one word for programs ("empty-text", "truncated"), `detail` the explanation for
    people, `where` the file, line or place in the source that has to be fixed.
    """

    id: str
    reason: str
    detail: str
    where: str


def sentence_key(text: str) -> str:
    """Return letters and digits only: punctuation, spacing and case make no other sentence."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum())


def same_id(written: str) -> str:
    """Return an id in the one form of Unicode in which ids are compared.

    macOS gives names of files decomposed (NFD), lists have them composed.
    """
    return unicodedata.normalize("NFC", written)
