"""LoRAs of a rank that vLLM does not take: made smaller, or added to the weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from exported import logits, open_cpu, train
from original_checkpoint import write_original
from test_export_lora import LAYER, lora
from typer.testing import CliRunner

from soritune.cli import app
from soritune.errors import UserError
from soritune.export import adapter
from soritune.export.export import export
from soritune.export.reduce import reduce_rank
from soritune.models import serving
from soritune.models.lora import Lora, join, scaled
from soritune.models.stored import open_stored
from soritune.models.tensors import LazyTensor


@pytest.fixture(scope="module")
def original_base(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_original(small_base, tmp_path_factory.mktemp("original") / "base")


def of_matrices(a: torch.Tensor, b: torch.Tensor) -> Lora:
    def lazy(tensor: torch.Tensor) -> LazyTensor:
        return LazyTensor(tuple(tensor.shape), tensor.dtype, lambda: tensor)

    rank = a.shape[0]
    tensors = {f"{LAYER}.lora_A.weight": lazy(a), f"{LAYER}.lora_B.weight": lazy(b)}
    return Lora(rank, rank, 0.0, tensors)


def test_a_rank_that_is_enough_loses_nothing() -> None:
    both = join(scaled(lora(2, 1), 0.7), scaled(lora(2, 1), 0.3))  # rank 4 on paper, 2 in truth
    reduced = reduce_rank(both, 2)
    assert (reduced.lora.r, reduced.lora.scale) == (2, 1.0)
    torch.testing.assert_close(reduced.lora.delta(LAYER), both.delta(LAYER), atol=1e-5, rtol=1e-5)
    assert reduced.worst[1] < 1e-7


def test_the_error_is_that_of_the_singular_values_left_out() -> None:
    # B A = diag(4, 3, 0, …) by hand: without the 3 the norm 5 loses 3.
    a, b = torch.zeros(3, 7), torch.zeros(5, 3)
    a[0, 0], b[0, 0], a[1, 1], b[1, 1] = 2.0, 2.0, 1.5, 2.0
    reduced = reduce_rank(of_matrices(a, b), 1)
    assert math.isclose(reduced.errors[LAYER], 3 / 5, rel_tol=1e-6)
    delta = reduced.lora.delta(LAYER)
    assert math.isclose(float(delta[0, 0]), 4.0, rel_tol=1e-6)
    assert float(delta.norm()) == pytest.approx(4.0)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_no_lora_of_that_rank_is_nearer(rank: int) -> None:
    one = lora(4, 1)
    whole = one.delta(LAYER).double()
    reduced = reduce_rank(one, rank)
    lost = float((whole - reduced.lora.delta(LAYER)).norm() / whole.norm())
    assert math.isclose(reduced.errors[LAYER], lost, rel_tol=1e-4)
    values = torch.linalg.svdvals(whole)
    assert math.isclose(lost, float(values[rank:].norm() / values.norm()), rel_tol=1e-4)


def test_a_lora_of_zeros_stays_zero() -> None:
    reduced = reduce_rank(of_matrices(torch.ones(3, 7), torch.zeros(5, 3)), 2)
    assert reduced.errors == {LAYER: 0.0}
    assert not reduced.lora.delta(LAYER).any()


@pytest.mark.parametrize("rank", [0, 4, 9])
def test_a_rank_that_is_not_smaller_is_refused(rank: int) -> None:
    with pytest.raises(UserError, match="the LoRA has rank 4; give a smaller one"):
        reduce_rank(lora(4, 1), rank)


def test_the_command_says_what_was_lost_and_writes_the_smaller_lora(
    small_base: Path, tmp_path: Path
) -> None:
    model = train(small_base, tmp_path / "model", (), r=6)
    words = ["export", str(model), "--to", "adapter", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--rank", "2"])
    assert done.exit_code == 0, done.output
    assert "reduced from rank 6 to 2" in done.stderr
    assert "% at worst (model.layers." in done.stderr
    assert "reduced from rank 6 to 2" in (tmp_path / "out/README.md").read_text()
    settings = json.loads((tmp_path / "out/adapter_config.json").read_text())
    assert (settings["r"], settings["lora_alpha"]) == (2, 2)
    expected = reduce_rank(adapter.the_lora(open_stored(str(model))), 2).lora
    found = open_stored(str(tmp_path / "out")).lora
    assert found is not None
    for layer in expected.layers:
        torch.testing.assert_close(found.delta(layer), expected.delta(layer))
    # Nearer to the whole than doing without.
    whole, without = logits(model), logits(small_base)
    assert (logits(tmp_path / "out") - whole).norm() < (without - whole).norm()


def test_the_rank_belongs_to_an_adapter_only(small_base: Path, tmp_path: Path) -> None:
    model = train(small_base, tmp_path / "model", (), r=4)
    with pytest.raises(UserError, match="--rank is for --to adapter"):
        export(str(model), "native", tmp_path / "out", rank=2)


@pytest.mark.parametrize("automatic", [True, False])
def test_an_original_export_has_the_lora_in_its_weights_where_vllm_cannot_serve_it(
    original_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, automatic: bool
) -> None:
    model = train(original_base, tmp_path / "model", (), r=4)
    expected = logits(model)
    if automatic:
        monkeypatch.setattr(serving, "VLLM_MAX_RANKS", (1, 2))  # 4 is above them all
    weight = None if automatic else 1.0
    done = export(str(model), "original", tmp_path / "out", lora_weight=weight)
    assert any("1 of the LoRA was added to the weights" in note for note in done.notes)
    assert any("the vision LoRA was left out" in note for note in done.notes)
    out = tmp_path / "out"
    assert not (out / "speech-lora").exists()
    assert not (out / "vision-lora").exists()
    assert json.loads((out / "soritune-export.json").read_text())["merged_lora_weight"] == 1.0
    again = open_cpu(out)
    assert again.lora is None
    torch.testing.assert_close(logits(again), expected, atol=1e-4, rtol=1e-4)
    assert "--enable-lora" not in (out / "README.md").read_text()


def test_half_of_a_lora_is_half_of_what_it_adds(original_base: Path, tmp_path: Path) -> None:
    model = train(original_base, tmp_path / "model", (), r=4)
    weights = []
    for share in (0.5, 1.0):
        export(str(model), "original", tmp_path / f"{share}", lora_weight=share)
        weights.append(open_stored(str(tmp_path / f"{share}")).weights[f"{LAYER}.weight"].read())
    base = open_stored(str(original_base)).weights[f"{LAYER}.weight"].read()
    torch.testing.assert_close(2 * (weights[0] - base), weights[1] - base, atol=1e-5, rtol=1e-4)


def test_a_base_without_a_lora_has_none_to_merge(small_base: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no LoRA to merge; leave --lora-weight out"):
        export(str(small_base), "original", tmp_path / "out", lora_weight=1.0)
