"""Stages that are skipped when done, continued when interrupted, redone when inputs changed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from soritune.experiment.differences import differences
from soritune.files import file_sha256, json_sha256, read_regular, remove_files, write_atomically

OutcomeT = TypeVar("OutcomeT")
EARLIER_STAMP = "settings, data or this version changed; the earlier stamp does not say which"


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Return what reads and writes records of a kind; making it takes longer than its work."""
    return TypeAdapter(kind)


@dataclass(frozen=True)
class Done(Generic[OutcomeT]):
    """A finished stage.

    Attributes:
        seconds: that its work took; None where an interruption makes that unknown.
    """

    outcome: OutcomeT
    seconds: float | None


class _Stamp(BaseModel):
    """The file that says how far a stage is.

    Attributes:
        inputs: what the fingerprint was made of, for the words of a later redo; None in stamps of
            earlier versions.
        files: checksums of outputs, by name; None in stamps of earlier versions.
        checksum: of all the rest, so that no damage of the file goes unseen.
    """

    model_config = ConfigDict(extra="forbid")

    fingerprint: str
    state: Literal["begun", "done"]
    seconds: float | None = None
    outcome: object = None
    inputs: dict[str, Any] | None = None
    files: dict[str, str] | None = None
    checksum: str | None = None

    def computed_checksum(self) -> str:
        """Return the checksum. Raises ValueError where a number is not finite."""
        return json_sha256(self.content())

    def content(self) -> dict[str, Any]:
        """Return all but the checksum; stamps of earlier versions have no inputs and files."""
        content = self.model_dump(exclude={"checksum"})
        for key in ("inputs", "files"):
            if content[key] is None:
                del content[key]
        return content


@dataclass(frozen=True)
class Stage(Generic[OutcomeT]):
    """One stage of a run.

    Outputs and scratch belong to the fingerprint in the stamp: they are removed before anything is
    made for another one, so results of two recipes never mix. A user's own files among them stay.

    Attributes:
        stamp: small JSON file that says how far the stage is.
        fingerprint: of all that the result depends on.
        kind: type of the outcome, a record that is valid JSON.
        outputs: files and folders that exist when it is done.
        checked: files among the outputs whose content the stamp vouches for.
        scratch: files, below the folder of the stamp, that are in folders among the outputs, or
            that it or later stages may leave besides.
        inputs: JSON values that the fingerprint stands for, shortened; they say why a stage is
            done again.
    """

    stamp: Path
    fingerprint: str
    kind: type[OutcomeT]
    outputs: Sequence[Path] = ()
    checked: Sequence[Path] = ()
    scratch: Iterable[Path] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def done(self) -> Done[OutcomeT] | None:
        """Return the finished stage, None where it is not finished for these inputs."""
        stamp = self._read()
        if stamp is None or stamp.state != "done":
            return None
        if not all(path.exists() for path in self.outputs) or self._changed(stamp):
            return None
        try:
            return Done(self._adapter.validate_python(stamp.outcome), stamp.seconds)
        except ValidationError:
            return None

    def why(self) -> list[str]:
        """Return why the stage is to be done again; empty where it is done, or never was."""
        stamp = self._read_any()
        if stamp is None:
            return []
        if stamp.fingerprint == self.fingerprint:
            if stamp.state != "done":
                return []
            lost = [path.name for path in self.outputs if not path.exists()]
            changed = [name for name in self._changed(stamp) if name not in lost]
            return [
                *([f"{', '.join(lost)} missing"] if lost else []),
                *([f"{', '.join(changed)} changed after it was written"] if changed else []),
            ]
        if stamp.inputs is None:
            return [EARLIER_STAMP]
        return differences(stamp.inputs, self.inputs) or [EARLIER_STAMP]

    def outdated(self) -> tuple[str, OutcomeT] | None:
        """Return fingerprint and outcome of a finished stage of other inputs."""
        stamp = self._read_any()
        if stamp is None or stamp.state != "done" or stamp.fingerprint == self.fingerprint:
            return None
        try:
            return stamp.fingerprint, self._adapter.validate_python(stamp.outcome)
        except ValidationError:
            return None

    def restamp(self, old: Stage[OutcomeT]) -> None:
        """Take over what the `old` stage has done in the same files: nothing else differs."""
        stamp = old._read()
        if stamp is not None:
            self._write(
                stamp.model_copy(
                    update={"fingerprint": self.fingerprint, "inputs": dict(self.inputs)}
                )
            )

    def run(self, work: Callable[[], OutcomeT]) -> Done[OutcomeT]:
        """Do `work` and record that it is done, with its outcome.

        What an interrupted run of the same fingerprint left in the outputs is still there for
        `work` to continue from.
        """
        before = self._read()
        resumed = before is not None and not self._changed(before)
        if not resumed:
            # Stamp first: after a kill, half-removed outputs do not count as finished.
            remove_files([self.stamp, *self.scratch, *self.outputs], self.stamp.parent)
            self.stamp.parent.mkdir(parents=True, exist_ok=True)
        inputs = dict(self.inputs) or None
        self._write(_Stamp(fingerprint=self.fingerprint, state="begun", inputs=inputs))
        started_s = time.monotonic()
        outcome = work()
        seconds = None if resumed else round(time.monotonic() - started_s, 3)
        self._write(
            _Stamp(
                fingerprint=self.fingerprint,
                state="done",
                seconds=seconds,
                outcome=self._adapter.dump_python(outcome, mode="json"),
                inputs=inputs,
                files={path.name: file_sha256(path) for path in self.checked} or None,
            )
        )
        return Done(outcome, seconds)

    def _changed(self, stamp: _Stamp) -> list[str]:
        """Return the names of checked files that are not as they were when it was done."""
        known = stamp.files or {}
        return [
            path.name
            for path in self.checked
            if path.name in known and not (path.is_file() and file_sha256(path) == known[path.name])
        ]

    @property
    def _adapter(self) -> TypeAdapter[OutcomeT]:
        kind: Any = self.kind
        return _adapter(kind)

    def _read(self) -> _Stamp | None:
        """Return the stamp of this fingerprint; None where there is none that can be read."""
        stamp = self._read_any()
        return stamp if stamp is not None and stamp.fingerprint == self.fingerprint else None

    def _read_any(self) -> _Stamp | None:
        """Return the stamp of any fingerprint; None where there is none that can be read."""
        try:
            stamp = _Stamp.model_validate_json(read_regular(self.stamp))
            checksum = stamp.computed_checksum()
        except (OSError, ValueError, RecursionError):
            return None
        return stamp if stamp.checksum in (checksum, None) else None

    def _write(self, stamp: _Stamp) -> None:
        stamp.checksum = stamp.computed_checksum()
        content = {**stamp.content(), "checksum": stamp.checksum}
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        write_atomically(self.stamp, text.encode())
