"""What is to be prepared, by what it is told from anything else, and the card it ends in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from soritune.audio import DEFAULT_LIMITS, SAMPLE_RATE_HZ, Limits
from soritune.corpus.card import FORMAT_VERSION, CorpusCard
from soritune.corpus.chunk import MAX_CHARACTERS_PER_S
from soritune.corpus.licenses import license_of
from soritune.corpus.summary import CardSums
from soritune.languages.form import TextForm
from soritune.sources import describe_source
from soritune.sources.options import options_of
from soritune.sources.sound import AS_IT_IS, SoundForm

CHUNK_SIZE = 250
"""Utterances that are done or redone together: a few seconds of work, about 20 MB of FLAC."""
PREPARATION = 3
"""Raised by hand when the code changes what comes of the same source and settings."""


@dataclass(frozen=True)
class Job:
    """What is to be prepared, where, and all that decides what comes of it."""

    name: str
    described_by: Mapping[str, Any]
    out: Path
    license: str = ""
    limits: Limits = DEFAULT_LIMITS
    chunk_size: int = CHUNK_SIZE
    form: TextForm | None = None
    sound: SoundForm = AS_IT_IS

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides what the corpus holds."""
        identity = {
            "format": FORMAT_VERSION,
            "preparation": PREPARATION,
            "name": self.name,
            "source": dict(self.described_by),
            "settings": self.settings,
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    @property
    def settings(self) -> dict[str, Any]:
        """What is the same for every source."""
        return {
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "chunk_size": self.chunk_size,
            "max_characters_per_s": MAX_CHARACTERS_PER_S,
            **asdict(self.limits),
        }


def job_of(name: str, source: BaseModel, out: Path) -> Job:
    """The job of preparing a source of a recipe (a `SourceConfig`). Raises UserError."""
    described = describe_source(source)
    options = options_of(source)
    license = license_of(str(described.get("source", "")), options.license)
    return Job(name, described, out, license, form=options.text, sound=options.sound)


def card_of(job: Job, sums: CardSums) -> CorpusCard:
    """The card of a finished job."""
    return CorpusCard(
        format_version=FORMAT_VERSION,
        name=job.name,
        license=job.license,
        fingerprint=job.fingerprint,
        source=dict(job.described_by),
        settings=job.settings,
        versions=versions(),
        read=sums.read,
        taken=sums.taken,
        quarantined=sums.reasons.total(),
        reasons=dict(sorted(sums.reasons.items())),
        notes=dict(sorted(sums.notes.items())),
        duration_s=sums.duration_s,
        speakers=sums.speakers,
        languages=dict(sorted(sums.languages.items())),
        splits=sums.splits(),
        shards=sums.shards,
    )


def versions() -> dict[str, str]:
    """The libraries that decide the bytes of a corpus."""
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
