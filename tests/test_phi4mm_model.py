"""The LoRA hits what it should, changes what it should, and no tensor is lost silently."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from small_model import ASR, noise, said

from soritune.errors import UserError
from soritune.models import load
from soritune.models.modes import parts_of_mode
from soritune.models.phi4mm.family import FAMILY
from soritune.models.phi4mm.model import Phi4mm

LoadSmall = Callable[[], Phi4mm]


@torch.inference_mode()
def logits(model: Phi4mm) -> torch.Tensor:
    batch = model.processor.collate([model.processor.encode(noise(9_000), ASR, said("안녕하세요"))])
    batch.pop("labels")
    return model.module.eval()(**batch).logits


def add_lora(model: Phi4mm, *, trained: bool = False) -> Phi4mm:
    model.add_lora(r=4, alpha=8, dropout=0.0, seed=1)
    if trained:
        with torch.no_grad():
            for name, parameter in model.module.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.1)
    return model


def trained_names(model: Phi4mm, mode: str) -> list[str]:
    wanted = model.parts_of_mode(mode)
    return [n for n, _ in model.module.named_parameters() if model.part_of(n) in wanted]


def test_lora_hits_four_layers_of_each_lm_layer_and_nothing_else(load_small: LoadSmall) -> None:
    model = add_lora(load_small())
    hit = {n for n, m in model.module.named_modules() if isinstance(m, LoraLayer)}
    assert hit == {
        f"model.layers.{layer}.{name}"
        for layer in range(2)
        for name in ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")
    }
    assert len(trained_names(model, "lora")) == 2 * len(hit)


def test_bare_names_would_have_hit_the_encoder(load_small: LoadSmall) -> None:
    names = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
    linear = [n for n, m in load_small().module.named_modules() if isinstance(m, torch.nn.Linear)]
    assert any("audio_embed" in n for n in linear if n.endswith(names))


def test_every_parameter_has_a_part_and_modes_share_none_by_chance(load_small: LoadSmall) -> None:
    model = add_lora(load_small())
    found = {model.part_of(n) for n, _ in model.module.named_parameters()}
    assert found == {
        "LoRA",
        "audio encoder",
        "projector",
        "vision-speech projector",
        "embeddings",
        "language model",
    }
    assert parts_of_mode(FAMILY, "lora+audio") == {"LoRA", "audio encoder", "projector"}
    with pytest.raises(ValueError, match="not a sum of lora, audio, projector, full"):
        parts_of_mode(FAMILY, "lora+video")


def test_a_fresh_lora_changes_nothing_and_a_trained_one_does(load_small: LoadSmall) -> None:
    plain = logits(load_small())
    assert torch.equal(logits(add_lora(load_small())), plain)
    assert (logits(add_lora(load_small(), trained=True)) - plain).abs().max() > 1e-2


def test_a_fresh_lora_is_the_same_for_the_same_seed(load_small: LoadSmall) -> None:
    first, second = (dict(add_lora(load_small()).module.named_parameters()) for _ in range(2))
    assert all(torch.equal(first[n], second[n]) for n in first)


@pytest.mark.parametrize("mode", ["lora", "audio", "projector", "lora+audio", "full"])
def test_what_was_trained_comes_back_from_disk(
    load_small: LoadSmall, tmp_path: Path, mode: str
) -> None:
    model = load_small()
    if "lora" in mode:
        add_lora(model, trained=True)
    names = trained_names(model, mode)
    with torch.no_grad():
        for name, parameter in model.module.named_parameters():
            if name in names:
                parameter.add_(0.01)
    expected = logits(model)
    model.save(tmp_path, trained=names, about={"mode": mode})
    again = load(tmp_path, device="cpu", dtype="float32")
    assert torch.equal(logits(again), expected)
    assert not torch.allclose(logits(load_small()), expected)
    assert json.loads((tmp_path / "soritune.json").read_text())["mode"] == mode


def test_a_merged_lora_gives_the_same_logits_and_leaves_no_adapter(
    load_small: LoadSmall, tmp_path: Path
) -> None:
    model = add_lora(load_small(), trained=True)
    expected = logits(model)
    model.save(tmp_path, trained=trained_names(model, "lora"), about={})
    merged = load(tmp_path, device="cpu", dtype="float32", merge=True)
    assert not any(isinstance(m, LoraLayer) for m in merged.module.modules())
    torch.testing.assert_close(logits(merged), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("mode", ["projector", "audio", "lora+audio"])
def test_what_was_trained_in_fp32_loads_in_the_dtype_that_is_asked_for(
    load_small: LoadSmall, tmp_path: Path, mode: str
) -> None:
    model = load_small()
    if "lora" in mode:
        add_lora(model, trained=True)
    model.save(tmp_path, trained=trained_names(model, mode), about={})
    again = load(tmp_path, device="cpu", dtype="bfloat16")
    assert {p.dtype for p in again.module.parameters()} == {torch.bfloat16}
    assert logits(again).isfinite().all()


@pytest.mark.parametrize("seen", ["own", "trained"])
def test_a_base_with_its_own_lora_keeps_it(
    load_small: LoadSmall, small_base: Path, tmp_path: Path, seen: str
) -> None:
    """As the official checkpoint: `speech-lora/` beside the weights."""
    model = add_lora(load_small(), trained=True)
    expected = logits(model)
    base, run = tmp_path / "base", tmp_path / "run"
    model.save(base, trained=[], about={})
    (base / "soritune.json").unlink()
    for file in small_base.iterdir():
        (base / file.name).symlink_to(file)
    own = load(base, device="cpu", dtype="float32")
    own.add_lora(r=4, alpha=8, dropout=0.0, seed=5)
    if seen == "trained":
        own.save(run, trained=trained_names(own, "full"), about={})
        own = load(run, device="cpu", dtype="float32")
    assert torch.equal(logits(own), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(sorted(t)[0]), "lacks tensor"),
        (lambda t: t.update({"model.layers.7.x.lora_A.weight": torch.zeros(1)}), "unknown tensor"),
        (lambda t: t.update({sorted(t)[0]: torch.zeros(3, 3)}), "mis-shapes tensor"),
        (
            lambda t: [t.__setitem__(k.replace("lora_A", "lora_a"), t.pop(k)) for k in sorted(t)],
            "lacks tensor",
        ),
    ],
    ids=["missing", "extra", "mis-shaped", "renamed"],
)
def test_an_adapter_that_does_not_fit_is_an_error_not_silence(
    load_small: LoadSmall,
    tmp_path: Path,
    change: Callable[[dict[str, torch.Tensor]], object],
    message: str,
) -> None:
    model = add_lora(load_small(), trained=True)
    model.save(tmp_path, trained=[], about={})
    path = tmp_path / "speech-lora" / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(UserError, match=message):
        load(tmp_path, device="cpu", dtype="float32")


def test_adapter_keys_with_and_without_the_prefix_of_peft_are_both_taken(
    load_small: LoadSmall, tmp_path: Path
) -> None:
    model = add_lora(load_small(), trained=True)
    model.save(tmp_path, trained=[], about={})
    path = tmp_path / "speech-lora" / "adapter_model.safetensors"
    tensors = load_file(path)
    assert all(key.startswith("base_model.model.model.layers.") for key in tensors)
    save_file({k.removeprefix("base_model.model."): v for k, v in tensors.items()}, path)
    assert torch.equal(logits(load(tmp_path, device="cpu", dtype="float32")), logits(model))


@pytest.mark.parametrize("file", ["speech-lora/adapter_model.safetensors", "trained.safetensors"])
def test_a_file_cut_short_is_named(load_small: LoadSmall, tmp_path: Path, file: str) -> None:
    model = add_lora(load_small())
    model.save(tmp_path, trained=trained_names(model, "audio"), about={})
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=path.name):
        load(tmp_path, device="cpu", dtype="float32")


def test_trained_tensors_of_another_model_are_refused(
    load_small: LoadSmall, tmp_path: Path
) -> None:
    model = load_small()
    model.save(tmp_path, trained=trained_names(model, "projector"), about={})
    tensors = load_file(tmp_path / "trained.safetensors")
    save_file(tensors | {"model.foreign.weight": torch.zeros(2)}, tmp_path / "trained.safetensors")
    with pytest.raises(UserError, match=r"unknown tensor model\.foreign\.weight"):
        load(tmp_path, device="cpu", dtype="float32")
