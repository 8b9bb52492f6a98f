"""A blend lies between two models: at its ends it is one of them, in the middle their mean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from exported import ENCODER, LANGUAGE_MODEL, PROJECTOR, logits, open_cpu, train
from original_checkpoint import write_original
from safetensors.torch import load_file, save_file

from soritune.errors import UserError
from soritune.export.blend import blend
from soritune.export.export import export
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.stored import open_stored


@pytest.fixture
def pair(small_base: Path, tmp_path: Path) -> tuple[str, str]:
    """Two trainings on one base, of other ranks, that trained other tensors too."""
    first = train(small_base, tmp_path / "a", (ENCODER, PROJECTOR), r=4, seed=1)
    second = train(small_base, tmp_path / "b", (ENCODER, LANGUAGE_MODEL), r=3, seed=2)
    return str(first), str(second)


def effective(model: Phi4mm) -> dict[str, torch.Tensor]:
    """All weights with the LoRA in them, which is what a model is."""
    model.merge_lora()
    return {name: tensor.double() for name, tensor in model.module.state_dict().items()}


@pytest.mark.parametrize(("weight", "winner"), [(1.0, 0), (0.0, 1)])
def test_at_its_ends_a_blend_is_one_of_the_two(
    pair: tuple[str, str], tmp_path: Path, weight: float, winner: int
) -> None:
    blend(*pair, tmp_path / "out", weight=weight)
    assert torch.equal(logits(tmp_path / "out"), logits(pair[winner]))
    assert not torch.allclose(logits(pair[0]), logits(pair[1]), atol=1e-3)


@pytest.mark.parametrize("weight", [0.5, 0.7])
def test_a_blend_is_the_weighted_mean_of_the_weights_with_their_loras(
    pair: tuple[str, str], tmp_path: Path, weight: float
) -> None:
    blend(*pair, tmp_path / "out", weight=weight)
    one, other, out = (effective(open_cpu(path)) for path in (*pair, tmp_path / "out"))
    assert one.keys() == out.keys()
    for name, tensor in out.items():
        expected = weight * one[name] + (1 - weight) * other[name]
        torch.testing.assert_close(tensor, expected, atol=2e-6, rtol=2e-6)


def test_the_mean_of_a_and_b_themselves_would_be_another_model(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    """Why ranks are joined: (A1 + A2)/2 · (B1 + B2)/2 is not the mean of B1 A1 and B2 A2."""
    done = blend(*pair, tmp_path / "out", weight=0.5)
    assert done.lora_rank == 4 + 3


@pytest.mark.parametrize("order", [1, -1])
def test_a_trained_model_is_blended_with_its_base(
    small_base: Path, tmp_path: Path, order: int
) -> None:
    model = train(small_base, tmp_path / "a", (ENCODER,), r=4)
    first, second = [str(model), str(small_base)][::order]
    weight = 0.7 if order == 1 else 0.3
    blend(first, second, tmp_path / "out", weight=weight)
    trained, base, out = (effective(open_cpu(p)) for p in (model, small_base, tmp_path / "out"))
    for name, tensor in out.items():
        expected = 0.7 * trained[name] + 0.3 * base[name]
        torch.testing.assert_close(tensor, expected, atol=2e-6, rtol=2e-6)


def test_the_bases_own_lora_is_not_doubled(small_base: Path, tmp_path: Path) -> None:
    base = write_original(small_base, tmp_path / "base")
    first = train(base, tmp_path / "a", (ENCODER,))
    assert open_stored(str(first)).own_lora  # saved beside what was trained, unchanged
    blend(str(first), str(base), tmp_path / "out", weight=0.5)
    assert not (tmp_path / "out/speech-lora").exists()
    one, other, out = (effective(open_cpu(p)) for p in (first, base, tmp_path / "out"))
    for name, tensor in out.items():
        torch.testing.assert_close(tensor, (one[name] + other[name]) / 2, atol=2e-6, rtol=2e-6)


def test_two_whole_models_give_a_whole_model(pair: tuple[str, str], tmp_path: Path) -> None:
    whole = []
    for number, path in enumerate(pair):
        target = ("native", "merged")[number]
        whole.append(export(path, target, tmp_path / f"whole-{number}").out)
    done = blend(*map(str, whole), tmp_path / "out", weight=0.7, max_shard_bytes=50_000)
    assert done.base is None
    assert (tmp_path / "out/model.safetensors.index.json").is_file()
    one, other, out = (effective(open_cpu(p)) for p in (*whole, tmp_path / "out"))
    for name, tensor in out.items():
        expected = 0.7 * one[name] + 0.3 * other[name]
        torch.testing.assert_close(tensor, expected, atol=2e-6, rtol=2e-6)


def test_an_original_and_a_native_folder_are_blended(small_base: Path, tmp_path: Path) -> None:
    original = write_original(small_base, tmp_path / "original")
    export(str(original), "native", tmp_path / "native")
    blend(str(original), str(tmp_path / "native"), tmp_path / "out", weight=0.5)
    torch.testing.assert_close(logits(tmp_path / "out"), logits(original), atol=1e-4, rtol=0)


def heard_s(folder: Path) -> float | None:
    return open_cpu(folder).clip_limits.longest_trained_s


def test_a_blend_is_exported_like_any_model(pair: tuple[str, str], tmp_path: Path) -> None:
    for folder, longest_s in zip(pair, (9.5, 4.25), strict=True):
        path = Path(folder) / "soritune.json"
        content = json.loads(path.read_text()) | {"longest_trained_s": longest_s}
        path.write_text(json.dumps(content))
    blend(*pair, tmp_path / "out", weight=0.7)
    export(str(tmp_path / "out"), "merged", tmp_path / "merged")
    torch.testing.assert_close(
        logits(tmp_path / "merged"), logits(tmp_path / "out"), atol=1e-4, rtol=0
    )
    record = json.loads((tmp_path / "out/soritune.json").read_text())
    assert record["blend"]["weight"] == 0.7
    # Both have heard clips of 4.25 s.
    assert heard_s(tmp_path / "out") == heard_s(tmp_path / "merged") == 4.25
    content.pop("longest_trained_s")
    path.write_text(json.dumps(content))
    blend(*pair, tmp_path / "older", weight=0.7)
    assert heard_s(tmp_path / "older") is None


def refusal(first: object, second: object, out: Path, weight: float = 0.5) -> str:
    with pytest.raises(UserError) as caught:
        blend(str(first), str(second), out, weight=weight)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    return str(caught.value)


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_0_to_1_is_refused(
    pair: tuple[str, str], tmp_path: Path, weight: float
) -> None:
    assert "between 0 and 1" in refusal(*pair, tmp_path / "out", weight)


def test_a_model_with_itself_as_base_is_refused(small_base: Path, tmp_path: Path) -> None:
    assert "nothing to blend" in refusal(small_base, small_base, tmp_path / "out")


def test_models_on_other_bases_are_refused_with_the_way_out(
    small_base: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(small_base, tmp_path / "base")
    first = train(small_base, tmp_path / "a", (ENCODER,))
    second = train(base, tmp_path / "b", (ENCODER,))
    assert "--to merged" in refusal(first, second, tmp_path / "out")


def test_models_of_another_shape_are_refused(small_base: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(small_base, tmp_path / "base"))
    tensors = load_file(base / "model.safetensors")
    tensors[ENCODER] = torch.zeros(3, 3)
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    assert ENCODER in refusal(small_base, base, tmp_path / "out")


def test_a_base_that_was_moved_can_be_said(
    pair: tuple[str, str], small_base: Path, tmp_path: Path
) -> None:
    blend(*pair, tmp_path / "before", weight=0.7)
    for folder in pair:
        path = Path(folder) / "soritune.json"
        record = {**json.loads(path.read_text(encoding="utf-8")), "base": "/nowhere/base"}
        record.pop("base_beside", None)
        path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(UserError, match="--base DIR"):
        blend(*pair, tmp_path / "out", weight=0.7)
    blend(*pair, tmp_path / "after", weight=0.7, base=str(small_base))
    assert torch.equal(logits(tmp_path / "after"), logits(tmp_path / "before"))
    # The base itself may be one of the two; it needs no other.
    blend(pair[0], str(small_base), tmp_path / "third", weight=0.5, base=str(small_base))
    with pytest.raises(UserError, match="leave --base out"):
        blend(str(small_base), str(small_base), tmp_path / "none", weight=0.5, base=pair[0])
