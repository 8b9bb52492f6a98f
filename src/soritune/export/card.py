"""README.md of an exported folder: what it is, how good it was, how it is served."""

from __future__ import annotations

from pathlib import Path

from soritune.export import adapter, original
from soritune.export.lora import Lora
from soritune.export.processor import PROCESSOR_FILE
from soritune.export.source import Source
from soritune.models.phi4mm.parts import part_of
from soritune.models.record import ADAPTER_FOLDER, BUILTIN_PREFIX
from soritune.report.records import read_results
from soritune.scoring.score import Score

_WHAT = {
    "native": "a whole model in the native layout of transformers (`phi4_multimodal`)",
    "original": "a whole model in the layout of the first release (`phi4mm`), which vLLM serves",
    "adapter": "a LoRA adapter (PEFT), to be put on its base",
    "merged": "a whole model in the native layout of transformers, its LoRA added to the weights",
}


def card(source: Source, target: str, lora: Lora | None, notes: tuple[str, ...]) -> str:
    """The card's text. `lora` is the adapter that was written beside the weights, if any."""
    sections = [
        _front_matter(source, target),
        f"# {_title(source)}\n\nThis folder holds {_WHAT[target]}, exported by soritune.",
        "## What was trained\n" + "\n".join(f"- {line}" for line in _trained(source, lora)),
        *_figures(source),
        "## How to use it\n" + _use(source, target, lora),
        *(["## Mind\n" + "\n".join(f"- {note}." for note in notes)] if notes else []),
        "## Licence\nThe weights are under the licence of their base, and what was learned from "
        "recordings may be bound by the terms of those recordings. Say both before you pass the "
        "folder on.",
        "`sha256sum --check checksums.sha256` tells whether all files are as they were written.",
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(source: Source, target: str) -> str:
    lines = ["library_name: " + ("peft" if target == "adapter" else "transformers")]
    if not (source.base_name.startswith(BUILTIN_PREFIX) or Path(source.base_name).is_dir()):
        lines.append(f"base_model: {source.base_name}")
    lines += ["pipeline_tag: automatic-speech-recognition", "tags: [soritune]"]
    return "---\n" + "\n".join(lines) + "\n---"


def _title(source: Source) -> str:
    case = source.record.get("case")
    return f"{_base(source)}, {case}" if case else _base(source)


def _base(source: Source) -> str:
    """The base's name; of a folder only its last part, since its place is nobody's business."""
    path = Path(source.base_name)
    return path.resolve().name if path.is_dir() else source.base_name


def _trained(source: Source, lora: Lora | None) -> list[str]:
    lines = [f"base: {_base(source)}"]
    mode = source.record.get("mode")
    if mode:
        lines.append(f"mode: {mode}")
    blend = source.record.get("blend")
    if blend:
        lines.append(f"blend: {blend['weight']} of one model and the rest of another")
    parts: dict[str, int] = {}
    for name in source.trained:
        parts[part_of(name)] = parts.get(part_of(name), 0) + 1
    lines += [f"{part}: {number} tensors" for part, number in sorted(parts.items())]
    if lora is not None:
        state = "the base's own, unchanged" if source.own_lora else "trained"
        lines.append(f"speech LoRA: rank {lora.r}, alpha {lora.alpha:g}, {state}")
    elif source.lora is None and not parts:
        lines.append("nothing: this is the base as it is")
    return lines


def _figures(source: Source) -> list[str]:
    """Section with what the run of the model measured, where its results lie near."""
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


def _processor(source: Source) -> str:
    """Words on AutoProcessor, where the export has what it needs."""
    if source.layout == "native" and not (source.base_folder / PROCESSOR_FILE).is_file():
        return "; the base has no processor configuration, so `AutoProcessor` does not load it"
    return "; `AutoProcessor.from_pretrained(DIR)` (wants torchvision) makes its inputs"


def _use(source: Source, target: str, lora: Lora | None) -> str:
    if target == "adapter":
        base = "BASE, the base in the layout of the first release"
        where, model = "DIR", "BASE"
    else:
        base, where, model = "DIR, this folder", f"DIR/{ADAPTER_FOLDER}", "DIR"
    rank = None if lora is None else adapter.vllm_max_rank(lora.r)
    lines = []
    if target != "adapter":
        lines.append("soritune: `soritune transcribe FILE --model DIR`")
    if target in ("native", "merged"):
        lines.append(
            "transformers: `Phi4MultimodalForCausalLM.from_pretrained(DIR)`"
            + (f", then `model.load_adapter(DIR + '/{ADAPTER_FOLDER}')`" if lora else "")
            + _processor(source)
        )
    if target in ("original", "adapter") and (lora is None or rank is not None):
        with_lora = (
            ""
            if lora is None
            else f" --enable-lora --max-lora-rank {rank} --lora-modules speech={where}"
        )
        no_vision = (
            " --limit-mm-per-prompt '{\"image\": 0}'" if not original.has_vision(source) else ""
        )
        lines.append(
            f"vLLM ({base}): `vllm serve {model} --trust-remote-code{with_lora}{no_vision}`; it "
            "runs the `*.py` files that came with the base, so read them first"
            + (", and ask for the model `speech`" if lora else "")
        )
    return "\n".join(f"- {line}" for line in lines)
