"""Looking through folders: in an order that never changes, through links, never in circles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


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
        yield Path(folder), sorted(files)
