"""A model spread over devices: each part where it was asked for, and the same answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from small_model import ASR, noise

from soritune.errors import UserError
from soritune.models import load, placement
from soritune.models.phi4mm.model import Phi4mm

CPU = torch.device("cpu")
META = torch.device("meta")
PARTS = ("model.embed_tokens", "model.embed_tokens_extend", "model.norm", "model.rotary_emb")


def split_map(first: str | int, second: str | int) -> dict[str, str | int]:
    """Embeddings, encoder and the first layer on one device, the rest on another."""
    return {"": second, "model.layers.0": first, **dict.fromkeys(PARTS, first)}


def transcripts(model: Phi4mm) -> list[str]:
    inputs = [model.processor.encode(noise(n, n), ASR) for n in (3_000, 16_000, 9_000)]
    return [answer.text for answer in model.generate(inputs, [8, 12, 10])]


def loaded(folder: Path, device_map: placement.DeviceMap | None) -> Phi4mm:
    device = "cpu" if device_map is None else None
    model = load(folder, device=device, device_map=device_map, dtype="float32")
    assert isinstance(model, Phi4mm)
    return model


def test_a_tensor_lies_with_the_longest_name_above_it() -> None:
    places = {"": CPU, "model": torch.device("cuda", 1), "model.layers.1": META}
    found = {
        name: placement.device_of(name, places)
        for name in (
            "lm_head.weight",
            "model.norm.weight",
            "model.layers.1.a.b",
            "model.layers.10.a",
        )
    }
    assert [str(device) for device in found.values()] == ["cpu", "cuda:1", "meta", "cuda:1"]


def test_each_tensor_is_read_onto_the_device_of_its_module(small_base: Path) -> None:
    """meta stands for a second device: what lies there has no values, which tells that it does."""
    with pytest.raises(AssertionError, match="no values for"):
        loaded(small_base, {"": "cpu", "model.layers.1": "meta"})


def test_hooks_between_parts_change_no_answer(small_base: Path) -> None:
    whole = loaded(small_base, None)
    parts = loaded(small_base, split_map("cpu", "cpu"))
    for name in ("model.layers.0", "model.embed_tokens", ""):
        assert hasattr(parts.module.get_submodule(name), "_hf_hook"), name
    assert transcripts(parts) == transcripts(whole)


@pytest.mark.parametrize("device_map", ["auto", {"": "cpu"}])
def test_one_device_needs_no_hooks(
    small_base: Path, device_map: placement.DeviceMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    model = loaded(small_base, device_map)
    assert model.places == {"": CPU}
    assert model.device == CPU
    assert not any(hasattr(module, "_hf_hook") for module in model.module.modules())


@pytest.mark.parametrize(
    ("room", "devices"),
    [(10**9, {"cuda:0"}), (80_000, {"cuda:0", "cuda:1", "cpu"})],
)
def test_auto_fills_the_gpus_first_and_divides_no_layer(
    small_base: Path, room: int, devices: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two GPUs with `room` bytes each, as accelerate would report them."""
    import accelerate.utils

    def balanced(module: object, **settings: object) -> dict[int | str, int]:
        return {0: room, 1: room, "cpu": 10**9}

    monkeypatch.setattr(accelerate.utils, "get_balanced_memory", balanced)
    module = load(small_base, device="cpu").module
    assert sum(p.nbytes for p in module.parameters()) > 2 * 80_000
    found = placement.resolve(module, "auto", torch.float32, ("Phi4MultimodalDecoderLayer",))
    assert {str(place) for place in found.values()} == devices
    layers = [name for name in found if name.startswith("model.layers.")]
    assert all(name.count(".") == 2 for name in layers)
    for name in module.state_dict():
        placement.device_of(name, found)


@pytest.mark.parametrize(
    ("device_map", "message"),
    [
        ("balanced", 'give "auto"'),
        ({"model": "cpu"}, "no device for lm_head"),
        ({"": "cpu", "model.layer.0": "cpu"}, "no module model.layer.0"),
        ({"": "gpu"}, "which is none"),
        ({"": 77}, "but there are"),
        ({}, "no device for"),
    ],
)
def test_a_map_that_does_not_fit_is_one_line(
    small_base: Path, device_map: str | Mapping[str, str | int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        loaded(small_base, device_map)


def test_device_and_device_map_exclude_each_other(small_base: Path) -> None:
    with pytest.raises(ValueError, match="not both"):
        load(small_base, device="cpu", device_map="auto")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("first_and_second", [(0, "cpu"), ("cpu", 0)])
def test_parts_on_a_gpu_and_parts_on_the_cpu_give_the_answers_of_one_device(
    small_base: Path, first_and_second: tuple[str | int, str | int]
) -> None:
    parts = loaded(small_base, split_map(*first_and_second))
    assert parts.device.type == "cuda"
    assert transcripts(parts) == transcripts(loaded(small_base, None))
