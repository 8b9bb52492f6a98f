"""Ids that a recipe leaves out: `exclude` of a corpus names a list of them.

One id a line; what follows a tab is a note, which goes to the quarantine. `soritune doctor
--exclude` adds to such lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from soritune.errors import UserError
from soritune.files import read_regular
from soritune.utterance import Rejected, Utterance, same_id


def read_ids(path: Path) -> dict[str, str]:
    """Return ids of a list with their notes ("" where there is none), in the order of the lines.

    Raises UserError where it is not a list.
    """
    path = path.expanduser()
    try:
        text = read_regular(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not a list of ids, one a line ({error})") from error
    if text.lstrip().startswith("{"):
        raise UserError(
            f"{path}: is JSON, not a list of ids; one is written by: soritune doctor CORPUS "
            "--exclude CHECK"
        )
    # Not splitlines: an id may hold U+2028.
    rows = (line.rstrip("\r").partition("\t") for line in text.split("\n") if line.strip())
    return {same_id(name): note.strip() for name, _, note in rows}


def ids_identity(path: Path) -> str:
    """Return text that changes with the ids and notes, but not with their order or the path."""
    lines = sorted(f"{name}\t{note}\n" for name, note in read_ids(path).items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def leave_out(
    entries: Iterable[Utterance | Rejected], ids: Mapping[str, str], missing: list[str]
) -> Iterator[Utterance | Rejected]:
    """Yield the entries, those of `ids` as `Rejected`; at the end, ids that were not there.

    `missing` is emptied first and filled when the entries are through.
    """
    missing.clear()
    left = set(ids)
    for entry in entries:
        name = same_id(entry.id)
        left.discard(name)
        if isinstance(entry, Utterance) and name in ids:
            note = ids[name]
            detail = f"left out as asked ({note or 'it is in the list of exclude'})"
            yield Rejected(entry.id, "excluded", detail, f"split {entry.split}")
        else:
            yield entry
    missing.extend(sorted(left))
