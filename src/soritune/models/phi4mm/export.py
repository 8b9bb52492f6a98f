"""Exports of Phi-4-multimodal: native for transformers, original for vLLM, merged."""

from __future__ import annotations

from functools import partial

from soritune.errors import UserError
from soritune.models.checkpoint import ADAPTER_FOLDER
from soritune.models.family import ADAPTER, ExportPlan
from soritune.models.lora import Lora
from soritune.models.phi4mm import export_native, export_original, layout
from soritune.models.phi4mm.export_processor import PROCESSOR_FILE
from soritune.models.serving import vllm_max_rank
from soritune.models.stored import StoredModel

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
    if target in ("native", "merged"):
        lines.append(
            "transformers: `Phi4MultimodalForCausalLM.from_pretrained(DIR)`"
            + (f", then `model.load_adapter(DIR + '/{ADAPTER_FOLDER}')`" if lora else "")
            + _processor(model)
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


def _processor(model: StoredModel) -> str:
    """Say how to load AutoProcessor, where the export has what it needs."""
    lacking = not (model.base.folder / PROCESSOR_FILE).is_file()
    if model.base.layout == layout.NATIVE and lacking:
        return "; the base has no processor configuration, so `AutoProcessor` does not load it"
    return "; `AutoProcessor.from_pretrained(DIR)` (needs torchvision) makes its inputs"
