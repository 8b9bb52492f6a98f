"""The content of a report and the sentences that follow from its figures, without layout."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from soritune.report.records import CaseSummary, Sample
from soritune.report.table import Column, Row, best_case, is_few, metric_title, table
from soritune.scoring.records import (
    ConditionScore,
    Confusion,
    FailureCount,
    PairedTest,
    RetentionVerdict,
    Speed,
)
from soritune.scoring.results import Results
from soritune.scoring.score import Score

SYNTHETIC_NOTE = (
    "All speech here is synthetic (espeak-ng voices): these figures show that the method works; "
    "they say nothing about recordings of people."
)
INTERVAL_NOTE = (
    "Intervals are 95 % percentile bootstrap intervals (settings in the signatures: bs resamples, "
    "what is drawn, seed). They show how far a figure would move with other "
    "utterances of the same kind, not with another training seed. Differences are judged by "
    "paired tests on the same utterances (approximate randomisation, Holm over all tests of the "
    "table), not by the overlap of intervals."
)
# A model that never stops would fill pages.
MAX_SAMPLE_CHARACTERS = 300


@dataclass(frozen=True)
class Report:
    """All that a report shows. `cases` are in the order of the recipe, with or without results.

    `warnings` say of the corpora what makes figures weak: a small test, one speaker, another test
    than before (`soritune.corpus.split_warnings`).
    """

    name: str
    columns: tuple[Column, ...]
    cases: tuple[CaseSummary, ...]
    results: tuple[Score, ...]
    samples: tuple[Sample, ...] = ()
    synthetic_speech: bool = False
    warnings: tuple[str, ...] = ()
    results_path: Path | None = None
    report_path: Path | None = None
    page_path: Path | None = None
    tests: tuple[PairedTest, ...] = ()
    retention: tuple[RetentionVerdict, ...] = ()
    failures: tuple[FailureCount, ...] = ()
    conditions: tuple[ConditionScore, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    speed: tuple[Speed, ...] = ()

    @cached_property
    def rows(self) -> list[Row]:
        return table(self.results, self.columns, self.cases)

    @cached_property
    def best(self) -> Row | None:
        """Best in the first column; None where nothing is scored there yet."""
        return best_case(self.rows, self.columns)

    @cached_property
    def best_passing(self) -> Row | None:
        """Best of the trained cases that lose no skill; None where there is none."""
        failed = {each.case for each in self.retention if not each.passes}
        trained = [row for row in self.rows if row.case.mode is not None]
        return best_case(trained, self.columns, failed)

    @property
    def records(self) -> Results:
        """What goes into `results.json`."""
        return Results(
            scores=self.results,
            tests=self.tests,
            retention=self.retention,
            failures=self.failures,
            conditions=self.conditions,
            confusions=self.confusions,
            speed=self.speed,
        )

    def title_of(self, case: str) -> str:
        """Return a case's title in the table; its name where it is not among the cases."""
        return next((each.title for each in self.cases if each.name == case), case)


@dataclass(frozen=True)
class Scoring:
    """How one metric of one evaluation was scored; several values where cases differ."""

    evaluation: str
    metric: str
    utterances: tuple[int, ...]
    signatures: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        return len(self.utterances) == 1 and len(self.signatures) == 1


@dataclass(frozen=True)
class Certainty:
    """What the paired tests of one column say, in phrases `“later” against “earlier”, …`.

    Attributes:
        words: phrases by verdict ("better, p < 0.01").
    """

    column: Column
    words: dict[str, tuple[str, ...]]

    @property
    def sentence(self) -> str:
        return ". ".join(f"{words}: {'; '.join(each)}" for words, each in self.words.items())


@dataclass(frozen=True)
class SampleGroup:
    """One utterance: its reference and what each case wrote, as (title, hypothesis)."""

    evaluation: str
    reference: str
    written: tuple[tuple[str, str], ...]


def scorings(report: Report) -> list[Scoring]:
    """Return a record for each evaluation and metric, in the order of the results."""
    grouped: dict[tuple[str, str, str], list[Score]] = {}
    for result in report.results:
        key = (result.evaluation, result.metric, result.variant)
        grouped.setdefault(key, []).append(result)
    return [
        Scoring(
            evaluation,
            metric_title(metric, variant),
            tuple(sorted({result.utterances for result in group})),
            tuple(sorted({result.signature for result in group})),
        )
        for (evaluation, metric, variant), group in grouped.items()
    ]


def sample_groups(report: Report) -> list[SampleGroup]:
    """Group samples by evaluation and reference, in the order of their first appearance."""
    grouped: dict[tuple[str, str], list[tuple[str, str]]] = {}
    evaluations = list(dict.fromkeys(sample.evaluation for sample in report.samples))
    for sample in report.samples:
        written = (report.title_of(sample.case), shorten(sample.hypothesis))
        grouped.setdefault((sample.evaluation, sample.reference), []).append(written)
    return [
        SampleGroup(evaluation, reference, tuple(written))
        for wanted in evaluations
        for (evaluation, reference), written in grouped.items()
        if evaluation == wanted
    ]


