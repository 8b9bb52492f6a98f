"""Checkpoints of both layouts: what is taken, what is dropped, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from exported import logits, open_cpu, refusal
from original_checkpoint import (
    Tensors,
    original_tensors,
    write_original,
    write_shards,
)
from safetensors.torch import load_file, save_file

from soritune.models import checkpoint, load
from soritune.models.phi4mm import layout
from soritune.models.phi4mm.family import FAMILY

BLOCK = "model.embed_tokens_extend.audio_embed.encoder.encoders.0."
NORM = "model.norm.weight"


@pytest.fixture(scope="module")
def shared_original(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    return write_original(small_base, tmp_path_factory.mktemp("original") / "base")


@pytest.fixture
def original(shared_original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared_original, tmp_path / "base"))


def change_shard(folder: Path, change: Callable[[Tensors], object], key: str = NORM) -> Path:
    """Change the tensors of the shard that holds a key; returns the shard."""
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    path: Path = folder / index["weight_map"][key]
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
    return path


# Both layouts are one model


def test_original_to_native_to_original_keeps_every_name_and_bit(small_base: Path) -> None:
    tensors = original_tensors(small_base)
    native_names = {name: layout.to_native(name) for name in tensors}
    assert len(set(native_names.values())) == len(tensors)
    back = {layout.to_original(native_names[name]): tensor for name, tensor in tensors.items()}
    assert back.keys() == tensors.keys()
    assert all(back[name] is tensors[name] for name in tensors)


def test_both_layouts_give_the_same_weights_and_logits(shared_original: Path, native: Path) -> None:
    first, second = open_cpu(shared_original), open_cpu(native)
    state, other = first.module.state_dict(), second.module.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.equal(state[name], other[name]) for name in state)
    assert torch.equal(logits(first), logits(second))
    assert first.lora is not None
    assert (first.lora.r, first.lora.lora_alpha) == (4, 8)


def test_every_tensor_is_taken_or_dropped_by_name(shared_original: Path) -> None:
    base = FAMILY.open_base(shared_original)
    model = FAMILY.build(base, dtype=torch.float32, device=torch.device("cpu"))
    keys = {entry.key for entry in checkpoint.read_checkpoint(shared_original)}
    assert base.lora is not None
    taken = {layout.to_original(name) for name in model.module.state_dict()} - {layout.TIED_HEAD}
    lora = {
        layout.to_original(checkpoint.TensorName("lora", "speech", name))
        for name in base.lora.tensors
    }
    assert taken | lora | base.dropped.keys() == keys
    assert len(taken) + len(lora) + len(base.dropped) == len(keys)
    reasons = {reason.split(":")[0] for reason in base.dropped.values()}
    assert reasons == {"vision tower", "vision LoRA"}


def test_no_code_of_a_checkpoint_runs(shared_original: Path) -> None:
    # Its .py files would end the process, and its config.json names them.
    assert "auto_map" in json.loads((shared_original / "config.json").read_text())
    open_cpu(shared_original)


def test_left_over_words_of_training_runs_in_names_are_no_matter(
    original: Path, shared_original: Path
) -> None:
    def rename(name: str) -> str:
        inner = name.replace(
            "encoder.encoders.0.", "encoder.encoders.0._checkpoint_wrapped_module."
        )
        return "base_model.model." + inner

    tensors = original_tensors_of(original)
    write_shards(original, {rename(name): tensor for name, tensor in tensors.items()})
    assert torch.equal(logits(open_cpu(original)), logits(open_cpu(shared_original)))


def original_tensors_of(folder: Path) -> Tensors:
    return {k: v for path in folder.glob("model-*.safetensors") for k, v in load_file(path).items()}


def test_the_lora_among_the_weights_comes_before_a_stale_copy_beside_them(
    original: Path, shared_original: Path
) -> None:
    path = original / "speech-lora" / "adapter_model.safetensors"
    save_file({k: v * 0 for k, v in load_file(path).items()}, path)
    assert torch.equal(logits(open_cpu(original)), logits(open_cpu(shared_original)))


def test_a_head_saved_beside_tied_embeddings_is_dropped_if_it_is_the_same(original: Path) -> None:
    embeddings = original_tensors_of(original)["model.embed_tokens.weight"]
    change_shard(original, lambda t: t.update({"lm_head.weight": embeddings}))
    module = open_cpu(original).module
    assert module.lm_head.weight is module.model.embed_tokens.weight
    change_shard(original, lambda t: t.update({"lm_head.weight": embeddings + 1}))
    assert "lm_head.weight differs from the embeddings" in refusal(original)


def test_the_sound_tokens_of_the_original_are_those_of_its_tokenizer(shared_original: Path) -> None:
    model = open_cpu(shared_original)
    assert model.module.config.audio_config.audio_token_id == model.processor.ids.audio


def test_weights_come_in_the_dtype_that_is_asked_for(shared_original: Path) -> None:
    module = load(shared_original, device="cpu", dtype="bfloat16").module
    assert {p.dtype for p in module.parameters()} == {torch.bfloat16}


# What is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(NORM), "no tensor model.norm.weight (1 such), though"),
        (lambda t: t.update({"model.foreign": torch.zeros(2)}), "unknown tensor model.foreign"),
        (
            lambda t: t.update({NORM: torch.zeros(31)}),
            "mis-shapes tensor model.norm.weight: [31] instead of [32]",
        ),
        (
            lambda t: t.update({BLOCK + "self_attn.q_proj.bias": torch.zeros(24)}),
            "is there twice, also as",
        ),
    ],
    ids=["missing", "extra", "mis-shaped", "twice"],
)
def test_a_tensor_that_does_not_fit_is_named(
    original: Path, change: Callable[[Tensors], object], message: str
) -> None:
    change_shard(original, change)
    assert message in refusal(original)


def test_a_tensor_that_neither_index_nor_shard_has_is_named(original: Path) -> None:
    change_shard(original, lambda t: t.pop(NORM))
    path = original / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    del index["weight_map"][NORM]
    path.write_text(json.dumps(index))
    assert "lacks tensor model.norm.weight (1 such)" in refusal(original)


def test_a_lora_tensor_that_is_missing_is_named(original: Path) -> None:
    tensors = original_tensors_of(original)
    del tensors["model.layers.1.mlp.down_proj.lora_B.speech.weight"]
    write_shards(original, tensors)
    assert "lacks tensor model.layers.1.mlp.down_proj.lora_B.weight" in refusal(original)


def test_a_shard_cut_short_is_named(original: Path) -> None:
    path = original / "model-00002-of-00003.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert f"{path}: cut off or damaged" in refusal(original)


def test_a_missing_shard_is_named(original: Path) -> None:
    (original / "model-00002-of-00003.safetensors").unlink()
    assert "model-00002-of-00003.safetensors: no such file" in refusal(original)


@pytest.mark.parametrize("new_format", [True, False])
def test_a_shard_that_is_a_pickle_is_never_opened_as_one(original: Path, new_format: bool) -> None:
    path = original / "model-00001-of-00003.safetensors"
    torch.save({"x": torch.zeros(3)}, path, _use_new_zipfile_serialization=new_format)
    assert "this is a pickle under another name" in refusal(original)


def test_pickled_weights_alone_are_refused_with_the_reason(original: Path) -> None:
    for path in original.glob("model*"):
        path.unlink()
    torch.save({}, original / "pytorch_model.bin")
    assert "pytorch_model.bin is a pickle" in refusal(original)


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "a/../../b", "..\\x"])
def test_an_index_that_points_outside_the_folder_is_refused(original: Path, name: str) -> None:
    path = original / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"][NORM] = name
    path.write_text(json.dumps(index))
    message = refusal(original)
    assert "outside the folder" in message
    assert name in message


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": {}}'])
def test_a_broken_index_is_named(original: Path, content: str) -> None:
    path = original / "model.safetensors.index.json"
    path.write_text(content)
    assert "model.safetensors.index.json" in refusal(original)


def test_a_folder_without_tokenizer_is_told(original: Path) -> None:
    (original / "tokenizer.json").unlink()
    assert "no tokenizer.json. Copy" in refusal(original)


def test_nothing_is_written_to_a_checkpoint(original: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in original.rglob("*")}
    open_cpu(original)
    change_shard(original, lambda t: t.pop(NORM))
    before |= {path: path.stat().st_mtime_ns for path in original.rglob("model-*")}
    refusal(original)
    assert {path: path.stat().st_mtime_ns for path in original.rglob("*")} == before


MEASURE = """
import sys, torch
from pathlib import Path
from soritune.models.phi4mm.family import FAMILY

