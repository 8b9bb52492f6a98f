"""`report.html`: the report as one file that opens from disk, with every utterance in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from soritune.files import write_atomically
from soritune.languages.names import language_name
from soritune.pages import render
from soritune.report.background import Background
from soritune.report.content import Report, scorings, transcribe_command
from soritune.report.curves import charts
from soritune.report.markdown import moved_text, parameters_text, settings_text, time_text
from soritune.report.records import CaseSummary
from soritune.report.sound import FOLDER, Sound, load_sound
from soritune.report.table import figures, is_few, marked_values, metric_title
from soritune.report.utterances import EvaluatedUtterances, page_data
from soritune.scoring.records import FAILURES

NO_SOUND = Sound({}, beside=False)


def write_page(
    path: Path, report: Report, utterances: Sequence[EvaluatedUtterances], background: Background
) -> None:
    """Write the page atomically; its sound is in `report-audio` beside it (`keep_sound`).

    Raises UserError where the folder cannot be written.
    """
    silent = page(report, utterances, background, NO_SOUND)
    keys = list(dict.fromkeys(key for each in utterances for key in each.sounds if key))
    sound = load_sound(path.parent / FOLDER, keys, len(silent.encode("utf-8")))
    write_atomically(path, page(report, utterances, background, sound) if keys else silent)


def page(
    report: Report,
    utterances: Sequence[EvaluatedUtterances],
    background: Background,
    sound: Sound,
) -> str:
    """Return the HTML of a report."""
    words = json.loads(resources.files("soritune.report").joinpath("words.json").read_text("utf-8"))
    return render(
        "report/page.html.j2",
        styles=["report/page.css"],
        scripts=["report/align.js", "report/feed.js", "report/page.js"],
        words=words,
        report=report,
        background=background,
        language=language_name(background.language),
        best=marked_values(report.rows, report.columns),
        figures=figures,
        is_few=is_few,
        scorings=scorings(report),
        unfinished=[row.case.title for row in report.rows if None in row.results],
        transcribe=transcribe_command(report),
        failures=_failures(report),
        conditions=_conditions(report),
        charts=charts(report.cases),
        parameters_text=parameters_text,
        settings_text=settings_text,
        moved_text=moved_text,
        time_text=time_text,
        excluded_parts=_excluded_parts,
        metric_title=metric_title,
        data={"evaluations": [page_data(each) for each in utterances], "sound": sound.data},
        sounds=dict(sound.inside),
    )


def _failures(report: Report) -> list[dict[str, Any]]:
    """Return for each evaluation its counts, one row a class of failure, one column a case."""
    counts = {(each.evaluation, each.failure, each.case): each for each in report.failures}
    found = []
    for evaluation in dict.fromkeys(each.evaluation for each in report.failures):
        cases = [
            case.name for case in report.cases if (evaluation, FAILURES[0], case.name) in counts
        ]
        rows = [
            (failure, [counts[evaluation, failure, case] for case in cases]) for failure in FAILURES
        ]
        found.append({"evaluation": evaluation, "cases": cases, "rows": rows})
    return found


def _conditions(report: Report) -> list[dict[str, Any]]:
    """Return for each evaluation its groups, one column a case, None where it has no figure."""
    values = {(e.evaluation, e.condition, e.group, e.case): e for e in report.conditions}
    found = []
    for evaluation in dict.fromkeys(each.evaluation for each in report.conditions):
        own = [each for each in report.conditions if each.evaluation == evaluation]
        cases = list(dict.fromkeys(each.case for each in own))
        groups = dict.fromkeys((each.condition, each.group) for each in own)
        rows = [
            (condition, group, [values.get((evaluation, condition, group, c)) for c in cases])
            for condition, group in groups
        ]
        title = metric_title(own[0].metric, own[0].variant)
        found.append({"evaluation": evaluation, "metric": title, "cases": cases, "rows": rows})
    return found


def _excluded_parts(case: CaseSummary) -> str:
    return ", ".join(f"{part} ({number:,})" for part, number in case.excluded.items())
