"""Findings as lists of ids that a recipe's `exclude` takes, one list for each corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soritune.doctor.catalogue import CHECKS
from soritune.doctor.findings import Audit
from soritune.errors import UserError, nearest
from soritune.files import write_atomically
from soritune.sources.exclude import read_ids


@dataclass(frozen=True)
class AddedTo:
    """A list to which `added` ids were added, so that it has `total` now."""

    path: Path
    added: int
    total: int


def check_names(checks: Sequence[str]) -> None:
    """Raise UserError where leaving utterances out is nothing that fixes a check."""
    possible = [name for name, check in CHECKS.items() if check.can_be_left_out]
    for check in checks:
        if check not in possible:
            known = check in CHECKS
            about = f"is fixed otherwise: {CHECKS[check].fix}" if known else "is not a check"
            hint = f"; these can be left out: {', '.join(possible)}"
            raise UserError(f"--exclude {check}: {about}{nearest(check, possible)}{hint}")


def add_to_lists(audit: Audit, checks: Sequence[str], folder: Path) -> list[AddedTo]:
    """Add the ids of what `checks` found to `folder/CORPUS.txt`; what is there stays.

    So an audit of the corpus that is prepared without them does not bring them back. The name of
    the check goes behind each id. Raises UserError where two corpora have one name, or a list
    cannot be written.
    """
    wanted: dict[str, dict[str, str]] = {}
    for finding in audit.findings:
        if finding.check in checks:
            for corpus, ids in (finding.leave_out or {finding.corpus: finding.ids}).items():
                notes = wanted.setdefault(corpus, {})
                for name in ids:
                    notes.setdefault(name, finding.check)
    lists = []
    for corpus, notes in wanted.items():
        if Path(corpus).name != corpus:
            raise UserError(f"{corpus}: another corpus has its name; write their lists one by one")
        path = folder / f"{corpus}.txt"
        there = read_ids(path) if path.exists() else {}
        merged = {**notes, **there}
        lines = [name + (f"\t{note}" if note else "") for name, note in {**there, **merged}.items()]
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
        lists.append(AddedTo(path, len(merged) - len(there), len(merged)))
    return lists
