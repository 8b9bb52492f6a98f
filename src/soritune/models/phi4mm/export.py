"""Exports of Phi-4-multimodal (native, original, merged), and how other programs take them."""

from __future__ import annotations

from functools import partial

from soritune.errors import UserError
from soritune.models.checkpoint import ADAPTER_FOLDER
from soritune.models.family import ADAPTER, ExportPlan
from soritune.models.lora import Lora
from soritune.models.phi4mm import export_native, export_original, layout
from soritune.models.phi4mm.export_processor import PROCESSOR_FILE
from soritune.models.serving import VLLM_MAX_RANKS, vllm_max_rank
from soritune.models.stored import StoredModel
from soritune.models.summary import Summary

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


def serving(summary: Summary) -> dict[str, str]:
    """Return how vLLM and transformers serve a folder, or what to export first."""
    path = summary.path
    to = f"no; first: soritune export {path} --out DIR --to"
    speech = next(
        (a for a in summary.adapters if a.name == layout.SPEECH and a.where.endswith("/")), None
    )
    if summary.layout == layout.ORIGINAL:
        vllm = f"{to} original (it needs the speech LoRA in a folder beside the weights)"
        if speech is not None:
            vllm = f"yes: {_vllm(path, f'{path}/{speech.where}', speech.r)}"
        return {"vllm": vllm, "transformers": f"{to} native (it reads that layout only)"}
    if summary.layout == layout.NATIVE:
        how = f"yes: Phi4MultimodalForCausalLM.from_pretrained({path!r})"
        if speech is not None:
            how += f", then .load_adapter({f'{path}/{speech.where}'!r})"
        if "vision" not in summary.parts:
            how += "; for speech only: the vision tower is not there"
        return {"vllm": f"{to} original (it reads that layout only)", "transformers": how}
    place = summary.adapter_path
    if place is not None:
        r = summary.adapters[0].r
        if vllm_max_rank(r) is None:
            vllm = f"no: it takes ranks up to {VLLM_MAX_RANKS[-1]}; first: soritune export {path} "
            vllm += f"--out DIR --to adapter --rank {VLLM_MAX_RANKS[-1]}, or --to original"
        else:
            vllm = f"yes: {_vllm('BASE', place, r)} (BASE: its base, original layout)"
        native = f"yes, on its base in the native layout: model.load_adapter({place!r})"
        return {"vllm": vllm, "transformers": native}
    return {
        "vllm": f"{to} original (more than the LoRA was trained)",
        "transformers": f"{to} native (more than the LoRA was trained)",
    }


def _vllm(base: str, adapter: str, r: int) -> str:
    return (
        f"vllm serve {base} --trust-remote-code --enable-lora --max-lora-rank "
        f"{vllm_max_rank(r)} --lora-modules speech={adapter.rstrip('/')}"
    )


def _processor(model: StoredModel) -> str:
    """Say how to load AutoProcessor, where the export has what it needs."""
    lacking = not (model.base.folder / PROCESSOR_FILE).is_file()
    if model.base.layout == layout.NATIVE and lacking:
        return "; the base has no processor configuration, so `AutoProcessor` does not load it"
    return "; `AutoProcessor.from_pretrained(DIR)` (needs torchvision) makes its inputs"
