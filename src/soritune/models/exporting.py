"""What an export is: its targets, and the plan of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soritune.models.lora import Lora
    from soritune.models.shards import Advance
    from soritune.models.tensors import LazyTensor


@dataclass(frozen=True)
class ExportTarget:
    """A layout that `soritune export --to` writes.

    Attributes:
        holds: completes "This folder holds …" on the model card.
        reader: who reads it, in a word or two.
        takes_lora_weight: whether a share of the LoRA can be added to the weights.
        library: that opens it, as the hub names it; soritune opens those of transformers.
    """

    holds: str
    reader: str
    takes_lora_weight: bool = False
    library: str = "transformers"


ADAPTER = "adapter"  # the export target that all families with a LoRA share
ADAPTER_TARGET = ExportTarget(
    "a LoRA adapter (PEFT), to be put on its base", "PEFT", library="peft"
)


@dataclass(frozen=True)
class ExportPlan:
    """What an export will write.

    Attributes:
        tensors: weights by their names in the files.
        lora: the adapter in a folder beside the weights, if there is one.
        notes: what the user should know, a sentence each without its full stop.
        write: writes all files into a folder, given the largest size of a file of weights in
            bytes and what is called with bytes written.
        lora_weight: share of the LoRA that was added to the weights.
    """

    tensors: Mapping[str, LazyTensor]
    lora: Lora | None
    notes: tuple[str, ...]
    write: Callable[[Path, int, Advance | None], None]
    lora_weight: float | None = None
