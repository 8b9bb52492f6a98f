"""Families are found by config.json alone, and a new one needs no change in any other room."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from exported import train
from safetensors.torch import save_file
from torch import nn

from soritune.errors import UserError
from soritune.models import describe, registry
from soritune.models.family import LORA, ClipLimits, Family, LoraDefaults, Mode
from soritune.models.loaded import fill_module
from soritune.models.modes import lora_layers, parts_of_mode, written_mode
from soritune.models.phi4mm.family import FAMILY as PHI
from soritune.models.stored import StoredBase, open_stored
from soritune.tasks import Request, Task


class Toy(Family):
    """A family of one linear layer."""

    name = "toy"
    title = "Toy"
    model_types = ("toy",)
    clip_limits = ClipLimits(min_samples=160, max_duration_s=10.0)
    modes = {  # noqa: RUF012
        "lora": Mode(frozenset({LORA}), lora_layers=r"decoder\.\w+"),
        "encoder-lora": Mode(frozenset({LORA}), lora_layers=r"encoder\.\w+"),
        "all": Mode(frozenset({"model"}), alone=True),
    }
    lora = LoraDefaults(r=4, alpha=8, dropout=0.0, layers=r"(en|de)coder\.\w+")

    part_patterns = {LORA: r"\.lora_", "model": "."}  # noqa: RUF012

    def build(self, base: StoredBase, **options: object) -> Any:
        """Nothing here runs the model."""


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """The toy family, registered for one test."""
    registry.families()
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    family = Toy()
    registry.register(family)
    return family


@pytest.fixture
def toy_base(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "toy", "num_attention_heads": 2}')
    save_file({"decoder.weight": torch.arange(6.0).reshape(2, 3)}, folder / "model.safetensors")
    return folder


def test_a_name_or_model_type_that_is_taken_is_refused(toy: Toy) -> None:
    registry.register(toy)  # the same one again changes nothing
    with pytest.raises(ValueError, match="model family toy already"):
        registry.register(Toy())
    other = Toy()
    other.name = "other"
    with pytest.raises(ValueError, match="toy opens model type toy already"):
        registry.register(other)


def test_an_unknown_model_type_lists_the_families(toy: Toy) -> None:
    with pytest.raises(UserError) as caught:
        registry.family_of_config({"model_type": "whale"}, "config.json")
    line = str(caught.value)
    assert line.startswith("config.json: unknown model type 'whale'")
    assert "phi4mm (Phi-4-multimodal)" in line
    assert "toy (Toy)" in line


def test_the_family_is_found_without_loading_anything(
    small_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train(small_base, tmp_path / "model", (), r=2)
    found = ["builtin:tiny", small_base, model, model / "speech-lora"]
    assert [registry.family_of(str(name)) for name in found] == [PHI] * 4
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    assert registry.family_of("microsoft/Phi-4-multimodal-instruct") is PHI
    assert registry.family_of("owner/unknown") is None
    for name, message in (
        ("builtin:tniy", 'did you mean "builtin:tiny"'),
        ("/nowhere/model", "no such folder"),
    ):
        with pytest.raises(UserError, match=message):
            registry.family_of(name)


def test_families_are_known_without_torch() -> None:
    code = (
        "import sys; from soritune.models import modes, registry; "
        "family = registry.family_of('builtin:tiny'); "
        "assert modes.written_mode(family, 'audio+lora') == 'lora+audio'; "
        "[f._file('serving') for f in registry.families()]; "  # for `soritune inspect`
        "assert {'torch', 'transformers', 'peft'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("lora+audoi", 'not a sum of lora, audio, projector, full.*did you mean "audio"'),
        ("lora+lora", 'names "lora" twice'),
        ("full+lora", '"full" stands alone'),
    ],
)
def test_a_mode_that_the_family_does_not_have_is_refused(mode: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        written_mode(PHI, mode)


def test_modes_are_sums_in_the_order_of_the_family(toy: Toy) -> None:
    assert written_mode(toy, "encoder-lora + lora") == "lora+encoder-lora"
    assert parts_of_mode(toy, "lora") == {LORA}
    assert lora_layers(toy, "encoder-lora") == r"encoder\.\w+"
    assert lora_layers(toy, "lora+encoder-lora") == r"(?:decoder\.\w+)|(?:encoder\.\w+)"
    assert lora_layers(PHI, "lora+audio") == PHI.lora.layers


def test_a_request_that_the_family_cannot_do_is_refused() -> None:
    PHI.check_request(Request(Task.AST, "ko", "en"))
    with pytest.raises(UserError, match="xx"):
        PHI.check_request(Request(Task.AST, "ko", "xx"))


def test_a_plain_base_needs_no_code_to_be_opened_and_described(toy: Toy, toy_base: Path) -> None:
    stored = open_stored(str(toy_base))
    assert stored.family is toy
    assert torch.equal(stored.weights["decoder.weight"].read(), torch.arange(6.0).reshape(2, 3))
    summary = describe(toy_base)
    assert (summary.family, summary.parts, summary.serving) == ("toy", {"model": 6}, {})


def fill(base: StoredBase, shape: tuple[int, int]) -> nn.Module:
    module = nn.Module()
    with torch.device("meta"):
        module.decoder = nn.Linear(*shape, bias=False)
    fill_module(module, base.weights, base.folder, dtype=torch.bfloat16, device=torch.device("cpu"))
    return module


def test_a_module_is_filled_with_every_tensor_or_not_at_all(toy: Toy, toy_base: Path) -> None:
    base = toy.open_base(toy_base)
    weight = fill(base, (3, 2)).get_parameter("decoder.weight")
    assert (weight.dtype, weight.flatten().tolist()) == (torch.bfloat16, [0, 1, 2, 3, 4, 5])
    with pytest.raises(UserError, match=r"mis-shapes tensor decoder\.weight"):
        fill(base, (3, 3))


def test_a_model_of_one_family_is_not_put_on_a_base_of_another(
    toy: Toy, toy_base: Path, small_base: Path, tmp_path: Path
) -> None:
    model = train(small_base, tmp_path / "model", (), r=2)
    record = json.loads((model / "soritune.json").read_text())
    assert record["family"] == "phi4mm"
    with pytest.raises(UserError, match=r"of family phi4mm, but its base .* is of family toy"):
        open_stored(str(model), base=str(toy_base))
