"""What a LoRA adds to a weight, put in and taken out again, in numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from exported import logits, open_cpu, train
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from soritune.errors import UserError
from soritune.export.export import export
from soritune.models.lora import Lora, join, merge, merge_into, read_lora, scaled
from soritune.models.lora_folder import write_lora
from soritune.models.phi4mm.family import FAMILY
from soritune.models.stored import open_stored
from soritune.models.tensors import LazyTensor

LAYER = "model.layers.0.mlp.down_proj"


def lora(r: int, seed: int, alpha: float = 8) -> Lora:
    generator = torch.Generator().manual_seed(seed)

    def lazy(*shape: int) -> LazyTensor:
        tensor = torch.randn(shape, generator=generator)
        return LazyTensor(shape, tensor.dtype, lambda: tensor)

    tensors = {f"{LAYER}.lora_A.weight": lazy(r, 7), f"{LAYER}.lora_B.weight": lazy(5, r)}
    return Lora(r, alpha, 0.0, tensors)


def test_the_delta_is_alpha_over_r_times_b_a() -> None:
    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]])
    tensors = {
        f"{LAYER}.lora_A.weight": LazyTensor((1, 2), a.dtype, lambda: a),
        f"{LAYER}.lora_B.weight": LazyTensor((2, 1), b.dtype, lambda: b),
    }
    delta = Lora(1, 0.5, 0.0, tensors).delta(LAYER)
    assert delta.tolist() == [[1.5, 3.0], [2.0, 4.0]]


@pytest.mark.parametrize("share", [1.0, 0.7, -0.3])
def test_a_merged_weight_has_the_share_of_the_delta(share: float) -> None:
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    one = lora(4, 1)
    weights = {f"{LAYER}.weight": LazyTensor.holding(weight)}
    merged = merge_into(weights, one, share)[f"{LAYER}.weight"].read()
    assert (merged - weight).abs().max() > 0.01
    torch.testing.assert_close(merged, weight + share * one.delta(LAYER), atol=1e-5, rtol=1e-5)


def test_a_merge_into_half_precision_is_rounded_once() -> None:
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)).bfloat16()
    a, b = (matrix.read() for matrix in lora(4, 1).matrices(LAYER))
    exact = weight.double() + 1e-3 * (b.double() @ a.double())
    assert torch.equal(merge(weight, a, b, 1e-3), exact.bfloat16())


def test_a_joined_lora_adds_the_sum_of_both() -> None:
    one, other = lora(4, 1, alpha=8), lora(3, 2, alpha=5)
    both = join(one, other)
    assert both.r == 7
    expected = one.delta(LAYER) + other.delta(LAYER)
    torch.testing.assert_close(both.delta(LAYER), expected, atol=1e-5, rtol=1e-5)


def test_a_scaled_lora_adds_its_share() -> None:
    torch.testing.assert_close(scaled(lora(4, 1), 0.3).delta(LAYER), 0.3 * lora(4, 1).delta(LAYER))


def test_loras_on_different_layers_are_not_joined() -> None:
    other = lora(4, 1)
    tensors = {k.replace("layers.0", "layers.1"): v for k, v in other.tensors.items()}
    with pytest.raises(UserError, match="cannot be joined"):
        join(lora(4, 1), Lora(4, 8, 0.0, tensors))


def test_a_rank_stabilised_lora_keeps_its_scale(tmp_path: Path) -> None:
    """https://arxiv.org/abs/2312.03732: alpha / sqrt(r)."""
    write_lora(lora(4, 1, alpha=8), tmp_path / "a", FAMILY.lora, None)
    path = tmp_path / "a/adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"use_rslora": True}))
    expected = lora(4, 1, alpha=8).delta(LAYER) * (8 / math.sqrt(4)) / (8 / 4)
    torch.testing.assert_close(read_lora(tmp_path / "a").delta(LAYER), expected)


@pytest.mark.parametrize(
    ("others", "names"),
    [
        ((), ["down_proj"]),
        (("model.layers.0.mlp.up_proj", "encoder.layers.0.mlp.down_proj"), ["down_proj"]),
        (("model.layers.1.mlp.down_proj",), [LAYER]),
    ],
    ids=["all", "not adaptable", "adaptable"],
)
def test_short_names_are_written_only_where_they_mean_the_adapted_layers(
    tmp_path: Path, others: tuple[str, ...], names: list[str]
) -> None:
    weights = [f"{layer}.weight" for layer in (LAYER, *others)]
    write_lora(lora(4, 1), tmp_path, FAMILY.lora, None, weights=weights)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"] == names


@pytest.mark.parametrize(
    "settings",
    [{"use_dora": True}, {"modules_to_save": ["x"]}, {"bias": "all"}, {"rank_pattern": {"o": 2}}],
    ids=lambda settings: next(iter(settings)),
)
def test_what_is_no_plain_lora_is_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    write_lora(lora(4, 1), tmp_path / "a", FAMILY.lora, None)
    path = tmp_path / "a/adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    with pytest.raises(UserError, match=next(iter(settings))):
        read_lora(tmp_path / "a")


def test_a_merged_export_without_the_delta_is_the_base(small_base: Path, tmp_path: Path) -> None:
    model = train(small_base, tmp_path / "model", (), r=4)
    export(str(model), "merged", tmp_path / "out", lora_weight=0.7)
    base, out = (load_file(f / "model.safetensors") for f in (small_base, tmp_path / "out"))
    adapter = open_stored(str(model)).lora
    assert adapter is not None
    adapted = {f"{layer}.weight" for layer in adapter.layers}
    for name in base:
        if name in adapted:
            back = out[name] - 0.7 * adapter.delta(name.removesuffix(".weight"))
            assert (back - base[name]).abs().max() < 1e-6
            assert not torch.equal(out[name], base[name])
        else:
            assert torch.equal(out[name], base[name])


def test_a_weighted_merge_answers_as_a_lora_of_that_share(small_base: Path, tmp_path: Path) -> None:
    """PEFT's own scaling set to the share is the other way to the same model."""
    model = train(small_base, tmp_path / "model", (), r=4)
    expected = open_cpu(model)
    for module in expected.module.modules():
        if isinstance(module, LoraLayer):
            module.scaling["speech"] *= 0.7
    export(str(model), "merged", tmp_path / "out", lora_weight=0.7)
    torch.testing.assert_close(logits(tmp_path / "out"), logits(expected), atol=1e-4, rtol=0)
    assert not torch.allclose(logits(tmp_path / "out"), logits(model), atol=1e-3)


def test_a_share_is_for_merging_only(small_base: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--lora-weight is for --to merged"):
        export(str(small_base), "native", tmp_path / "out", lora_weight=0.7)


def test_a_lora_that_does_not_fit_the_base_is_named(small_base: Path, tmp_path: Path) -> None:
    model = train(small_base, tmp_path / "model", (), r=4)
    # As an adapter of its own: inside the model, soritune.json would know its tensors.
    model = (model / "speech-lora").rename(tmp_path / "alone")
    path = model / "adapter_model.safetensors"
    tensors = load_file(path)
    key = next(key for key in tensors if "lora_A" in key)
    save_file({**tensors, key: tensors[key][:, :3].clone()}, path)
    with pytest.raises(UserError, match="has shape") as caught:
        export(str(model), "merged", tmp_path / "out")
    assert key.removeprefix("base_model.model.") in str(caught.value)
