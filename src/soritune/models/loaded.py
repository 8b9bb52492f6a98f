"""What loaded models of all families share: the LoRA, saving and loading what was trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from torch import nn

from soritune.errors import UserError
from soritune.files import sync_folder
from soritune.models.checkpoint import (
    ADAPTER_FOLDER,
    ADAPTER_WEIGHTS_FILE,
    PEFT_PREFIX,
    check_match,
    read_header,
    read_tensor,
    shapes_of,
)
from soritune.models.family import LORA, ClipLimits, Family, LoraStart
from soritune.models.generation import Written
from soritune.models.lora import Lora, read_lora
from soritune.models.modes import lora_layers, parts_of_mode
from soritune.models.peft_adapter import (
    NOT_OF_THIS_BASE,
    merge_adapter,
    put_fresh,
    put_saved,
    set_dropout,
    tensors,
)
from soritune.models.record import TRAINED_FILE, stable_name, write_record
from soritune.models.speech_model import Batch, Generated, ModelInput, Watch
from soritune.models.tensors import LazyTensor
from soritune.models.weights import save_tensors


@dataclass
class LoadedModel(ABC):
    """Implements `SpeechModel` but for what each family does in its own way.

    Attributes:
        base: what `load` was given for the base: hub id, folder or "builtin:…".
        revision: of a base on the hub.
        lora: settings of the LoRA that is on the model; None where there is none.
        lora_start: what became of the LoRA that `base` brings.
        carried: names of trained tensors that came with the starting point and must be saved
            with what is trained on top.
        longest_trained_s: see `ClipLimits`.
    """

    family: Family
    module: Any  # a model of transformers
    processor: Any
    base: str = ""
    revision: str | None = None
    lora: LoraConfig | None = None
    lora_start: LoraStart = "base"
    carried: set[str] = field(default_factory=set)
    longest_trained_s: float | None = None

    @property
    def device(self) -> torch.device:
        """Where its inputs go."""
        parameter: nn.Parameter = next(self.module.parameters())
        return parameter.device

    @property
    def clip_limits(self) -> ClipLimits:
        """See `SpeechModel`."""
        return replace(self.family.clip_limits, longest_trained_s=self.longest_trained_s)

    @property
    @abstractmethod
    def feature_fill(self) -> torch.Tensor:
        """See `SpeechModel`."""

    @abstractmethod
    def checkpoint_layers(self) -> None:
        """See `SpeechModel`."""

    @abstractmethod
    def num_targets(self, batch: Batch) -> int:
        """See `SpeechModel`."""

    @abstractmethod
    def loss(
        self, batch: Batch, num_targets: float, *, module: nn.Module | None = None
    ) -> torch.Tensor:
        """See `SpeechModel`."""

    @abstractmethod
    def row_losses(self, batch: Batch) -> torch.Tensor:
        """See `SpeechModel`."""

    @abstractmethod
    def generate(
        self,
        inputs: Sequence[ModelInput],
        limits: Sequence[int],
        *,
        beams: int = 1,
        watch: Watch | None = None,
    ) -> list[Generated]:
        """See `SpeechModel`."""

    def align(
        self, inputs: Sequence[ModelInput], tokens: Sequence[Sequence[int]]
    ) -> list[list[tuple[float, float]]]:
        """See `SpeechModel`."""
        raise UserError(
            f"{self.family.title} cannot tell when words are spoken. Leave word times out"
        )

    def answers(self, written: Sequence[Written]) -> list[Generated]:
        """Return what was written as text."""
        return [
            Generated(
                self.processor.decode(row.ids), row.mean_logprob, tuple(row.ids), row.logprobs
            )
            for row in written
        ]

    def show(self, watch: Watch | None) -> Callable[[list[list[int]]], Sequence[bool]] | None:
        """Return what `generate_ids` calls with ids: `watch`, which gets their texts."""
        if watch is None:
            return None
        return lambda rows: watch([self.processor.decode(row) for row in rows])

    def part_of(self, parameter_name: str) -> str:
        """See `SpeechModel`."""
        return self.family.part_of(parameter_name)

    def parts_of_mode(self, mode: str) -> frozenset[str]:
        """See `SpeechModel`. Raises ValueError for an unknown mode."""
        return parts_of_mode(self.family, mode)

    def add_lora(
        self, *, r: int, alpha: float, dropout: float, seed: int, mode: str = "lora"
    ) -> None:
        """Put a fresh LoRA on the layers that a mode adapts; a base that brings its own keeps it.

        The dropout is the one asked for in either case.

        Raises UserError where the one that is there has another size than the one asked for,
        which would be without effect.
        """
        if self.lora is None:
            layers = lora_layers(self.family, mode)
            self.lora = put_fresh(self.module, layers, r=r, alpha=alpha, dropout=dropout, seed=seed)
        elif (self.lora.r, self.lora.lora_alpha) != (r, alpha):
            raise UserError(
                f"the base brings its own LoRA with r {self.lora.r} and alpha "
                f"{self.lora.lora_alpha}, but the recipe asks for r {r} and alpha {alpha}: give "
                "the same sizes to train it on, or lora.start: merge (adds it to the weights) or "
                "fresh (leaves it out) for a new one"
            )
        else:
            set_dropout(self.module, dropout)
            self.lora.lora_dropout = dropout

    def load_lora(self, lora: Lora) -> None:
        """Put a saved adapter on the model, which must have none.

        Raises UserError naming the first tensor that is missing, extra or of another shape.
        """
        if self.lora is not None:
            raise UserError(
                f"{lora.where}: the model has a LoRA already, and a second one would be "
                "without effect; merge the first"
            )
        self.lora = put_saved(self.module, lora, self.family.lora.layers)

    def merge_lora(self) -> None:
        """Add the LoRA to the weights and drop it: faster decoding, the same results in fp32."""
        merge_adapter(self.module)
        self.lora = None

    def merge_own_lora(self) -> None:
        """Merge the LoRA that the starting point brings. Raises UserError where it brings none."""
        if self.lora is None:
            raise UserError(
                f"{self.base}: no LoRA to merge; leave lora.start out, a fresh one is added"
            )
        self.merge_lora()

    def save(self, folder: Path, *, trained: Sequence[str], about: Mapping[str, Any]) -> None:
        """Write the LoRA (PEFT folder), the other trained tensors and `soritune.json`.

        `soritune.json` comes last: a folder that has it is complete.

        Args:
            trained: names of parameters of the module.
            about: what else to record, such as case and mode.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if self.lora is not None:
            adapter = folder / ADAPTER_FOLDER
            adapter.mkdir(exist_ok=True)
            save_tensors(
                {PEFT_PREFIX + key: value for key, value in tensors(self.module).items()},
                adapter / ADAPTER_WEIGHTS_FILE,
            )
            # Where the LoRA of the base is merged or more than the LoRA was trained, the adapter
            # alone is not the model.
            alone = self.lora_start != "merge"
            self.lora.base_model_name_or_path = stable_name(self.base) if alone else None
            self.lora.revision = self.revision if alone else None
            self.lora.save_pretrained(str(adapter))
        # PEFT wraps the adapted layers; the base's own names are kept on disk.
        others = {
            name.replace(".base_layer.", "."): parameter
            for name, parameter in self.module.named_parameters()
            if (name in trained or name.replace(".base_layer.", ".") in self.carried)
            and self.part_of(name) != LORA
        }
        if others:
            save_tensors(others, folder / TRAINED_FILE)
        sync_folder(folder)
        write_record(
            folder,
            folder,
            family=self.family.name,
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
            found = shapes_of(entries)
            expected = {name: tuple(own[name].shape) for name in found.keys() & own.keys()}
            check_match(expected, found, folder, NOT_OF_THIS_BASE)
            with torch.no_grad():
                for entry in entries:
                    own[entry.native.name].copy_(read_tensor(entry))
            self.carried |= found.keys()
        if with_lora and (folder / ADAPTER_FOLDER).is_dir():
            self.load_lora(read_lora(folder / ADAPTER_FOLDER))


def fill_module(
    module: nn.Module,
    weights: Mapping[str, LazyTensor],
    where: Path,
    *,
    dtype: torch.dtype,
    device: torch.device,
    tied: frozenset[str] = frozenset(),
    in_float32: frozenset[str] = frozenset(),
) -> None:
    """Give a module on torch's meta device its weights; nothing is read before all is checked.

    The weights and one tensor more are all that is ever in memory. Floating-point tensors get the
    dtype. Buffers that are in no file must be set afterwards.

    Args:
        weights: by name in the module.
        where: folder of the weights, for messages.
        tied: names in the module that are other tensors of it once more (`tie_weights`).
        in_float32: names of tensors that are kept in float32 whatever the dtype is.

    Raises UserError naming the first tensor that is missing, extra or of another shape.
    """
    expected = {
        name: tuple(tensor.shape)
        for name, tensor in module.state_dict().items()
        if name not in tied
    }
    found = {name: tensor.shape for name, tensor in weights.items()}
    check_match(expected, found, where, "the checkpoint is not complete or not of this model")
    for name, tensor in weights.items():
        kept = torch.float32 if name in in_float32 else dtype
        _put(module, name, tensor.read().to(device=device, dtype=kept))
    if tied:
        module.tie_weights()  # type: ignore[operator]


def _put(module: nn.Module, name: str, tensor: torch.Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    place = module.get_submodule(owner)
    if leaf in place._buffers:
        place._buffers[leaf] = tensor
    else:
        place._parameters[leaf] = nn.Parameter(tensor)
