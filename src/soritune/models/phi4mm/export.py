"""Exports of Phi-4-multimodal: native for transformers, original for vLLM, merged."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from soritune.errors import UserError
from soritune.models import other_files, snippets
from soritune.models.checkpoint import ADAPTER_FOLDER
from soritune.models.exporting import ADAPTER, ExportPlan
from soritune.models.lora import Lora
from soritune.models.phi4mm import export_native, export_original, export_processor, layout
from soritune.models.phi4mm.constants import AUDIO_TOKEN
from soritune.models.phi4mm.prompts import instruction
from soritune.models.phi4mm.serving import vllm_options
from soritune.models.serving import vllm_max_rank
from soritune.models.stored import StoredModel
from soritune.tasks import Request, Task

NATIVE_BASE = "native-base"
"""Folder of an original base in the layout of transformers, in the code on an adapter's card."""
_NO_VISION_LORA = (
    "the vision LoRA was left out: it belongs to the weights as they were before merging"
)


def plan(model: StoredModel, target: str, lora_weight: float | None) -> ExportPlan:
    """Plan an export to native, original or merged; see `Family.plan_export`."""
    if target == "original":
        return _original_plan(model, lora_weight)
    merged = target == "merged"
    if merged and model.lora is None:
        raise UserError(f"{model.name}: has no LoRA to merge; use --to native")
    whole = model.in_base_dtype(model.weights)
    tensors, share = model.merged(lora_weight) if merged else (whole, None)
    lora = None if merged else model.lora
    write = partial(export_native.write, model, tensors, lora, vision_lora=not merged)
    notes = (_NO_VISION_LORA,) if merged and layout.VISION in model.other_loras else ()
    return ExportPlan(tensors, lora, notes, write, share)


def _original_plan(model: StoredModel, lora_weight: float | None) -> ExportPlan:
    notes: tuple[str, ...] = ()
    too_large = model.lora is not None and vllm_max_rank(model.lora.r) is None
    if lora_weight is None and model.lora is not None and too_large:
        lora_weight = 1.0
        notes = (f"the LoRA has rank {model.lora.r}, more than vLLM serves beside a model",)
    if lora_weight is not None:
        notes += (f"{lora_weight:g} of the LoRA was added to the weights",)
        if layout.VISION in model.other_loras:
            notes += (_NO_VISION_LORA,)
        model = export_original.merged(model, lora_weight)
    tensors = export_original.weights(model)
    write = partial(export_original.write, model, tensors)
    return ExportPlan(tensors, model.lora, notes, write, lora_weight)


def usage(model: StoredModel, target: str, lora: Lora | None) -> list[str]:
    """Return how transformers and vLLM use an export; see `Family.usage`."""
    lines = []
    if target == ADAPTER and model.base.layout != layout.NATIVE:
        lines.append(
            "PEFT: transformers does not read the layout of this base, so write it in its own "
            f"first: `soritune export {model.base_name} --to native --out {NATIVE_BASE}`"
        )
    vllm = "vLLM with the plug-in soritune-vllm (docs/serving.md of soritune)"
    options = "".join(f" {word}" for word in vllm_options(model.base.config))
    if target != ADAPTER:
        adds = ", which adds the LoRA" if lora else ""
        lines.append(f"{vllm}: `vllm serve DIR{options}`{adds}")
    elif lora is not None and (rank := vllm_max_rank(lora.r)) is not None:
        lines.append(
            f"{vllm} and BASE, the base in either layout: `vllm serve BASE{options} --enable-lora "
            f"--max-lora-rank {rank} --lora-modules speech=DIR`; ask for the model `speech`"
        )
    return lines


def snippet(model: StoredModel, target: str, lora: Lora | None) -> str:
    """Return Python that transcribes with an export; see `Family.snippet`.

    The extractor and the tokenizer apart: AutoProcessor needs torchvision for images.
    """
    if target == "original":
        return ""
    asked = instruction(Request(Task.ASR))
    beside = f'model.load_adapter(folder + "/{ADAPTER_FOLDER}")'
    body = f"""\
extractor = AutoFeatureExtractor.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
sound = extractor(samples, sampling_rate=16_000, return_tensors="pt").to(dtype=model.dtype)
marks = "{AUDIO_TOKEN}" * int(sound["audio_embed_sizes"][0])
prompt = f"<|user|>{{marks}}{asked}<|end|><|assistant|>"
inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
most = 32 + 25 * len(samples) // 16_000  # tokens, so that a model that never stops does
ids = model.generate(**inputs, **sound, max_new_tokens=most)[0, inputs["input_ids"].shape[1] :]
print(tokenizer.decode(ids, skip_special_tokens=True).strip())
"""
    return snippets.snippet(
        "Phi4MultimodalForCausalLM",
        "AutoFeatureExtractor AutoTokenizer",
        body,
        adapter=target == ADAPTER,
        base=None if model.base.layout == layout.NATIVE else NATIVE_BASE,
        then=beside if target == "native" and lora is not None else "",
    )


def write_processor(model: StoredModel, folder: Path) -> None:
    """Write tokenizer and feature extractor beside an adapter, as a native export has them."""
    other_files.copy_files(
        model.base.folder, folder, (*other_files.TOKENIZER_FILES, *other_files.PROCESSOR_FILES)
    )
    export_processor.write_processor(folder, model.base.layout)
