"""Recordings for the page's players: small MP3 files, kept beside it so that each is made once.

MP3 plays in every browser; of the small formats that libsndfile writes here, it takes a ninth of
the time of Opus (0.025 s against 0.22 s of CPU for 4 s of speech) for about the same size.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.files import remove_temporaries, write_atomically

FOLDER = "report-audio"
SUFFIX, MEDIA_TYPE = ".mp3", "audio/mpeg"
MAX_PAGE_BYTES = 20_000_000
"""Of a page with its sound inside; a larger one leaves it in the folder beside."""
_KEY = re.compile(r"[0-9a-f]{24}")
_COMPRESSION = 0.7  # about 24 kbit/s at 16 kHz


@dataclass(frozen=True)
class Sound:
    """Where the page's recordings are: inside it (base64 by key), or in a folder beside it."""

    inside: Mapping[str, str]
    beside: bool

    @property
    def data(self) -> dict[str, str | None]:
        """What the page's script needs to know."""
        return {
            "folder": FOLDER if self.beside else None,
            "suffix": SUFFIX,
            "type": MEDIA_TYPE,
        }


def keep_sound(folder: Path, clips: Mapping[str, Callable[[], Samples]]) -> None:
    """Write the clips that `folder` lacks, and remove those of other keys.

    Keys have 24 hexadecimal digits; a user's own files have other names and stay.

    Raises UserError where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_temporaries(folder)
    for path in folder.glob(f"*{SUFFIX}"):
        if _KEY.fullmatch(path.stem) and path.stem not in clips:
            path.unlink()
    for key, samples in clips.items():
        path = folder / f"{key}{SUFFIX}"
        if not path.is_file():
            write_atomically(path, encode(samples()))


def can_encode() -> bool:
    """Return whether libsndfile writes MP3 here (from its version 1.1 on)."""
    import soundfile

    return "MP3" in soundfile.available_formats()


def encode(samples: Samples) -> bytes:
    """Return 16 kHz samples as MP3."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(
        file,
        samples,
        SAMPLE_RATE_HZ,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=_COMPRESSION,
    )
    return file.getvalue()


def load_sound(folder: Path, keys: list[str], page_bytes: int) -> Sound:
    """Return the sound of a page that has `page_bytes` without it."""
    paths = {key: folder / f"{key}{SUFFIX}" for key in keys}
    total = sum(path.stat().st_size for path in paths.values())
    if page_bytes + total * 4 / 3 + 40 * len(paths) > MAX_PAGE_BYTES:
        return Sound({}, beside=True)
    inside = {key: base64.b64encode(path.read_bytes()).decode() for key, path in paths.items()}
    return Sound(inside, beside=False)
