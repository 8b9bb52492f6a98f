"""Phi-4-multimodal as other rooms see it, without its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soritune.errors import UserError
from soritune.languages.names import known_language
from soritune.models import family
from soritune.models.checkpoint import ADAPTER_FILES, INDEX_FILE, TensorName, weight_files
from soritune.models.exporting import ExportTarget
from soritune.models.family import PublishedBase
from soritune.models.phi4mm import constants, layout, parts
from soritune.models.serving import Chat
from soritune.tasks import Request

if TYPE_CHECKING:
    from soritune.models.stored import StoredBase
    from soritune.models.summary import Summary


class Phi4mmFamily(family.Family):
    """See `Family`."""

    name = "phi4mm"
    title = "Phi-4-multimodal"
    model_types = (layout.NATIVE_MODEL_TYPE, layout.ORIGINAL_MODEL_TYPE)
    clip_limits = family.ClipLimits(
        min_samples=constants.WINDOW_SAMPLES, max_duration_s=constants.MAX_CLIP_S
    )
    modes = parts.MODES
    part_patterns = parts.PATTERNS
    audio_parts = parts.AUDIO_PARTS
    # Size of the official speech LoRA.
    lora = family.LoraDefaults(
        r=320,
        alpha=640,
        dropout=0.01,
        layers=parts.LORA_LAYERS,
        # As in the official speech-lora/adapter_config.json.
        target_modules=("qkv_proj", "o_proj", "gate_up_proj", "down_proj"),
        # In the native layout the encoder has layers of these names too, without a LoRA.
        exclude_modules=r".*embed_tokens_extend.*",
        task_type="CAUSAL_LM",
    )
    builtin_bases: Mapping[str, Path] = {"tiny": Path(__file__).parent / "bases" / "tiny"}
    published_bases: Mapping[str, PublishedBase] = {
        "microsoft/Phi-4-multimodal-instruct": PublishedBase(5_574_460_224, 11_148_920_448)
    }
    layouts: Mapping[str, str] = {
        layout.NATIVE: "native (phi4_multimodal, what transformers reads)",
        layout.ORIGINAL: "original (phi4mm, what vLLM serves)",
    }
    targets: Mapping[str, ExportTarget] = {
        "native": ExportTarget(
            "a complete model in the native layout of transformers (`phi4_multimodal`)",
            "transformers",
        ),
        "merged": ExportTarget(
            "a complete model in the native layout of transformers, its LoRA added to the weights",
            "transformers",
            takes_lora_weight=True,
        ),
        "original": ExportTarget(
            "a complete model in the layout of the first release (`phi4mm`), which vLLM serves",
            "vLLM",
            takes_lora_weight=True,
        ),
    }

    whole_target = "native"

    def check_request(self, request: Request) -> None:
        """See `Family`: every task, into every language that has a name, by a fixed instruction."""
        if request.context:
            raise UserError(
                "Phi-4-multimodal is asked with fixed instructions: it takes neither a prompt nor "
                "keywords. Leave them out, or take Whisper or Qwen3-ASR"
            )
        if request.target_language is not None:
            known_language(request.target_language)

    def to_native(self, key: str) -> TensorName:
        """See `Family`."""
        return layout.to_native(key)

    def layout_of(self, config: Mapping[str, Any]) -> str:
        """See `Family`."""
        original = config.get("model_type") == layout.ORIGINAL_MODEL_TYPE
        return layout.ORIGINAL if original else layout.NATIVE

    def needed_files(self, folder: Path) -> Sequence[str]:
        """See `Family`: not the shards that hold nothing but vision."""
        if not (folder / INDEX_FILE).is_file():
            return ("*.safetensors", *ADAPTER_FILES)
        needed: list[str] = []
        has_lora = False
        for name, keys in weight_files(folder).items():
            names = [layout.to_native(key) for key in keys]
            if not all(layout.is_vision(native) for native in names):
                needed.append(name)
            has_lora = has_lora or any(native.kind == "lora" for native in names)
        # A LoRA among the weights comes before its copy beside them.
        return needed if has_lora else [*needed, *ADAPTER_FILES]

    def open_base(self, folder: Path, *, whole: bool = False) -> StoredBase:
        """See `Family`."""
        from soritune.models.phi4mm.loading import open_base

        return open_base(self, folder, whole=whole)

    def describe_base(self, folder: Path) -> Summary:
        """See `Family`."""
        from soritune.models.phi4mm.description import describe_base

        return describe_base(self, folder)

    def vllm_options(self, config: Mapping[str, Any]) -> Sequence[str]:
        """See `Family`."""
        from soritune.models.phi4mm.serving import vllm_options

        return vllm_options(config)

    def vllm_chat(self, folder: Path) -> Chat:
        """See `Family`: chain of thought and log-probabilities come by chat alone."""
        from transformers import PreTrainedTokenizerFast

        from soritune.models.phi4mm import prompts
        from soritune.models.phi4mm.processor import Phi4mmProcessor
        from soritune.models.tokenizers import read_tokenizer

        processor = Phi4mmProcessor(read_tokenizer(PreTrainedTokenizerFast, folder))
        return Chat(prompts.instruction, processor.decode, prompts.parse)

    def settings_beside_shapes(self, base: StoredBase) -> Mapping[str, Any]:
        """See `Family`."""
        from soritune.models.phi4mm.loading import read_config

        config = read_config(dict(base.config), base.folder)
        keys = ("num_attention_heads", "num_key_value_heads", "rope_parameters")
        return {key: getattr(config, key) for key in keys}


FAMILY = Phi4mmFamily()
