"""README.md of an exported folder: what it is, how good it was, how it is served."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from soritune.models.exporting import ExportPlan, ExportTarget
from soritune.models.lora import Lora
from soritune.models.record import BUILTIN_PREFIX
from soritune.models.stored import StoredModel
from soritune.scoring.results import read_results
from soritune.scoring.score import Score


def card(source: StoredModel, name: str, target: ExportTarget, plan: ExportPlan) -> str:
    """Return the text of a card.

    Args:
        name: of the target.
    """
    lora, notes = plan.lora, plan.notes
    usage = source.family.usage(source, name, lora)
    snippet = source.family.snippet(source, name, lora)
    if target.library == "transformers":
        usage = ["soritune: `soritune transcribe FILE --model DIR`", *usage]
    sections = [
        _front_matter(source, target),
        f"# {_title(source)}\n\nThis folder holds {target.holds}, exported by soritune.",
        "## What was trained\n" + _list(_trained(source, lora)),
        *_figures(source),
        *(["## How to use it\n" + _list(usage)] if usage else []),
        *(_snippet(snippet) if snippet else []),
        *(["## Note\n" + _list([f"{note}." for note in notes])] if notes else []),
        "## Licence\nThe weights are under the licence of their base, and what was learned from "
        "recordings may be bound by the terms of those recordings. Say both before you pass the "
        "folder on.",
        "`sha256sum --check checksums.sha256` checks that all files are as they were written.",
    ]
    return "\n\n".join(sections) + "\n"


def _snippet(code: str) -> list[str]:
    peft = " peft" if "peft" in code else ""
    return [
        "## In Python, without soritune\n"
        f"`pip install torch transformers{peft} soundfile soxr`, then in this folder, with a "
        f"`recording.wav` of up to 30 s in it:\n```python\n{code}```"
    ]


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _front_matter(source: StoredModel, target: ExportTarget) -> str:
    lines = [f"library_name: {target.library}"]
    if not (source.base_name.startswith(BUILTIN_PREFIX) or Path(source.base_name).is_dir()):
        lines.append(f"base_model: {source.base_name}")
    lines += ["pipeline_tag: automatic-speech-recognition", "tags: [soritune]"]
    return "---\n" + "\n".join(lines) + "\n---"


def _title(source: StoredModel) -> str:
    case = source.record.get("case")
    return f"{_base(source)}, {case}" if case else _base(source)


def _base(source: StoredModel) -> str:
    """Return the base's name; of a folder only its last part, since its place is private."""
    path = Path(source.base_name)
    return path.resolve().name if path.is_dir() else source.base_name


def _trained(source: StoredModel, lora: Lora | None) -> list[str]:
    lines = [f"base: {_base(source)}"]
    mode = source.record.get("mode")
    if mode:
        lines.append(f"mode: {mode}")
    blend = source.record.get("blend")
    if blend:
        lines.append(f"blend: {blend['weight']} of one model and the rest of another")
    parts = source.trained_parts()
    lines += [f"{part}: {number} tensors" for part, number in sorted(parts.items())]
    if lora is not None:
        state = "the base's own, unchanged" if source.own_lora else "trained"
        lines.append(f"LoRA: rank {lora.r}, alpha {lora.alpha:g}, {state}")
    elif source.lora is None and not parts:
        lines.append("nothing: this is the base as it is")
    return lines


def _figures(source: StoredModel) -> list[str]:
    """Return a section with what the run of the model measured, where its results are near."""
    case = source.record.get("case")
    # runs/NAME/cases/CASE/model
    path = source.folder.resolve().parents[min(2, len(source.folder.resolve().parents) - 1)]
    path = path / "results.json"
    if case is None or not path.is_file():
        return []
    results = [result for result in read_results(path) if result.case == case]
    if not results:
        return []
    head = "| evaluation | metric | value | 95 % interval | utterances |\n|---|---|---|---|---|"
    signatures = sorted({f"`{result.signature}`" for result in results})
    return [
        "\n".join(["## Figures", head, *map(_row, results)])
        + "\n\nSignatures: "
        + ", ".join(signatures)
    ]


def _row(result: Score) -> str:
    return (
        f"| {result.evaluation} | {result.metric} | {result.value:.2f} | "
        f"{result.low:.2f}–{result.high:.2f} | {result.utterances} |"
    )
