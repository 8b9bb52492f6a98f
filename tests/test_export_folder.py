"""A folder that is exported to is whole or not there, whatever happens."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from exported import ENCODER, logits, train

from soritune.errors import UserError
from soritune.export.export import export
from soritune.export.folder import whole_folder
from soritune.models import shards


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refusal(model: Path, out: Path, *, force: bool = False) -> str:
    with pytest.raises(UserError) as caught:
        export(str(model), "native", out, force=force)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_with_content_is_left_alone(small_base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    assert "--force" in refusal(small_base, out)
    assert names(out) == {"mine.txt"}


def test_force_replaces_all_of_it(small_base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("not kept")
    export(str(small_base), "native", out, force=True)
    assert "mine.txt" not in names(out)
    assert (out / "model.safetensors").is_file()
    assert names(tmp_path) == {"out"}


def test_an_empty_folder_is_taken_and_parents_are_made(small_base: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export(str(small_base), "native", tmp_path / "empty")
    export(str(small_base), "native", tmp_path / "a/b/out")
    assert (tmp_path / "empty/config.json").is_file()
    assert (tmp_path / "a/b/out/config.json").is_file()


@pytest.mark.parametrize("where", ["model", "model/inside", "."])
def test_what_is_read_is_never_written_over(small_base: Path, tmp_path: Path, where: str) -> None:
    model = train(small_base, tmp_path / "x/model", (ENCODER,))
    before = logits(model)
    assert "which is read from" in refusal(model, tmp_path / "x" / where, force=True)
    assert (logits(model) == before).all()


def test_a_file_of_the_name_is_refused(small_base: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    assert "is a file" in refusal(small_base, tmp_path / "out", force=True)


def test_a_full_disk_is_one_line_and_leaves_nothing(
    small_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards, "write_file", full)
    assert "the disk is full" in refusal(small_base, tmp_path / "out")
    assert names(tmp_path) == set()


def test_a_disk_too_small_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"disk is full .* GB are needed"),
        whole_folder(tmp_path / "out", 10**18),
    ):
        raise AssertionError("not reached")
    assert names(tmp_path) == set()


def test_a_failure_leaves_the_old_folder_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("old")

    def interrupted() -> None:
        with whole_folder(out, 0) as folder:
            (folder / "new").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(out) == {"old"}
    assert names(tmp_path) == {"out"}


def test_a_kill_leaves_no_folder_of_the_name_and_the_next_run_cleans_up(
    small_base: Path, tmp_path: Path
) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from soritune.export.export import export\n"
        "def killed(total):\n"
        "    return lambda done: os.kill(os.getpid(), signal.SIGKILL)\n"
        "export(sys.argv[1], 'native', Path(sys.argv[2]), progress=killed)\n"
    )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", program, str(small_base), str(out)], check=False, timeout=120
    )
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    assert len(names(tmp_path)) == 1  # hidden, of another name
    export(str(small_base), "native", out)
    assert names(tmp_path) == {"out"}


def test_a_folder_that_another_process_writes_now_is_left_to_it(
    small_base: Path, tmp_path: Path
) -> None:
    other = tmp_path / f".out.new.{os.getppid()}.tmp"
    other.mkdir()
    export(str(small_base), "native", tmp_path / "out")
    assert other.is_dir()
