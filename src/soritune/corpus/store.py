"""A prepared corpus: its card, its records, and the samples of any record."""

from __future__ import annotations

import io
from collections import OrderedDict
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from soritune.corpus.card import CorpusCard, read_card
from soritune.corpus.shard import ROWS_IN_GROUP, SHARD_REMEDY, open_shard
from soritune.errors import UserError
from soritune.files import file_sha256
from soritune.utterance import Split

CACHE_BYTES = 512 * 2**20
METADATA = (
    "id",
    "text",
    "language",
    "translation",
    "translation_language",
    "speaker",
    "split",
    "duration_s",
    "source",
)
"""Columns of a shard without the audio; the last one only where a source is known."""


@dataclass(frozen=True)
class Record:
    """One utterance of a prepared corpus, without its samples."""

    id: str
    text: str
    language: str
    translation: str | None
    translation_language: str | None
    speaker: str | None
    split: Split
    duration_s: float
    _shard: int = field(repr=False)
    _row: int = field(repr=False)
    source: str | None = None


class Corpus:
    """A corpus that `prepare` has completed, for reading.

    It may be pickled and forked: each process opens its own files and keeps its own cache of
    encoded audio, at most `cache_bytes`. One instance is not for several threads.
    """

    def __init__(self, folder: Path, card: CorpusCard, cache_bytes: int = CACHE_BYTES) -> None:
        self.folder = folder
        self.card = card
        self._cache_bytes = cache_bytes
        self._cached_bytes = 0
        self._cache: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()
        self._records: list[Record] | None = None

    @classmethod
    def open(cls, folder: Path, *, cache_bytes: int = CACHE_BYTES) -> Corpus:
        """Open a prepared corpus. Raises UserError where it is not prepared or not whole."""
        card = read_card(folder)
        if card is None:
            raise UserError(
                f"{folder}: holds no prepared corpus. Prepare it with: soritune prepare RECIPE"
            )
        for shard in card.shards:
            if not (folder / shard.file).is_file():
                raise UserError(
                    f"{folder / shard.file}: missing. Prepare the corpus again with: "
                    f"soritune prepare RECIPE"
                )
        return cls(folder, card, cache_bytes)

    def verify(self) -> Corpus:
        """Compare each shard with the checksum in the card; return this corpus.

        Raises UserError for a shard that is not as it was prepared.
        """
        for shard in self.card.shards:
            path = self.folder / shard.file
            try:
                changed = file_sha256(path) != shard.sha256
            except OSError as error:
                raise UserError(f"{path}: cannot be read ({error}). {SHARD_REMEDY}") from error
            if changed:
                raise UserError(f"{path}: has changed since it was prepared. {SHARD_REMEDY}")
        return self

    def records(self, split: str | None = None) -> list[Record]:
        """Return the records of a split (None: of all), in the order of the source."""
        if self._records is None:
            self._records = [
                record for index in range(len(self.card.shards)) for record in self._read(index)
            ]
        if split is None:
            return list(self._records)
        return [record for record in self._records if record.split == split]

    def samples(self, record: Record) -> npt.NDArray[np.float32]:
        """Return the samples of a record, shape (num_samples,), 16 kHz, float32 in [-1, 1]."""
        import soundfile

        try:
            samples, _ = soundfile.read(io.BytesIO(self.flac(record)), dtype="float32")
        except (soundfile.SoundFileError, TypeError, ValueError) as error:
            path = self.folder / self.card.shards[record._shard].file
            raise UserError(
                f"{path}: the audio of {record.id} cannot be read ({error}). {SHARD_REMEDY}"
            ) from error
        return cast("npt.NDArray[np.float32]", samples)

    def flac(self, record: Record) -> bytes:
        """Return the encoded audio of a record: mono 16-bit FLAC at 16 kHz."""
        group, row = divmod(record._row, ROWS_IN_GROUP)
        key = (record._shard, group)
        encoded = self._cache.get(key)
        if encoded is None:
            encoded = self._read_audio(record._shard, group)
            self._cache[key] = encoded
            self._cached_bytes += sum(map(len, encoded))
            while self._cached_bytes > self._cache_bytes and len(self._cache) > 1:
                _, dropped = self._cache.popitem(last=False)
                self._cached_bytes -= sum(map(len, dropped))
        else:
            self._cache.move_to_end(key)
        return encoded[row]

    @property
    def cached_bytes(self) -> int:
        """Size of the encoded audio in memory."""
        return self._cached_bytes

    def _read(self, index: int) -> list[Record]:
        with self._open_shard(index) as shard:
            columns = [name for name in METADATA if name in shard.schema_arrow.names]
            table = shard.read(columns=columns, use_threads=False)
            rows: list[dict[str, Any]] = table.to_pylist()
            return [Record(**values, _shard=index, _row=row) for row, values in enumerate(rows)]

    def _read_audio(self, index: int, group: int) -> list[bytes]:
        with self._open_shard(index) as shard:
            table = shard.read_row_group(group, columns=["audio"], use_threads=False)
            return cast("list[bytes]", table.column("audio").to_pylist())

    def _open_shard(self, index: int) -> AbstractContextManager[Any]:
        """Open a shard; done each time, so that a forked process shares no file position."""
        return open_shard(self.folder / self.card.shards[index].file)

    def __len__(self) -> int:
        return self.card.taken

    def __getstate__(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "_cache": OrderedDict(),
            "_cached_bytes": 0,
        }
