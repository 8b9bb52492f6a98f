"""A base in the original or native layout as a speech model, tensor by tensor.

Never any code of the checkpoint. Every tensor of the files is taken, dropped by name, or an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Phi4MultimodalConfig, PreTrainedTokenizerFast

from soritune.errors import UserError
from soritune.models import placement
from soritune.models.phi4mm import configuration, layout, lora
from soritune.models.phi4mm.checkpoint import (
    ADAPTER_CONFIG_FILE,
    CONFIG_FILE,
    Entry,
    check_match,
    read_checkpoint,
    read_json,
    read_tensor,
    same_values,
)
from soritune.models.phi4mm.constants import AUDIO_TOKEN, IMAGE_TOKEN
from soritune.models.phi4mm.modeling import ATTENTION, WHOLE_CLASSES, Phi4SpeechForCausalLM
from soritune.models.record import ADAPTER_FOLDER, check_export


@dataclass(frozen=True)
class Base:
    """A loaded base, and what became of the tensors in its files."""

    module: Phi4SpeechForCausalLM
    tokenizer: PreTrainedTokenizerFast
    lora: lora.SavedLora | None  # the base's own speech LoRA, not yet put on
    dropped: dict[str, str]  # key in the file: reason
    places: dict[str, torch.device]  # where each part lies, by names of modules


@dataclass(frozen=True)
class Sorted:
    """The tensors of a checkpoint by what becomes of them."""

    base: tuple[Entry, ...]
    speech_lora: tuple[Entry, ...]
    dropped: dict[str, str]  # key in the file: reason


def read_base(
    folder: Path, *, dtype: torch.dtype, device: torch.device | placement.DeviceMap
) -> Base:
    """Read a base of either layout, without its vision tower.

    The weights that are kept and one tensor are all that is ever in memory. `device` is one for
    all of it, or a map, by which each tensor goes straight to its place.

    Raises:
        UserError: another model; a device that is not there; files that are missing, cut off or
            pickled; tensors that are missing, extra or mis-shaped. Nothing is read before all of
            this has been checked.
    """
    record = read_json(folder / CONFIG_FILE)
    config = read_config(record, folder)
    tokenizer = read_tokenizer(folder)
    _set_token_ids(config, tokenizer)
    found = read_checkpoint(folder, vision=False)
    entries = sort_entries(found, tied=config.tie_word_embeddings)

    module = _empty_module(config, dtype)
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    if config.tie_word_embeddings:
        del wanted[layout.TIED_HEAD]
    advice = "the checkpoint is not whole or not of this model"
    check_match(wanted, entries.base, folder, advice)
    if config.tie_word_embeddings:
        _check_head(found, folder)
    saved = _own_lora(record, entries.speech_lora, folder)

    module.tie_weights()
    wanted_places = {placement.WHOLE: device} if isinstance(device, torch.device) else device
    places = placement.resolve(module, wanted_places, dtype, WHOLE_CLASSES)

    for entry in entries.base:
        name = entry.native.name
        place = placement.device_of(name, places)
        _put(module, name, read_tensor(entry).to(device=place, dtype=dtype))
    module.tie_weights()
    # Not in any file, because it follows from the configuration.
    rotary = module.model.rotary_emb
    place = placement.device_of("model.rotary_emb", places)
    module.model.rotary_emb = type(rotary)(config).to(place)
    left = [name for name, tensor in _tensors(module) if tensor.is_meta]
    assert not left, f"no values for {left}"
    module.train(mode=False)
    return Base(module, tokenizer, saved, entries.dropped, places)


def read_config(record: dict[str, Any], folder: Path) -> Phi4MultimodalConfig:
    """The native configuration of a base of either layout. Raises UserError for other models."""
    model_type = record.get("model_type")
    if model_type == layout.ORIGINAL_MODEL_TYPE:
        return configuration.native_config(record, str(folder / CONFIG_FILE))
    if model_type == layout.NATIVE_MODEL_TYPE:
        config: Phi4MultimodalConfig = Phi4MultimodalConfig.from_dict(dict(record))
        return config
    raise UserError(
        f"{folder / CONFIG_FILE} has model type {model_type!r}; soritune reads "
        f"{layout.NATIVE_MODEL_TYPE} and {layout.ORIGINAL_MODEL_TYPE} (Phi-4-multimodal)"
    )


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder's tokenizer.json; never the one that a config.json points to."""
    if not (folder / "tokenizer.json").is_file():
        raise UserError(
            f"{folder}: no tokenizer.json; copy the tokenizer's files from the base model's folder"
        )
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(str(folder))
    return tokenizer


