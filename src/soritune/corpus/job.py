"""What is to be prepared: the settings that decide the content of a corpus."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from pydantic import BaseModel

from soritune.audio import DEFAULT_LIMITS, SAMPLE_RATE_HZ
from soritune.corpus.card import FORMAT_VERSION, CorpusCard, Division, Totals
from soritune.corpus.check import MAX_CHARACTERS_PER_S
from soritune.corpus.licenses import license_of
from soritune.languages.form import TextForm
from soritune.sources import describe_source
from soritune.sources.options import options_of
from soritune.sources.sound import SoundForm

PREPARATION = 5
"""To be raised when a change of the code changes the result for the same source and settings."""


@dataclass(frozen=True)
class Job:
    """One corpus to prepare.

    `source` (JSON values) identifies the entries: an equal description promises equal entries in
    the same order. `chunk_size` is the number of utterances that are done or redone together.
    """

    name: str
    source: Mapping[str, Any]
    license: str
    chunk_size: int
    form: TextForm | None
    sound: SoundForm

    @classmethod
    def of(cls, name: str, source: BaseModel, chunk_size: int) -> Self:
        """Return the job for a source of a recipe. Raises UserError where it cannot be read."""
        described = describe_source(source)
        options = options_of(source)
        license = license_of(str(described.get("source", "")), options.license)
        return cls(name, described, license, chunk_size, options.text, options.sound)

    @property
    def fingerprint(self) -> str:
        """Digest of everything that decides the content of the corpus."""
        identity = {
            "format": FORMAT_VERSION,
            "preparation": PREPARATION,
            "name": self.name,
            "source": dict(self.source),
            "settings": self.settings,
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that do not depend on the source."""
        return {
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "chunk_size": self.chunk_size,
            "max_characters_per_s": MAX_CHARACTERS_PER_S,
            **asdict(DEFAULT_LIMITS),
        }

    def card(self, totals: Totals, division: Division | None = None) -> CorpusCard:
        """Return the card of this job once it is done."""
        return CorpusCard(
            format_version=FORMAT_VERSION,
            name=self.name,
            license=self.license,
            fingerprint=self.fingerprint,
            source=dict(self.source),
            settings=self.settings,
            versions=versions(),
            read=totals.read,
            taken=totals.taken,
            quarantined=totals.reasons.total(),
            reasons=dict(sorted(totals.reasons.items())),
            notes=dict(sorted(totals.notes.items())),
            duration_s=totals.duration_s,
            speakers=totals.speakers,
            languages=dict(sorted(totals.languages.items())),
            splits=totals.splits(),
            shards=totals.shards,
            division=division,
        )


def versions() -> dict[str, str]:
    """Return the versions of the libraries that decide the bytes of a corpus."""
    import numpy
    import pyarrow
    import soundfile
    import soxr

    return {
        "numpy": numpy.__version__,
        "pyarrow": pyarrow.__version__,
        "soundfile": soundfile.__version__,
        "libsndfile": soundfile.__libsndfile_version__,
        "soxr": soxr.__version__,
    }
