"""Recordings that a list names, whatever its form: placed in splits, counted, and recognised."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from soritune.errors import UserError
from soritune.sources.formats.division import DividedSource, Unusable, divide
from soritune.sources.formats.fields import SPLITS, Metadata
from soritune.utterance import Excerpt, Rejected, Split, Utterance


@dataclass(frozen=True)
class Row:
    """A recording that `where` names.

    `audio` is None where there is none, and for bytes in a Parquet file in a pass that leaves
    them there. `split` is as the list has it, None where it has none.
    """

    where: str
    metadata: Metadata
    audio: Path | bytes | Excerpt | None
    split: str | None = None


Read = Callable[[], Iterator[Row | Rejected]]
Entry = Utterance | Rejected


def assign_splits(
    read: Read, without_audio: Read, source: DividedSource, name: str
) -> Iterator[Entry]:
    """Yield the utterances of a list in its order, rows that cannot be used as `Rejected`.

    If a row names a split, all must; if none does, they are divided.

    Args:
        read: gives the rows.
        without_audio: gives the same rows, and may omit audio that is embedded in them.
        source: how rows are divided.
        name: the beginning of messages.

    Raises:
        UserError: the rows cannot be divided.
    """
    division = _division(without_audio, source, name)
    left = None if division is None else iter(division)
    for row in read():
        if isinstance(row, Rejected):
            yield row
            continue
        try:
            split = _given(row) if left is None else next(left)
        except StopIteration:
            raise UserError(f"{name}: changed while it was read; start again") from None
        if isinstance(split, Unusable):
            if not _is_valid(row.metadata.text):  # of which no letter is left to divide by
                split = Unusable("bad-text", "text that is not valid UTF-8")
            yield Rejected(row.metadata.id, split.reason, split.detail, row.where)
        elif row.audio is None:
            yield Rejected(row.metadata.id, "missing", "the row has no audio", row.where)
        else:
            yield row.metadata.utterance(row.audio, split)


def count_of(without_audio: Read) -> int:
    """Return the number of entries."""
    return sum(1 for _ in without_audio())


def identity_of(without_audio: Read) -> str:
    """Return a digest of the rows and of the size and time of each recording that they name."""
    digest = hashlib.sha256()
    last: Path | None = None
    for row in without_audio():
        digest.update(repr(row).encode("utf-8", "backslashreplace"))
        if isinstance(row, Rejected):
            continue
        if row.metadata.source is not None:
            digest.update(row.metadata.source.encode("utf-8", "backslashreplace"))
        path = row.audio.path if isinstance(row.audio, Excerpt) else row.audio
        if isinstance(path, Path) and path != last:  # parts of a file follow each other
            digest.update(file_state(path))
            last = path
    return digest.hexdigest()


def file_state(path: Path) -> bytes:
    """Return size and time of a file, b"" where there is none."""
    try:
        stat = path.stat()
    except (OSError, ValueError):  # ValueError: a null byte in the path
        return b""
    return f"{stat.st_size} {stat.st_mtime_ns}".encode()


def split_folders(
    root: Path, splits: Mapping[Split, str] | None, what: str
) -> list[tuple[Path, Split | None]]:
    """Return the folders to read with the split of each; the root alone, undivided, without
    `splits`.

    `what` begins the message (the source). Raises UserError: a folder that is not there, one
    that is in two splits.
    """
    if not root.is_dir():
        raise UserError(f"{what}: there is no folder {root}; fix path in the recipe")
    if splits is None:
        return [(root, None)]
    found: list[tuple[Path, Split | None]] = []
    for split, name in splits.items():
        folder = root / name
        if not folder.is_dir():
            raise UserError(f"{what}: there is no folder {folder}; fix splits in the recipe")
        real = folder.resolve()
        for other, of_other in found:
            if real.is_relative_to(other.resolve()) or other.resolve().is_relative_to(real):
                raise UserError(
                    f"{what}: {name} is in splits as {of_other} and as {split}; what is "
                    f"tested must not be trained on, so give it to one"
                )
        found.append((folder, split))
    return found


def _division(
    without_audio: Read, source: DividedSource, name: str
) -> list[Split | Unusable] | None:
    """Return the split of each row; None where the list itself names splits.

    Raises UserError where a split has a name that is not known, and train or test would be empty
    for it.
    """
    spoken: list[tuple[str | None, str]] = []
    given: Counter[str] = Counter()
    for row in without_audio():
        if isinstance(row, Rejected):
            continue
        if row.split is not None:
            given[row.split] += 1
        spoken.append((row.metadata.speaker, row.metadata.text))
    if not given:
        return divide(spoken, source, name)
    known = {SPLITS[split] for split in given if split in SPLITS}
    # One row is a slip of the pen, for the quarantine; several are a name.
    unknown = {s: number for s, number in given.items() if s not in SPLITS and number > 1}
    if unknown and not {"train", "test"} <= known:
        words = ", ".join(f'"{split}" ({number:,} rows)' for split, number in unknown.items())
        raise UserError(
            f"{name}: the column split says {words}, which is none of {', '.join(SPLITS)}. "
            f"Write train, dev or test there"
        )
    return None


def _is_valid(text: str) -> bool:
    """Return whether all its bytes were UTF-8; others came as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _given(row: Row) -> Split | Unusable:
    if row.split is None:
        return Unusable("no-split", "names no split though other lines do")
    split = SPLITS.get(row.split)
    known = ", ".join(SPLITS)
    return split or Unusable("bad-split", f"split {row.split} is none of {known}")
