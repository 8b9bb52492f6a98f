"""Whether a corpus is prepared as the recipe says now, and if not, why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from soritune.corpus.card import CorpusCard, read_card
from soritune.corpus.folder import CorpusFolder
from soritune.corpus.job import Job
from soritune.corpus.prepare import CHUNK_SIZE
from soritune.errors import UserError
from soritune.experiment.differences import differences
from soritune.sources import count_source
from soritune.sources.options import options_of

EARLIER_VERSION = "an earlier version of soritune did it"


@dataclass(frozen=True)
class CorpusState:
    """A corpus of a recipe on disk.

    Attributes:
        card: None where it is to be prepared.
        reasons: why it is to be prepared again; empty where it never was.
    """

    card: CorpusCard | None
    reasons: tuple[str, ...] = ()


def corpus_state(name: str, source: BaseModel, folder: Path) -> CorpusState:
    """Return whether `prepare` would have something to do, as `prepare` finds it out.

    Raises UserError where the source cannot be read.
    """
    job = Job.of(name, source, CHUNK_SIZE)
    corpus = CorpusFolder(folder)
    card = corpus.finished_card(job)
    if card is not None and corpus.is_clean:
        return CorpusState(card)
    if card is not None:
        return CorpusState(None)  # a kill came after the card: little is left to do
    try:
        before = read_card(folder)
    except UserError:
        return CorpusState(None, ("its card is damaged, or of another version",))
    if before is None:
        return CorpusState(None)
    if before.fingerprint == job.fingerprint:
        return CorpusState(None, ("a shard is missing or damaged",))
    return CorpusState(None, tuple(_reasons(before, job, source)) or (EARLIER_VERSION,))


def _reasons(before: CorpusCard, job: Job, source: BaseModel) -> Iterator[str]:
    old, new = dict(before.source), dict(job.source)
    if old.pop("identity", None) != new.pop("identity", None):
        path = getattr(source, "path", None)
        what = Path(path).name if path is not None and old.get("path") == new.get("path") else ""
        yield f"{what or 'the recordings'} changed{_growth(before, source)}"
    yield from differences(old, new)
    yield from differences(before.settings, job.settings)


def _growth(before: CorpusCard, source: BaseModel) -> str:
    """Return ` (+5 lines)` where the number of entries says so."""
    augmentation = options_of(source).augment
    number = None if augmentation is not None and augmentation.stored else count_source(source)
    if number is None or number == before.read:
        return ""
    unit = "line" if "manifest" in before.source.get("source", "") else "recording"
    return f" ({number - before.read:+,} {unit}{'s' * (abs(number - before.read) != 1)})"
