"""A base in the original or native layout: what it holds, and the model made of it.

Never any code of the checkpoint. Every tensor of the files is taken, dropped by name, or an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Phi4MultimodalConfig, PreTrainedTokenizerFast

from soritune.errors import UserError
from soritune.models import stored
from soritune.models.checkpoint import (
    CONFIG_FILE,
    Entry,
    read_checkpoint,
    read_json,
    same_values,
)
from soritune.models.family import Family
from soritune.models.loaded import fill_module
from soritune.models.lora import Lora, lora_of_entries, read_lora
from soritune.models.phi4mm import configuration, layout
from soritune.models.phi4mm.constants import AUDIO_TOKEN, IMAGE_TOKEN
from soritune.models.phi4mm.encoder import FEATURE_STATISTICS
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.phi4mm.modeling import ATTENTION, Phi4SpeechForCausalLM
from soritune.models.phi4mm.processor import Phi4mmProcessor
from soritune.models.stored import StoredBase
from soritune.models.tensors import LazyTensor
from soritune.models.tokenizers import read_tokenizer

VISION_FOLDER = "vision-lora"  # as the official checkpoint names it


@dataclass(frozen=True)
class _Sorted:
    """The tensors of a checkpoint by what becomes of them."""

    base: tuple[Entry, ...]
    speech_lora: tuple[Entry, ...]
    vision: tuple[Entry, ...]  # tower and LoRA
    dropped: dict[str, str]  # key in the file: reason


def open_base(family: Family, folder: Path, *, whole: bool = False) -> StoredBase:
    """Read the headers of a base of either layout.

    Args:
        whole: also the vision tower and the vision LoRA, for an export.

    Raises UserError for another model, and for files that are missing, damaged or pickled.
    """
    record = read_json(folder / CONFIG_FILE)
    config = read_config(record, folder)
    found = read_checkpoint(
        folder, layout.to_native, optional=lambda name: not whole and layout.is_vision(name)
    )
    entries = _sort(found, tied=config.tie_word_embeddings)
    if config.tie_word_embeddings:
        _check_head(found, folder)
    kept = entries.base
    other_loras: dict[str, Lora] = {}
    if whole:
        kept += tuple(entry for entry in entries.vision if entry.native.kind == "base")
        lora = [entry for entry in entries.vision if entry.native.kind == "lora"]
        beside = folder / VISION_FOLDER
        if lora:
            other_loras[layout.VISION] = _lora_among_weights(record, lora, layout.VISION, folder)
        elif beside.is_dir():
            other_loras[layout.VISION] = read_lora(beside)
    speech = list(entries.speech_lora)
    own: Lora | None
    if speech and configuration.lora_shape(record, layout.SPEECH) is not None:
        own = _lora_among_weights(record, speech, layout.SPEECH, folder)
    else:
        own = stored.own_lora(folder, speech)
    return StoredBase(
        folder=folder,
        layout=family.layout_of(record),
        config=record,
        weights={entry.native.name: LazyTensor.of(entry) for entry in kept},
        lora=own,
        other_loras=other_loras,
        dropped=entries.dropped,
    )


def build(family: Family, base: StoredBase, *, dtype: torch.dtype, device: torch.device) -> Phi4mm:
    """Make the model of a base without its vision tower and its LoRA.

    Raises UserError for tensors that are missing, extra or of another shape, and where there is no
    tokenizer; nothing is read before all of this has been checked.
    """
    config = read_config(dict(base.config), base.folder)
    tokenizer = read_tokenizer(PreTrainedTokenizerFast, base.folder)
    set_token_ids(config, tokenizer)
    with torch.device("meta"):
        module: Phi4SpeechForCausalLM = Phi4SpeechForCausalLM._from_config(  # type: ignore[no-untyped-call]
            config, dtype=dtype, attn_implementation=ATTENTION
        )
    tied = frozenset({layout.TIED_HEAD} if config.tie_word_embeddings else ())
    fill_module(
        module,
        base.weights,
        base.folder,
        dtype=dtype,
        device=device,
        tied=tied,
        in_float32=frozenset(name for name in base.weights if FEATURE_STATISTICS in name),
    )
    # Not in any file, because it follows from the configuration.
    module.model.rotary_emb = type(module.model.rotary_emb)(config).to(device)
    left = [
        name
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
        if tensor.is_meta and device.type != "meta"
    ]
    assert not left, f"no values for {left}"
    module.train(mode=False)
    return Phi4mm(family, module, Phi4mmProcessor(tokenizer))


def read_config(record: dict[str, Any], folder: Path) -> Phi4MultimodalConfig:
    """Return the native configuration of a base of either layout.

    Raises UserError where the native model cannot express it.
    """
    if record.get("model_type") == layout.ORIGINAL_MODEL_TYPE:
        return configuration.native_config(record, str(folder / CONFIG_FILE))
    config: Phi4MultimodalConfig = Phi4MultimodalConfig.from_dict(dict(record))
    return config


def _sort(entries: Sequence[Entry], *, tied: bool) -> _Sorted:
    """Sort tensors into base weights, speech LoRA, and what speech does without, with reasons."""
    base: list[Entry] = []
    speech: list[Entry] = []
    vision: list[Entry] = []
    dropped: dict[str, str] = {}
    for entry in entries:
        name = entry.native
        if layout.is_vision(name):
            kind = "vision LoRA" if name.kind == "lora" else "vision tower"
            dropped[entry.key] = f"{kind}: not needed for speech"
            vision.append(entry)
        elif name.kind == "lora" and name.adapter in (layout.SPEECH, "default", None):
            speech.append(entry)
        elif name.name == layout.TIED_HEAD and tied:
            dropped[entry.key] = "head: tied to the embeddings"
        elif name.name.endswith("rotary_emb.inv_freq"):
            dropped[entry.key] = "rotary frequencies: follow from the configuration"
        else:
            base.append(entry)
    return _Sorted(tuple(base), tuple(speech), tuple(vision), dropped)


def _lora_among_weights(
    config: dict[str, Any], entries: Sequence[Entry], adapter: str, folder: Path
) -> Lora:
    """Return an adapter among the weights, whose size config.json says."""
    shape = configuration.lora_shape(config, adapter)
    if shape is None:
        raise UserError(
            f"{folder}: {entries[0].key} and other LoRA tensors, but no size of the {adapter} LoRA "
            f"in {CONFIG_FILE}; add the one it was made with"
        )
    return lora_of_entries(
        entries, r=shape.r, alpha=shape.alpha, dropout=shape.dropout, where=folder
    )


def _check_head(entries: Sequence[Entry], folder: Path) -> None:
    """Raise UserError where a tied head that the files hold all the same is not the embeddings."""
    by_name = {entry.native.name: entry for entry in entries if entry.native.kind == "base"}
    head = by_name.get(layout.TIED_HEAD)
    embeddings = by_name.get("model.embed_tokens.weight")
    if head is not None and embeddings is not None and not same_values(head, embeddings):
        raise UserError(
            f"{folder}: {head.key} differs from the embeddings, though "
            f'"tie_word_embeddings" is true in {CONFIG_FILE}; which counts cannot be known'
        )


def set_token_ids(config: Phi4MultimodalConfig, tokenizer: PreTrainedTokenizerFast) -> None:
    """Take the ids that stand for sound and image from the tokenizer.

    The original layout has them in its code only.
    """
    vocabulary = tokenizer.get_vocab()
    audio: Any = config.audio_config
    vision: Any = config.vision_config
    audio.audio_token_id = vocabulary.get(AUDIO_TOKEN, audio.audio_token_id)
    vision.image_token_id = vocabulary.get(IMAGE_TOKEN, vision.image_token_id)
