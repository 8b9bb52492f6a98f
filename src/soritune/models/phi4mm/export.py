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
    notes = ["vLLM does not serve the native layout; for vLLM use --to original"]
    if merged and layout.VISION in model.other_loras:
        notes.append(_NO_VISION_LORA)
    return ExportPlan(tensors, lora, tuple(notes), write, share)


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
    notes += export_original.notes(model)
    write = partial(export_original.write, model, tensors)
    return ExportPlan(tensors, model.lora, notes, write, lora_weight)


def usage(model: StoredModel, target: str, lora: Lora | None) -> list[str]:
    """Return how transformers and vLLM use an export; see `Family.usage`."""
    if target == ADAPTER:
        base = "BASE, the base in the layout of the first release"
        where, served = "DIR", "BASE"
    else:
        base, where, served = "DIR, this folder", f"DIR/{ADAPTER_FOLDER}", "DIR"
    rank = None if lora is None else vllm_max_rank(lora.r)
    lines = []
    if target == ADAPTER and model.base.layout != layout.NATIVE:
        lines.append(
            "PEFT: transformers does not read the layout of this base, so write it in its own "
            f"first: `soritune export {model.base_name} --to native --out {NATIVE_BASE}`"
        )
    if target in ("original", ADAPTER) and (lora is None or rank is not None):
        with_lora = (
            ""
            if lora is None
            else f" --enable-lora --max-lora-rank {rank} --lora-modules speech={where}"
        )
        no_vision = (
            "" if export_original.has_vision(model) else " --limit-mm-per-prompt '{\"image\": 0}'"
        )
        lines.append(
            f"vLLM ({base}): `vllm serve {served} --trust-remote-code{with_lora}{no_vision}`; it "
            "runs the `*.py` files that came with the base, so read them first"
            + (", and ask for the model `speech`" if lora else "")
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
