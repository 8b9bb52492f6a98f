"""A shard of a corpus: Parquet that is written a group of rows at a time, and its checksum."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from soritune.audio import SAMPLE_RATE_HZ
from soritune.errors import UserError
from soritune.utterance import Utterance

ROWS_IN_GROUP = 25
"""Rows that are written and read together: about 2 MB, so that reading at random costs little."""


SHARD_REMEDY = "Remove it and run: soritune prepare RECIPE"


@contextmanager
def open_shard(path: Path) -> Iterator[Any]:
    """Open a shard as a `ParquetFile` for the block.

    Raises UserError for whatever goes wrong in the shard while it is read.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True) as shard:
            yield shard
    except (OSError, ValueError, TypeError, LookupError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read ({reason}). {SHARD_REMEDY}") from error


def is_shard(path: Path) -> bool:
    """Return whether a file is a shard that soritune wrote; what cannot be read counts as one."""
    if not path.is_file():
        return False
    import pyarrow.parquet as pq

    try:
        return {"id", "split", "duration_s", "audio"} <= set(pq.read_schema(path).names)
    except (OSError, ValueError):
        return True


@dataclass(frozen=True)
class Taken:
    """An utterance that passed every check, and its audio as the corpus keeps it."""

    utterance: Utterance
    num_samples: int
    flac: bytes

    @property
    def checksum(self) -> str:
        """128 bits of a checksum of the whole row, the audio as it is kept; 32 hex digits."""
        given = {name: value for name, value in vars(self.utterance).items() if value is not None}
        digest = hashlib.sha256(json.dumps({**given, "audio": ""}, sort_keys=True).encode())
        digest.update(self.flac)
        return digest.hexdigest()[:32]


class ShardWriter:
    """Writes rows into `file` as they come, and holds no more than a group of them.

    A shard without a row is an empty file, which is not Parquet. `with_sources` adds a column for
    where utterances are from, which shards without any do not have.
    """

    def __init__(self, file: BinaryIO, *, with_sources: bool = False) -> None:
        self._with_sources = with_sources
        self.num_rows = 0
        self._file = _SummedFile(file)
        self._rows: list[Taken] = []
        self._writer: Any = None

    def add(self, row: Taken) -> None:
        """Add a row."""
        self.num_rows += 1
        self._rows.append(row)
        if len(self._rows) == ROWS_IN_GROUP:
            self._write()

    def close(self) -> None:
        """Write what is left and the end of the file."""
        if self._rows:
            self._write()
        if self._writer is not None:
            self._writer.close()

    @property
    def num_bytes(self) -> int:
        """Size of what was written."""
        return self._file.tell()

    @property
    def sha256(self) -> str:
        """Checksum of what was written."""
        return self._file.digest.hexdigest()

    def _write(self) -> None:
        import pyarrow.parquet as pq

        table = _table(self._rows, with_sources=self._with_sources)
        if self._writer is None:
            # FLAC does not compress further; without compression a reader takes the bytes as
            # they are.
            self._writer = pq.ParquetWriter(
                self._file,
                table.schema,
                compression="none",
                use_dictionary=False,
                write_statistics=False,
            )
        self._writer.write_table(table)
        self._rows.clear()


class _SummedFile(io.RawIOBase):
    """Writes into a file, and computes size and checksum."""

    def __init__(self, file: BinaryIO) -> None:
        self.digest = hashlib.sha256()
        self._file = file
        self._num_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.digest.update(content)
        self._file.write(content)
        num_bytes = memoryview(content).nbytes
        self._num_bytes += num_bytes
        return num_bytes

    def tell(self) -> int:
        return self._num_bytes


def _table(rows: list[Taken], *, with_sources: bool) -> Any:
    import pyarrow as pa

    utterances = [row.utterance for row in rows]
    text = pa.string()
    sources = {"source": pa.array([u.source for u in utterances], text)} if with_sources else {}
    return pa.table(
        {
            "id": pa.array([u.id for u in utterances], text),
            "text": pa.array([u.text for u in utterances], text),
            "language": pa.array([u.language for u in utterances], text),
            "translation": pa.array([u.translation for u in utterances], text),
            "translation_language": pa.array([u.translation_language for u in utterances], text),
            "speaker": pa.array([u.speaker for u in utterances], text),
            **sources,
            "split": pa.array([u.split for u in utterances], text),
            "duration_s": pa.array([r.num_samples / SAMPLE_RATE_HZ for r in rows], pa.float64()),
            "audio": pa.array([row.flac for row in rows], pa.binary()),
        }
    )
