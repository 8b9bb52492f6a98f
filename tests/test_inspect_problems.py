"""`soritune inspect` names why a folder cannot be loaded: tensors, their sizes, an adapter's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from original_checkpoint import write_original, write_shards
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from soritune.cli import app
from soritune.models import describe, load

Tensors = dict[str, torch.Tensor]
NORM = "model.norm.weight"
LORA_B = "model.layers.1.mlp.down_proj.lora_B.speech.weight"


@pytest.fixture
def folders(small_base: Path, tmp_path: Path) -> dict[str, Path]:
    original = write_original(small_base, tmp_path / "original")
    return {"original": original, "native": Path(shutil.copytree(small_base, tmp_path / "native"))}


def change(folder: Path, changed: Callable[[Tensors], object]) -> None:
    if (folder / "model.safetensors").is_file():
        tensors = load_file(folder / "model.safetensors")
        changed(tensors)
        save_file(tensors, folder / "model.safetensors")
        return
    tensors = {}
    for path in folder.glob("model-*.safetensors"):
        tensors |= load_file(path)
    changed(tensors)
    write_shards(folder, tensors)


@pytest.mark.parametrize("layout", ["original", "native"])
def test_a_whole_folder_has_no_problems(folders: dict[str, Path], layout: str) -> None:
    assert describe(folders[layout]).problems == []


@pytest.mark.parametrize("layout", ["original", "native"])
def test_a_missing_tensor_is_named_and_nobody_serves_the_folder(
    folders: dict[str, Path], layout: str
) -> None:
    change(folders[layout], lambda tensors: tensors.pop(NORM))
    summary = describe(folders[layout])
    assert len(summary.problems) == 1
    assert f"lacks tensor {NORM} (1 such)" in summary.problems[0]
    assert all(text.startswith("no: incomplete") for text in summary.serving.values())
    done = CliRunner().invoke(app, ["inspect", str(folders[layout])])
    assert f"lacks tensor {NORM}" in done.stdout


@pytest.mark.parametrize("layout", ["original", "native"])
def test_an_unknown_tensor_is_named(folders: dict[str, Path], layout: str) -> None:
    foreign = {"model.layers.9.mlp.down_proj.weight": 1, "foreign.weight": 1}
    zeros = {name: torch.zeros(2) for name in foreign}
    change(folders[layout], lambda tensors: tensors.update(zeros))
    (problem,) = describe(folders[layout]).problems
    assert "has an unknown tensor foreign.weight (2 such)" in problem


@pytest.mark.parametrize("layout", ["original", "native"])
def test_a_tensor_of_another_shape_is_named(folders: dict[str, Path], layout: str) -> None:
    change(folders[layout], lambda tensors: tensors.update({NORM: torch.ones(3)}))
    (problem,) = describe(folders[layout]).problems
    assert f"mis-shapes tensor {NORM}: [3] instead of [" in problem


def test_whisper_and_qwen3_asr_are_checked_as_well(
    small_whisper: Path, small_qwen3_asr: Path, tmp_path: Path
) -> None:
    for base in (small_whisper, small_qwen3_asr):
        assert describe(base).problems == []
        folder = Path(shutil.copytree(base, tmp_path / base.name))
        path = next(folder.glob("*.safetensors"))
        tensors = load_file(path)
        name = sorted(tensors)[0]
        save_file({**tensors, name: torch.ones(2, 3)}, path)
        (problem,) = describe(folder).problems
        assert f"mis-shapes tensor {name}: [2, 3] instead of" in problem


def test_an_adapter_of_another_size_is_named(small_base: Path, tmp_path: Path) -> None:
    model = load(small_base, device="cpu", dtype="float32")
    model.add_lora(r=4, alpha=8, dropout=0.0, seed=1)
    model.save(tmp_path / "model", trained=[], about={})
    assert describe(tmp_path / "model").problems == []
    settings = tmp_path / "model" / "speech-lora" / "adapter_config.json"
    settings.write_text(settings.read_text().replace('"r": 4', '"r": 8'))
    for folder in (tmp_path / "model", tmp_path / "model" / "speech-lora"):
        (problem,) = describe(folder).problems
        assert "rank 8 need" in problem


def test_half_of_a_lora_among_the_weights_is_named(folders: dict[str, Path]) -> None:
    change(folders["original"], lambda tensors: tensors.pop(LORA_B))
    (problem,) = describe(folders["original"]).problems
    assert LORA_B.replace(".speech", "") in problem
