"""Python on the cards of exports: from a sound file to text with transformers, or PEFT, alone."""

from __future__ import annotations

SOUND = """\
samples, rate = soundfile.read("recording.wav", dtype="float32", always_2d=True)
samples = soxr.resample(samples.mean(axis=1), rate, 16_000)
folder = "."  # this folder, or its name on the hub
"""
"""One file of any rate and number of channels, as soritune hears it."""


def snippet(
    model_class: str,
    imports: str,
    body: str,
    *,
    adapter: bool = False,
    base: str | None = None,
    then: str = "",
) -> str:
    """Return code that loads an export and transcribes recording.wav with it.

    Args:
        model_class: of transformers.
        imports: its other classes that `body` needs.
        body: what makes `inputs`, generates and prints; `model` and `folder` are there.
        adapter: whether the export is a LoRA on a base.
        base: of an adapter, where it is not the one that its configuration names.
        then: what follows loading, a line.
    """
    classes = ", ".join(sorted((*imports.split(), model_class)))
    lines = ["import soundfile", "import soxr"]
    loading = [f"model = {model_class}.from_pretrained(folder)"]
    if adapter:
        lines.append("from peft import PeftConfig, PeftModel")
        loading = [
            "named = PeftConfig.from_pretrained(folder)",
            "base, revision = named.base_model_name_or_path, named.revision",
        ]
        if base is not None:
            loading = [f"base, revision = {base!r}, None"]
        loading += [
            f"model = {model_class}.from_pretrained(base, revision=revision)",
            "model = PeftModel.from_pretrained(model, folder)",
        ]
    lines += [f"from transformers import {classes}", "", SOUND.rstrip()]
    lines += [*loading, *([then] if then else []), "", body.rstrip()]
    return "\n".join(lines) + "\n"