def sort_entries(entries: Sequence[Entry], *, tied: bool) -> Sorted:
    """Base weights, speech LoRA, and what speech does without, with the reason for each."""
    base: list[Entry] = []
    speech: list[Entry] = []
    dropped: dict[str, str] = {}
    for entry in entries:
        name = entry.native
        if layout.is_vision(name):
            kind = "vision LoRA" if name.kind == "lora" else "vision tower"
            dropped[entry.key] = f"{kind}: not needed for speech"
        elif name.kind == "lora" and name.adapter in (layout.SPEECH, "default", None):
            speech.append(entry)
        elif name.name == layout.TIED_HEAD and tied:
            dropped[entry.key] = "head: tied to the embeddings"
        elif name.name.endswith("rotary_emb.inv_freq"):
            dropped[entry.key] = "rotary frequencies: follow from the configuration"
        else:
            base.append(entry)
    return Sorted(tuple(base), tuple(speech), dropped)


def _own_lora(
    record: dict[str, Any], entries: Sequence[Entry], folder: Path
) -> lora.SavedLora | None:
    """The base's own speech LoRA: the one among the weights, else the folder's `speech-lora/`.

    A fine-tune of the original writes the trained one among its weights, while `speech-lora/` may
    be an untouched copy.
    """
    beside = folder / ADAPTER_FOLDER
    if not entries:
        if (beside / ADAPTER_CONFIG_FILE).is_file():
            return lora.in_folder(beside)
        check_export(folder, has_lora=False)
        return None
    shape = configuration.lora_shape(record, layout.SPEECH)
    if shape is not None:
        return lora.among_weights(entries, shape, folder)
    for place in (folder, beside):
        if (place / ADAPTER_CONFIG_FILE).is_file():
            return lora.SavedLora(lora.read_settings(place), tuple(entries), folder)
    raise UserError(
        f'{folder}: {entries[0].key} and other LoRA tensors, but neither "speech_lora" in '
        f"{CONFIG_FILE} nor an {ADAPTER_CONFIG_FILE} says their alpha; add the one it was made with"
    )


def _check_head(entries: Sequence[Entry], folder: Path) -> None:
    """A tied head that the files hold all the same must be the embeddings once more."""
    by_name = {entry.native.name: entry for entry in entries if entry.native.kind == "base"}
    head = by_name.get(layout.TIED_HEAD)
    embeddings = by_name["model.embed_tokens.weight"]
    if head is not None and not same_values(head, embeddings):
        raise UserError(
            f"{folder}: {head.key} differs from the embeddings, though "
            f'"tie_word_embeddings" is true in {CONFIG_FILE}; which counts cannot be known'
        )


def _set_token_ids(config: Phi4MultimodalConfig, tokenizer: PreTrainedTokenizerFast) -> None:
    """The ids that stand for sound and image come from the tokenizer: the original has them in
    its code only."""
    vocabulary = tokenizer.get_vocab()
    audio: Any = config.audio_config
    vision: Any = config.vision_config
    audio.audio_token_id = vocabulary.get(AUDIO_TOKEN, audio.audio_token_id)
    vision.image_token_id = vocabulary.get(IMAGE_TOKEN, vision.image_token_id)


def _empty_module(config: Phi4MultimodalConfig, dtype: torch.dtype) -> Phi4SpeechForCausalLM:
    """The model on torch's meta device: names and shapes without memory."""
    with torch.device("meta"):
        module: Phi4SpeechForCausalLM = Phi4SpeechForCausalLM._from_config(  # type: ignore[no-untyped-call]
            config, dtype=dtype, attn_implementation=ATTENTION
        )
    return module


def _put(module: nn.Module, name: str, tensor: torch.Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    place = module.get_submodule(owner)
    if leaf in place._buffers:
        place._buffers[leaf] = tensor
    else:
        place._parameters[leaf] = nn.Parameter(tensor)


def _tensors(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]
