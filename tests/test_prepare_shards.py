"""Parts of a corpus, on any number of machines, come to the bytes of one run."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soritune.corpus import lock
from soritune.corpus.prepare import prepare_utterances, prepare_utterances_part
from soritune.corpus.selection import Entry, Note
from soritune.corpus.unfinished import Part
from soritune.errors import UserError
from soritune.utterance import Rejected, Utterance

NUM_ENTRIES = 22
CHUNK_SIZE = 3


def entries(stall_at: int | None = None) -> Iterator[Entry | Note]:
    rng = np.random.default_rng(0)
    for index in range(NUM_ENTRIES):
        if index == stall_at:
            time.sleep(120)
        buffer = io.BytesIO()
        soundfile.write(buffer, 0.1 * rng.standard_normal(2000 + index), 22_050, format="WAV")
        if index % 5 == 2:
            yield Note("beyond-cap")
        elif index % 7 == 3:
            yield Rejected(f"u{index}", "bad-line", "no JSON", f"line {index}")
        else:
            speaker = f"s{index % 4}"
            yield Utterance(f"u{index}", buffer.getvalue(), f"문장 {index}", "ko", "train", speaker)


def must_not_be_read() -> Iterator[Entry | Note]:
    pytest.fail("the source was read")
    yield


def do_part(out: Path, text: str, **given: object) -> int:
    source = given.pop("source", None) or entries()
    described = given.pop("described_by", {})
    return prepare_utterances_part(
        "c", source, described, out, Part.parse(text), chunk_size=CHUNK_SIZE, **given
    )


def collect(out: Path, source: Iterator[Entry | Note] | None = None) -> None:
    prepare_utterances("c", source or entries(), {}, out, chunk_size=CHUNK_SIZE)


def contents(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("alone")
    collect(out)
    card = json.loads((out / "corpus.json").read_text())
    assert card["read"] + card["notes"]["beyond-cap"] == NUM_ENTRIES
    assert len(card["shards"]) > 4
    return contents(out)


@pytest.mark.parametrize("order", [("1/3", "2/3", "3/3"), ("3/3", "1/3", "2/3"), ("1/1",)])
def test_parts_come_to_the_bytes_of_one_run_and_the_source_is_not_read_again(
    tmp_path: Path, alone: dict[str, bytes], order: tuple[str, ...]
) -> None:
    for text in order:
        do_part(tmp_path, text)
    collect(tmp_path, must_not_be_read())
    assert contents(tmp_path) == alone


def test_every_part_does_its_own_chunks_only(tmp_path: Path) -> None:
    assert do_part(tmp_path, "2/3") > 0
    assert {int(path.stem) % 3 for path in (tmp_path / "shards").iterdir()} == {1}
    assert not (tmp_path / "corpus.json").exists()
    assert not (tmp_path / ".lock").exists()


def test_parts_of_two_folders_may_be_copied_into_one(
    tmp_path: Path, alone: dict[str, bytes]
) -> None:
    do_part(tmp_path / "a", "1/2")
    do_part(tmp_path / "b", "2/2")
    shutil.copytree(tmp_path / "b", tmp_path / "a", dirs_exist_ok=True)
    collect(tmp_path / "a", must_not_be_read())
    assert contents(tmp_path / "a") == alone


def test_more_parts_than_chunks_leave_some_with_nothing_and_harm_nobody(
    tmp_path: Path, alone: dict[str, bytes]
) -> None:
    assert [do_part(tmp_path, f"{i}/40") for i in range(1, 41)].count(0) > 20
    collect(tmp_path, must_not_be_read())
    assert contents(tmp_path) == alone


def test_a_part_that_is_missing_is_done_by_who_collects(
    tmp_path: Path, alone: dict[str, bytes]
) -> None:
    do_part(tmp_path, "2/2")
    collect(tmp_path)
    assert contents(tmp_path) == alone


def test_a_damaged_shard_of_a_part_is_made_again(tmp_path: Path, alone: dict[str, bytes]) -> None:
    do_part(tmp_path, "1/2")
    do_part(tmp_path, "2/2")
    shard = next((tmp_path / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:50])
    collect(tmp_path)
    assert contents(tmp_path) == alone


def test_a_part_of_a_finished_corpus_has_nothing_to_do(
    tmp_path: Path, alone: dict[str, bytes]
) -> None:
    collect(tmp_path)
    assert do_part(tmp_path, "1/2", source=must_not_be_read()) == 0
    assert contents(tmp_path) == alone


def test_parts_made_with_other_libraries_are_refused(tmp_path: Path) -> None:
    do_part(tmp_path, "1/1")
    marker = tmp_path / "unfinished" / "part-1-of-1.json"
    content = json.loads(marker.read_text())
    content["versions"]["soxr"] = "0.0.1"
    marker.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"made with soxr 0\.0\.1"):
        collect(tmp_path)


def start(out: Path, text: str, stall_at: int | None) -> subprocess.Popen[bytes]:
    script = (
        "import sys; from pathlib import Path; from test_prepare_shards import *\n"
        f"do_part(Path(sys.argv[1]), {text!r}, source=entries({stall_at}))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", script, str(out)], env={**os.environ, "PYTHONPATH": path}
    )


def wait_for(done: Path) -> None:
    end = time.monotonic() + 60
    while not done.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert done.exists()


def test_parts_work_side_by_side_and_one_that_is_killed_is_done_again(
    tmp_path: Path, alone: dict[str, bytes]
) -> None:
    stalled = start(tmp_path, "1/2", stall_at=8)
    try:
        wait_for(tmp_path / "unfinished" / "00000.json")
        half_written = tmp_path / "shards" / "00002.parquet.0123456789ab.tmp"
        half_written.write_bytes(b"PAR1")  # the other one is just writing this
        do_part(tmp_path, "2/2")
        assert half_written.exists()
        with pytest.raises(UserError, match="another soritune"):
            collect(tmp_path)
        with pytest.raises(UserError, match="parts of another corpus"):
            do_part(tmp_path, "2/2", described_by={"other": 1})
    finally:
        stalled.kill()
        stalled.wait()
    do_part(tmp_path, "1/2")
    collect(tmp_path, must_not_be_read())
    assert contents(tmp_path) == alone


def test_two_processes_do_not_prepare_one_corpus_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "OPENING_S", 0.2)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from soritune.corpus import lock\n"
            "with lock.whole(Path(sys.argv[1])):\n    print(flush=True); time.sleep(60)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(UserError, match="another soritune"):
            collect(tmp_path)
        with pytest.raises(UserError, match="another soritune"):
            do_part(tmp_path, "1/2")
    finally:
        holder.kill()
        holder.wait()
    collect(tmp_path)  # the kernel let go of what the dead one held
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/2/3", ""])
def test_a_shard_that_is_none_is_told_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="write i/n"):
        Part.parse(text)
