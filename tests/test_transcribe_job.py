"""A job goes on after a kill, writes nothing twice, and overwrites nothing."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from soritune.decoding import inputs as job_inputs
from soritune.decoding.formats import Format
from soritune.decoding.inputs import counted, find_inputs
from soritune.decoding.records import Segment, Transcript
from soritune.decoding.results import RESULTS_FILE, Job
from soritune.errors import UserError

SETTINGS = {"model": "m"}


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for name in ("a.wav", "a.mp3", "deep/b.flac", "notes.txt", ".hidden.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def said(file: Path | str, text: str = "말") -> Transcript:
    return Transcript(str(file), text, 1.0, None, (Segment(0.0, 1.0, text, -0.1, 0.0),))


def test_a_killed_job_goes_on_and_no_line_stands_twice(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    inputs = find_inputs([recordings])
    places = ["a.mp3.txt", "a.wav.txt", "deep/b.txt"]
    with Job(inputs, out, Format.TEXT, SETTINGS) as job:
        for each in inputs[:2]:
            job.take(each, said(each.path), named=True)
    with (out / RESULTS_FILE).open("ab") as file:
        file.write(b'{"stamp": "cut by a ki')
    (out / places[1]).unlink()  # killed between the line and the file
    with Job(inputs, out, Format.TEXT, SETTINGS) as job:
        assert [each.path.name for each in job.waiting] == ["b.flac"]
        job.take(job.waiting[0], said(job.waiting[0].path), named=True)
    lines = (out / RESULTS_FILE).read_text(encoding="utf-8").splitlines()
    files = [json.loads(line)["transcript"]["file"] for line in lines[1:]]
    assert sorted(files) == sorted(str(each.path) for each in inputs)
    assert all((out / place).read_text(encoding="utf-8") == "말\n" for place in places)

    inputs[0].path.write_bytes(b"another recording")
    with Job(find_inputs([recordings]), out, Format.TEXT, SETTINGS) as job:
        assert [each.path for each in job.waiting] == [inputs[0].path]


def test_other_options_and_foreign_files_are_refused(recordings: Path, tmp_path: Path) -> None:
    inputs = find_inputs([recordings / "a.wav"])
    out = tmp_path / "results.jsonl"
    with Job(inputs, out, Format.TEXT, SETTINGS) as job:
        job.take(inputs[0], said(inputs[0].path), named=False)
    with pytest.raises(UserError, match="another model or of other options"):
        Job(inputs, out, Format.TEXT, {"model": "other"})
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("by hand")
    with pytest.raises(UserError, match="is not of this job"):
        Job(inputs, tmp_path / "texts", Format.TEXT, SETTINGS)
    assert (tmp_path / "texts" / "a.txt").read_text() == "by hand"


def test_lists_name_recordings_and_parts(recordings: Path) -> None:
    listed = recordings / "list.txt"
    part = {"audio": "a.wav", "start_s": 1.5, "duration_s": 2}
    listed.write_text(f"deep/b.flac\n\n{json.dumps(part)}\na.wav\na.wav\n", encoding="utf-8")
    found = find_inputs([], [listed])
    assert [str(each.place) for each in found] == ["deep/b", "a_1.500-3.500", "a"]
    listed.write_text('{"audio": "a.wav", "start_s": -1}\n')
    with pytest.raises(UserError, match=r"list\.txt:1: start_s"):
        find_inputs([], [listed])
    (recordings / "empty").mkdir()
    with pytest.raises(UserError, match="has no recordings"):
        find_inputs([recordings / "empty"])


def test_work_does_not_wait_for_the_length_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    read = threading.Event()
    monkeypatch.setattr(job_inputs, "_total_s", lambda _: 12.0 if read.wait(5) else 0.0)
    total = counted([])
    assert total() is None
    read.set()
    end = time.monotonic() + 5
    while total() is None and time.monotonic() < end:
        time.sleep(0.001)
    assert total() == 12.0
