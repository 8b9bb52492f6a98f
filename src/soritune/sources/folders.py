"""Looking through folders: in an order that never changes, through links, never in circles."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

APPLE_DOUBLE = "._"
"""Begins the names of files in which a Mac keeps what other file systems do not store."""


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield every folder from `root` down with the names of its files, all sorted.

    Linked folders are followed (large corpora lie on several disks), each place once.
    What cannot be listed is skipped.
    """
    seen = {os.path.realpath(root)}
    for folder, subfolders, files in os.walk(root, followlinks=True):
        places = {name: os.path.realpath(os.path.join(folder, name)) for name in sorted(subfolders)}
        subfolders[:] = []
        for name, place in places.items():
            if place not in seen:
                seen.add(place)
                subfolders.append(name)
        yield Path(folder), sorted(name for name in files if not name.startswith(APPLE_DOUBLE))


def find_file(path: Path) -> Path:
    """Return the path under which a file is there: as it is, or in another Unicode form.

    Names that came from a Mac are written in decomposed letters (NFD), in the list or on the disk.
    Where there is none, `path` itself.
    """
    name = str(path)
    if name.isascii():
        return path
    folder = path.parent
    parts = [path.name]
    while not _exists(folder) and folder != folder.parent:
        parts.insert(0, folder.name)
        folder = folder.parent
    for part in parts:  # folders and files may have come from different machines
        forms = dict.fromkeys(
            (part, unicodedata.normalize("NFC", part), unicodedata.normalize("NFD", part))
        )
        there = (form for form in forms if _exists(folder / form))
        folder /= next(there, part)
    return folder


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # a null byte
        return False
