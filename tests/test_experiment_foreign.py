"""What a user keeps in the folders of a run stays, whatever is done again there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import soundfile
from made_experiment import (
    StandIns,
    experiment,
    folder,
    stand_ins,
    write_recipe,
    write_recordings,
)
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from soritune.errors import UserError
from soritune.experiment.loading import load_experiment
from soritune.experiment.other_models import add_other_model
from soritune.files import locked, remove_temporaries
from soritune.training.checkpoints import (
    checkpoint_files,
    checkpoint_folder,
    last_checkpoint,
    remove_all_but,
    remove_oldest,
    seal,
)

__all__ = ["folder", "stand_ins"]

# In every folder of a run, beside our own files, and as like them as can be.
FOREIGN = (
    "notes.json",
    "results-2.json",
    "report-old.md",
    "mine.0123.tmp",
    "report-audio/mine.mp3",
    "report-audio/mine.tmp",
    "corpora/mine/notes.json",
    "corpora/mine/corpus-old.json",
    "corpora/mine/old.tmp",
    "corpora/mine/shards/00000-copy.parquet",
    "corpora/mine/shards/2024.parquet",
    "corpora/mine/shards/mine.tmp",
    "corpora/mine/" + "work/mine.json",
    "corpora/other/mine.txt",
    "cases/first/notes.json",
    "cases/first/log-old.jsonl",
    "cases/first/model/mine.json",
    "cases/first/model/speech-lora/adapter_mine.bin",
    "cases/first/model/speech-lora/mine.safetensors",
    "cases/first/checkpoints/mine.txt",
    "cases/first/checkpoints/checkpoint-1/mine.txt",
    "cases/first/checkpoints/checkpoint-1-copy/trained.safetensors",
    "cases/first/checkpoints/checkpoint-best/trained.safetensors",
    "cases/first/hypotheses/mine.json",
    "cases/first/hypotheses/korean-old.jsonl",
    "cases/first/hypotheses/korean.jsonl.bak",
    "cases/first/scores/mine.json",
    "cases/first/scores/korean-old.jsonl",
    "cases/original/scores/mine.jsonl",
    "cases/mine/model/mine.json",
    "models/mine/model.json",
)


def keep(out: Path) -> None:
    for place in FOREIGN:
        (out / place).parent.mkdir(parents=True, exist_ok=True)
        (out / place).write_text("mine")
    # A number as its name makes nobody's table a shard.
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"mine": [1]}), out / "corpora/mine/shards/20240101.parquet")


def kept(out: Path) -> list[str]:
    tables = out / "corpora/mine/shards/20240101.parquet"
    lost = [] if tables.is_file() else [tables.name]
    return lost + [
        place
        for place in FOREIGN
        if not (out / place).is_file() or (out / place).read_text() != "mine"
    ]


def with_other_recordings(folder: Path, _: StandIns) -> None:
    write_recordings(folder, seed=1)
    experiment(folder).run(["first"])


def with_other_settings(folder: Path, _: StandIns) -> None:
    write_recipe(folder, lambda text: text.replace("[mine]}", "[mine], learning_rate: 1e-3}"))
    experiment(folder).run(["first"])


def without_an_evaluation(folder: Path, _: StandIns) -> None:
    write_recipe(folder, lambda text: text.replace("  ko2en: {", "  better: {limit: 2, "))
    experiment(folder).run(["first"])


def without_stamps(folder: Path, _: StandIns) -> None:
    for place in ("train.json", "hypotheses/korean.json", "scores/korean.json"):
        (folder / "out" / "cases" / "first" / place).write_text("{")
    experiment(folder).run(["first"])


def killed_and_changed(folder: Path, stand_ins: StandIns) -> None:
    write_recordings(folder, seed=2)
    stand_ins.interrupt_training = True
    with pytest.raises(KeyboardInterrupt):
        experiment(folder).run(["first"])
    stand_ins.interrupt_training = False
    stand_ins.interrupt_after = 2
    with pytest.raises(KeyboardInterrupt):
        experiment(folder).run(["first"])
    stand_ins.interrupt_after = None
    with_other_settings(folder, stand_ins)


def test_files_of_a_user_in_any_folder_of_a_run_stay(folder: Path, stand_ins: StandIns) -> None:
    experiment(folder).run(["first"])
    keep(folder / "out")
    for change in (
        with_other_recordings,
        without_an_evaluation,
        without_stamps,
        killed_and_changed,
    ):
        change(folder, stand_ins)
        assert kept(folder / "out") == [], change.__name__
    assert stand_ins.trained == ["first"] * 6  # all of them but the evaluation train again


def test_files_of_a_user_go_with_the_folder_of_a_renamed_case(
    folder: Path, stand_ins: StandIns
) -> None:
    experiment(folder).run(["first"])
    keep(folder / "out")
    write_recipe(folder, lambda text: text.replace("first", "renamed"))
    experiment(folder).run(["renamed"])
    shutil.move(folder / "out/cases/renamed", folder / "out/cases/first")
    assert kept(folder / "out") == []
    assert stand_ins.trained == ["first"]


def test_a_preparation_that_was_killed_leaves_and_removes_nothing_of_a_user(
    folder: Path, stand_ins: StandIns
) -> None:
    experiment(folder).run(["first"])
    keep(folder / "out")
    work = folder / "out/corpora/mine/work"
    for name in ("fingerprint", "00000.json", "00007.json", "00001.json.0123456789ab.tmp"):
        (work / name).write_bytes(b"\xff")
    (folder / "out/corpora/mine/shards/00007.parquet").write_bytes(b"")
    (folder / "out/corpora/mine/corpus.json").unlink()
    experiment(folder).run(["first"])
    assert kept(folder / "out") == []
    assert [path.name for path in work.iterdir()] == ["mine.json"]
    shards = {path.name for path in work.with_name("shards").iterdir()}
    assert shards == {p.rpartition("/")[2] for p in FOREIGN if "/shards/" in p} | {
        "20240101.parquet",
        "00000.parquet",
    }


def test_a_model_beside_the_recipe_replaces_no_file_of_a_user(
    folder: Path, stand_ins: StandIns, small_base: Path
) -> None:
    recipe = load_experiment(folder / "recipe.yaml")
    path = folder / "out" / "models" / "mine" / "model.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"name": "mine"}')
    with pytest.raises(UserError, match=r"model\.json: soritune has not written it .*--name"):
        add_other_model(recipe, folder / "out", str(small_base), "mine")
    assert path.read_text() == '{"name": "mine"}'
    for _ in range(2):
        add_other_model(recipe, folder / "out", str(small_base), "other")


def test_a_file_that_is_not_a_lock_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("mine")
    with pytest.raises(UserError, match="is not a lock of soritune"), locked(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == "mine"
    (tmp_path / ".lock").write_text("123456")  # of a process that was killed
    with locked(tmp_path):
        pass


def test_only_half_written_files_of_our_own_are_removed(tmp_path: Path) -> None:
    for name in ("mine.tmp", "mine.1.tmp", "00000.parquet.0123456789ab.tmp"):
        (tmp_path / name).write_text("")
    remove_temporaries(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.tmp", "mine.1.tmp"}


# -- checkpoints


def test_files_of_a_user_among_checkpoints_are_neither_sealed_nor_removed(tmp_path: Path) -> None:
    assert checkpoint_folder(tmp_path, 3) == tmp_path / f"{PREFIX_CHECKPOINT_DIR}-3"
    for step in (1, 2, 3, 4):
        path = checkpoint_folder(tmp_path, step)
        path.mkdir()
        for name in ("trained.safetensors", "trainer_state.json", "rng_state_0.pth", "mine.txt"):
            (path / name).write_text(f"{step}")
        seal(path)
    (tmp_path / "checkpoint-4" / "mine.txt").write_text("changed")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-4"
    remove_oldest(tmp_path)
    assert {path.parent.name for path in checkpoint_files(tmp_path)} == {
        "checkpoint-3",
        "checkpoint-4",
    }
    lines: list[str] = []
    remove_all_but(tmp_path, None)
    assert last_checkpoint(tmp_path, say=lines.append) is None
    assert lines == []
    left = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [path.name for path in left] == ["mine.txt"] * 4


def test_a_checkpoint_without_files_of_a_user_leaves_no_folder(tmp_path: Path) -> None:
    path = checkpoint_folder(tmp_path, 1)
    path.mkdir()
    (path / "trained.safetensors.0123456789ab.tmp").write_text("")
    soundfile.write(tmp_path / "mine.wav", [0.0], 8000)
    remove_all_but(tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.wav"]
