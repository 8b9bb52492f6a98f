"""Adapters: those alone, those of a base, and where a training starts from them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from exported import logits, open_cpu, refusal
from original_checkpoint import (
    SPEECH_LORA,
    lora_tensors,
    native_tensors,
    write_adapter,
)
from safetensors.torch import load_file, save_file

from soritune.errors import UserError


def adapter(folder: Path, native: Path, seed: int, base: str) -> Path:
    """A PEFT folder of its own, as users hand them on."""
    write_adapter(
        folder,
        lora_tensors(native_tensors(native), "speech", SPEECH_LORA, seed),
        "speech",
        SPEECH_LORA,
    )
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": base}))
    return folder


def test_an_adapter_alone_finds_its_base_and_takes_the_place_of_the_bases_own(
    native: Path, small_base: Path, tmp_path: Path
) -> None:
    alone = open_cpu(adapter(tmp_path / "a", native, 1, str(native)))
    assert torch.equal(logits(alone), logits(open_cpu(native)))  # the same LoRA as the base's own
    other = open_cpu(adapter(tmp_path / "b", native, 5, str(native)))
    assert not torch.allclose(logits(other), logits(alone), atol=1e-3)
    bare = open_cpu(adapter(tmp_path / "c", native, 5, str(small_base)))
    assert torch.equal(logits(bare), logits(other))
    nested = tmp_path / "nested"
    nested.mkdir()
    shutil.copytree(tmp_path / "b", nested / "speech-lora")
    assert torch.equal(logits(open_cpu(nested)), logits(other))


def test_the_official_adapter_folder_finds_the_model_around_it(native: Path) -> None:
    assert torch.equal(logits(open_cpu(native / "speech-lora")), logits(open_cpu(native)))


def test_an_adapter_without_a_base_is_told(native: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", native, 1, "gone")
    assert "\"base_model_name_or_path\" is 'gone', neither a folder here nor a hub id" in refusal(
        folder
    )


def test_an_adapter_that_names_itself_as_base_is_told(native: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", native, 1, str(tmp_path / "a"))
    assert "names itself as its base" in refusal(folder)


def test_a_second_adapter_is_refused_not_ignored(native: Path) -> None:
    from soritune.models.lora import read_lora

    model = open_cpu(native)
    with pytest.raises(UserError, match="has a LoRA already"):
        model.load_lora(read_lora(native / "speech-lora"))


def test_a_lora_of_another_size_than_the_bases_own_is_refused_not_ignored(native: Path) -> None:
    with pytest.raises(UserError, match=r"r 4 and alpha 8, but the recipe asks for r 2"):
        open_cpu(native).add_lora(r=2, alpha=8, dropout=0.0, seed=1)


def test_an_adapter_on_some_layers_only_is_taken_whole(
    native: Path, small_base: Path, tmp_path: Path
) -> None:
    folder = adapter(tmp_path / "a", native, 3, str(small_base))
    path = folder / "adapter_model.safetensors"
    save_file({k: v for k, v in load_file(path).items() if "qkv_proj" in k}, path)
    assert "lacks tensor" in refusal(folder)
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["target_modules"] = ["qkv_proj"]
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    model = open_cpu(folder)
    assert sum("lora_A" in name for name, _ in model.module.named_parameters()) == 2
    assert not torch.allclose(logits(model), logits(open_cpu(small_base)), atol=1e-3)


def test_weights_beside_an_adapter_are_refused_not_ignored(native: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", native, 3, str(native))
    path = folder / "adapter_model.safetensors"
    extra = {"base_model.model.model.norm.weight": torch.zeros(32)}
    save_file(load_file(path) | extra, path)
    assert "unknown tensor base_model.model.model.norm.weight" in refusal(folder)


# Starting points of a training


def test_merging_the_bases_own_lora_keeps_the_output_and_makes_room_for_a_new_one(
    native: Path, tmp_path: Path
) -> None:
    expected = logits(open_cpu(native))
    model = open_cpu(native, lora="merge")
    torch.testing.assert_close(logits(model), expected, atol=1e-4, rtol=0)
    model.add_lora(r=2, alpha=2, dropout=0.0, seed=5)
    torch.testing.assert_close(logits(model), expected, atol=1e-4, rtol=0)
    with torch.no_grad():
        for name, parameter in model.module.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    changed = logits(model)
    assert not torch.allclose(changed, expected, atol=1e-3)
    model.save(tmp_path / "trained", trained=[], about={})
    assert torch.equal(logits(open_cpu(tmp_path / "trained")), changed)


def test_starting_fresh_leaves_the_bases_own_lora_out(
    native: Path, small_base: Path, tmp_path: Path
) -> None:
    model = open_cpu(native, lora="fresh")
    bare = logits(open_cpu(small_base))
    assert torch.equal(logits(model), bare)
    assert not torch.allclose(logits(open_cpu(native)), bare, atol=1e-3)
    model.save(tmp_path / "trained", trained=[], about={})
    # Nothing was trained: the base's own LoRA must not come back.
    assert torch.equal(logits(open_cpu(tmp_path / "trained")), bare)


def test_merging_where_there_is_no_lora_is_refused(small_base: Path) -> None:
    assert "no LoRA to merge" in refusal(small_base, lora="merge")


@pytest.mark.parametrize("start", ["base", "merge", "fresh"])
def test_a_trained_model_is_a_base_for_the_next_and_loses_nothing(
    native: Path, tmp_path: Path, start: str
) -> None:
    model = open_cpu(native)
    encoder = [n for n, _ in model.module.named_parameters() if model.part_of(n) == "projector"]
    with torch.no_grad():
        for name, parameter in model.module.named_parameters():
            if name in encoder:
                parameter.add_(0.05)
    model.save(tmp_path / "first", trained=encoder, about={})
    second = open_cpu(tmp_path / "first", lora=start)
    if start != "base":
        second.add_lora(r=3, alpha=3, dropout=0.0, seed=2)
    with torch.no_grad():
        for name, parameter in second.module.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.1)
    lora = [n for n, _ in second.module.named_parameters() if "lora_" in n]
    expected = logits(second)
    second.save(tmp_path / "second", trained=lora, about={})
    assert torch.equal(logits(open_cpu(tmp_path / "second")), expected)


def test_the_adapter_inside_a_trained_model_is_loaded_with_what_was_trained_beside_it(
    native: Path, tmp_path: Path
) -> None:
    model = open_cpu(native)
    projector = [n for n, _ in model.module.named_parameters() if model.part_of(n) == "projector"]
    with torch.no_grad():
        for name in projector:
            model.module.get_parameter(name).add_(0.05)
    model.save(tmp_path / "trained", trained=projector, about={})
    assert torch.equal(logits(open_cpu(tmp_path / "trained" / "speech-lora")), logits(model))


@pytest.mark.parametrize("start", ["base", "merge", "fresh"])
def test_a_case_trains_from_each_starting_point(
    native: Path, tmp_path: Path, small_corpus: object, start: str
) -> None:
    from soritune.recipe.schema import Case, ModelConfig
    from soritune.training.run import train_case

    lora = {"start": start, "r": 4, "alpha": 8}
    case = Case(mode="lora", train=("talks",), batch_size=8, epochs=0.4, learning_rate=1e-2)
    summary = train_case(
        case,
        name="first",
        model=ModelConfig(base=str(native), lora=lora, dtype="float32"),
        corpora={"talks": small_corpus},  # type: ignore[dict-item]
        out=tmp_path,
        seed=1,
    )
    assert summary.trained.keys() == {"LoRA"}
    trained = open_cpu(tmp_path / "model")
    assert trained.lora_start == start
    assert not torch.allclose(logits(trained), logits(open_cpu(native, lora=start)), atol=1e-4)
