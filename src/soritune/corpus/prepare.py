"""From a source to a corpus on disk: checked, 16 kHz, sharded, and able to go on.

`unfinished.py` knows what lies in the folder meanwhile.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from soritune.audio import DEFAULT_LIMITS, SAMPLE_RATE_HZ, Limits
from soritune.corpus import lock
from soritune.corpus.card import FORMAT_VERSION, CorpusCard
from soritune.corpus.chunk import MAX_CHARACTERS_PER_S, UNFINISHED_FOLDER, Chunk, prepare_chunk
from soritune.corpus.files import storage_error
from soritune.corpus.hashes import DigestSet, digest64
from soritune.corpus.licenses import license_of
from soritune.corpus.options import options_of
from soritune.corpus.pool import Executor, run_chunks
from soritune.corpus.readers import describe_source, read_source, splits_are_disjoint
from soritune.corpus.selection import Entry, Note, select
from soritune.corpus.sound import AS_IT_IS, SoundForm
from soritune.corpus.summary import CardSums
from soritune.corpus.unfinished import (
    Part,
    PartDone,
    chunks_of_parts,
    close_folder,
    finished_card,
    finished_result,
    is_open,
    open_folder,
    tidy,
    write_part,
)
from soritune.corpus.utterance import Rejected, Utterance
from soritune.text.form import TextForm

CHUNK_SIZE = 250
"""Utterances that are done or redone together: a few seconds of work, about 20 MB of FLAC."""
CHUNK_BYTES = 64 * 2**20
"""A chunk ends early where its entries bring more than this in memory (long clips of archives)."""
PREPARATION = 3
"""Raised by hand when the code changes what comes of the same source and settings."""

Advance = Callable[[float], None]


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
        return fingerprint_of(self.name, self.described_by, self.limits, self.chunk_size)


def prepare(
    name: str,
    source: BaseModel,
    out: Path,
    *,
    workers: int = 1,
    advance: Advance = lambda amount: None,
    executor: Executor = run_chunks,
) -> CorpusCard:
    """Prepare a source of a recipe (a `SourceConfig`): see `prepare_utterances`.

    Raises UserError where the source cannot be read, nothing in it can be taken, or the folder
    cannot be written.
    """
    return _prepare(_job(name, source, out), _entries(source), workers, advance, executor)


def prepare_part(
    name: str,
    source: BaseModel,
    out: Path,
    part: Part,
    *,
    workers: int = 1,
    advance: Advance = lambda amount: None,
    executor: Executor = run_chunks,
) -> int:
    """Do the chunks of one part of a source; how many entries they had.

    Any number of parts may be at work in one folder, on any number of machines. When all are
    done, `prepare` collects them into what it would have written alone. Raises UserError.
    """
    job = _job(name, source, out)
    return _prepare_part(job, _entries(source), part, workers, advance, executor)


def is_prepared(name: str, source: BaseModel, out: Path) -> bool:
    """Whether `prepare` with these arguments would return at once."""
    return finished_card(out, _job(name, source, out).fingerprint) is not None


def prepare_utterances(
    name: str,
    utterances: Iterable[Entry | Note],
    described_by: Mapping[str, Any],
    out: Path,
    *,
    workers: int = 1,
    advance: Advance = lambda amount: None,
    limits: Limits = DEFAULT_LIMITS,
    chunk_size: int = CHUNK_SIZE,
    license: str = "",
    executor: Executor = run_chunks,
) -> CorpusCard:
    """Prepare `utterances` as the corpus `name` in the folder `out` and return its card.

    `described_by` (JSON values) identifies the utterances: the same description promises the
    same utterances in the same order. A complete corpus of the same description is returned at
    once; an unfinished one is continued; one of another description is replaced.
    `workers` processes decode (0 or 1: this process does); they are started by spawn, so a
    script that calls this with several needs its `if __name__ == "__main__"`. `advance` is told
    of utterances that are done. Utterances that cannot be used go to the quarantine, never lost:
    taken + quarantined = read.

    Raises UserError where the folder cannot be written (disk full, no permission), another
    process is at work in it, or nothing could be taken.
    """
    job = Job(name, described_by, out, license, limits, chunk_size)
    return _prepare(job, utterances, workers, advance, executor)


def prepare_utterances_part(
    name: str,
    utterances: Iterable[Entry | Note],
    described_by: Mapping[str, Any],
    out: Path,
    part: Part,
    *,
    workers: int = 1,
    chunk_size: int = CHUNK_SIZE,
    executor: Executor = run_chunks,
) -> int:
    """`prepare_part` for `utterances`; the rest as in `prepare_utterances`."""
    job = Job(name, described_by, out, chunk_size=chunk_size)
    return _prepare_part(job, utterances, part, workers, lambda amount: None, executor)


def fingerprint_of(
    name: str,
    described_by: Mapping[str, Any],
    limits: Limits = DEFAULT_LIMITS,
    chunk_size: int = CHUNK_SIZE,
) -> str:
    """Digest of all that decides what a corpus holds."""
    identity = {
        "format": FORMAT_VERSION,
        "preparation": PREPARATION,
        "name": name,
        "source": dict(described_by),
        "settings": _settings(limits, chunk_size),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _job(name: str, source: BaseModel, out: Path) -> Job:
    described = describe_source(source)
    options = options_of(source)
    license = license_of(str(described.get("source", "")), options.license)
    return Job(name, described, out, license, form=options.text, sound=options.sound)


def _entries(source: BaseModel) -> Iterator[Entry | Note]:
    entries = select(
        lambda: read_source(source), options_of(source), disjoint=splits_are_disjoint(source)
    )
    augmentation = options_of(source).augment
    if augmentation is None or not augmentation.stored:
        return entries
    from soritune.augment.stored import with_copies

    return with_copies(entries, augmentation)


def _prepare(
    job: Job,
    utterances: Iterable[Entry | Note],
    workers: int,
    advance: Advance,
    executor: Executor,
) -> CorpusCard:
    out, fingerprint = job.out, job.fingerprint
    done = finished_card(out, fingerprint)
    if done is not None and not (out / UNFINISHED_FOLDER).exists():
        return done
    with lock.whole(out):
        done = finished_card(out, fingerprint)
        if done is not None:
            tidy(out)
            return done
        try:
            open_folder(out, fingerprint)
            num_chunks = chunks_of_parts(out, versions())
            if num_chunks is None:
                num_chunks = 0
                for _ in executor(
                    prepare_chunk,
                    _chunks(utterances, job),
                    workers,
                    finished=finished_result,
                    advance=lambda result: advance(result.read),
                ):
                    num_chunks += 1
            return close_folder(out, num_chunks, lambda sums: _card(job, sums))
        except OSError as error:
            raise storage_error(error, out) from error


def _prepare_part(
    job: Job,
    utterances: Iterable[Entry | Note],
    part: Part,
    workers: int,
    advance: Advance,
    executor: Executor,
) -> int:
    out, fingerprint = job.out, job.fingerprint
    if finished_card(out, fingerprint) is not None:
        return 0
    with lock.part(out, lambda: is_open(out, fingerprint), lambda: open_folder(out, fingerprint)):
        num_chunks = num_read = 0

        def of_part() -> Iterator[Chunk]:
            nonlocal num_chunks
            for chunk in _chunks(utterances, job):
                num_chunks += 1
                if part.holds(chunk.index):
                    yield chunk

        for result in executor(
            prepare_chunk,
            of_part(),
            workers,
            finished=finished_result,
            advance=lambda result: advance(result.read),
        ):
            num_read += result.read
        write_part(out, part, PartDone(chunks=num_chunks, versions=versions()))
    return num_read


def _chunks(utterances: Iterable[Entry | Note], job: Job) -> Iterator[Chunk]:
    index = 0
    entries: list[Entry] = []
    positions: list[int] = []
    notes: Counter[str] = Counter()
    num_bytes = 0

    def chunk() -> Chunk:
        where, what = tuple(positions), tuple(entries)
        return Chunk(index, where, what, job.out, job.limits, dict(notes), job.form, job.sound)

    for position, entry in _without_repeated_ids(utterances):
        if isinstance(entry, Note):
            notes[entry.kind] += 1
            continue
        entries.append(entry)
        positions.append(position)
        if isinstance(entry, Utterance) and isinstance(entry.audio, bytes):
            num_bytes += len(entry.audio)
        if len(entries) == job.chunk_size or num_bytes > CHUNK_BYTES:
            yield chunk()
            index += 1
            entries, positions, num_bytes = [], [], 0
            notes.clear()
    if entries or notes:
        yield chunk()


def _without_repeated_ids(
    utterances: Iterable[Entry | Note],
) -> Iterator[tuple[int, Entry | Note]]:
    """Entries with their positions in the source; of several with one id the first counts."""
    seen = DigestSet()
    position = 0
    for entry in utterances:
        if isinstance(entry, Note):
            yield position, entry
            position += entry.stands_for_an_entry
            continue
        if isinstance(entry, Utterance) and not seen.add(digest64(entry.id)):
            rejected = Rejected(
                entry.id,
                "duplicate-id",
                "an earlier utterance has the same id",
                f"entry {position + 1} of the source",
            )
            yield position, rejected
        else:
            yield position, entry
        position += 1


def _settings(limits: Limits, chunk_size: int) -> dict[str, Any]:
    return {
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "chunk_size": chunk_size,
        "max_characters_per_s": MAX_CHARACTERS_PER_S,
        **asdict(limits),
    }


def _card(job: Job, sums: CardSums) -> CorpusCard:
    return CorpusCard(
        format_version=FORMAT_VERSION,
        name=job.name,
        license=job.license,
        fingerprint=job.fingerprint,
        source=dict(job.described_by),
        settings=_settings(job.limits, job.chunk_size),
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
