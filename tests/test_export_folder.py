"""A folder that is exported to is whole or not there, whatever happens."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from exported import ENCODER, logits, train
from processes import kill_in_fork

from soritune.errors import UserError
from soritune.export.export import export
from soritune.export.folder import whole_folder
from soritune.models import shards


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refusal(model: Path, out: Path, *, force: bool = False, target: str = "native") -> str:
    with pytest.raises(UserError) as caught:
        export(str(model), target, out, force=force)
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
    export(str(small_base), "native", out)
    (out / "config.json").write_text("damaged")
    (tmp_path / ".out.old.999999999.tmp").mkdir()  # of a killed process
    export(str(small_base), "native", out, force=True)
    assert (out / "config.json").read_text() != "damaged"
    assert (out / "model.safetensors").is_file()
    assert names(tmp_path) == {"out"}


def test_force_removes_nothing_that_soritune_did_not_write(
    small_base: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (home / "letters").mkdir(parents=True)
    (home / "letters/mine.txt").write_text("kept")
    assert "letters/mine.txt" in refusal(small_base, home, force=True)
    model = train(small_base, tmp_path / "model", (ENCODER,))
    (tmp_path / "out").mkdir()
    whole_model = {path.name: path.read_bytes() for path in model.iterdir() if path.is_file()}
    for name, content in whole_model.items():
        (tmp_path / "out" / name).write_bytes(content)
    (tmp_path / "out" / "notes.md").write_text("mine")
    assert "notes.md" in refusal(small_base, tmp_path / "out", force=True)
    (tmp_path / "out" / "notes.md").unlink()
    export(str(small_base), "native", tmp_path / "out", force=True)
    (tmp_path / "link").symlink_to(tmp_path / "out")
    assert "is a link" in refusal(small_base, tmp_path / "link", force=True)
    assert (tmp_path / "link").is_symlink()


def test_force_leaves_the_model_of_a_run(small_base: Path, tmp_path: Path) -> None:
    model = train(small_base, tmp_path / "model", (ENCODER,))
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    (tmp_path / "training.json").write_text("{}")
    assert "trained model of a run" in refusal(small_base, model, force=True)
    assert {path: path.read_bytes() for path in model.rglob("*") if path.is_file()} == before


def test_at_every_moment_the_old_or_the_new_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`os.replace` is never called on a folder that is there: the names are exchanged."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "a").write_text("old")
    calls: list[object] = []
    monkeypatch.setattr(os, "replace", lambda *words: calls.append(words))
    with whole_folder(out, 1) as folder:
        (folder / "a").write_text("new")
    assert (out / "a").read_text() == "new"
    assert calls == []
    assert names(tmp_path) == {"out"}


def test_what_a_kill_between_two_renames_left_comes_back(tmp_path: Path) -> None:
    old = tmp_path / ".out.old.999999999.tmp"
    old.mkdir()
    (old / "a").write_text("old")
    with pytest.raises(UserError, match="the disk is full"), whole_folder(tmp_path / "out", 10**18):
        pass
    assert (tmp_path / "out" / "a").read_text() == "old"


@pytest.mark.parametrize("place", ["notes.txt", "deep/notes.txt"])
def test_links_out_of_a_model_are_not_followed(
    small_base: Path, tmp_path: Path, place: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not for everybody")
    model = tmp_path / "model"
    shutil.copytree(small_base, model)
    (model / "deep").mkdir()
    (model / place).symlink_to(secret)
    assert "outside the model" in refusal(model, tmp_path / "out")
    (model / place).unlink()
    (model / place).symlink_to(model / place)
    assert "leads nowhere" in refusal(model, tmp_path / "out")
    (model / place).unlink()
    (model / place).symlink_to(model / "deep")  # leads around in a circle, inside the model
    assert "is a link to a folder" in refusal(model, tmp_path / "out")
    (model / place).unlink()
    (model / place).symlink_to(model / "config.json")
    export(str(model), "native", tmp_path / "out")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "speech-lora"])
def test_what_a_model_is_read_from_is_not_a_link_out_of_it(
    native: Path, tmp_path: Path, name: str
) -> None:
    model = tmp_path / "model"
    shutil.copytree(native, model)
    (model / name).rename(tmp_path / "elsewhere")
    (model / name).symlink_to(tmp_path / "elsewhere")
    for target in ("native", "adapter"):
        assert "outside the model" in refusal(model, tmp_path / "out", target=target)


def test_links_into_the_blobs_of_the_hubs_cache_are_followed(
    small_base: Path, tmp_path: Path
) -> None:
    snapshot = tmp_path / "models--a--b" / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    shutil.copytree(small_base, tmp_path / "models--a--b" / "blobs")
    for path in (tmp_path / "models--a--b" / "blobs").iterdir():
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)
    export(str(snapshot), "native", tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").is_symlink()


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
    def killed(total: int) -> Callable[[int], None]:
        return lambda done: os.kill(os.getpid(), signal.SIGKILL)

    out = tmp_path / "out"
    kill_in_fork(lambda: export(str(small_base), "native", out, progress=killed))
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


@pytest.mark.parametrize("umask", [0o077, 0o002])
@pytest.mark.parametrize("target", ["native", "original", "adapter"])
def test_every_file_of_an_export_has_the_mode_of_the_umask(
    native: Path, tmp_path: Path, umask: int, target: str
) -> None:
    """Whatever the modes of the files are that were copied."""
    model = tmp_path / "model"
    shutil.copytree(native, model)
    (model / "figures").mkdir(0o755)
    (model / "figures" / "a.txt").write_text("a")
    for path in model.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = os.umask(umask)
    try:
        export(str(model), target, tmp_path / "out")
    finally:
        os.umask(before)
    for path in (tmp_path / "out", *(tmp_path / "out").rglob("*")):
        full = 0o777 if path.is_dir() else 0o666
        assert path.stat().st_mode & 0o777 == full & ~umask, path
