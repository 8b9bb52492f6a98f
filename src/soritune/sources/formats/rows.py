"""Recordings that a list names, whatever its form: placed in splits, counted, and recognised."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from soritune.errors import UserError
from soritune.sources.formats.division import DividedSource, Unplaced, divide
from soritune.sources.formats.fields import SPLITS, Said
from soritune.utterance import Excerpt, Rejected, Split, Utterance


@dataclass(frozen=True)
class Row:
    """A recording that `where` names.

    `audio` is None where there is none, and for bytes in a Parquet file in a pass that leaves
    them there. `split` is as it stands in the list, None where that says nothing.
    """

    where: str
    said: Said
    audio: Path | bytes | Excerpt | None
    split: str | None = None


Read = Callable[[], Iterator[Row | Rejected]]
Entry = Utterance | Rejected


def place(read: Read, survey: Read, source: DividedSource, name: str) -> Iterator[Entry]:
    """The utterances of a list in its order, and what is none as `Rejected`.

    `survey` gives the same rows as `read` and may leave audio out. If a row names a split, all
    must; if none does, they are divided as `source` says. Raises UserError (which `name` begins)
    where they cannot be.
    """
    division = _division(survey, source, name)
    left = None if division is None else iter(division)
    for row in read():
        if isinstance(row, Rejected):
            yield row
            continue
        try:
            split = _given(row) if left is None else next(left)
        except StopIteration:
            raise UserError(f"{name}: changed while it was read; start again") from None
        if isinstance(split, Unplaced):
            if not _is_valid(row.said.text):  # of which no letter is left to divide by
                split = Unplaced("bad-text", "text that is not valid UTF-8")
            yield Rejected(row.said.id, split.reason, split.detail, row.where)
        elif row.audio is None:
            yield Rejected(row.said.id, "missing", "the row has no audio", row.where)
        else:
            yield row.said.utterance(row.audio, split)


def count_of(survey: Read) -> int:
    """Number of entries."""
    return sum(1 for _ in survey())


def identity_of(survey: Read) -> str:
    """A digest of the rows and of the size and time of each recording that they name."""
    digest = hashlib.sha256()
    last: Path | None = None
    for row in survey():
        digest.update(repr(row).encode("utf-8", "backslashreplace"))
        if isinstance(row, Rejected):
            continue
        path = row.audio.path if isinstance(row.audio, Excerpt) else row.audio
        if isinstance(path, Path) and path != last:  # parts of a file stand together
            digest.update(file_state(path))
            last = path
    return digest.hexdigest()


def file_state(path: Path) -> bytes:
    """Size and time of a file, b"" where there is none."""
    try:
        stat = path.stat()
    except (OSError, ValueError):  # ValueError: a null byte in the path
        return b""
    return f"{stat.st_size} {stat.st_mtime_ns}".encode()


def split_folders(
    root: Path, splits: Mapping[Split, str] | None, what: str
) -> list[tuple[Path, Split | None]]:
    """The folders to read with the split of each; the root alone, undivided, without `splits`.

    `what` begins the message (the source). Raises UserError: a folder that is not there, one
    that stands in two splits.
    """
    if not root.is_dir():
        raise UserError(f"{what}: there is no folder {root}; mend path in the recipe")
    if splits is None:
        return [(root, None)]
    found: list[tuple[Path, Split | None]] = []
    for split, name in splits.items():
        folder = root / name
        if not folder.is_dir():
            raise UserError(f"{what}: there is no folder {folder}; mend splits in the recipe")
        real = folder.resolve()
        for other, of_other in found:
            if real.is_relative_to(other.resolve()) or other.resolve().is_relative_to(real):
                raise UserError(
                    f"{what}: {name} stands in splits as {of_other} and as {split}; what is "
                    f"tested must not be trained on, so give it to one"
                )
        found.append((folder, split))
    return found


def _division(survey: Read, source: DividedSource, name: str) -> list[Split | Unplaced] | None:
    """The split of each row; None where the list itself names splits."""
    said: list[tuple[str | None, str]] = []
    for row in survey():
        if isinstance(row, Rejected):
            continue
        if row.split is not None:
            return None
        said.append((row.said.speaker, row.said.text))
    return divide(said, source, name)


def _is_valid(text: str) -> bool:
    """Whether all its bytes were UTF-8; others came as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _given(row: Row) -> Split | Unplaced:
    if row.split is None:
        return Unplaced("no-split", "names no split though other lines do")
    split = SPLITS.get(row.split)
    known = ", ".join(SPLITS)
    return split or Unplaced("bad-split", f"split {row.split} is none of {known}")
