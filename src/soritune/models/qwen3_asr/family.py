"""Qwen3-ASR as other rooms see it, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from soritune.models import family
from soritune.models.exporting import ExportPlan, ExportTarget
from soritune.models.family import PublishedBase
from soritune.models.qwen3_asr import constants, parts, prompts
from soritune.tasks import Request

if TYPE_CHECKING:
    import torch

    from soritune.models.lora import Lora
    from soritune.models.qwen3_asr.model import Qwen3Asr
    from soritune.models.stored import StoredBase, StoredModel
    from soritune.models.summary import Summary


class Qwen3AsrFamily(family.Family):
    """See `Family`."""

    name = "qwen3_asr"
    title = "Qwen3-ASR"
    model_types = ("qwen3_asr",)
    clip_limits = family.ClipLimits(
        min_samples=constants.WINDOW_SAMPLES, max_duration_s=constants.MAX_CLIP_S
    )
    modes = parts.MODES
    audio_parts = parts.AUDIO_PARTS
    lora = family.LoraDefaults(
        r=32,
        alpha=64,
        dropout=0.05,
        layers=parts.LORA_LAYERS,
        target_modules=parts.LORA_TARGETS,
        # The encoder has layers of these names too, without a LoRA.
        exclude_modules=r".*audio_tower.*",
        task_type="CAUSAL_LM",
    )
    # Counted from the published configurations, in bfloat16; the head is the embeddings.
    published_bases: Mapping[str, PublishedBase] = {
        "Qwen/Qwen3-ASR-0.6B-hf": PublishedBase(782_426_112, 1_564_852_224),
        "Qwen/Qwen3-ASR-1.7B-hf": PublishedBase(2_038_052_480, 4_076_104_960),
    }
    layouts: Mapping[str, str] = {"transformers": "transformers (what vLLM serves as well)"}
    targets: Mapping[str, ExportTarget] = {
        "transformers": ExportTarget(
            "a complete Qwen3-ASR model in the layout of transformers, its LoRA added to the "
            "weights",
            "transformers, vLLM",
            takes_lora_weight=True,
        ),
    }
    whole_target = "transformers"

    def check_request(self, request: Request) -> None:
        """See `Family`."""
        prompts.check_request(request)

    def part_of(self, name: str) -> str:
        """See `Family`."""
        return parts.part_of(name)

    def open_base(self, folder: Path, *, whole: bool = False) -> StoredBase:
        """See `Family`."""
        from soritune.models.stored import open_plain_base

        return open_plain_base(self, folder, tied_head=parts.TIED_HEAD)

    def build(self, base: StoredBase, *, dtype: torch.dtype, device: torch.device) -> Qwen3Asr:
        """See `Family`."""
        from soritune.models.qwen3_asr.loading import build

        return build(self, base, dtype=dtype, device=device)

    def serving(self, summary: Summary) -> dict[str, str]:
        """See `Family`."""
        from soritune.models.qwen3_asr.export import serving

        return serving(summary)

    def plan_export(self, model: StoredModel, target: str, lora_weight: float | None) -> ExportPlan:
        """See `Family`."""
        from soritune.models.qwen3_asr import export

        return export.plan(model, lora_weight)

    def usage(self, model: StoredModel, target: str, lora: Lora | None) -> list[str]:
        """See `Family`."""
        from soritune.models.qwen3_asr import export

        return export.usage(model, target, lora)

    def snippet(self, model: StoredModel, target: str, lora: Lora | None) -> str:
        """See `Family`."""
        from soritune.models.qwen3_asr import export

        return export.snippet(model, target, lora)

    def write_processor(self, model: StoredModel, folder: Path) -> None:
        """See `Family`."""
        from soritune.models.qwen3_asr import export

        export.write_processor(model, folder)


FAMILY = Qwen3AsrFamily()
