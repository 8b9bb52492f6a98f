"""A trained model finds its base again after a move, and notices what it lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from exported import ENCODER, PROJECTOR, logits, open_cpu, train
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from soritune.cli import app
from soritune.errors import UserError
from soritune.export.blend import blend
from soritune.models import load
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.record import RECORD_FILE
from soritune.models.stored import open_stored

ADAPTER = "speech-lora/adapter_model.safetensors"


@pytest.fixture
def work(small_base: Path, tmp_path: Path) -> Path:
    """A folder with a base and, deeper, a model that was trained on it."""
    shutil.copytree(small_base, tmp_path / "work/base")
    train(tmp_path / "work/base", tmp_path / "work/runs/one/model", (ENCODER, PROJECTOR), r=2)
    return tmp_path / "work"


def record(model: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((model / RECORD_FILE).read_text(encoding="utf-8"))
    return found


def rewrite(model: Path, change: Callable[[dict[str, object]], object]) -> None:
    content = record(model)
    change(content)
    (model / RECORD_FILE).write_text(json.dumps(content), encoding="utf-8")


def refusals(model: Path) -> set[str]:
    """What loading, exporting and inspecting say: one line each."""
    lines = set()
    for act in (open_cpu, lambda path: open_stored(str(path))):
        with pytest.raises(UserError) as caught:
            act(model)
        lines.add(str(caught.value))
    assert all("\n" not in line for line in lines)
    return lines


def test_a_base_given_relatively_is_found_from_every_directory(
    small_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small_base, tmp_path / "base")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    model = train("base", Path("model"), (PROJECTOR,), r=2)
    expected = logits(model)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert torch.equal(logits(tmp_path / "model"), expected)
    assert torch.equal(logits(tmp_path / "model" / "speech-lora"), expected)
    assert open_stored(str(tmp_path / "model")).base.folder == tmp_path / "base"
    adapter = json.loads((tmp_path / "model/speech-lora/adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == str(tmp_path / "base")


def test_model_and_base_may_be_moved_together(work: Path, tmp_path: Path) -> None:
    expected = logits(work / "runs/one/model")
    moved = work.rename(tmp_path / "moved")
    assert torch.equal(logits(moved / "runs/one/model"), expected)
    assert open_stored(str(moved / "runs/one/model")).base.folder == moved / "base"


def test_a_base_that_is_gone_is_told_with_what_to_do(work: Path) -> None:
    model = work / "runs/one/model"
    expected = logits(model)
    (work / "base").rename(work / "renamed")
    (line,) = refusals(model)
    assert f"its base {work / 'base'} is not there any more" in line
    assert "--base DIR" in line
    assert str(model / RECORD_FILE) in line
    # Both remedies that the line names do help.
    assert torch.equal(logits(open_cpu(model, base=str(work / "renamed"))), expected)
    assert open_stored(str(model), base=str(work / "renamed")).base.folder == work / "renamed"
    rewrite(model, lambda content: content.update(base=str(work / "renamed")))
    assert torch.equal(logits(model), expected)


def test_export_and_transcribe_take_the_place_of_the_base(work: Path, tmp_path: Path) -> None:
    (work / "base").rename(work / "renamed")
    words = ["export", str(work / "runs/one/model"), "--to", "native", "--out", str(tmp_path / "n")]
    assert CliRunner().invoke(app, words).exit_code == 2
    done = CliRunner().invoke(app, [*words, "--base", str(work / "renamed")])
    assert done.exit_code == 0, done.output
    words = ["transcribe", "none.wav", "--model", str(work / "runs/one/model")]
    assert "not there any more" in CliRunner().invoke(app, words).stderr
    done = CliRunner().invoke(app, [*words, "--base", str(work / "renamed")])
    assert "none.wav" in done.stderr


def test_a_whole_model_has_no_base_to_be_given(small_base: Path) -> None:
    with pytest.raises(UserError, match="is a complete model without a base; leave --base out"):
        open_cpu(small_base, base=str(small_base))
    with pytest.raises(UserError, match="is a complete model without a base; leave --base out"):
        open_stored(str(small_base), base=str(small_base))


def test_the_revision_of_a_hub_base_is_kept_and_asked_for_again(
    small_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    def download(source: str, revision: str | None = None, **_: object) -> Path:
        asked.append((source, revision))
        return small_base

    monkeypatch.setattr("soritune.hub.download", download)
    model = load("owner/model", revision="v1.2", device="cpu", dtype="float32")
    assert isinstance(model, Phi4mm)
    model.add_lora(r=2, alpha=4, dropout=0.0, seed=1)
    model.save(tmp_path / "model", trained=(), about={})
    content = record(tmp_path / "model")
    assert (content["base"], content["revision"]) == ("owner/model", "v1.2")
    assert "base_beside" not in content
    again = open_cpu(tmp_path / "model")
    assert (again.base, again.revision) == ("owner/model", "v1.2")
    # The adapter alone knows it, too, and so does what is exported or blended.
    shutil.copytree(tmp_path / "model/speech-lora", tmp_path / "alone")
    open_cpu(tmp_path / "alone")
    assert open_stored(str(tmp_path / "model")).base_revision == "v1.2"
    blend(str(tmp_path / "model"), str(tmp_path / "model"), tmp_path / "blend", weight=0.5)
    assert record(tmp_path / "blend")["revision"] == "v1.2"
    assert len(asked) >= 6
    assert set(asked) == {("owner/model", "v1.2")}


@pytest.mark.parametrize("file", ["trained.safetensors", ADAPTER])
def test_a_tensor_that_got_lost_is_named(work: Path, file: str) -> None:
    model = work / "runs/one/model"
    tensors = load_file(model / file)
    lost = sorted(tensors)[0]
    save_file({key: value for key, value in tensors.items() if key != lost}, model / file)
    (line,) = refusals(model)
    assert f"{model / file} lacks tensor {lost.removeprefix('base_model.model.')} of" in line
    assert "by its soritune.json" in line
    inspected = CliRunner().invoke(app, ["inspect", str(model)])
    assert inspected.exit_code == 2
    assert lost.removeprefix("base_model.model.") in inspected.stderr


@pytest.mark.parametrize("lost", ["trained.safetensors", "speech-lora"])
def test_a_file_that_got_lost_is_named(work: Path, lost: str) -> None:
    model = work / "runs/one/model"
    place = model / lost
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert all(str(place) in line for line in refusals(model))


def test_a_tensor_of_another_shape_is_named(work: Path) -> None:
    path = work / "runs/one/model/trained.safetensors"
    tensors = load_file(path)
    shape = "x".join(map(str, tensors[PROJECTOR].shape))
    save_file({**tensors, PROJECTOR: torch.zeros(3, 2)}, path)
    (line,) = refusals(path.parent)
    assert f"mis-shapes tensor {PROJECTOR}: 3x2 instead of {shape}" in line


def test_an_export_that_lost_its_adapter_is_refused(work: Path, tmp_path: Path) -> None:
    words = ["export", str(work / "runs/one/model"), "--to", "native", "--out", str(tmp_path / "n")]
    assert CliRunner().invoke(app, words).exit_code == 0
    open_cpu(tmp_path / "n")
    shutil.rmtree(tmp_path / "n" / "speech-lora")
    for line in refusals(tmp_path / "n"):
        assert "speech-lora" in line
        assert "soritune-export.json" in line
