"""Sound files that a recipe names: found in a fixed order, identified by name and size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from soritune.errors import UserError

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")


def sound_files(paths: str | Sequence[str]) -> list[str]:
    """Return files and those in folders in the order of their names, the same on any system.

    Raises UserError where a path is not there.
    """
    found: list[str] = []
    for each in [paths] if isinstance(paths, str) else paths:
        path = Path(each).expanduser()
        if path.is_file():
            found.append(str(path))
        elif path.is_dir():
            found.extend(str(p) for p in sorted(_inside(path)))
        else:
            raise UserError(f"{each}: no such file or folder; it is named under augment")
    return found


def has_sound_files(given: str) -> bool:
    """Return whether a path is a file, or a folder with sound; a pipe or a device is neither."""
    path = Path(given).expanduser()
    return path.is_file() or any(True for _ in _inside(path))


def _inside(folder: Path) -> Iterator[Path]:
    return (p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def files_identity(paths: Sequence[str]) -> str:
    """Return text that changes when a file is added, removed, renamed or gets another size."""
    lines = []
    for each in paths:
        top = Path(each).expanduser()
        for name in sound_files(each):
            path = Path(name)
            inside = path.relative_to(top) if top.is_dir() else Path(path.name)
            lines.append(f"{inside} {path.stat().st_size}")
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()
