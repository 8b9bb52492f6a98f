"""From a source to a corpus on disk: checked, 16 kHz, in shards, and able to continue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel

from soritune.corpus.card import CorpusCard
from soritune.corpus.chunk import Chunk, prepare_chunk
from soritune.corpus.folder import CorpusFolder
from soritune.corpus.job import Job
from soritune.corpus.pool import Executor, run_chunks
from soritune.corpus.selection import Entry, Note, select
from soritune.files import storage_error
from soritune.seeding import stable_hash
from soritune.sources import read_source, splits_are_disjoint
from soritune.sources.formats.division import remembering
from soritune.sources.options import options_of
from soritune.utterance import Rejected, Utterance

CHUNK_SIZE = 250
"""Utterances of a chunk: a few seconds of work, about 20 MB of FLAC."""
CHUNK_BYTES = 64 * 2**20
"""A chunk ends early where its entries hold more than this in memory (long clips of archives)."""


def prepare(
    name: str,
    source: BaseModel,
    out: Path,
    *,
    workers: int = 1,
    advance: Callable[[float], None] = lambda amount: None,
    executor: Executor = run_chunks,
    chunk_size: int = CHUNK_SIZE,
) -> CorpusCard:
    """Prepare a source of a recipe as the corpus `name` in the folder `out`.

    A complete corpus of the same source and settings is returned at once; an unfinished one is
    continued; one of another source is replaced, and what it tested stays in test. Entries that
    cannot be used go to the quarantine: taken + quarantined = read.

    Args:
        name: name of the corpus in the recipe.
        source: its settings, a `SourceConfig`.
        out: folder of the corpus.
        workers: processes that decode; 0 or 1 is this process. They are started by spawn, so a
            script that asks for several needs its `if __name__ == "__main__"`.
        advance: called with the number of entries that are done.
        executor: where chunks are decoded.
        chunk_size: utterances that are done or redone together.

    Returns:
        The card of the corpus.

    Raises:
        UserError: the source cannot be read, nothing of it could be taken, another process is
            working in the folder, or it cannot be written.
    """
    job = Job.of(name, source, chunk_size)
    folder = CorpusFolder(out)
    card = folder.finished_card(job)
    if card is not None and folder.is_clean:
        return card
    with folder.lock():
        card = folder.finished_card(job)
        if card is not None:
            folder.clean()
            return card
        try:
            folder.begin(job)
            memory = folder.before().memory()
            source = remembering(source, memory)
            num_chunks = 0
            for _ in executor(
                prepare_chunk,
                _chunks(_entries(source), job, folder),
                workers,
                finished=lambda chunk: folder.result(chunk.index),
                advance=lambda result: advance(result.read),
            ):
                num_chunks += 1
            return folder.finish(job, num_chunks, memory)
        except OSError as error:
            raise storage_error(error, out) from error


def _entries(source: BaseModel) -> Iterator[Entry | Note]:
    options = options_of(source)
    entries = select(lambda: read_source(source), options, disjoint=splits_are_disjoint(source))
    if options.augment is None or not options.augment.stored:
        return entries
    from soritune.corpus.copies import with_copies

    return with_copies(entries, options.augment)


def _chunks(entries: Iterable[Entry | Note], job: Job, folder: CorpusFolder) -> Iterator[Chunk]:
    index = 0
    held: list[Entry] = []
    positions: list[int] = []
    notes: Counter[str] = Counter()
    num_bytes = 0

    def chunk() -> Chunk:
        return Chunk(index, tuple(positions), tuple(held), folder, dict(notes), job.form, job.sound)

    for position, entry in _without_repeated_ids(entries):
        if isinstance(entry, Note):
            notes[entry.kind] += 1
            continue
        held.append(entry)
        positions.append(position)
        if isinstance(entry, Utterance) and isinstance(entry.audio, bytes):
            num_bytes += len(entry.audio)
        if len(held) == job.chunk_size or num_bytes > CHUNK_BYTES:
            yield chunk()
            index += 1
            held, positions, num_bytes = [], [], 0
            notes.clear()
    if held or notes:
        yield chunk()


def _without_repeated_ids(entries: Iterable[Entry | Note]) -> Iterator[tuple[int, Entry | Note]]:
    """Yield entries with their positions in the source; of several with one id the first counts."""
    seen: set[int] = set()  # hashes: an id of a usual length would take half as much again
    position = 0
    for entry in entries:
        if isinstance(entry, Note):
            yield position, entry
            position += entry.stands_for_an_entry
            continue
        if isinstance(entry, Utterance) and stable_hash(entry.id) in seen:
            where = f"entry {position + 1} of the source"
            detail = "an earlier entry has the same id, or names the same recording"
            yield position, Rejected(entry.id, "duplicate-id", detail, where)
        else:
            if isinstance(entry, Utterance):
                seen.add(stable_hash(entry.id))
            yield position, entry
        position += 1
