"""The folder of a corpus, while it is prepared and afterwards.

corpus.json           the card, written last: a folder that has it is complete
division.json         how it was divided, where it was (`soritune.corpus.division`)
quarantine.jsonl      what was left out (id, reason, detail, where)
shards/NNNNN.parquet  the utterances, a shard for each chunk of which something was taken
work/                 only during preparation: the fingerprint of the job, the division before,
                      and the result of each finished chunk
.lock                 only while a process prepares

Only files of these names are replaced or removed, and of Parquet files only shards of soritune.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from soritune.corpus.card import CARD_FILE, ChunkResult, CorpusCard, Shard, Totals, read_card
from soritune.corpus.division import DIVISION_FILE, StoredDivision, tested_ids
from soritune.corpus.job import Job
from soritune.corpus.shard import is_shard
from soritune.errors import UserError
from soritune.files import (
    atomic_file,
    locked,
    remove_files,
    remove_temporaries,
    write_atomically,
)
from soritune.sources.formats.division import DivisionMemory

QUARANTINE_FILE = "quarantine.jsonl"
SHARD_FOLDER = "shards"
WORK_FOLDER = "work"
FINGERPRINT_FILE = "fingerprint"
_SHARD = re.compile(r"\d{5,}\.parquet")
_RESULT = re.compile(r"\d{5,}\.json")


@dataclass(frozen=True)
class CorpusFolder:
    """The files of one corpus. `begin`, `write_result` and `finish` need the `lock`."""

    path: Path

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder for this process. Raises UserError where another one holds it."""
        return locked(self.path)

    @property
    def quarantine_path(self) -> Path:
        """One JSON line for each entry that was left out."""
        return self.path / QUARANTINE_FILE

    @property
    def is_clean(self) -> bool:
        """Whether nothing of a preparation is left."""
        return not any(self._of_work())

    def finished_card(self, job: Job) -> CorpusCard | None:
        """Return the card of the finished `job`, None unless all its shards are there."""
        card = self._card()
        if card is None or card.fingerprint != job.fingerprint:
            return None
        return card if all(map(self._is_whole, card.shards)) else None

    def _card(self) -> CorpusCard | None:
        try:
            return read_card(self.path)
        except UserError:  # a card that cannot be read: prepare again
            return None

    def begin(self, job: Job) -> None:
        """Keep the finished chunks of the same job, remove those of another."""
        marker = self._work / FINGERPRINT_FILE
        same = marker.is_file() and marker.read_bytes() == job.fingerprint.encode()
        divided = None if same else StoredDivision(self.path, self._card())
        # The card goes first: whatever happens next, the folder is not taken for complete.
        (self.path / CARD_FILE).unlink(missing_ok=True)
        shards = self.path / SHARD_FOLDER
        if not same:
            self.clean()
            self._remove_shards(keep=())
        for folder in (self._work, shards):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.path, self._work, shards):
            remove_temporaries(folder)
        if divided is not None:
            # A copy: what is divided in this preparation must not depend on where it was stopped.
            divided.copy_to(self._work)
            write_atomically(marker, job.fingerprint)

    def before(self) -> StoredDivision:
        """Return the division before this preparation, which has begun."""
        return StoredDivision(self._work)

    @staticmethod
    def shard_name(index: int) -> str:
        """Return the name of the shard of chunk `index` in the card."""
        return f"{SHARD_FOLDER}/{index:05d}.parquet"

    def open_shard(self, index: int) -> AbstractContextManager[BinaryIO]:
        """Open the shard of chunk `index` for writing; it exists once the block has ended."""
        return atomic_file(self.path / self.shard_name(index))

    def write_result(self, result: ChunkResult) -> None:
        """Mark a chunk as done; its shard must have been written before."""
        if result.shard is None:
            (self.path / self.shard_name(result.index)).unlink(missing_ok=True)
        write_atomically(self._result_path(result.index), result.sealed().model_dump_json())

    def result(self, index: int) -> ChunkResult | None:
        """Return the result of chunk `index`, None where it is still to do."""
        try:
            result = ChunkResult.parse(self._result_path(index).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return result if result.shard is None or self._is_whole(result.shard) else None

    def finish(self, job: Job, num_chunks: int, memory: DivisionMemory | None = None) -> CorpusCard:
        """Collect the results of all chunks into the quarantine and the card.

        One result is held at a time. `memory` is what is to be kept of the division.

        Raises:
            UserError: nothing was taken; the quarantine says why.
        """
        totals = Totals()
        with atomic_file(self.quarantine_path) as file:
            for result in self._results(num_chunks):
                totals.add(result)
                for line in result.quarantined:
                    file.write((json.dumps(line.model_dump(), ensure_ascii=False) + "\n").encode())
        stored = self.before()
        tested: set[int] = set()
        if memory is not None and memory.basis is not None:
            tested = tested_ids(self.path, (shard.file for shard in totals.shards))
        division = None if memory is None else stored.record(memory, tested)
        card = job.card(totals, division).sealed()
        if not card.taken:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in card.reasons.items())
            raise UserError(
                f"corpus {card.name}: nothing could be taken, "
                + (
                    f"all {card.read:,} entries were left out ({reasons}). See "
                    f"{self.quarantine_path}."
                    if card.read
                    else "the source has no entries. Check its path and its splits in the recipe."
                )
            )
        self._remove_shards(keep={shard.file for shard in card.shards})
        if memory is not None:
            stored.write(self.path, memory, tested)
        write_atomically(self.path / CARD_FILE, card.model_dump_json(indent=2) + "\n")
        self.clean()
        return card

    def _remove_shards(self, keep: Collection[str]) -> None:
        """Remove the other shards; a user's own files stay."""
        for path in (self.path / SHARD_FOLDER).glob("*.parquet"):
            name = f"{SHARD_FOLDER}/{path.name}"
            if _SHARD.fullmatch(path.name) and name not in keep and is_shard(path):
                path.unlink()

    def clean(self) -> None:
        """Remove what only the preparation needs; a kill may come between the card and this."""
        if self._work.is_dir():
            remove_temporaries(self._work)
        remove_files(self._of_work(), self.path)

    def _of_work(self) -> list[Path]:
        """Return what preparations have left in the folder for their work."""
        names = (FINGERPRINT_FILE, DIVISION_FILE)
        return [p for p in self._work.glob("*") if p.name in names or _RESULT.fullmatch(p.name)]

    @property
    def _work(self) -> Path:
        return self.path / WORK_FOLDER

    def _result_path(self, index: int) -> Path:
        return self._work / f"{index:05d}.json"

    def _results(self, num_chunks: int) -> Iterator[ChunkResult]:
        for index in range(num_chunks):
            result = self.result(index)
            if result is None:
                raise UserError(
                    f"{self._result_path(index)}: was removed while soritune was running. Run the "
                    f"same command again."
                )
            yield result

    def _is_whole(self, shard: Shard) -> bool:
        path = self.path / shard.file
        return path.is_file() and path.stat().st_size == shard.num_bytes
