"""A stage is skipped when done, continued when interrupted, redone when its inputs changed."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from soritune.errors import UserError
from soritune.experiment.fingerprint import base_identity
from soritune.experiment.stage import Stage
from soritune.files import json_sha256, locked, open_to_append, write_atomically


@dataclass(frozen=True)
class Made:
    content: str


def stage(folder: Path, key: str = "one") -> Stage[Made]:
    return Stage(
        folder / "stamp.json",
        key,
        Made,
        outputs=(folder / "made",),
        scratch=(folder / "scratch" / "file", folder / "model" / "old.json"),
    )


def make(folder: Path, content: str = "x") -> Made:
    (folder / "made").write_text(content)
    return Made(content)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "device"])
@pytest.mark.parametrize("write", [lambda path: write_atomically(path, "new"), open_to_append])
def test_only_a_file_is_written_over(
    tmp_path: Path, kind: str, write: Callable[[Path], object]
) -> None:
    path, other = tmp_path / "named", tmp_path / "other"
    other.write_text("a user's")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = Path(os.ttyname(os.openpty()[1]))
    with pytest.raises(UserError, match=f"{path}: is a .*{kind}.* Name another file"):
        write(path)
    assert other.read_text() == "a user's"
    assert stat.S_IFMT(path.lstat().st_mode) != stat.S_IFREG


def test_a_stage_that_never_ran_has_no_outcome(tmp_path: Path) -> None:
    assert stage(tmp_path).done() is None


def test_the_outcome_of_a_finished_stage_is_remembered(tmp_path: Path) -> None:
    stage(tmp_path).run(lambda: make(tmp_path))
    done = stage(tmp_path).done()
    assert done is not None
    assert done.outcome == Made("x")
    assert done.seconds is not None
    assert done.seconds >= 0


def test_a_stage_whose_output_was_removed_is_not_done(tmp_path: Path) -> None:
    stage(tmp_path).run(lambda: make(tmp_path))
    (tmp_path / "made").unlink()
    assert stage(tmp_path).done() is None


def test_a_stage_with_other_inputs_is_not_done(tmp_path: Path) -> None:
    stage(tmp_path).run(lambda: make(tmp_path))
    assert stage(tmp_path, "two").done() is None


def test_an_interrupted_stage_finds_what_it_left(tmp_path: Path) -> None:
    def interrupted() -> Made:
        (tmp_path / "scratch").mkdir()
        (tmp_path / "scratch" / "file").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path).run(interrupted)
    assert stage(tmp_path).done() is None
    found = stage(tmp_path).run(lambda: make(tmp_path, (tmp_path / "scratch" / "file").read_text()))
    assert found.outcome.content == "half"
    # The time of both runs together is not known, and no figure is better than a wrong one.
    assert found.seconds is None


def test_what_other_inputs_left_is_removed_before_work_begins(tmp_path: Path) -> None:
    def leave() -> Made:
        (tmp_path / "scratch").mkdir()
        (tmp_path / "scratch" / "file").write_text("old")
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "old.json").write_text("old")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path).run(leave)

    def work() -> Made:
        assert not (tmp_path / "scratch").exists()
        assert os.listdir(tmp_path / "model") == ["of the user"]
        return make(tmp_path)

    (tmp_path / "model" / "of the user").write_text("stays")
    stage(tmp_path, "two").run(work)


def test_outputs_without_a_stamp_are_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "made").write_text("from whom?")

    def work() -> Made:
        assert not (tmp_path / "made").exists()
        return make(tmp_path)

    assert stage(tmp_path).done() is None
    stage(tmp_path).run(work)


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', '{"fingerprint": "one"}'])
def test_a_stamp_that_cannot_be_read_means_not_done(tmp_path: Path, content: str) -> None:
    stage(tmp_path).run(lambda: make(tmp_path))
    (tmp_path / "stamp.json").write_text(content)
    assert stage(tmp_path).done() is None


def test_the_fingerprint_is_that_of_canonical_json() -> None:
    # sha256 of '{"a":1,"b":"가"}' in UTF-8, from coreutils' sha256sum.
    known = "2742f2bcd69b5394460fb5d7d830e806"
    made = json_sha256({"b": "가", "a": 1})
    assert made == json_sha256({"a": 1, "b": "가"})
    assert made[:32] == known
    assert made != json_sha256({"a": 1, "b": "나"})


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(1000))
    (folder / "README.md").write_text("a card")
    return folder


def test_a_base_that_was_copied_is_the_same_base(base: Path, tmp_path: Path) -> None:
    before = base_identity(str(base), None)
    assert base_identity(str(base.rename(tmp_path / "elsewhere")), None) == before


def test_a_base_of_which_one_byte_changed_is_another(base: Path) -> None:
    before = base_identity(str(base), None)
    (base / "model.safetensors").write_bytes(bytes(999) + b"\1")
    assert base_identity(str(base), None) != before


def test_the_words_about_a_base_do_not_change_it(base: Path) -> None:
    before = base_identity(str(base), None)
    (base / "README.md").write_text("a better card")
    assert base_identity(str(base), None) == before


def test_revisions_of_a_hub_model_are_different_bases() -> None:
    assert base_identity("owner/name", "v1") != base_identity("owner/name", "v2")


HOLDER = textwrap.dedent(
    """
    import os, sys, time
    from pathlib import Path
    from soritune.files import locked

    with locked(Path(sys.argv[1])):
        if os.fork() == 0:  # as a data loader would: it must not keep the lock
            time.sleep(30)
            os._exit(0)
        print("held", flush=True)
        time.sleep(30)
    """
)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def test_two_runs_cannot_share_an_output_folder(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"process {holder.pid}"), locked(tmp_path):
        pass


def test_a_killed_run_lets_go_of_its_folder_at_once(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with locked(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_stamps_are_json_that_people_can_read(tmp_path: Path) -> None:
    stage(tmp_path).run(lambda: make(tmp_path, "가"))
    text = (tmp_path / "stamp.json").read_text(encoding="utf-8")
    assert json.loads(text)["state"] == "done"
    assert "가" in text


def test_any_changed_character_of_a_stamp_means_not_done(tmp_path: Path) -> None:
    stage(tmp_path).run(lambda: make(tmp_path, "가 1"))
    path = tmp_path / "stamp.json"
    whole = path.read_text(encoding="utf-8")
    assert stage(tmp_path).done() is not None
    for place, character in enumerate(whole):
        if character.isspace():
            continue  # between the values it says nothing
        path.write_text(f"{whole[:place]}#{whole[place + 1 :]}", encoding="utf-8")
        assert stage(tmp_path).done() is None, place


def test_a_changed_character_of_what_was_made_means_not_done(tmp_path: Path) -> None:
    made = tmp_path / "made"
    checked = replace(stage(tmp_path), checked=(made,))
    checked.run(lambda: make(tmp_path, "가 1"))
    assert checked.done() is not None
    made.write_text("가 7")
    assert checked.done() is None
    assert checked.why() == ["made changed after it was written"]

    def work() -> Made:
        assert not made.exists()  # nothing is continued from what changed
        return make(tmp_path, "가 1")

    checked.run(work)
    assert checked.done() is not None
    stage(tmp_path).run(lambda: make(tmp_path, "나"))  # as earlier versions did
    assert checked.done() is not None


@dataclass(frozen=True)
class Figure:
    value: float


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_figure_that_is_not_finite_means_not_done(tmp_path: Path, value: str) -> None:
    figure = Stage(tmp_path / "stamp.json", "one", Figure)
    text = f'{{"fingerprint": "one", "state": "done", "outcome": {{"value": {value}}}}}'
    (tmp_path / "stamp.json").write_text(text)
    assert figure.done() is None


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b'{"state": null}', b"\0" * 300])
def test_whatever_a_disk_left_in_a_stamp_means_not_done(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stamp.json").write_bytes(content)
    assert stage(tmp_path).done() is None
    stage(tmp_path).run(lambda: make(tmp_path))
    assert stage(tmp_path).done() is not None


def test_a_folder_in_the_place_of_a_stamp_means_not_done(tmp_path: Path) -> None:
    (tmp_path / "stamp.json").mkdir()
    stage(tmp_path).run(lambda: make(tmp_path))
    assert stage(tmp_path).done() is not None
