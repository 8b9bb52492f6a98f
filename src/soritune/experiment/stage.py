"""Stages that are skipped when done, continued when interrupted, redone when inputs changed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soritune.files import write_atomically

BEGUN = "begun"
DONE = "done"


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    `stamp` is the small JSON file that says how far it is, `outputs` the files and folders that
    are there when it is done, `scratch` what it or later stages may have left besides. Both belong
    to the fingerprint in the stamp: they are removed before anything is made for another one, so
    results of two recipes never mix.
    """

    stamp: Path
    fingerprint: str
    outputs: Sequence[Path] = ()
    scratch: Sequence[Path] = ()

    def outcome(self) -> Mapping[str, Any] | None:
        """What the finished stage returned, None where it is not finished for these inputs."""
        stamp = _read(self.stamp)
        if stamp is None or stamp.get("fingerprint") != self.fingerprint:
            return None
        if stamp.get("state") != DONE or not all(path.exists() for path in self.outputs):
            return None
        outcome = stamp.get("outcome")
        return outcome if isinstance(outcome, dict) else None

    def run(self, work: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Do `work` and remember that it is done, with its outcome (JSON values).

        What an interrupted run of the same fingerprint left in the outputs is still there for
        `work` to go on from. The outcome gets `seconds`, None where earlier runs had a part in
        it and the time of the whole is not known.
        """
        stamp = _read(self.stamp)
        resumed = stamp is not None and stamp.get("fingerprint") == self.fingerprint
        if not resumed:
            # Stamp first: whatever happens next, what is half removed is not taken for whole.
            self.stamp.unlink(missing_ok=True)
            for path in (*self.outputs, *self.scratch):
                remove(path)
            self.stamp.parent.mkdir(parents=True, exist_ok=True)
        _write(self.stamp, {"fingerprint": self.fingerprint, "state": BEGUN})
        started_s = time.monotonic()
        outcome = dict(work())
        outcome["seconds"] = None if resumed else round(time.monotonic() - started_s, 3)
        _write(self.stamp, {"fingerprint": self.fingerprint, "state": DONE, "outcome": outcome})
        return outcome


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read(stamp: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(stamp.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # a stamp that cannot be read: not done
        return None
    return content if isinstance(content, dict) else None


def _write(stamp: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    write_atomically(stamp, text.encode("utf-8"))
