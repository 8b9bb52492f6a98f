"""Files of AI-Hub corpora: labels here, recordings there, in folders of the same names.

Training/라벨링데이터/[라벨]1.AI챗봇/노인남여_…_51/노인남여_…_51_00001.json
Training/원천데이터/[원천]1.AI챗봇/노인남여_…_51/노인남여_…_51_00001.wav
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from soritune.sources.folders import walk

LABEL = ".json"
TEXT = frozenset({".txt"})
AUDIO = frozenset({".wav", ".pcm", ".raw", ".flac", ".mp3", ".ogg", ".opus"})
MANY = 200
"""With more folders than this, a recording is not looked for in all of them."""
LONG_NAME = 10
"""Shorter names (0001) occur in every session; one of another session must not be taken."""
LISTINGS = 256
"""Listings of folders that are kept."""
PART = re.compile(r"(?<![a-z])(training|train|validation|valid|test)(?![a-z])", re.IGNORECASE)
PARTS = {"train": "train", "training": "train", "valid": "validation", "test": "test"}


class Finder:
    """Finds the files that labels name, below a folder; holds the folders, not the files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.has_parts = False
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        self._folders: list[Path] = []
        for folder, files in walk(root):
            self.has_parts = self.has_parts or part_of(folder.relative_to(root)) is not None
            if any(Path(name).suffix.lower() in AUDIO | TEXT for name in files):
                self._by_name[_key(folder.name)].append(folder)
                self._folders.append(folder)
        self._listings: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: str, label: Path, suffixes: frozenset[str]) -> list[Path]:
        """Return the file `name` (with or without folders and suffix) of the label in the file
        `label`.

        In a folder of the name before it; beside the label; in a folder of the name
        of the label's; or, for a long name without folders, anywhere. Always in the same part
        (Training, Validation) as the label. Where several are left they are all returned: which
        one is meant is then unknown. Nothing outside the folder is ever found.
        """
        wanted = PurePosixPath(name.replace("\\", "/").strip())
        above = label.parent.relative_to(self.root).parts
        named = self._by_name.get(_key(wanted.parent.name), ())
        mirrored = self._by_name.get(_key(label.parent.name), ())
        unmistakable = wanted.parent.name == "" and len(_stem(wanted.name)) >= LONG_NAME
        everywhere = self._folders if unmistakable and len(self._folders) <= MANY else ()
        part = part_of(label.parent.relative_to(self.root))
        tiers: list[tuple[Iterable[Path], Callable[[Path], int]]] = [
            (named, lambda folder: _common_end(folder.parts, wanted.parts[:-1])),
            ([label.parent], lambda folder: 0),
            (mirrored, lambda folder: _common_start(folder.relative_to(self.root).parts, above)),
            (everywhere, lambda folder: 0),
        ]
        for folders, likeness in tiers:
            found = [
                (likeness(folder), path)
                for folder in folders
                if len({part, part_of(folder.relative_to(self.root))} - {None}) <= 1
                for path in self._in(folder, wanted, suffixes)
            ]
            if found:
                best = max(score for score, _ in found)
                return [path for score, path in found if score == best]
        return []

    def _in(self, folder: Path, wanted: PurePosixPath, suffixes: frozenset[str]) -> list[Path]:
        names = self._names(folder).get(_key(_stem(wanted.name)), [])
        usable = [name for name in names if Path(name).suffix.lower() in suffixes]
        exact = [name for name in usable if _key(name) == _key(wanted.name)]
        return [folder / name for name in (exact or usable)[:1]]

    def _names(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._listings:
            if len(self._listings) == LISTINGS:
                del self._listings[next(iter(self._listings))]
            self._listings[folder] = _listing(folder)
        return self._listings[folder]


def label_files(root: Path) -> Iterator[Path]:
    """Yield all JSON files below `root`, in an order that never changes."""
    for folder, files in walk(root):
        yield from (folder / name for name in files if name.lower().endswith(LABEL))


def part_of(path: Path) -> str | None:
    """train, validation or test: what the folders of a path (relative, no file) say."""
    for name in reversed(path.parts):
        match = PART.search(name)
        if match:
            return PARTS.get(match[1].lower(), "validation")
    return None


def describe(root: Path) -> str:
    """Return text that changes when a label or a text does, or when recordings come or go."""
    digest = hashlib.sha256()
    for folder, files in walk(root):
        place = folder.relative_to(root).as_posix()
        digest.update(f"{place} {folder.stat().st_mtime_ns}".encode("utf-8", "backslashreplace"))
        for name in files:
            if name.lower().endswith((LABEL, *TEXT)):
                stat = (folder / name).stat()
                line = f"{name} {stat.st_size} {stat.st_mtime_ns}"
                digest.update(line.encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _listing(folder: Path) -> dict[str, list[str]]:
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(os.listdir(folder)):
        names[_key(_stem(name))].append(name)
    return names


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in AUDIO | TEXT else name


def _key(name: str) -> str:
    """Archives bring names in decomposed jamo (NFD) and suffixes in capitals."""
    return unicodedata.normalize("NFC", name).casefold()


def _common_start(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    number = 0
    for a, b in zip(one, other, strict=False):
        if _key(a) != _key(b):
            break
        number += 1
    return number


def _common_end(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    return _common_start(one[::-1], other[::-1])
