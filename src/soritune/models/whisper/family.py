"""Whisper as other rooms see it, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from soritune.models import family
from soritune.models.exporting import ExportTarget
from soritune.models.family import PublishedBase
from soritune.models.whisper import constants, parts, prompts
from soritune.tasks import Request


class WhisperFamily(family.Family):
    """See `Family`."""

    name = "whisper"
    title = "Whisper"
    model_types = ("whisper",)
    clip_limits = family.ClipLimits(
        min_samples=constants.WINDOW_SAMPLES,
        max_duration_s=constants.MAX_DURATION_S,
        fixed_cost=True,
    )
    modes = parts.MODES
    part_patterns = parts.PATTERNS
    tied_head = parts.TIED_HEAD
    audio_parts = frozenset({parts.ENCODER})
    lora = family.LoraDefaults(
        # As in PEFT's own example for Whisper (examples/int8_training, whisper-large-v2).
        r=32,
        alpha=64,
        dropout=0.05,
        layers=parts.LORA_LAYERS,
        target_modules=("q_proj", "k_proj", "v_proj", "out_proj"),
    )
    # Parameters and bytes of model.safetensors of each repository; the large ones are in fp16.
    published_bases: Mapping[str, PublishedBase] = {
        "openai/whisper-tiny": PublishedBase(37_760_640, 151_061_672),
        "openai/whisper-base": PublishedBase(72_593_920, 290_403_936),
        "openai/whisper-small": PublishedBase(241_734_912, 966_995_080),
        "openai/whisper-medium": PublishedBase(763_857_920, 3_055_544_304),
        "openai/whisper-large-v3": PublishedBase(1_543_490_560, 3_087_130_976),
        "openai/whisper-large-v3-turbo": PublishedBase(808_878_080, 1_617_824_864),
    }
    aligns = True
    layouts: Mapping[str, str] = {"transformers": "transformers (what vLLM serves as well)"}
    targets: Mapping[str, ExportTarget] = {
        "transformers": ExportTarget(
            "a complete Whisper model in the layout of transformers, its LoRA added to the weights",
            "transformers, vLLM",
            takes_lora_weight=True,
        ),
        "ctranslate2": ExportTarget(
            "a complete Whisper model in the layout of CTranslate2, its LoRA added to the weights",
            "faster-whisper",
            takes_lora_weight=True,
            library="ctranslate2",
        ),
    }

    whole_target = "transformers"

    def check_request(self, request: Request) -> None:
        """See `Family`."""
        prompts.check_request(request)

    def default_language(self, folder: Path) -> str | None:
        """See `Family`: the one that the model was trained for."""
        from soritune.models.whisper.loading import fixed_language, generation_settings

        return fixed_language(generation_settings(folder))


FAMILY = WhisperFamily()
