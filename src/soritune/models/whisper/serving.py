"""How other programs take Whisper; without torch, for `soritune inspect`."""

from __future__ import annotations

from soritune.models.summary import ADAPTER_LAYOUT, TRAINED_LAYOUT, Summary

TRANSFORMERS = "transformers"
CTRANSLATE2 = "ctranslate2"


def serving(summary: Summary) -> dict[str, str]:
    """Return how servers take a folder, or what to export first; see `Family.serving`."""
    path = summary.path
    to = f"no; first: soritune export {path} --out DIR --to"
    found = {
        "transformers": f"yes: WhisperForConditionalGeneration.from_pretrained({path!r})",
        "vllm": f"yes: vllm serve {path}, then POST /v1/audio/transcriptions",
        "faster-whisper": f"{to} {CTRANSLATE2} (it reads CTranslate2's layout only)",
    }
    if summary.layout in (ADAPTER_LAYOUT, TRAINED_LAYOUT):
        found["vllm"] = f"{to} {TRANSFORMERS} (it takes Whisper with the LoRA in its weights only)"
        found["transformers"] = f"{to} {TRANSFORMERS} (more than the LoRA was trained)"
        if (place := summary.adapter_path) is not None:
            found["transformers"] = f"yes, on its base: PeftModel.from_pretrained(base, {place!r})"
    return found
