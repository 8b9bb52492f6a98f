"""How vLLM and transformers take Phi-4-multimodal; without torch, for `soritune inspect`."""

from __future__ import annotations

from soritune.models.phi4mm import layout
from soritune.models.serving import VLLM_MAX_RANKS, vllm_max_rank
from soritune.models.summary import Summary


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
