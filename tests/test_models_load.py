"""What loads, what does not, and that it is said in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from soritune.errors import UserError
from soritune.models import load

Tensors = dict[str, torch.Tensor]
ENCODER = "model.embed_tokens_extend.audio_embed.encoder.encoders.0.conv.glu.b1"


@pytest.fixture
def base(small_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_base, tmp_path / "base"))


def change_tensors(folder: Path, change: Callable[[Tensors], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def change_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def load_cpu(folder: Path | str) -> object:
    return load(folder, device="cpu", dtype="float32")


def test_weights_are_those_of_the_file_and_the_head_is_tied(base: Path) -> None:
    module = load(base, device="cpu", dtype="float32").module
    tensors = load_file(base / "model.safetensors")
    assert "lm_head.weight" not in tensors
    state = module.state_dict()
    assert {n for n in state if n != "lm_head.weight"} == tensors.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())
    assert module.lm_head.weight is module.model.embed_tokens.weight
    assert not module.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(ENCODER), f"lacks tensor {ENCODER}"),
        (
            lambda t: t.update({"model.foreign.weight": torch.zeros(2)}),
            "an unknown tensor model",
        ),
        (lambda t: t.update({ENCODER: torch.zeros(1, 5, 1)}), f"mis-shapes tensor {ENCODER}"),
    ],
    ids=["missing", "extra", "mis-shaped"],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    base: Path, change: Callable[[Tensors], object], message: str
) -> None:
    change_tensors(base, change)
    with pytest.raises(UserError, match=message) as raised:
        load_cpu(base)
    assert "\n" not in str(raised.value)


def test_the_vision_tower_of_a_native_checkpoint_is_left_out(base: Path) -> None:
    vision = "model.embed_tokens_extend.image_embed.img_processor.encoder.layers.0.x.weight"
    change_tensors(base, lambda tensors: tensors.update({vision: torch.zeros(4, 4)}))
    module = load(base, device="cpu", dtype="float32").module
    assert not [name for name, _ in module.named_parameters() if "image_embed" in name]


def test_weights_cut_short_are_named(base: Path) -> None:
    path = base / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(UserError, match=r"model\.safetensors: cut off or damaged"):
        load_cpu(base)


def test_another_model_is_named(base: Path) -> None:
    change_json(base / "config.json", model_type="whale")
    with pytest.raises(UserError, match="model type 'whale'"):
        load_cpu(base)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no readable config\.json"):
        load_cpu(tmp_path)


def test_an_unknown_builtin_is_told() -> None:
    with pytest.raises(UserError, match=r"builtin:whale.*; there are: builtin:tiny"):
        load_cpu("builtin:whale")


@pytest.mark.parametrize("name", ["whale", "./whale/blue", "/nowhere/whale", "a/b/c"])
def test_a_name_that_is_neither_folder_nor_hub_id_asks_no_network(name: str) -> None:
    with pytest.raises(UserError, match=r"no such folder.* hub id of the form owner/name"):
        load_cpu(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no readable soritune.json"),
        ('{"family": "other"}', "unknown model family 'other'"),
        ('{"family": "phi4mm"}', 'names no "base"'),
        ('{"family": "phi4mm", "base": "builtin:tiny"}', 'lists no "tensors"'),
    ],
)
def test_a_broken_record_of_a_trained_model_is_told(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "soritune.json").write_text(content)
    with pytest.raises(UserError, match=message):
        load_cpu(tmp_path)


def test_a_header_length_that_begins_like_a_pickle_is_still_safetensors(tmp_path: Path) -> None:
    # The file begins with the length of its header, little-endian; a pickle with byte 0x80.
    from safetensors.torch import save_file

    from soritune.models.checkpoint import read_header

    path = tmp_path / "model.safetensors"
    for padding in range(0, 256, 8):
        save_file({"model.norm.weight": torch.ones(2)}, path, metadata={"x": "y" * padding})
        if path.read_bytes()[0] == 0x80:
            break
    else:
        pytest.fail("no header length ends in 0x80")
    assert [entry.key for entry in read_header(path)] == ["model.norm.weight"]
