"""From a source to a corpus on disk: checked, 16 kHz, sharded, and able to go on.

`unfinished.py` knows what lies in the folder meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from soritune.audio import DEFAULT_LIMITS, Limits
from soritune.corpus import lock
from soritune.corpus.card import CorpusCard
from soritune.corpus.chunk import UNFINISHED_FOLDER, Chunk, prepare_chunk
from soritune.corpus.hashes import DigestSet, digest64
from soritune.corpus.job import CHUNK_SIZE, Job, card_of, job_of
from soritune.corpus.pool import Executor, run_chunks
from soritune.corpus.selection import Entry, Note, select
from soritune.corpus.unfinished import (
    close_folder,
    finished_card,
    finished_result,
    open_folder,
    tidy,
)
from soritune.files import storage_error
from soritune.sources import read_source, splits_are_disjoint
from soritune.sources.options import options_of
from soritune.utterance import Rejected, Utterance

CHUNK_BYTES = 64 * 2**20
"""A chunk ends early where its entries bring more than this in memory (long clips of archives)."""
Advance = Callable[[float], None]


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
    return _prepare(job_of(name, source, out), _entries(source), workers, advance, executor)


def is_prepared(name: str, source: BaseModel, out: Path) -> bool:
    """Whether `prepare` with these arguments would return at once."""
    return finished_card(out, job_of(name, source, out).fingerprint) is not None


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
            num_chunks = 0
            for _ in executor(
                prepare_chunk,
                _chunks(utterances, job),
                workers,
                finished=finished_result,
                advance=lambda result: advance(result.read),
            ):
                num_chunks += 1
            return close_folder(out, num_chunks, partial(card_of, job))
        except OSError as error:
            raise storage_error(error, out) from error


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
