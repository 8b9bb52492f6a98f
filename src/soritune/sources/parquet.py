"""Parquet files of data sets whose column `audio` holds encoded files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from soritune.errors import UserError
from soritune.files import open_regular
from soritune.sources.limits import LIFTED_BY, lifted

BATCH_ROWS = 50
MAX_PACKED = 100
MAX_UNPACKED_BYTES = 2**24
"""A column that is larger in memory, and a hundredth of that in the file, holds no speech: sound
does not shrink, and transcripts shrink to a tenth."""


def read_rows(
    path: Path, required: Set[str], optional: Set[str], origin: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield rows with their numbers from 1; a column of `optional` that the file lacks is left out.

    `origin` names the data set that is expected. Raises UserError: no Parquet, a damaged file,
    a column of `required` that is not there.
    """
    with _open(path, required, origin) as file:
        columns = [name for name in file.schema_arrow.names if name in required | optional]
        yield from _iterate(file, columns, path)


def column_types(path: Path) -> dict[str, Any]:
    """Return names of the columns with their Arrow types. Raises UserError: no Parquet."""
    with _open(path, frozenset(), "") as file:
        return {field.name: field.type for field in file.schema_arrow}


def read_columns(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield rows with their numbers from 1, of columns or parts of one (`audio.path`), all there.

    Raises UserError: no Parquet, a damaged file.
    """
    with _open(path, frozenset(), "") as file:
        yield from _iterate(file, columns, path)


def _iterate(file: Any, columns: Sequence[str], path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: damaged after row {number} ({error}); download it again"
        ) from error


def num_rows(path: Path, required: Set[str], origin: str) -> int:
    """Return rows of a file, from its footer. Raises UserError like `read_rows`."""
    with _open(path, required, origin) as file:
        return int(file.metadata.num_rows)


def audio_of(row: dict[str, Any], folder: Path) -> bytes | Path | None:
    """Return the encoded audio of a row: its bytes, or a file below `folder`; None if there is
    none.
    """
    audio = row.get("audio") or {}
    content = audio.get("bytes")
    if content is not None:
        return bytes(content)
    name = PurePosixPath(audio.get("path") or "")
    if not name.name or name.is_absolute() or ".." in name.parts:
        return None
    return folder / name


def describe_files(files: Iterable[Path], folder: Path) -> str:
    """Return names and sizes: text that changes when files do."""
    return "; ".join(
        f"{path.relative_to(folder).as_posix()} {path.stat().st_size}" for path in files
    )


def check_packing(path: Path) -> None:
    """Raise UserError for a Parquet file of which a part would fill the memory.

    One that cannot be read is left to its reader.
    """
    import pyarrow.parquet as pq

    if path.is_file():
        with suppress(OSError, ValueError):
            _check_packing(pq.read_metadata(path), path)


def _check_packing(metadata: Any, path: Path) -> None:
    limit = lifted(MAX_UNPACKED_BYTES)
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            unpacked, packed = column.total_uncompressed_size, column.total_compressed_size
            if unpacked > limit and unpacked > MAX_PACKED * packed:
                raise UserError(
                    f"{path}: {column.path_in_schema} takes {packed:,} bytes in the file and "
                    f"{unpacked:,} in memory, as no recordings do; {LIFTED_BY}"
                )


def _open(path: Path, required: Set[str], origin: str) -> Any:
    import pyarrow.parquet as pq

    try:
        open_regular(path).close()
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: no Parquet file that can be read ({error}); download it again"
        ) from error
    try:
        _check_packing(file.metadata, path)
    except UserError:
        file.close()
        raise
    lacking = required - set(file.schema_arrow.names)
    if lacking:
        file.close()
        raise UserError(
            f"{path}: lacks the columns {', '.join(sorted(lacking))}; is it from {origin}?"
        )
    return file
