"""What a model family must offer so that the other rooms can train, decode, score and export it.

A family is a folder in `models/` and one line in `registry.py`; no other room knows which family
it has. `Family` is what is known without weights; what a loaded model does stands in
`speech_model.py`. Nothing here imports torch, so that recipes can be checked without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from soritune.errors import UserError
from soritune.models import checkpoint
from soritune.models.exporting import ExportPlan, ExportTarget
from soritune.tasks import Request

if TYPE_CHECKING:
    import torch

    from soritune.models.loaded import LoadedModel
    from soritune.models.lora import Lora
    from soritune.models.serving import Chat
    from soritune.models.stored import StoredBase, StoredModel
    from soritune.models.summary import Summary

LORA = "LoRA"  # name of the part that holds the adapter, in every family

# What becomes of the LoRA that a base brings: it stays and trains on, is added to the weights, or
# is left out.
LoraStart = Literal["base", "merge", "fresh"]


@dataclass(frozen=True)
class ClipLimits:
    """Clips that a family can be trained on and asked about.

    Attributes:
        min_samples: at 16 kHz.
        max_duration_s: of one clip; longer recordings are cut into windows first.
        fixed_cost: whether a short clip costs as much as the longest, so that long windows pay.
        longest_trained_s: longest clip that a model was last trained on; None where it is not
            known, as of a base.
    """

    min_samples: int
    max_duration_s: float
    fixed_cost: bool = False
    longest_trained_s: float | None = None


@dataclass(frozen=True)
class Mode:
    """One word of a recipe's `mode`.

    Attributes:
        parts: parts of the model that it trains (`Family.part_of`).
        title: what it trains, in a table for people; the word itself where it is empty.
        alone: whether it cannot be added to another.
        lora_layers: pattern of the full names of the layers that a fresh LoRA is put on, where
            it differs from `LoraDefaults.layers`.
    """

    parts: frozenset[str]
    title: str = ""
    alone: bool = False
    lora_layers: str | None = None


@dataclass(frozen=True)
class LoraDefaults:
    """Size of a fresh LoRA where the recipe names none, and where it belongs.

    Attributes:
        layers: pattern of the full native names of the layers that it is put on; an adapter on
            any other layer is refused.
        target_modules: last parts of those names, as the adapter_config.json of an export has
            them for other programs; empty where they do not tell the layers, then it has their
            full names.
        exclude_modules: pattern of layers with the same last part that have no LoRA.
        task_type: of PEFT.
    """

    r: int
    alpha: float
    dropout: float
    layers: str
    target_modules: tuple[str, ...] = ()
    exclude_modules: str | None = None
    task_type: str | None = None


@dataclass(frozen=True)
class PublishedBase:
    """Size of a base on the hub, from the files of its repository."""

    parameters: int
    num_bytes: int


class Family(Protocol):
    """What is known of a family without weights, and how its checkpoints are opened.

    A family subclasses this in `family.py` of its folder, which must not import torch or
    transformers at the top. Methods with a body here are defaults; some of them call a function of
    another file of that folder, which is imported then.

    Attributes:
        name: in soritune.json, and of its folder.
        title: for people.
        model_types: values of "model_type" in a config.json that it opens.
        clip_limits: see `ClipLimits`.
        modes: words of a recipe's mode, in the order in which a sum is written.
        part_patterns: pattern found in the names of a part's parameters; the first match counts.
        tied_head: name of the head where it is the embeddings once more, in the files or not.
        audio_parts: parts that hear (encoder, projector); `audio_learning_rate` is theirs.
        lora: see `LoraDefaults`.
        builtin_bases: folders of bases that come with the package: NAME in "builtin:NAME".
        published_bases: bases on the hub by id.
        layouts: layouts of whole models, each with a few words for people.
        aligns: whether its models tell when words are spoken (`SpeechModel.align`).
        targets: what `export --to` writes besides `adapter`.
        whole_target: which of them a blend of two complete models is written as.
    """

    name: str
    title: str
    model_types: tuple[str, ...]
    clip_limits: ClipLimits
    modes: Mapping[str, Mode]
    part_patterns: Mapping[str, str] = {}
    tied_head: str | None = None
    audio_parts: frozenset[str] = frozenset()
    lora: LoraDefaults
    builtin_bases: Mapping[str, Path] = {}
    published_bases: Mapping[str, PublishedBase] = {}
    layouts: Mapping[str, str] = {}
    aligns: bool = False
    targets: Mapping[str, ExportTarget] = {}
    whole_target: str = ""

    def check_request(self, request: Request) -> None:
        """Raise UserError where the family cannot do what is asked, with what it can do."""

    def part_of(self, name: str) -> str:
        """Return the part that a parameter belongs to, by its name in the model or in files."""
        return next(part for part, held in self.part_patterns.items() if re.search(held, name))

    def open_base(self, folder: Path, *, whole: bool = False) -> StoredBase:
        """Read the headers of a base: its weights by native name and its LoRA.

        Args:
            whole: also the weights that speech does not need, for an export.

        Raises UserError for a checkpoint that is damaged or not of this family.
        """
        from soritune.models.stored import open_plain_base

        return open_plain_base(self, folder)

    def build(self, base: StoredBase, *, dtype: torch.dtype, device: torch.device) -> LoadedModel:
        """Make the model of a base, without its LoRA: `build` of `loading.py`.

        Raises UserError where tensors are missing, extra or of another shape.
        """
        model: LoadedModel = self._file("loading").build(self, base, dtype=dtype, device=device)
        return model

    def needed_files(self, folder: Path) -> Sequence[str]:
        """Return patterns of the files of weights that a repository of the hub must provide.

        Args:
            folder: with the repository's JSON and text files.
        """
        return checkpoint.needed_files(folder)

    def to_native(self, key: str) -> checkpoint.TensorName:
        """Return the native name of a tensor of a checkpoint."""
        return checkpoint.parse_name(key)

    def layout_of(self, config: Mapping[str, Any]) -> str:
        """Return which of `layouts` a config.json belongs to."""
        return next(iter(self.layouts), self.name)

    def describe_base(self, folder: Path) -> Summary:
        """Say what a base holds, from headers alone (`soritune inspect`)."""
        from soritune.models.summary import summarise_plain_base

        return summarise_plain_base(self, folder)

    def serving(self, summary: Summary) -> dict[str, str]:
        """Return how each server takes a described folder, or what to export first.

        `serving` of `serving.py`, where there is anything to export.
        """
        return dict(self._file("serving").serving(summary)) if self.targets else {}

    def vllm_options(self, config: Mapping[str, Any]) -> Sequence[str]:
        """Return the options without which vLLM serves a folder with this config.json wrongly."""
        return ()

    def vllm_chat(self, folder: Path) -> Chat | None:
        """Return how vLLM's chat is asked, so that it answers as the model does here.

        None: vLLM's endpoints for sound are asked.
        """
        return None

    def default_language(self, folder: Path) -> str | None:
        """Return the language of clips whose request names none; None: the model tells it."""
        return None

    def plan_export(self, model: StoredModel, target: str, lora_weight: float | None) -> ExportPlan:
        """Plan an export to one of `targets`: `plan` of `export.py`.

        Args:
            lora_weight: share of the LoRA to add to the weights; None is the target's default.

        Raises UserError where the target would lose something.
        """
        if target not in self.targets:
            raise UserError(
                f"{model.name}: --to {target}: {self.title} is not exported to that layout"
            )
        plan: ExportPlan = self._file("export").plan(model, target, lora_weight)
        return plan

    def settings_beside_shapes(self, base: StoredBase) -> Mapping[str, Any]:
        """Return settings in which models may differ though their tensors have equal shapes."""
        return {key: base.config[key] for key in base.config if key.endswith("attention_heads")}

    def usage(self, model: StoredModel, target: str, lora: Lora | None) -> list[str]:
        """Return lines for the card of an export, besides soritune's own: how others use it.

        `usage` of `export.py`, where there is anything to export.
        """
        return list(self._file("export").usage(model, target, lora)) if self.targets else []

    def snippet(self, model: StoredModel, target: str, lora: Lora | None) -> str:
        """Return Python that transcribes recording.wav with an export, without soritune.

        `snippet` of `export.py`; empty where neither transformers nor PEFT reads the target.
        """
        return str(self._file("export").snippet(model, target, lora)) if self.targets else ""

    def write_processor(self, model: StoredModel, folder: Path) -> None:
        """Write what makes a model's inputs (tokenizer, feature extractor) beside an adapter.

        `write_processor` of `export.py`, where there is anything to export.
        """
        if self.targets:
            self._file("export").write_processor(model, folder)

    def _file(self, name: str) -> Any:
        """Return a file of the family's folder as a module."""
        return import_module(f"{type(self).__module__.rpartition('.')[0]}.{name}")
