"""A transcription job on disk: one JSON line a recording, and a file for each where wanted.

What stands in the file is done: a job that was killed goes on after it, and nothing stands twice.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from soritune.decoding.formats import Format, shown
from soritune.decoding.inputs import Input
from soritune.decoding.records import Transcript
from soritune.errors import UserError
from soritune.files import NO_LOCKS, open_to_append, storage_error, write_atomically

RESULTS_FILE = "results.jsonl"


@dataclass(frozen=True)
class _Line:
    """A transcript, and the state of the file that it was made of (`Input.stamp`)."""

    stamp: str
    transcript: Transcript


_LINE = TypeAdapter(_Line)


class ResultFile:
    """A line of settings, then one for each transcript; only appended to, by one process.

    Attributes:
        done: transcripts by file and stamp.

    Raises:
        UserError: the file is of other settings, in use, not ours, or cannot be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.done: dict[tuple[str, str], Transcript] = {}
        head = _encoded({"settings": settings})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open_to_append(path)
            self._lock()
            self._file.seek(0)
            content = self._file.read()
            whole = content[: content.rfind(b"\n") + 1]  # what follows was cut short by a kill
            if not whole:
                self._file.truncate(0)
                self._write(head)
                return
            self._file.truncate(len(whole))
        except OSError as error:
            raise storage_error(error, path.parent) from error
        first, *lines = whole.splitlines(keepends=True)
        if first != head:
            self._file.close()
            raise UserError(
                f"{path}: holds results of another model or of other options. Choose another "
                "--out, or remove it to begin again"
            )
        for line in lines:
            try:
                found = _LINE.validate_python(json.loads(line))
            except (ValueError, ValidationError):
                continue  # damaged: done again
            self.done[found.transcript.file, found.stamp] = found.transcript

    def add(self, stamp: str, transcript: Transcript) -> None:
        """Append a transcript; once this returns, a kill does not take it back."""
        line = _encoded({"stamp": stamp, "transcript": asdict(transcript)})
        try:
            self._write(line)
        except OSError as error:
            raise storage_error(error, self.path.parent) from error
        self.done[transcript.file, stamp] = transcript

    def close(self) -> None:
        """Close the file, and let others have it."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()

    def _lock(self) -> None:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self._file.close()
            raise UserError(
                f"{self.path}: another soritune is writing it. Wait until it ends, or choose "
                "another --out"
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise


class Job:
    """What is to be transcribed, and where results go: a folder, a .jsonl file, or nowhere.

    Attributes:
        waiting: inputs that have no result yet.

    Raises:
        UserError: see `ResultFile`; or a file that is not of this job would be overwritten.
    """

    def __init__(
        self, inputs: Sequence[Input], out: Path | None, form: Format, settings: Mapping[str, Any]
    ) -> None:
        self._form = form
        self._folder: Path | None = None
        self._results: ResultFile | None = None
        self.waiting = list(inputs)
        self._stamps = {str(each.source): each.stamp for each in inputs}
        if out is None:
            return
        if out.suffix != ".jsonl":
            self._folder, out = out, out / RESULTS_FILE
        self._results = ResultFile(out, settings)
        done = self._results.done
        self._refuse_foreign({file for file, _ in done})
        self.waiting = []
        for each in inputs:
            transcript = done.get((str(each.source), self._stamps[str(each.source)]))
            if transcript is None:
                self.waiting.append(each)
            elif self._folder is not None and not self._place(each).exists():
                self._write(each, transcript)  # killed between the two

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._results is not None:
            self._results.close()

    def take(self, each: Input, transcript: Transcript, *, named: bool) -> str | None:
        """Keep a transcript, and return what is printed of it: the text, or its file."""
        if self._results is None:
            return shown(transcript, self._form, named=named)
        self._results.add(self._stamps[str(each.source)], transcript)
        return None if self._folder is None else str(self._write(each, transcript))

    def _place(self, each: Input) -> Path:
        assert self._folder is not None
        return self._folder / each.place.with_name(each.place.name + self._form.suffix)

    def _write(self, each: Input, transcript: Transcript) -> Path:
        place = self._place(each)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, place.parent) from error
        write_atomically(place, f"{shown(transcript, self._form)}\n".encode())
        return place

    def _refuse_foreign(self, ours: set[str]) -> None:
        if self._folder is None:
            return
        for each in self.waiting:
            if str(each.source) not in ours and (place := self._place(each)).exists():
                raise UserError(
                    f"{place}: exists, and is not of this job. Choose another --out, or move it"
                )


def _encoded(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, sort_keys=True)
    # A file name in another encoding: its bytes as escapes, which JSON has.
    return text.encode("utf-8", "backslashreplace") + b"\n"
