"""README.md of an exported folder: what it is, how good it was, what it lost, how it is used."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from soritune.export.facts import RunFacts
from soritune.models.exporting import ADAPTER, ExportPlan, ExportTarget
from soritune.models.lora import Lora
from soritune.models.record import BUILTIN_PREFIX
from soritune.models.stored import StoredModel
from soritune.pages import hours_text
from soritune.scoring.paired import MIN_UTTERANCES
from soritune.scoring.score import Score
from soritune.tasks import Task

METRIC_NAMES = {"cer": "CER", "wer": "WER", "bleu": "BLEU", "chrf": "chrF"}
LICENSE_TEXT = (
    "The weights are under the licence of their base, and what was learned from recordings may be "
    "bound by the terms of those recordings. Say both before you pass the folder on."
)
SYNTHETIC = (
    "it was trained or tested on synthetic speech (espeak-ng): its figures show that the method "
    "works and say nothing about recordings of people"
)
# What Markdown or a table would interpret in a name or a text from elsewhere.
_MARKS = re.compile(r"([\\`*_\[\]<>|#~])")
RESULTS_FILE = ".eval_results/soritune.yaml"


def card(
    source: StoredModel,
    name: str,
    target: ExportTarget,
    plan: ExportPlan,
    facts: RunFacts | None,
    *,
    repository: str | None = None,
    license: str | None = None,
) -> str:
    """Return the text of a card.

    Args:
        name: of the target.
        facts: of the run that the model comes from.
        repository: `owner/name` on the hub, None where it is not published.
        license: of the weights, as the hub names licences; None where it is not known.
    """
    lora = plan.lora
    snippet = source.family.snippet(source, name, lora)
    sections = [
        _front_matter(source, name, target, facts, repository, license),
        f"# {_title(source, repository)}\n\nThis repository holds {target.holds}, exported by "
        "soritune.",
        "## What was trained\n" + _list(_trained(source, lora)),
        *_figures(facts),
        *_lost(facts),
        "## How to use it\n" + _list(_usage(source, name, target, lora, repository)),
        *(_snippet(snippet, repository) if snippet else []),
        *_limits(plan, facts),
        _licence(license, facts),
        "`sha256sum --check checksums.sha256` checks that all files are as they were written.",
    ]
    return "\n\n".join(sections) + "\n"


def evaluation_results(facts: RunFacts | None) -> str | None:
    """Return `.eval_results/*.yaml`: the figures on data sets of the hub; None where there is none.

    The hub shows them at the data set, so those on other recordings have no place there.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    if facts is None:
        return None
    entries = [
        EvalResultEntry(
            dataset_id=hub_id,
            task_id=score.evaluation,
            value=round(score.value, 4),
            notes=f"{_metric(score)}, 95 % interval {score.low:.2f} to {score.high:.2f}, "
            f"{score.utterances} utterances; {score.signature}",
        )
        for score in facts.scores
        if (hub_id := facts.tested.get(score.evaluation)) is not None
    ]
    if not entries:
        return None
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), allow_unicode=True, sort_keys=False)


def base_license(base: Path) -> str | None:
    """Return the licence in the card of a base's folder; None where it names none."""
    try:
        text = (base / "README.md").read_text(encoding="utf-8")
        header = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else {}
    except (OSError, ValueError, IndexError, yaml.YAMLError):
        return None
    found = header.get("license") if isinstance(header, dict) else None
    return found if isinstance(found, str) else None


