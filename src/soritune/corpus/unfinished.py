"""The folder of a corpus while it is made: what is finished, what is collected at the end.

corpus.json        the card, written last: a folder that has it is complete
quarantine.jsonl   what was left out, with the reason (id, reason, detail, where)
shards/NNNNN.parquet
unfinished/        while it runs: what each finished chunk counted
.lock              while somebody works in it
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from soritune.corpus.card import (
    CARD_FILE,
    QUARANTINE_FILE,
    SHARD_FOLDER,
    CorpusCard,
    Shard,
    read_card,
)
from soritune.corpus.chunk import UNFINISHED_FOLDER, Chunk, ChunkResult, result_path
from soritune.corpus.summary import CardSums
from soritune.errors import UserError
from soritune.files import atomic_file, remove_temporaries, write_atomically

FINGERPRINT_FILE = "fingerprint"


def finished_card(out: Path, fingerprint: str) -> CorpusCard | None:
    """The card of a complete corpus with this fingerprint whose shards are all there."""
    try:
        card = read_card(out)
    except UserError:  # a card of another version: prepare anew
        return None
    if card is None or card.fingerprint != fingerprint:
        return None
    return card if all(_is_whole(shard, out) for shard in card.shards) else None


def is_open(out: Path, fingerprint: str) -> bool:
    """Whether the unfinished work in `out` is of this fingerprint."""
    marker = out / UNFINISHED_FOLDER / FINGERPRINT_FILE
    return marker.is_file() and marker.read_text(encoding="utf-8") == fingerprint


def open_folder(out: Path, fingerprint: str) -> None:
    """Keep the finished chunks of the same fingerprint, clear those of another."""
    unfinished = out / UNFINISHED_FOLDER
    same = is_open(out, fingerprint)
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
        write_atomically(unfinished / FINGERPRINT_FILE, fingerprint.encode())


def finished_result(chunk: Chunk) -> ChunkResult | None:
    """What an earlier run made of `chunk`, None where it is still to do."""
    return _read_result(chunk.folder, chunk.index)


def close_folder(
    out: Path, num_chunks: int, make_card: Callable[[CardSums], CorpusCard]
) -> CorpusCard:
    """Collect the results of all chunks into the quarantine and the card, and tidy up.

    One result is held at a time. Raises UserError where nothing was taken; the quarantine stands
    there all the same and says why.
    """
    sums = CardSums()
    with atomic_file(out / QUARANTINE_FILE) as file:
        for result in _results(out, num_chunks):
            sums.add(result)
            for line in result.quarantined:
                file.write((json.dumps(line.model_dump(), ensure_ascii=False) + "\n").encode())
    card = make_card(sums)
    if not card.taken:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in card.reasons.items())
        raise UserError(
            f"corpus {card.name}: nothing could be taken, "
            + (
                f"all {card.read:,} entries were left out ({reasons}): see {out / QUARANTINE_FILE}"
                if card.read
                else "the source has no entries; look at its path and its splits in the recipe"
            )
        )
    wanted = {shard.file for shard in card.shards}
    for path in (out / SHARD_FOLDER).iterdir():
        if f"{SHARD_FOLDER}/{path.name}" not in wanted:
            path.unlink()
    write_atomically(out / CARD_FILE, (card.model_dump_json(indent=2) + "\n").encode("utf-8"))
    tidy(out)
    return card


def tidy(out: Path) -> None:
    """Remove what only an unfinished corpus needs; a kill may come between the card and this."""
    if (out / UNFINISHED_FOLDER).exists():
        shutil.rmtree(out / UNFINISHED_FOLDER)


def _results(out: Path, num_chunks: int) -> Iterator[ChunkResult]:
    for index in range(num_chunks):
        result = _read_result(out, index)
        if result is None:
            raise UserError(
                f"{result_path(out, index)}: gone since it was written; run the same command again"
            )
        yield result


def _read_result(out: Path, index: int) -> ChunkResult | None:
    try:
        result = ChunkResult.model_validate_json(result_path(out, index).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    if result.shard is not None and not _is_whole(result.shard, out):
        return None
    return result


def _is_whole(shard: Shard, folder: Path) -> bool:
    path = folder / shard.file
    return path.is_file() and path.stat().st_size == shard.num_bytes