def read(folder, dtype):
    return FAMILY.build(FAMILY.open_base(folder), dtype=dtype, device=torch.device('cpu'))

def peak():
    return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) * 1024

read(Path(sys.argv[1]), torch.float32)  # what is imported
Path('/proc/self/clear_refs').write_text('5')
before = peak()
base = read(Path(sys.argv[2]), torch.bfloat16)
kept = sum(p.numel() * p.element_size() for p in base.module.parameters())
print((peak() - before) / kept, kept)
"""


@pytest.mark.slow
def test_loading_takes_no_more_memory_than_the_weights_that_are_kept(
    shared_original: Path, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    write_large(shared_original, large)
    size = sum(path.stat().st_size for path in large.glob("model-*"))
    assert size >= 1_000_000_000
    command = [sys.executable, "-c", MEASURE, str(shared_original), str(large)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    share, kept = map(float, done.stdout.split())
    assert kept < 0.8 * size  # vision is not kept
    assert share <= 1.15


def write_large(small: Path, folder: Path) -> None:
    """A checkpoint of over 1 GB in bfloat16, a third of it vision, written shard by shard."""
    from transformers import Phi4MultimodalForCausalLM

    from soritune.models.phi4mm.configuration import native_config, original_config

    shutil.copytree(small, folder, ignore=shutil.ignore_patterns("model*.safetensors*", "*-lora"))
    config = native_config(json.loads((small / "config.json").read_text()))
    config.hidden_size, config.intermediate_size, config.num_hidden_layers = 1024, 4096, 16
    with torch.device("meta"):
        meta = Phi4MultimodalForCausalLM(config).state_dict()
    del meta[layout.TIED_HEAD]
    tower = "model.embed_tokens_extend.image_embed.img_processor.large."
    meta |= {f"{tower}{n}": torch.empty(4096, 4096, device="meta") for n in range(12)}
    names = sorted(meta)
    weight_map = {}
    for number in range(6):
        file = f"model-{number + 1:05}-of-00006.safetensors"
        part = {
            layout.to_original(name): torch.zeros(meta[name].shape, dtype=torch.bfloat16)
            for name in names[number::6]
        }
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps(original_config(config)))