def best_sentence(report: Report) -> str:
    """Return which model is best, by which figure, and which of those that lose no skill."""
    if report.best is None:
        return "No case has a result in the first column yet."
    best = f"Best: {_with_figure(report.best, report)}."
    if not report.retention:
        return best
    passing = report.best_passing
    if passing is report.best:
        return f"{best} It passes the retention gate."
    if passing is None:
        return f"{best} No trained case passes the retention gate."
    return f"{best} Best that passes the retention gate: {_with_figure(passing, report)}."


def retention_sentences(report: Report) -> list[str]:
    """Return one for each case that does not keep a skill, and one for those that do."""
    found = []
    for each in report.retention:
        if each.passes:
            continue
        gate = "failed" if each.verdict == "lost" else "not passed"
        found.append(
            f"Retention gate {gate}: “{_short_title_of(each.case, report)}” is worse by "
            f"{each.loss:.2f} [{each.low:.2f}–{each.high:.2f}] points of {each.evaluation} "
            f"{metric_title(each.metric, each.variant)}; at most {each.worse_by:g} is allowed."
        )
    kept = [each for each in report.retention if each.passes]
    if kept:
        titles = dict.fromkeys(_short_title_of(each.case, report) for each in kept)
        found.append(f"Retention gate passed: {_listed(list(titles))}.")
    return found


def transcribe_command(report: Report) -> str | None:
    """Return the command that transcribes a file with the best model; None where there is none."""
    if report.best is None or report.best.case.model is None:
        return None
    return f"soritune transcribe --model {shlex.quote(report.best.case.model)} recording.wav"


def unfinished_sentence(report: Report) -> str | None:
    """Return what is still missing in the table, or None."""
    missing = [row.case.title for row in report.rows if None in row.results]
    if not missing:
        return None
    return f"Not finished: {_listed(missing)}. Run the recipe to continue."


def exclusion_sentences(report: Report) -> list[str]:
    """Return one for each case that leaves out utterances whose sentences others test."""
    return [
        f"“{_short_title(case)}” was not trained on "
        + ", ".join(f"{number:,} utterances of {part}" for part, number in case.excluded.items())
        + ": dev or test of another corpus has their sentences."
        for case in report.cases
        if case.excluded
    ]


def certainties(report: Report) -> list[Certainty]:
    """Return a record for each column in which two cases are tested."""
    found = []
    for column in report.columns:
        grouped: dict[str, list[PairedTest]] = {}
        for test in report.tests:
            key = (test.evaluation, test.metric, test.variant)
            if key == (column.evaluation, column.metric, column.variant):
                grouped.setdefault(test.words, []).append(test)
        if grouped:
            words = {each: _phrases(tests, report) for each, tests in sorted(grouped.items())}
            found.append(Certainty(column, words))
    return found


def not_comparable(report: Report) -> list[str]:
    """Return a warning for each metric whose cases were scored differently."""
    return [
        f"{scoring.evaluation} {scoring.metric}: the cases were scored differently (utterances "
        f"{', '.join(map(str, scoring.utterances))}; {len(scoring.signatures)} signature(s)): "
        "do not compare them."
        for scoring in scorings(report)
        if not scoring.comparable
    ]


def shorten(text: str) -> str:
    """Return `text` on one line, cut where it is very long."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_SAMPLE_CHARACTERS else line[: MAX_SAMPLE_CHARACTERS - 1] + "…"


def _phrases(tests: Sequence[PairedTest], report: Report) -> tuple[str, ...]:
    """`“C” against “A”, “B”`, one phrase a later case."""
    names = [case.name for case in report.cases]
    earlier: dict[str, list[str]] = {}
    for test in tests:
        earlier.setdefault(test.case_b, []).append(_short_title_of(test.case_a, report))
    return tuple(
        f"“{_short_title_of(name, report)}” against "
        + ("every earlier case" if 1 < len(titles) == names.index(name) else _listed(titles))
        for name, titles in earlier.items()
    )


def _with_figure(row: Row, report: Report) -> str:
    column, result = report.columns[0], row.results[0]
    by = f"{'lowest' if column.lower_is_better else 'highest'} {column.title}"
    value = "" if result is None else f", {result.value:.2f}"
    few = ""
    if result is not None and is_few(result):
        few = f" of {result.utterances} utterances, too few to say"
    return f"{row.case.title} ({by}{value}{few})"


def _short_title_of(case: str, report: Report) -> str:
    return report.title_of(case).partition(" (")[0]


def _short_title(case: CaseSummary) -> str:
    """The title without a remark in brackets at its end: `baseline (LoRA)` is `baseline`."""
    return case.title.partition(" (")[0]


def _listed(titles: Sequence[str]) -> str:
    return ", ".join(f"“{title}”" for title in titles)
