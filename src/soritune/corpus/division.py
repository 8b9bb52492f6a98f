"""What a corpus remembers of its division into splits, so that what was test stays test.

division.json    basis (what the splits are divided by), speakers and sentences of dev and test, and
                 ids of test, all as hashes; written with the card, read when the source is prepared
                 again
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from pyarrow.lib import ArrowException

from soritune.corpus.card import CorpusCard, Division, PreviousTest, Sealed
from soritune.corpus.shard import open_shard
from soritune.errors import UserError
from soritune.files import read_regular, write_atomically
from soritune.seeding import stable_hash
from soritune.sources.formats.division import DivisionBasis, DivisionMemory
from soritune.sources.split import Assignments
from soritune.utterance import Split

DIVISION_FILE = "division.json"


class _Stored(Sealed):
    basis: DivisionBasis | None  # None: the splits are known, how they were made is not
    speakers: dict[int, Split]
    sentences: dict[int, Split]
    tested: list[int]


class StoredDivision:
    """The division of a corpus folder as an earlier preparation left it."""

    def __init__(self, folder: Path, card: CorpusCard | None = None) -> None:
        """Read the division; where none was kept (earlier versions), what `card` tests is known."""
        self._stored: _Stored | None = None
        try:
            self._stored = _Stored.parse(read_regular(folder / DIVISION_FILE))
        except (OSError, ValueError):
            if card is not None:
                self._stored = _stored_from(folder, card)

    def memory(self) -> DivisionMemory:
        """Return what the source must keep when it is read."""
        if self._stored is None or self._stored.basis is None:
            return DivisionMemory()
        kept = Assignments(self._stored.speakers, self._stored.sentences)
        return DivisionMemory(before=(self._stored.basis, kept))

    def record(self, memory: DivisionMemory, tested: set[int]) -> Division | None:
        """Return what the card says of a division; None where the source brings its own splits."""
        basis = memory.basis
        if basis is None:
            return None
        previous = None
        if self._stored is not None and set(self._stored.tested) != tested:
            before = set(self._stored.tested)
            previous = PreviousTest(
                kept=len(before & tested),
                added=len(tested - before),
                gone=len(before - tested),
                changed=_changed(self._stored.basis, basis) if self._stored.basis else "",
            )
        return Division(
            by=list(basis.by),
            test_share=basis.test_share,
            dev_share=basis.dev_share,
            previous=previous,
        )

    def copy_to(self, folder: Path) -> None:
        """Write the division, if there is one, into another folder."""
        if self._stored is not None:
            write_atomically(folder / DIVISION_FILE, self._stored.sealed().model_dump_json() + "\n")

    @staticmethod
    def write(folder: Path, memory: DivisionMemory, tested: set[int]) -> None:
        """Keep the division of a source that was read; none is kept where it was not divided."""
        if memory.basis is None:
            (folder / DIVISION_FILE).unlink(missing_ok=True)
            return
        stored = _Stored(
            basis=memory.basis,
            speakers=dict(sorted(memory.assignments.speakers.items())),
            sentences=dict(sorted(memory.assignments.sentences.items())),
            tested=sorted(tested),
        )
        write_atomically(folder / DIVISION_FILE, stored.sealed().model_dump_json() + "\n")


def _stored_from(folder: Path, card: CorpusCard) -> _Stored | None:
    """Return what the shards of a corpus say of its test split; None where they are damaged."""
    try:
        tested = tested_ids(folder, (shard.file for shard in card.shards))
    except (OSError, UserError, ArrowException, KeyError):
        return None
    return _Stored(basis=None, speakers={}, sentences={}, tested=sorted(tested))


def tested_ids(folder: Path, shards: Iterable[str]) -> set[int]:
    """Return the hashes of the ids of test in the named shards."""
    found: set[int] = set()
    for name in shards:
        with open_shard(folder / name) as file:
            table = file.read(columns=["id", "split"], use_threads=False)
            rows = zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True)
            found.update(stable_hash(id) for id, split in rows if split == "test")
    return found


def _changed(before: DivisionBasis, now: DivisionBasis) -> str:
    """Return the settings that differ: `test_share 0.1 → 0.2`; "" where none does."""
    old, new = asdict(before), asdict(now)
    names = {"by": "divided by"}
    return ", ".join(
        f"{names.get(key, key)} {_text(old[key])} → {_text(new[key])}"
        for key in new
        if old[key] != new[key]
    )


def _text(value: object) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value}"
