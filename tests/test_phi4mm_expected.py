"""What a config.json promises is what the model has; inspect names what is missing or too much."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from original_checkpoint import original_tensors, write_original, write_shards
from safetensors.torch import load_file, save_file
from transformers import Phi4MultimodalConfig
from typer.testing import CliRunner

from soritune.cli import app
from soritune.models import describe
from soritune.models.phi4mm.expected import expected_names
from soritune.models.phi4mm.layout import to_original
from soritune.models.phi4mm.modeling import Phi4SpeechForCausalLM

Tensors = dict[str, torch.Tensor]
NORM = "model.norm.weight"
LORA_B = "model.layers.1.mlp.down_proj.lora_B.speech.weight"


def names_of(config: Phi4MultimodalConfig) -> set[str]:
    with torch.device("meta"):
        return set(Phi4SpeechForCausalLM(config).state_dict()) - {"lm_head.weight"}


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_small_configuration_promises_its_tensors(small_base: Path, reduction: int) -> None:
    record = json.loads((small_base / "config.json").read_text())
    record["audio_config"]["time_reduction"] = reduction
    config = Phi4MultimodalConfig.from_dict(record)
    assert expected_names(record) == names_of(config)
    untied = {**record, "tie_word_embeddings": False}
    found = expected_names(untied)
    assert found is not None
    assert found == names_of(config) | {"lm_head.weight"}


def test_a_configuration_without_numbers_promises_nothing() -> None:
    assert expected_names({"model_type": "phi4mm"}) is None


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
    assert summary.problems == [f"lacks {NORM}"]
    assert all(text.startswith("no: incomplete") for text in summary.serving.values())
    done = CliRunner().invoke(app, ["inspect", str(folders[layout])])
    assert f"lacks {NORM}" in done.stdout


@pytest.mark.parametrize("layout", ["original", "native"])
def test_an_unknown_tensor_is_named(folders: dict[str, Path], layout: str) -> None:
    foreign = {"model.layers.9.mlp.down_proj.weight": 1, "foreign.weight": 1}
    zeros = {name: torch.zeros(2) for name in foreign}
    change(folders[layout], lambda tensors: tensors.update(zeros))
    assert describe(folders[layout]).problems == [
        "has, unknown to its config.json, foreign.weight and 1 more"
    ]


def test_half_of_a_lora_among_the_weights_is_named(folders: dict[str, Path]) -> None:
    change(folders["original"], lambda tensors: tensors.pop(LORA_B))
    assert describe(folders["original"]).problems == [f"lacks {LORA_B}"]


def test_original_names_are_those_of_the_small_checkpoint(small_base: Path) -> None:
    record = json.loads((small_base / "config.json").read_text())
    names = expected_names(record)
    assert names is not None
    assert {to_original(name) for name in names} <= set(original_tensors(small_base))
