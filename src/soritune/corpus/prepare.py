"""From a source to a corpus on disk: checked, 16 kHz, sharded, and able to go on.

corpus.json        the card, written last: a folder that has it is complete
quarantine.jsonl   what was left out, with the reason (id, reason, detail, where)
shards/NNNNN.parquet
unfinished/        while it runs: what each finished chunk counted
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from soritune.audio import DEFAULT_LIMITS, SAMPLE_RATE_HZ, Limits
from soritune.corpus.card import (
    CARD_FILE,
    FORMAT_VERSION,
    QUARANTINE_FILE,
    SHARD_FOLDER,
    CorpusCard,
    Shard,
    SplitSummary,
    read_card,
)
from soritune.corpus.chunk import (
    UNFINISHED_FOLDER,
    Chunk,
    ChunkResult,
    prepare_chunk,
    result_path,
)
from soritune.corpus.files import remove_temporaries, storage_error, write_atomically
from soritune.corpus.pool import run_chunks
from soritune.corpus.readers import describe_source, read_source
from soritune.corpus.utterance import Rejected, Utterance
from soritune.errors import UserError

CHUNK_SIZE = 250
"""Utterances that are done or redone together: a few seconds of work, about 20 MB of FLAC."""
FINGERPRINT_FILE = "fingerprint"

Advance = Callable[[float], None]


def prepare(
    name: str,
    source: BaseModel,
    out: Path,
    *,
    workers: int = 1,
    advance: Advance = lambda amount: None,
) -> CorpusCard:
    """Prepare a source of a recipe (a `SourceConfig`): see `prepare_utterances`.

    Raises UserError where the source cannot be read or the folder cannot be written.
    """
    return prepare_utterances(
        name,
        read_source(source),
        describe_source(source),
        out,
        workers=workers,
        advance=advance,
    )


def is_prepared(name: str, source: BaseModel, out: Path) -> bool:
    """Whether `prepare` with these arguments would return at once."""
    return finished_card(out, fingerprint_of(name, describe_source(source))) is not None


def prepare_utterances(
    name: str,
    utterances: Iterable[Utterance | Rejected],
    described_by: Mapping[str, Any],
    out: Path,
    *,
    workers: int = 1,
    advance: Advance = lambda amount: None,
    limits: Limits = DEFAULT_LIMITS,
    chunk_size: int = CHUNK_SIZE,
) -> CorpusCard:
    """Prepare `utterances` as the corpus `name` in the folder `out` and return its card.

    `described_by` (JSON values) identifies the utterances: the same description promises the
    same utterances in the same order. A complete corpus of the same description is returned at
    once; an unfinished one is continued; one of another description is replaced.
    `workers` processes decode (0 or 1: this process does); they are started by spawn, so a
    script that calls this with several needs its `if __name__ == "__main__"`. `advance` is told
    of utterances that are done. Utterances that cannot be used go to the quarantine, never lost:
    taken + quarantined = read.

    Raises UserError where the folder cannot be written (disk full, no permission).
    """
    fingerprint = fingerprint_of(name, described_by, limits, chunk_size)
    done = finished_card(out, fingerprint)
    if done is not None:
        _tidy(out)
        return done
    try:
        _open_folder(out, fingerprint)
    except OSError as error:
        raise storage_error(error, out) from error
    by_index = {
        result.index: result
        for result in run_chunks(
            prepare_chunk,
            _chunks(utterances, out, limits, chunk_size),
            workers,
            finished=_finished_result,
            advance=lambda result: advance(result.read),
        )
    }
    results = [by_index[index] for index in sorted(by_index)]
    card = _card(name, fingerprint, dict(described_by), _settings(limits, chunk_size), results)
    try:
        _close_folder(out, card, results)
    except OSError as error:
        raise storage_error(error, out) from error
    return card


def finished_card(out: Path, fingerprint: str) -> CorpusCard | None:
    """The card of a complete corpus with this fingerprint whose shards are all there."""
    try:
        card = read_card(out)
    except UserError:  # a card of another version: prepare anew
        return None
    if card is None or card.fingerprint != fingerprint:
        return None
    return card if all(_is_whole(shard, out) for shard in card.shards) else None


def fingerprint_of(
    name: str,
    described_by: Mapping[str, Any],
    limits: Limits = DEFAULT_LIMITS,
    chunk_size: int = CHUNK_SIZE,
) -> str:
    """Digest of all that decides what a corpus holds."""
    identity = {
        "format": FORMAT_VERSION,
        "name": name,
        "source": dict(described_by),
        "settings": _settings(limits, chunk_size),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _settings(limits: Limits, chunk_size: int) -> dict[str, Any]:
    return {"sample_rate_hz": SAMPLE_RATE_HZ, "chunk_size": chunk_size, **asdict(limits)}


def _open_folder(out: Path, fingerprint: str) -> None:
    """Keep the finished chunks of the same fingerprint, clear those of another."""
    unfinished = out / UNFINISHED_FOLDER
    marker = unfinished / FINGERPRINT_FILE
    same = marker.is_file() and marker.read_text(encoding="utf-8") == fingerprint
    # The card goes first: whatever happens from here on, the folder is not taken for complete.
    (out / CARD_FILE).unlink(missing_ok=True)
    if not same:
        for folder in (unfinished, out / SHARD_FOLDER):
            if folder.exists():
                shutil.rmtree(folder)
    for folder in (out, unfinished, out / SHARD_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        remove_temporaries(folder)
    if not same:
        write_atomically(marker, fingerprint.encode())


def _chunks(
    utterances: Iterable[Utterance | Rejected], out: Path, limits: Limits, chunk_size: int
) -> Iterator[Chunk]:
    entries = _without_repeated_ids(utterances)
    index = 0
    while batch := tuple(islice(entries, chunk_size)):
        yield Chunk(index, index * chunk_size, batch, out, limits)
        index += 1


def _without_repeated_ids(
    utterances: Iterable[Utterance | Rejected],
) -> Iterator[Utterance | Rejected]:
    seen: set[str] = set()
    for number, entry in enumerate(utterances, start=1):
        if isinstance(entry, Utterance):
            if entry.id in seen:
                yield Rejected(
                    entry.id,
                    "duplicate-id",
                    "an earlier utterance has the same id",
                    f"entry {number} of the source",
                )
                continue
            seen.add(entry.id)
        yield entry


def _finished_result(chunk: Chunk) -> ChunkResult | None:
    path = result_path(chunk.folder, chunk.index)
    if not path.is_file():
        return None
    result = ChunkResult.model_validate_json(path.read_bytes())
    if result.shard is not None and not _is_whole(result.shard, chunk.folder):
        return None
    return result


def _is_whole(shard: Shard, folder: Path) -> bool:
    path = folder / shard.file
    return path.is_file() and path.stat().st_size == shard.num_bytes


def _card(
    name: str,
    fingerprint: str,
    source: dict[str, Any],
    settings: dict[str, Any],
    results: list[ChunkResult],
) -> CorpusCard:
    groups = [group for result in results for group in result.taken]
    languages: Counter[str] = Counter()
    for group in groups:
        languages[group.language] += group.utterances
    splits = {}
    for split in ("train", "dev", "test"):
        of_split = [group for group in groups if group.split == split]
        if of_split:
            splits[split] = SplitSummary(
                utterances=sum(group.utterances for group in of_split),
                duration_s=sum(group.num_samples for group in of_split) / SAMPLE_RATE_HZ,
                speakers=len({group.speaker for group in of_split} - {None}),
            )
    reasons = Counter(line.reason for result in results for line in result.quarantined)
    return CorpusCard(
        format_version=FORMAT_VERSION,
        name=name,
        fingerprint=fingerprint,
        source=source,
        settings=settings,
        versions=_versions(),
        read=sum(result.read for result in results),
        taken=sum(group.utterances for group in groups),
        quarantined=sum(reasons.values()),
        reasons=dict(sorted(reasons.items())),
        duration_s=sum(group.num_samples for group in groups) / SAMPLE_RATE_HZ,
        languages=dict(sorted(languages.items())),
        splits=splits,
        shards=[result.shard for result in results if result.shard is not None],
    )


def _versions() -> dict[str, str]:
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


def _close_folder(out: Path, card: CorpusCard, results: list[ChunkResult]) -> None:
    lines = "".join(
        json.dumps(line.model_dump(), ensure_ascii=False) + "\n"
        for result in results
        for line in result.quarantined
    )
    write_atomically(out / QUARANTINE_FILE, lines.encode("utf-8"))
    wanted = {out / shard.file for shard in card.shards}
    for path in (out / SHARD_FOLDER).iterdir():
        if path not in wanted:
            path.unlink()
    write_atomically(out / CARD_FILE, (card.model_dump_json(indent=2) + "\n").encode("utf-8"))
    _tidy(out)


def _tidy(out: Path) -> None:
    """Remove what only an unfinished corpus needs; a kill may come between the card and this."""
    if (out / UNFINISHED_FOLDER).exists():
        shutil.rmtree(out / UNFINISHED_FOLDER)
