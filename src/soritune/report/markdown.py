"""`report.md`: the report as a page that reads well on a forge and in a terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from soritune.files import write_atomically
from soritune.progress import duration_text, number_text
from soritune.recipe.schema import ORIGINAL
from soritune.report.content import (
    INTERVAL_NOTE,
    SYNTHETIC_NOTE,
    Report,
    best_sentence,
    certainties,
    exclusion_sentences,
    not_comparable,
    retention_sentences,
    sample_groups,
    scorings,
    transcribe_command,
    unfinished_sentence,
)
from soritune.report.records import CaseSummary
from soritune.report.table import MISSING, figures, marked_values
from soritune.scoring.score import Score

# What Markdown would interpret; "<sep>" would vanish as an HTML tag.
MARKS = re.compile(r"([\\`*_\[\]<>|#~])")


def write_markdown(path: Path, report: Report) -> None:
    """Write `markdown(report)` to `path`, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, markdown(report).encode())


def markdown(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown; what is missing is an em dash."""
    parts = [f"# {escape(report.name)}", _results_table(report)]
    if report.synthetic_speech:
        parts.append(f"**{SYNTHETIC_NOTE}**")
    unfinished = unfinished_sentence(report)
    if unfinished:
        parts.append(escape(unfinished))
    parts += [escape(warning) for warning in (*not_comparable(report), *report.warnings)]
    parts += [escape(sentence) for sentence in retention_sentences(report)]
    parts += [_best(report), "## What the tests show", INTERVAL_NOTE]
    parts += _certainty_table(report)
    parts += ["## What was trained", _trained_table(report.cases)]
    parts += [escape(sentence) for sentence in exclusion_sentences(report)]
    parts += ["## How it was scored", _scoring_table(report)]
    groups = _samples(report)
    if groups:
        parts += ["## Transcripts beside their references", *groups]
    if report.results_path is not None:
        folder = report.report_path.parent if report.report_path else Path()
        shown = os.path.relpath(report.results_path, folder)
        parts.append(f"All figures as records: `{shown}`")
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Escape `text` so that Markdown shows it as it is, on one line and inside a table's cell."""
    return MARKS.sub(r"\\\1", " ".join(text.split()).replace("&", "&amp;"))


def parameters_text(case: CaseSummary) -> tuple[str, str, str]:
    """Return trained parts, their parameters, and their share of the model, as they are shown."""
    if not case.trained:
        return ("none", "0", "0 %") if case.name == ORIGINAL else (MISSING, MISSING, MISSING)
    parts = "; ".join(f"{part} {number:,}" for part, number in case.trained.items())
    share = case.trained_share
    return (
        parts,
        f"{case.trained_parameters:,}",
        MISSING if share is None else f"{100 * share:.3g} %",
    )


def moved_text(case: CaseSummary) -> str:
    """Return `moved of trained` tensors, or a dash."""
    if case.moved_tensors is None:
        return MISSING
    of = "" if case.trained_tensors is None else f" of {case.trained_tensors}"
    return f"{case.moved_tensors}{of}"


def settings_text(case: CaseSummary) -> tuple[str, str, str]:
    """Return learning rate (with that of the audio parts), batch size and augmentation."""
    if case.learning_rate is None or case.batch_size is None:
        return MISSING, MISSING, MISSING
    audio = case.audio_learning_rate
    rate = number_text(case.learning_rate)
    if audio is not None and audio != case.learning_rate:
        rate += f"; audio {number_text(audio)}"
    return rate, str(case.batch_size), case.augmentation or "none"


def time_text(seconds: float | None) -> str:
    return MISSING if seconds is None else duration_text(seconds)


def _results_table(report: Report) -> str:
    best = marked_values(report.rows, report.columns)
    body = [
        [
            escape(row.case.title),
            *(_cell(result, value) for result, value in zip(row.results, best, strict=True)),
        ]
        for row in report.rows
    ]
    titles = [escape(column.title) for column in report.columns]
    return _grid(["model", *titles], body)


def _cell(result: Score | None, best: float | None) -> str:
    value, interval = figures(result)
    if result is None:
        return value
    shown = f"**{value}**" if result.value == best else value
    return f"{shown} [{interval}]" if interval else shown


def _best(report: Report) -> str:
    command = transcribe_command(report)
    sentence = escape(best_sentence(report))
    if command is None:
        return sentence
    return f"{sentence} To transcribe a recording with it:\n\n```sh\n{command}\n```"


def _certainty_table(report: Report) -> list[str]:
    """Nothing where no two cases can be compared."""
    body = [
        [
            escape(certainty.column.title),
            escape(words),
            "<br>".join(map(escape, phrases)),
        ]
        for certainty in certainties(report)
        for words, phrases in certainty.words.items()
    ]
    head = ["column", "verdict", "of"]
    return [_grid(head, body)] if body else []


def _trained_table(cases: Sequence[CaseSummary]) -> str:
    body = []
    for case in cases:
        parts, number, share = parameters_text(case)
        times = [time_text(case.training_s), time_text(case.evaluating_s)]
        mode = MISSING if case.mode is None else escape(case.mode)
        titles = [escape(case.title), mode, escape(parts)]
        settings = map(escape, settings_text(case))
        body.append([*titles, number, share, moved_text(case), *settings, *times])
    head = ["model", "mode", "trained parts", "parameters", "share", "tensors moved"]
    settings_head = ["learning rate", "batch size", "augmentation"]
    return _grid([*head, *settings_head, "training", "evaluation"], body)


def _scoring_table(report: Report) -> str:
    body = [
        [
            escape(scoring.evaluation),
            scoring.metric,
            ", ".join(map(str, scoring.utterances)),
            "<br>".join(_code(signature) for signature in scoring.signatures),
        ]
        for scoring in scorings(report)
    ]
    return _grid(["evaluation", "metric", "utterances", "signature"], body)


def _code(text: str) -> str:
    # In a table a bar ends the cell even inside code, so it is escaped.
    return f"`{text.replace('|', chr(92) + '|')}`"


def _samples(report: Report) -> list[str]:
    parts = []
    evaluation = None
    for group in sample_groups(report):
        if group.evaluation != evaluation:
            evaluation = group.evaluation
            parts.append(f"### {escape(evaluation)}")
        body = [[escape(title), escape(text) or "*(nothing)*"] for title, text in group.written]
        parts.append(_grid(["reference", escape(group.reference)], body))
    return parts


def _grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
