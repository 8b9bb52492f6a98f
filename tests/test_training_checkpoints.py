"""A checkpoint counts only as it was written: whatever is lost or changed, the one before is taken.

What a power cut leaves is known: files that are empty, shorter, or have other bits.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from soritune.errors import UserError
from soritune.interrupts import StopRequest, Terminated, exit_code, postponed
from soritune.training import checkpoints, trainer
from soritune.training.checkpoints import SEAL_FILE, last_checkpoint, remove_all_but, seal
from soritune.training.trainer import SpeechTrainer

FILES = ("trained.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "elapsed.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two whole checkpoints, after steps 9 and 10."""
    for step in (9, 10):
        checkpoint = tmp_path / f"checkpoint-{step}"
        checkpoint.mkdir()
        for name in FILES:
            (checkpoint / name).write_bytes(f"{name} {step}".encode())
        (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": step}))
        seal(checkpoint)
    return tmp_path


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", [*FILES, "trainer_state.json", SEAL_FILE])
@pytest.mark.parametrize("damage", ["removed", "emptied", "cut", "a bit"])
def test_any_damage_gives_the_checkpoint_before_and_a_line(
    folder: Path, name: str, damage: str
) -> None:
    assert last_checkpoint(folder) == folder / "checkpoint-10"
    path = folder / "checkpoint-10" / name
    if damage == "removed":
        path.unlink()
    elif damage == "a bit":
        flip_a_bit(path)
    else:
        path.write_bytes(b"" if damage == "emptied" else path.read_bytes()[:-2])
    lines: list[str] = []
    assert last_checkpoint(folder, say=lines.append) == folder / "checkpoint-9"
    assert len(lines) == 1
    assert "checkpoint-10" in lines[0]
    remove_all_but(folder, folder / "checkpoint-9")
    assert [path.name for path in folder.iterdir()] == ["checkpoint-9"]


def test_nothing_whole_is_a_new_beginning(folder: Path) -> None:
    for step in (9, 10):
        (folder / f"checkpoint-{step}" / "optimizer.pt").write_bytes(b"")
    assert last_checkpoint(folder) is None
    remove_all_but(folder, None)
    assert not list(folder.iterdir())


def test_the_seal_comes_after_all_files_are_on_the_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def noting(number: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{number}")).name)
        sync(number)

    monkeypatch.setattr(os, "fsync", noting)
    checkpoint = folder / "checkpoint-10"
    (checkpoint / SEAL_FILE).unlink()
    seal(checkpoint)
    sealed = next(i for i, name in enumerate(synced) if name.startswith(SEAL_FILE))
    assert {*FILES, "trainer_state.json", "checkpoint-10"} <= set(synced[:sealed])
    assert synced[-1] == "checkpoint-10"  # the name of the seal


class Arguments:
    """Of a Trainer, as far as saving asks for them."""

    def __init__(self, output_dir: Path) -> None:
        self.output_dir = str(output_dir)


@pytest.mark.parametrize("probe_fails", [True, False])
def test_a_disk_that_is_full_for_torch_save_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probe_fails: bool
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError(
            "[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0 "
            "PytorchStreamWriter failed writing file data/0: file write failed"
        )

    def no_file(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(trainer.Trainer, "_save_checkpoint", full)
    if probe_fails:
        monkeypatch.setattr(trainer.tempfile, "TemporaryFile", no_file)
    speech_trainer = SpeechTrainer.__new__(SpeechTrainer)
    speech_trainer.args = Arguments(tmp_path)  # type: ignore[assignment]
    with pytest.raises(UserError, match="full" if probe_fails else "cannot be written") as caught:
        speech_trainer._save_checkpoint(None, None)  # type: ignore[arg-type]
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_postponed_to_where_the_work_can_stop(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with postponed() as stop:
        os.kill(os.getpid(), number)
        assert stop.requested
        assert isinstance(stop.interruption(), Terminated) == (number != signal.SIGINT)
        assert exit_code(stop.interruption()) == 128 + number
        os.kill(os.getpid(), signal.SIGTERM)  # the cluster may send it as well
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(number) == before
    assert "a checkpoint is saved" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_was_ignored_from_the_start_stays_ignored(number: int) -> None:
    """As `nohup` and jobs in the background of a script have it."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with postponed() as stop:
            os.kill(os.getpid(), number)
            assert not stop.requested
    finally:
        signal.signal(number, before)


def test_a_terminal_that_is_gone_keeps_no_checkpoint_from_being_saved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(sys.stderr, "write", gone)
    with postponed() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.requested


def test_a_signal_after_the_work_is_remembered_for_the_caller(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop = StopRequest()
    for _ in range(2):
        with postponed(stop):
            os.kill(os.getpid(), signal.SIGTERM)
    assert stop.requested
    assert isinstance(stop.interruption(), Terminated)
    assert capsys.readouterr().err.count("stopping") == 1


def test_checkpoints_are_those_that_the_trainer_names(tmp_path: Path) -> None:
    assert checkpoints.checkpoint_folder(tmp_path, 12).name == "checkpoint-12"
    (tmp_path / "checkpoint-best").mkdir()
    assert last_checkpoint(tmp_path) is None
