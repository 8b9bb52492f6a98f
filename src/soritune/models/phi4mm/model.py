"""A loaded Phi-4-multimodal with its processor: load, add LoRA, save what was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig
from torch import nn

from soritune.errors import UserError
from soritune.models import causal, placement
from soritune.models.family import LORA, Batch, Generated, ModelInput
from soritune.models.phi4mm import layout, parts
from soritune.models.phi4mm.checkpoint import (
    ADAPTER_WEIGHTS_FILE,
    check_match,
    read_header,
    read_tensor,
)
from soritune.models.phi4mm.loading import read_base
from soritune.models.phi4mm.lora import (
    SavedLora,
    in_folder,
    merge,
    put_fresh,
    put_saved,
    tensors,
)
from soritune.models.phi4mm.modeling import Phi4SpeechForCausalLM
from soritune.models.phi4mm.processor import Phi4mmProcessor
from soritune.models.record import ADAPTER_FOLDER, TRAINED_FILE, lasting, write_record
from soritune.models.weights import save_tensors

FAMILY = "phi4mm"

# What becomes of the speech LoRA that a base brings: it stays and trains on, is added to the
# weights, or is left out.
Start = Literal["base", "merge", "fresh"]


@dataclass
class Phi4mm:
    """Implements `SpeechModel` for Phi-4-multimodal."""

    base: str
    module: Phi4SpeechForCausalLM
    processor: Phi4mmProcessor
    lora: LoraConfig | None = None
    revision: str | None = None  # of a base on the hub
    lora_start: Start = "base"  # what became of the LoRA that `base` brings
    # Names of trained tensors that came with the starting point and must be handed on.
    carried: set[str] = field(default_factory=set)
    # Where its parts lie, where they lie on several devices.
    places: dict[str, torch.device] | None = None
    family: str = field(default=FAMILY, init=False)

    @property
    def device(self) -> torch.device:
        """Where its inputs go."""
        if self.places is not None:
            return placement.main_device(self.places)
        return next(self.module.parameters()).device

    @property
    def feature_fill(self) -> torch.Tensor:
        """Mean of each mel channel, which the encoder subtracts first; (mels,), on the CPU."""
        mean = self.module.audio_encoder.encoder_embedding.global_mean
        return mean.detach().to("cpu", torch.float32)

    def part_of(self, parameter_name: str) -> str:
        """Part of a parameter, see `parts`."""
        return parts.part_of(parameter_name)

    def parts_of_mode(self, mode: str) -> frozenset[str]:
        """Parts that a mode trains, see `parts`."""
        return parts.parts_of_mode(mode)

    def add_lora(self, *, r: int, alpha: int, dropout: float, seed: int) -> None:
        """Put a fresh speech LoRA on the LM layers; a base that brings its own keeps it.

        Raises UserError where the one that is there has another size than the one asked for,
        which would be without effect.
        """
        if self.lora is None:
            self.lora = put_fresh(self.module, r=r, alpha=alpha, dropout=dropout, seed=seed)
        elif (self.lora.r, self.lora.lora_alpha) != (r, alpha):
            raise UserError(
                f"the base brings its own speech LoRA with r {self.lora.r} and alpha "
                f"{self.lora.lora_alpha}, but the recipe asks for r {r} and alpha {alpha}: give "
                "the same sizes to train it on, or lora.start: merge (adds it to the weights) or "
                "fresh (leaves it out) for a new one"
            )

    def load_lora(self, saved: SavedLora) -> None:
        """Put a saved adapter on the model, which must have none.

        Raises UserError naming the first tensor that is missing, extra or of another shape.
        """
        if self.lora is not None:
            raise UserError(
                f"{saved.where}: the model has a speech LoRA already, and a second one would be "
                "without effect; merge the first"
            )
        self.lora = put_saved(self.module, saved)

    def merge_lora(self) -> None:
        """Add the LoRA to the weights and drop it: faster decoding, the same results in fp32."""
        merge(self.module)
        self.lora = None

    def merge_own_lora(self) -> None:
        """Merge the LoRA that the starting point brings. Raises UserError where it brings none."""
        if self.lora is None:
            raise UserError(
                f"{self.base}: no speech LoRA to merge; leave lora.start out, a fresh one is added"
            )
        self.merge_lora()

    def spread(self) -> None:
        """Let inputs follow parts that lie on several devices; nothing may be put on after."""
        if self.places is not None:
            placement.spread(self.module, self.places)

    def checkpoint_layers(self) -> None:
        """Recompute activations of LM and conformer layers in the backward pass."""
        self.module.activation_checkpointing_enable({"use_reentrant": False})
        self.module.audio_encoder.gradient_checkpointing = True

    def num_targets(self, batch: Batch) -> int:
        """See `SpeechModel`."""
        return causal.num_targets(batch)

    def loss(
        self, batch: Batch, num_targets: float, *, module: nn.Module | None = None
    ) -> torch.Tensor:
        """See `SpeechModel`."""
        return causal.loss(module or self.module, batch, num_targets)

    def row_losses(self, batch: Batch) -> torch.Tensor:
        """See `SpeechModel`."""
        return causal.row_losses(self.module, batch)

    def generate(
        self, inputs: Sequence[ModelInput], limits: Sequence[int], *, beams: int = 1
    ) -> list[Generated]:
        """See `SpeechModel`."""
        prompts = self.processor.collate_prompts(inputs)
        rows, logprobs = causal.generate(
            self.module,
            {name: tensor.to(self.device) for name, tensor in prompts.items()},
            limits,
            end_ids=self.processor.ids.ends,
            pad_id=self.processor.ids.pad,
            beams=beams,
        )
        return [
            Generated(self.processor.decode(row), logprob)
            for row, logprob in zip(rows, logprobs, strict=True)
        ]

    def save(self, folder: Path, *, trained: Sequence[str], about: Mapping[str, Any]) -> None:
        """Write the LoRA (PEFT folder), the other trained tensors and `soritune.json`.

        `soritune.json` comes last: a folder that has it is whole.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if self.lora is not None:
            adapter = folder / ADAPTER_FOLDER
            adapter.mkdir(exist_ok=True)
            save_tensors(
                {layout.PEFT_PREFIX + key: value for key, value in tensors(self.module).items()},
                adapter / ADAPTER_WEIGHTS_FILE,
            )
            # Where the LoRA of the base is merged or more than the LoRA was trained, the adapter
            # alone is not the model.
            alone = self.lora_start != "merge"
            self.lora.base_model_name_or_path = lasting(self.base) if alone else None
            self.lora.revision = self.revision if alone else None
            self.lora.save_pretrained(str(adapter))
        parameters = dict(self.module.named_parameters())
        # PEFT wraps the adapted layers; the base's own names are kept on disk.
        others = {
            name.replace(".base_layer.", "."): parameter
            for name, parameter in parameters.items()
            if (name in trained or name.replace(".base_layer.", ".") in self.carried)
            and parts.part_of(name) != LORA
        }
        if others:
            save_tensors(others, folder / TRAINED_FILE)
        write_record(
            folder,
            folder,
            family=FAMILY,
            base=self.base,
            revision=self.revision,
            about={"lora_start": self.lora_start, **about},
        )

    def load_trained(self, folder: Path, *, with_lora: bool = True) -> None:
        """Load what `save` wrote on top of the base; every tensor must be taken."""
        path = folder / TRAINED_FILE
        if path.is_file():
            # PEFT wraps the layers of a base that brings its own LoRA.
            own = {n.replace(".base_layer.", "."): p for n, p in self.module.named_parameters()}
            entries = read_header(path)
            names = {entry.native.name for entry in entries}
            check_match(
                {name: tuple(own[name].shape) for name in names & set(own)},
                entries,
                folder,
                _ADVICE,
            )
            with torch.no_grad():
                for entry in entries:
                    own[entry.native.name].copy_(read_tensor(entry))
            self.carried |= names
        if with_lora and (folder / ADAPTER_FOLDER).is_dir():
            self.load_lora(in_folder(folder / ADAPTER_FOLDER))


_ADVICE = "it does not belong to this base model; load it with the base that it was trained on"


def load_base(
    folder: Path,
    base: str,
    *,
    revision: str | None = None,
    dtype: torch.dtype,
    device: torch.device | placement.DeviceMap,
    start: Start = "base",
) -> Phi4mm:
    """Load a base of either layout, without vision, onto one device or as a map says.

    Raises UserError for another model, for tensors that are missing, extra or mis-shaped, and
    where the LoRA to merge is not there.
    """
    read = read_base(folder, dtype=dtype, device=device)
    model = Phi4mm(base, read.module, Phi4mmProcessor(read.tokenizer), lora_start=start)
    model.revision = revision
    model.places = None if isinstance(device, torch.device) else read.places
    if start != "fresh" and read.lora is not None:
        model.load_lora(read.lora)
    if start == "merge":
        model.merge_own_lora()
    return model
