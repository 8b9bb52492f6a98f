"""What is to be transcribed: files, folders of recordings, and lists of recordings or parts."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, NonNegativeFloat, PositiveFloat, TypeAdapter, ValidationError

from soritune.errors import UserError
from soritune.files import read_regular
from soritune.utterance import Excerpt

_SUFFIXES = """
.aac .aif .aiff .amr .au .avi .caf .flac .flv .m4a .m4b .m4v .mka .mkv .mov .mp2 .mp3 .mp4 .mpg
.oga .ogg .opus .ts .w64 .wav .webm .wma .wmv
"""
SUFFIXES = frozenset(_SUFFIXES.split())
"""Of recordings in a folder; a file that is named itself may have any."""


@dataclass(frozen=True)
class Input:
    """A recording or a part of one.

    Attributes:
        place: path of its results within an output folder, without their suffix.
    """

    source: Path | Excerpt
    place: Path

    @property
    def path(self) -> Path:
        """The file that is read."""
        return self.source.path if isinstance(self.source, Excerpt) else self.source

    @property
    def stamp(self) -> str:
        """Size and time of the file, "" where it is missing: a changed file is read again."""
        try:
            status = self.path.stat()
        except (OSError, ValueError):
            return ""
        return f"{status.st_size}-{status.st_mtime_ns}"


@dataclass(frozen=True)
class _Entry:
    """A line of a list; a part begins at `start_s` and lasts `duration_s`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="ignore")

    audio: str
    start_s: NonNegativeFloat | None = None
    duration_s: PositiveFloat | None = None


_ENTRY = TypeAdapter(_Entry)


def find_inputs(given: Sequence[Path], lists: Sequence[Path] = ()) -> list[Input]:
    """Return what files, folders and lists name; their order is kept, each recording stands once.

    A list has a path a line, or JSON lines with `audio` and, for a part, `start_s` and
    `duration_s`; paths are relative to its folder. Files that are missing fail when they are read.

    Raises:
        UserError: a list cannot be read, a folder has no recording, or there is nothing at all.
    """
    found: dict[Path | Excerpt, Input] = {}
    for path in given:
        for source, place in _folder(path) if path.is_dir() else [(path, Path(path.name))]:
            found.setdefault(source, Input(source, place))
    for path in lists:
        for part in _list(path):
            found.setdefault(part, Input(part, _place(part, path.parent)))
    if not found:
        raise UserError("nothing to transcribe: give files, folders, or --list FILE")
    return _apart(list(found.values()))


def _folder(folder: Path) -> Iterator[tuple[Path, Path]]:
    empty = True
    for parent, folders, names in os.walk(folder):
        folders.sort()
        here = Path(parent)
        inside = here.relative_to(folder)
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith("."):
                empty = False
                yield here / name, inside / name
    if empty:
        raise UserError(
            f"{folder}: has no recordings ({' '.join(sorted(SUFFIXES))}). Give another folder, or "
            "the files themselves"
        )


def _list(path: Path) -> Iterator[Path | Excerpt]:
    try:
        text = read_regular(path).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(f"--list {path}: cannot be read ({error}). Give a text file") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if not line.lstrip().startswith("{"):
            yield path.parent / line.strip()
            continue
        try:
            entry = _ENTRY.validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "line"
            raise UserError(
                f'{path}:{number}: {where}: {first["msg"]}. A line is a path, or like {{"audio": '
                f'"a.wav", "start_s": 1.5, "duration_s": 4}}'
            ) from None
        file = path.parent / entry.audio
        if entry.start_s is None and entry.duration_s is None:
            yield file
        else:
            yield Excerpt(file, entry.start_s or 0.0, entry.duration_s)


def _place(source: Path | Excerpt, folder: Path) -> Path:
    path = source.path if isinstance(source, Excerpt) else source
    inside = path.relative_to(folder)
    place = Path(path.name) if inside.is_absolute() or ".." in inside.parts else inside
    if isinstance(source, Excerpt):
        end = "" if source.duration_s is None else f"-{source.start_s + source.duration_s:.3f}"
        return place.with_name(f"{place.stem}_{source.start_s:.3f}{end}{place.suffix}")
    return place


def _apart(inputs: list[Input]) -> list[Input]:
    """Return inputs whose results never share a file: a.wav and a.mp3 keep their suffixes."""
    bare = [each.place.with_suffix("") for each in inputs]
    stems = Counter(bare)
    placed = [
        each if stems[place] > 1 else Input(each.source, place)
        for each, place in zip(inputs, bare, strict=True)
    ]
    taken: dict[Path, Input] = {}
    for each in placed:
        other = taken.setdefault(each.place, each)
        if other is not each:
            raise UserError(
                f"{other.source} and {each.source} would both be written to {each.place}; "
                "transcribe them into different folders"
            )
    return placed


def counted(inputs: Sequence[Input]) -> Callable[[], float | None]:
    """Return what tells how long all recordings are: None until their headers have been read.

    They are read beside the work, since those of 100,000 files take half a minute.
    """
    total_s: list[float | None] = []
    threading.Thread(target=lambda: total_s.append(_total_s(inputs)), daemon=True).start()
    return lambda: total_s[0] if total_s else None


def _total_s(inputs: Sequence[Input]) -> float | None:
    """Return how long all recordings are, by their headers; None where one does not say."""
    import soundfile

    seconds = 0.0
    for each in inputs:
        if isinstance(each.source, Excerpt) and each.source.duration_s is not None:
            seconds += each.source.duration_s
            continue
        try:
            if not each.path.is_file():
                continue  # fails when it is read
            seconds += soundfile.info(each.path).duration
        except (soundfile.SoundFileError, OSError, ValueError):
            return None
    return seconds
