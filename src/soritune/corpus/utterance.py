"""One recording with its transcript: what every reader yields and what `prepare` takes."""

from __future__ import annotations

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
class Utterance:
    """A recording and what is said in it, as its source gives it (nothing checked yet).

    `audio` is a path to an encoded file, the bytes of one, or something that renders itself.
    `language` and `translation_language` are ISO 639-1 codes ("ko", "en").
    """

    id: str
    audio: Path | bytes | RenderedAudio
    text: str
    language: str
    split: Split
    speaker: str | None = None
    translation: str | None = None
    translation_language: str | None = None


@dataclass(frozen=True)
class Rejected:
    """An entry of a source, or a recording, that cannot be used: one line of the quarantine.

    `reason` is one word for programs ("empty-text", "truncated"), `detail` the words for people,
    `where` the file, line or place in the source that has to be mended.
    """

    id: str
    reason: str
    detail: str
    where: str
