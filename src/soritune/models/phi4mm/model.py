"""A loaded Phi-4-multimodal with its processor: load, add LoRA, save what was trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, Phi4MultimodalConfig
from transformers.utils import logging as transformers_logging

from soritune.errors import UserError
from soritune.models.phi4mm import parts
from soritune.models.phi4mm.modeling import ATTENTION, Phi4SpeechForCausalLM
from soritune.models.phi4mm.processor import Phi4mmProcessor

FAMILY = "phi4mm"
NATIVE_MODEL_TYPE = "phi4_multimodal"
ORIGINAL_MODEL_TYPE = "phi4mm"
ADAPTER = "speech"
ADAPTER_FOLDER = "speech-lora"  # as the official checkpoint names it
TRAINED_FILE = "trained.safetensors"
_PEFT_PREFIX = "base_model.model."


@dataclass
class Phi4mm:
    """Implements `SpeechModel` for Phi-4-multimodal."""

    base: str
    module: Phi4SpeechForCausalLM
    processor: Phi4mmProcessor
    lora: LoraConfig | None = None
    family: str = field(default=FAMILY, init=False)

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    @property
    def end_token_ids(self) -> tuple[int, ...]:
        return self.processor.ids.ends

    @property
    def pad_token_id(self) -> int:
        return self.processor.ids.pad

    def part_of(self, parameter_name: str) -> str:
        """Part of a parameter, see `parts`."""
        return parts.part_of(parameter_name)

    def parts_of_mode(self, mode: str) -> frozenset[str]:
        """Parts that a mode trains, see `parts`."""
        return parts.parts_of_mode(mode)

    def add_lora(self, *, r: int, alpha: int, dropout: float, seed: int) -> None:
        """Put a fresh speech LoRA on the LM layers; a base that brings its own keeps it."""
        if self.lora is not None:
            return
        config = LoraConfig(
            r=r, lora_alpha=alpha, lora_dropout=dropout, target_modules=parts.LORA_TARGETS
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._inject(config)

    def _inject(self, config: LoraConfig) -> None:
        inject_adapter_in_model(config, self.module, adapter_name=ADAPTER)
        self.lora = config

    def load_lora(self, folder: Path) -> None:
        """Put a saved PEFT adapter on the model; every tensor must be taken.

        Raises UserError naming the first tensor that is missing, extra or of another shape: PEFT
        itself goes on silently with an adapter of no effect.
        """
        config = LoraConfig.from_pretrained(str(folder))
        # The pattern of the saved configuration may be a list of bare names, which would also
        # hit the encoder's and the projector's layers.
        config.target_modules = parts.LORA_TARGETS
        config.inference_mode = False
        self._inject(config)
        found = {
            key.removeprefix(_PEFT_PREFIX): tensor
            for key, tensor in _read(folder / "adapter_model.safetensors").items()
        }
        wanted = get_peft_model_state_dict(self.module, adapter_name=ADAPTER)
        _match({k: v.shape for k, v in wanted.items()}, found, folder)
        set_peft_model_state_dict(self.module, found, adapter_name=ADAPTER)

    def merge_lora(self) -> None:
        """Add the LoRA to the weights and drop it: faster decoding, the same results in fp32."""
        for name, layer in list(self.module.named_modules()):
            if isinstance(layer, LoraLayer):
                layer.merge()
                self.module.set_submodule(name, layer.get_base_layer())
        self.lora = None

    def checkpoint_layers(self) -> None:
        """Recompute activations of LM and conformer layers in the backward pass."""
        self.module.gradient_checkpointing_enable(  # type: ignore[no-untyped-call]
            {"use_reentrant": False}
        )
        self.module.audio_encoder.gradient_checkpointing = True

    def save(self, folder: Path, *, trained: Sequence[str], about: Mapping[str, Any]) -> None:
        """Write the LoRA (PEFT folder), the other trained tensors and `soritune.json`.

        `soritune.json` comes last: a folder that has it is whole.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if self.lora is not None:
            adapter = folder / ADAPTER_FOLDER
            adapter.mkdir(exist_ok=True)
            tensors = get_peft_model_state_dict(self.module, adapter_name=ADAPTER)
            _save(
                {_PEFT_PREFIX + key: value for key, value in tensors.items()},
                adapter / "adapter_model.safetensors",
            )
            self.lora.save_pretrained(str(adapter))
        parameters = dict(self.module.named_parameters())
        # PEFT wraps the adapted layers; the base's own names are kept on disk.
        others = {
            name.replace(".base_layer.", "."): parameters[name]
            for name in trained
            if parts.part_of(name) != "speech LoRA"
        }
        if others:
            _save(others, folder / TRAINED_FILE)
        record = {"format": 1, "family": FAMILY, "base": self.base, **about}
        (folder / "soritune.json").write_text(
            json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )

    def load_trained(self, folder: Path) -> None:
        """Load what `save` wrote on top of the base; every tensor must be taken."""
        path = folder / TRAINED_FILE
        if path.is_file():
            # PEFT wraps the layers of a base that brings its own LoRA.
            own = {n.replace(".base_layer.", "."): p for n, p in self.module.named_parameters()}
            found = _read(path)
            _match({name: own[name].shape for name in found if name in own}, found, folder)
            with torch.no_grad():
                for name, tensor in found.items():
                    own[name].copy_(tensor)
        if (folder / ADAPTER_FOLDER).is_dir():
            self.load_lora(folder / ADAPTER_FOLDER)


