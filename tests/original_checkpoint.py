"""A small checkpoint in the original layout, made as the official one lies on the hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

from soritune.models.checkpoint import PEFT_PREFIX
from soritune.models.phi4mm import layout
from soritune.models.phi4mm.configuration import LoraShape, original_config

Tensors = dict[str, torch.Tensor]
SPEECH_LORA = LoraShape(r=4, alpha=8, dropout=0.0)
VISION_LORA = LoraShape(r=2, alpha=4, dropout=0.0)
NUM_SHARDS = 3


def native_tensors(native: Path) -> Tensors:
    """The weights of a native folder and, beside them, a vision tower."""
    config = Phi4MultimodalConfig.from_pretrained(native)
    torch.manual_seed(11)
    whole = Phi4MultimodalForCausalLM(config).state_dict()
    del whole[layout.TIED_HEAD]
    return {**whole, **load_file(native / "model.safetensors")}


def lora_tensors(tensors: Tensors, adapter: str, shape: LoraShape, seed: int) -> Tensors:
    """A LoRA that changes the output, by original names."""
    generator = torch.Generator().manual_seed(seed)
    lora: Tensors = {}
    for name in sorted(filter(layout.is_adapted, tensors)):
        rows, columns = tensors[name].shape
        path = name.removesuffix(".weight")
        a = torch.randn(shape.r, columns, generator=generator) * 0.2
        lora[f"{path}.lora_A.{adapter}.weight"] = a
        lora[f"{path}.lora_B.{adapter}.weight"] = torch.randn(rows, shape.r, generator=generator)
    return lora


def original_tensors(native: Path) -> Tensors:
    """All tensors by their original names: `.base_layer`, both LoRAs, vision."""
    tensors = native_tensors(native)
    return {
        **{layout.to_original(name): tensor for name, tensor in tensors.items()},
        **lora_tensors(tensors, "speech", SPEECH_LORA, 1),
        **lora_tensors(tensors, "vision", VISION_LORA, 2),
    }


def write_shards(folder: Path, tensors: Tensors) -> None:
    """Three shards of safetensors with their index."""
    names = sorted(tensors)
    weight_map = {}
    for number in range(NUM_SHARDS):
        file = f"model-{number + 1:05}-of-{NUM_SHARDS:05}.safetensors"
        part = {name: tensors[name].contiguous() for name in names[number::NUM_SHARDS]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    size = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def write_original(native: Path, folder: Path) -> Path:
    """The original-layout twin of a native folder, with the files that lie beside the weights."""
    folder.mkdir(parents=True)
    tensors = original_tensors(native)
    write_shards(folder, tensors)
    config = original_config(
        Phi4MultimodalConfig.from_pretrained(native),
        speech_lora=SPEECH_LORA,
        vision_lora=VISION_LORA,
    )
    (folder / "config.json").write_text(json.dumps(config))
    for file in native.glob("*token*"):
        shutil.copy(file, folder / file.name)
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 0]}')
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "modeling_phi4mm.py").write_text("raise SystemExit('remote code ran')\n")
    (folder / "configuration_phi4mm.py").write_text("raise SystemExit('remote code ran')\n")
    for adapter, shape in (("speech", SPEECH_LORA), ("vision", VISION_LORA)):
        write_adapter(folder / f"{adapter}-lora", tensors, adapter, shape)
    return folder


def write_native(native: Path, folder: Path) -> Path:
    """The native twin: the same weights, the speech LoRA beside them in a PEFT folder."""
    shutil.copytree(native, folder)
    write_adapter(folder / "speech-lora", original_tensors(native), "speech", SPEECH_LORA)
    save_file(native_tensors(native), folder / "model.safetensors")
    return folder


def write_adapter(folder: Path, tensors: Tensors, adapter: str, shape: LoraShape) -> None:
    """A LoRA as the official folder has it beside the weights."""
    folder.mkdir()
    lora = {
        PEFT_PREFIX + layout.to_native(name).name: tensor
        for name, tensor in tensors.items()
        if f".{adapter}.weight" in name and ".lora_" in name
    }
    save_file(lora, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {
        "base_model_name_or_path": "TBA",
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": shape.r,
        "lora_alpha": shape.alpha,
        "lora_dropout": shape.dropout,
        "target_modules": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings))