def _front_matter(
    source: StoredModel,
    name: str,
    target: ExportTarget,
    facts: RunFacts | None,
    repository: str | None,
    license: str | None,
) -> str:
    """Return the header that the hub reads; its own library writes it."""
    from huggingface_hub import EvalResult, ModelCardData

    public_base = not (
        source.base_name.startswith(BUILTIN_PREFIX) or Path(source.base_name).is_dir()
    )
    translates = facts is not None and any(
        each.task is not Task.ASR for each in facts.evaluations.values()
    )
    results = [] if facts is None else [_result(facts, score, EvalResult) for score in facts.scores]
    datasets = [] if facts is None else [each.hub_id for each in facts.corpora if each.hub_id]
    data = ModelCardData(
        base_model=source.base_name if public_base else None,
        base_model_relation=("adapter" if name == ADAPTER else "finetune") if public_base else None,
        language=_languages(facts) or None,
        license=license,
        library_name=target.library,
        pipeline_tag="automatic-speech-recognition",
        datasets=datasets or None,
        metrics=list(dict.fromkeys(r.metric_type for r in results)) or None,
        tags=["soritune", *(["speech-translation"] if translates else [])],
        model_name=(repository or _title(source, None)) if results else None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---"


def _result(facts: RunFacts, score: Score, kind: Any) -> Any:
    settings = facts.evaluations.get(score.evaluation)
    translation = settings is not None and settings.task is not Task.ASR
    return kind(
        task_type="translation" if translation else "automatic-speech-recognition",
        task_name=score.evaluation,
        dataset_type=facts.tested.get(score.evaluation) or "other",
        dataset_name=score.evaluation if settings is None else settings.corpus,
        dataset_split=None if settings is None else settings.split,
        metric_type=score.metric,
        metric_name=_metric(score),
        metric_value=round(score.value, 4),
        metric_config=score.variant,
        metric_args={
            "low": round(score.low, 4),
            "high": round(score.high, 4),
            "utterances": score.utterances,
            "signature": score.signature,
        },
    )


def _languages(facts: RunFacts | None) -> list[str]:
    if facts is None or facts.language is None:
        return []
    named = [facts.language]
    for each in facts.evaluations.values():
        named += [code for code in (each.source_language, each.to) if code is not None]
    return list(dict.fromkeys(named))


def _snippet(code: str, repository: str | None) -> list[str]:
    peft = " peft" if "peft" in code else ""
    fetched = "" if repository is None else f"`hf download {repository} --local-dir DIR`, "
    return [
        "## In Python, without soritune\n"
        f"{fetched}`pip install torch transformers{peft} soundfile soxr`, then in this folder, "
        f"with a `recording.wav` of up to 30 s in it:\n```python\n{code}```"
    ]


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def escape(text: str) -> str:
    """Return `text` so that Markdown shows it as it is, on one line and in a table's cell."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()).replace("&", "&amp;"))


def _title(source: StoredModel, repository: str | None) -> str:
    if repository is not None:
        return repository.partition("/")[2]
    case = source.record.get("case")
    return escape(f"{_base(source)}, {case}" if case else _base(source))


def _base(source: StoredModel) -> str:
    """Return the base's name; of a folder only its last part, since its place is private."""
    path = Path(source.base_name)
    return path.resolve().name if path.is_dir() else source.base_name


def _trained(source: StoredModel, lora: Lora | None) -> list[str]:
    lines = [f"base: {escape(_base(source))}"]
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


def _figures(facts: RunFacts | None) -> list[str]:
    """Return a section with what the run of the model measured, where its results are near."""
    if facts is None or not facts.scores:
        return []
    before = {(score.evaluation, score.metric, score.variant): score for score in facts.before}
    head = (
        "| evaluation | metric | value | 95 % interval | utterances | untrained base |\n"
        "|---|---|---|---|---|---|"
    )
    rows = [
        f"| {escape(score.evaluation)} | {_metric(score)} | {score.value:.2f} | "
        f"{_interval(score)} | {score.utterances} | {_before(score, before)} |"
        for score in facts.scores
    ]
    signatures = sorted({f"`{score.signature.replace('`', '')}`" for score in facts.scores})
    return [
        "\n".join(["## Figures", head, *rows])
        + "\n\nIntervals are bootstrap intervals over the utterances. Signatures: "
        + ", ".join(signatures)
    ]


def _interval(score: Score) -> str:
    if score.utterances < MIN_UTTERANCES:
        return "too few to say"
    return f"{score.low:.2f}–{score.high:.2f}"


def _before(score: Score, before: dict[tuple[str, str, str], Score]) -> str:
    found = before.get((score.evaluation, score.metric, score.variant))
    if found is None:
        return "—"
    return (
        f"{found.value:.2f}"
        if found.signature == score.signature
        else "not comparable: other signature"
    )


def _metric(score: Score) -> str:
    title = METRIC_NAMES.get(score.metric, score.metric)
    return title if score.variant == "raw" else f"{title} {escape(score.variant)}"


def _lost(facts: RunFacts | None) -> list[str]:
    """Return what became of the skills that must not be lost."""
    if facts is None or not facts.scores:
        return []
    if not facts.retention:
        text = (
            "Not judged: no evaluation of the run is marked as a skill to keep (`retain`). Other "
            "languages and tasks of the base may have become worse."
        )
        return [f"## What was lost\n{text}"]
    lines = [
        f"**{each.verdict}**: {escape(each.evaluation)} {each.metric}, {each.loss:+.2f} points "
        f"worse than the base [{each.low:.2f} to {each.high:.2f}], at most {each.worse_by:g} "
        "allowed"
        for each in facts.retention
    ]
    return ["## What was lost\n" + _list(lines)]


def _usage(
    source: StoredModel, name: str, target: ExportTarget, lora: Lora | None, repository: str | None
) -> list[str]:
    """Return how programs take it; `DIR` is the folder, or the repository where that will do."""
    usage = source.family.usage(source, name, lora)
    if target.library == "transformers":
        usage = ["soritune: `soritune transcribe FILE --model DIR`", *usage]
    elif name == ADAPTER:
        usage = ["soritune: `soritune transcribe FILE --model DIR --base BASE`", *usage]
    if repository is None:
        return usage
    named = [_with_repository(line, repository) for line in usage]
    if any("DIR" in line for line in named):
        named.append(f"`DIR` is what `hf download {repository} --local-dir DIR` writes")
    return named


def _with_repository(line: str, repository: str) -> str:
    """Name the repository for the folder, where programs take its name as well."""
    if re.search(r"DIR(/| \+)", line):  # a file in it
        return line
    return re.sub(r"\bDIR\b", repository, re.sub(r"\(DIR\b", f'("{repository}"', line))


def _limits(plan: ExportPlan, facts: RunFacts | None) -> list[str]:
    lines = [f"{note}" for note in plan.notes]
    if facts is not None and facts.synthetic:
        lines.append(SYNTHETIC)
    if facts is not None and facts.scores:
        lines.append("the figures hold for recordings like those of the evaluations, and no others")
        lines.append(
            "the model hears up to 30 s at a time; soritune cuts longer recordings, others must"
        )
    return ["## Limits\n" + _list(f"{line}." for line in lines)] if lines else []


def _licence(license: str | None, facts: RunFacts | None) -> str:
    lines = [f"weights: {escape(license)}"] if license else []
    if facts is not None:
        lines += [
            f"recordings “{escape(each.name)}” ({escape(each.hub_id or each.source)}, "
            f"{each.utterances:,} utterances, {hours_text(each.duration_s)}): "
            f"{escape(each.license)}"
            for each in facts.corpora
        ]
    return "\n".join(["## Licence", *([_list(lines), ""] if lines else []), LICENSE_TEXT])
