"""How vLLM and transformers take Phi-4-multimodal; without torch, for `soritune inspect`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soritune.models.checkpoint import CONFIG_FILE, read_json
from soritune.models.phi4mm import layout
from soritune.models.serving import VLLM_MAX_RANKS, vllm_max_rank
from soritune.models.summary import Summary

_WITH_PLUGIN = "yes, with the plug-in soritune-vllm"


def vllm_options(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what keeps vLLM at the short factors of longrope; see `Family.vllm_options`.

    With room for more positions than those are for, it takes the long ones for every request.
    """
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rope.get("rope_type", rope.get("type")) not in ("longrope", "su"):
        return ()
    positions = config.get("original_max_position_embeddings")
    return ("--max-model-len", str(positions or rope["original_max_position_embeddings"]))


def serving(summary: Summary) -> dict[str, str]:
    """Return how vLLM and transformers serve a folder, or what to export first."""
    path = summary.path
    to = f"no; first: soritune export {path} --out DIR --to"
    speech = next(
        (a for a in summary.adapters if a.name == layout.SPEECH and a.where.endswith("/")), None
    )
    whole = f"{_WITH_PLUGIN}: vllm serve {path}"
    if speech is not None and vllm_max_rank(speech.r) is not None:
        whole = f"{_WITH_PLUGIN}: {_vllm(path, f'{path}/{speech.where}', speech.r)}"
    if summary.layout in (layout.ORIGINAL, layout.NATIVE):
        whole = " ".join([whole, *vllm_options(read_json(Path(path) / CONFIG_FILE))])
    if summary.layout == layout.ORIGINAL:
        return {"vllm": whole, "transformers": f"{to} native (it reads that layout only)"}
    if summary.layout == layout.NATIVE:
        how = f"yes: Phi4MultimodalForCausalLM.from_pretrained({path!r})"
        if speech is not None:
            how += f", then .load_adapter({f'{path}/{speech.where}'!r})"
        if "vision" not in summary.parts:
            how += "; for speech only: the vision tower is not there"
        return {"vllm": whole, "transformers": how}
    place = summary.adapter_path
    if place is not None:
        r = summary.adapters[0].r
        if vllm_max_rank(r) is None:
            vllm = f"no: it takes ranks up to {VLLM_MAX_RANKS[-1]}; first: soritune export {path} "
            vllm += f"--out DIR --to adapter --rank {VLLM_MAX_RANKS[-1]}, or --to original"
        else:
            vllm = f"{_WITH_PLUGIN}: {_vllm('BASE', place, r)} (BASE: its base)"
        native = f"yes, on its base in the native layout: model.load_adapter({place!r})"
        return {"vllm": vllm, "transformers": native}
    return {
        "vllm": f"{to} original (more than the LoRA was trained)",
        "transformers": f"{to} native (more than the LoRA was trained)",
    }


def _vllm(base: str, adapter: str, r: int) -> str:
    return (
        f"vllm serve {base} --enable-lora --max-lora-rank "
        f"{vllm_max_rank(r)} --lora-modules speech={adapter.rstrip('/')}"
    )
