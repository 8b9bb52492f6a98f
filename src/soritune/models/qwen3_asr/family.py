"""Qwen3-ASR as other rooms see it, without its weights."""

from __future__ import annotations

from collections.abc import Mapping

from soritune.models import family
from soritune.models.exporting import ExportTarget
from soritune.models.family import PublishedBase
from soritune.models.qwen3_asr import constants, parts, prompts
from soritune.tasks import Request


class Qwen3AsrFamily(family.Family):
    """See `Family`."""

    name = "qwen3_asr"
    title = "Qwen3-ASR"
    model_types = ("qwen3_asr",)
    clip_limits = family.ClipLimits(
        min_samples=constants.WINDOW_SAMPLES, max_duration_s=constants.MAX_CLIP_S
    )
    modes = parts.MODES
    part_patterns = parts.PATTERNS
    tied_head = parts.TIED_HEAD
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


FAMILY = Qwen3AsrFamily()