def _save(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    whole = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    save_file(whole, path, metadata={"format": "pt"})


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); take the folder from its origin anew"
        ) from None


def _match(
    wanted: Mapping[str, torch.Size], found: Mapping[str, torch.Tensor], folder: Path
) -> None:
    missing = sorted(set(wanted) - set(found))
    extra = sorted(set(found) - set(wanted))
    shaped = sorted(k for k in set(wanted) & set(found) if wanted[k] != found[k].shape)
    for problem, names in (("lacks", missing), ("has an unknown", extra), ("mis-shapes", shaped)):
        if names:
            raise UserError(
                f"{folder} {problem} tensor {names[0]} ({len(names)} such): it does not belong to "
                "this base model; load it with the base that it was trained on"
            )


def load_base(
    folder: Path,
    base: str,
    *,
    dtype: torch.dtype,
    device: torch.device,
    own_lora: bool = True,
) -> Phi4mm:
    """Load a base in the native layout, without vision; with `own_lora` its own speech LoRA
    comes along.

    Raises UserError for another layout and for tensors that are missing, extra or mis-shaped.
    """
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no readable config.json ({error}); is it a model?") from None
    model_type = record.get("model_type")
    if model_type != NATIVE_MODEL_TYPE:
        advice = (
            "the original layout; take the native conversion of the checkpoint "
            "(transformers' convert_phi4_multimodal_weights_to_hf)"
            if model_type == ORIGINAL_MODEL_TYPE
            else f"model type {model_type!r}; soritune reads {NATIVE_MODEL_TYPE}"
        )
        raise UserError(f"{folder}/config.json has {advice}")
    config = Phi4MultimodalConfig.from_pretrained(str(folder))
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # what it would warn of is checked below
    try:
        # With the loading info asked for, a pair comes back; the stubs know only of the model.
        loaded: Any = Phi4SpeechForCausalLM.from_pretrained(
            str(folder),
            config=config,
            dtype=dtype,
            attn_implementation=ATTENTION,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, by name
        )
    except (OSError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: weights cannot be read: {str(error).splitlines()[0]}") from None
    finally:
        transformers_logging.set_verbosity(verbosity)
    module, info = loaded
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        names = sorted(key if isinstance(key, str) else str(key[0]) for key in info[problem])
        if names:
            raise UserError(
                f"{folder}: {problem.replace('_', ' ')}: {names[0]} ({len(names)} in all); "
                "the checkpoint is not whole or not of this model"
            )
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    model = Phi4mm(base, module.to(device).eval(), Phi4mmProcessor(tokenizer))
    if own_lora and (folder / ADAPTER_FOLDER / "adapter_config.json").is_file():
        model.load_lora(folder / ADAPTER_FOLDER)
    return model
