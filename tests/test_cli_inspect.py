"""`soritune inspect`: the figures of a folder, from headers alone."""

from __future__ import annotations

import json
import resource
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from original_checkpoint import SPEECH_LORA, original_tensors, write_adapter, write_original
from typer.testing import CliRunner

from soritune.cli import app
from soritune.models import describe, load
from soritune.models.phi4mm.serving import vllm_options
from soritune.models.serving import vllm_max_rank

PLUGIN = "yes, with the plug-in soritune-vllm"


@pytest.fixture(scope="module")
def original(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_original(small_base, tmp_path_factory.mktemp("original") / "base")


def inspect(path: Path | str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["inspect", str(path), "--format", "json"])
    assert result.exit_code == 0, result.output
    record: dict[str, Any] = json.loads(result.stdout)
    return record


def test_an_original_folder_with_both_loras_and_vision(original: Path, small_base: Path) -> None:
    record = inspect(original)
    tensors = original_tensors(small_base)
    assert record["layout"] == "original"
    assert record["tensors"] == len(tensors)
    assert record["parameters"] == sum(tensor.numel() for tensor in tensors.values())
    assert record["num_bytes"] == sum(tensor.nbytes for tensor in tensors.values())
    assert set(record["parts"]) == {
        *("audio encoder", "projector", "vision-speech projector", "language model"),
        *("embeddings", "vision", "LoRA", "vision LoRA"),
    }
    assert sum(record["parts"].values()) == record["parameters"]
    assert record["dtypes"] == {"F32": record["parameters"]}
    sizes = {(a["name"], a["where"]): (a["r"], a["alpha"], a["layers"]) for a in record["adapters"]}
    assert sizes == {
        ("speech", "among the weights"): (4, 8, 8),
        ("vision", "among the weights"): (2, 4, 8),
        ("speech", "speech-lora/"): (4, 8, 8),
        ("vision", "vision-lora/"): (2, 4, 8),
    }
    assert record["serving"]["vllm"].startswith(f"{PLUGIN}: vllm serve {original} ")
    assert "--max-lora-rank 8" in record["serving"]["vllm"]
    assert record["serving"]["transformers"].endswith("--to native (it reads that layout only)")


def test_the_same_folder_for_people(original: Path) -> None:
    result = CliRunner().invoke(app, ["inspect", str(original)])
    assert result.exit_code == 0
    for words in ("original (phi4mm", "speech LoRA (speech-lora/): r 4, alpha 8", "vllm:"):
        assert words in result.stdout


def test_a_native_folder_is_for_transformers_and_vllm(small_base: Path) -> None:
    record = inspect(small_base)
    assert (record["layout"], record["adapters"]) == ("native", [])
    assert record["serving"]["transformers"].startswith("yes: ")
    assert record["serving"]["vllm"] == f"{PLUGIN}: vllm serve {small_base}"


def test_longrope_needs_an_option_of_vllm(small_base: Path, tmp_path: Path) -> None:
    """With more positions vLLM takes the factors for long texts in every request."""
    folder = tmp_path / "model"
    shutil.copytree(small_base, folder)
    config = json.loads((folder / "config.json").read_text())
    head = config["hidden_size"] // config["num_attention_heads"]
    factors = [1.0] * int(head * config["rope_parameters"].get("partial_rotary_factor", 1) / 2)
    config["original_max_position_embeddings"] = 4096
    config["rope_parameters"] |= {
        "rope_type": "longrope",
        "short_factor": factors,
        "long_factor": factors,
        "original_max_position_embeddings": 4096,
    }
    (folder / "config.json").write_text(json.dumps(config))
    record = inspect(folder)
    assert record["serving"]["vllm"] == f"{PLUGIN}: vllm serve {folder} --max-model-len 4096"
    original = {"rope_scaling": {"type": "longrope"}, "original_max_position_embeddings": 4096}
    assert vllm_options(original) == ("--max-model-len", "4096")


def test_an_adapter_names_its_base(original: Path, small_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    write_adapter(folder, original_tensors(small_base), "speech", SPEECH_LORA)
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = str(original)
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    record = inspect(folder)
    assert (record["layout"], record["base"]) == ("adapter", str(original))
    assert record["parts"].keys() == {"LoRA"}
    assert f"--lora-modules speech={folder}" in record["serving"]["vllm"]


def test_an_adapter_whose_base_is_gone_can_be_looked_at(small_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    write_adapter(folder, original_tensors(small_base), "speech", SPEECH_LORA)
    assert inspect(folder)["base"] is None


@pytest.mark.parametrize("mode", ["lora", "lora+audio"])
def test_a_trained_model_says_its_case_and_what_to_export(
    small_base: Path, tmp_path: Path, mode: str
) -> None:
    model = load(small_base, device="cpu", dtype="float32")
    model.add_lora(r=4, alpha=8, dropout=0.0, seed=1)
    parts = model.parts_of_mode(mode)
    names = [n for n, _ in model.module.named_parameters() if model.part_of(n) in parts]
    model.save(tmp_path / "model", trained=names, about={"case": "first", "mode": mode})
    record = inspect(tmp_path / "model")
    assert (record["layout"], record["base"]) == ("trained", str(small_base))
    assert (record["trained"]["case"], record["trained"]["mode"]) == ("first", mode)
    assert record["parts"].keys() == parts
    expected = f"{PLUGIN}: vllm serve BASE" if mode == "lora" else "no; first: soritune export"
    assert record["serving"]["vllm"].startswith(expected)


@pytest.mark.parametrize(
    ("rank", "room"), [(1, 1), (2, 8), (8, 8), (9, 16), (257, 320), (320, 320), (513, None)]
)
def test_the_room_for_ranks_is_one_that_vllm_takes(rank: int, room: int | None) -> None:
    assert vllm_max_rank(rank) == room


def test_eleven_gigabytes_are_looked_at_by_their_headers(original: Path, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    shutil.copytree(original, folder, ignore=shutil.ignore_patterns("model*"))
    shape = [200_064, 27_490]  # 11.0 GB in bfloat16
    size = 2 * shape[0] * shape[1]
    header = json.dumps(
        {"model.embed_tokens.weight": {"dtype": "BF16", "shape": shape, "data_offsets": [0, size]}}
    ).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)  # a hole: no disk is used
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert describe(folder).num_bytes > 10.9e9
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # KiB


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "no readable config.json"),
        (lambda f: (f / "config.json").write_text('{"model_type": "whale"}'), "'whale'"),
        (lambda f: (f / "model-00001-of-00003.safetensors").unlink(), "no such file"),
        (lambda f: torch.save({}, f / "model-00001-of-00003.safetensors"), "is a pickle"),
    ],
)
def test_what_is_no_model_costs_one_line(
    original: Path, tmp_path: Path, change: Any, message: str
) -> None:
    folder = Path(shutil.copytree(original, tmp_path / "broken"))
    shutil.rmtree(folder / "speech-lora")
    shutil.rmtree(folder / "vision-lora")
    change(folder)
    result = CliRunner().invoke(app, ["inspect", str(folder)])
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not result.stdout


def test_a_hub_id_that_was_not_downloaded_is_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    result = CliRunner().invoke(app, ["inspect", "someone/some-model"])
    assert result.exit_code == 2
    assert "not downloaded yet" in result.stderr
