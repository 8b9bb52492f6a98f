"""The cases of several runs side by side: a table, tests, and who is right where another is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soritune.errors import UserError, nearest
from soritune.experiment.other_models import FOLDER as OTHER_MODELS
from soritune.scoring.bootstrap import Clusters
from soritune.scoring.evaluate import SCORERS
from soritune.scoring.paired import Measured, corrected, paired_tests
from soritune.scoring.records import PairedTest, UtteranceScore
from soritune.scoring.results import read_results
from soritune.scoring.score import RAW, Score, differences
from soritune.scoring.utterances import counts_name, read_utterances

RESULTS_FILE = "results.json"
Key = tuple[str, str, str]
"""Evaluation, metric and variant: a column."""


@dataclass(frozen=True)
class ScoredCase:
    """A case of a run with its figures; `folder` is where its texts are."""

    label: str
    name: str
    folder: Path
    scores: dict[Key, Score]

    def utterances(self, evaluation: str) -> list[UtteranceScore] | None:
        """Return what its utterances have, None where the run is not here."""
        return read_utterances(self.folder / "scores" / f"{evaluation}.jsonl")


@dataclass(frozen=True)
class Disagreement:
    """An utterance that one case has right and the other has not."""

    evaluation: str
    id: str
    reference: str
    right: str
    wrong: str
    errors: int


@dataclass(frozen=True)
class Comparison:
    """Cases side by side.

    Attributes:
        not_comparable: a sentence for each column whose figures were made differently.
    """

    cases: tuple[ScoredCase, ...]
    columns: tuple[Key, ...]
    tests: tuple[PairedTest, ...]
    not_comparable: tuple[str, ...]


def compare_runs(sources: Sequence[Path], cases: Sequence[str] = ()) -> Comparison:
    """Compare the cases of runs (folders, their results.json, or figures of files).

    Or those of them that `cases` names.
    Raises UserError where a source cannot be read or a case is unknown.
    """
    found = _chosen(_read_cases(sources), cases)
    columns = list(dict.fromkeys(key for case in found for key in case.scores if _is_shown(key)))
    tests: list[PairedTest] = []
    notes = []
    for key in columns:
        having = [case for case in found if key in case.scores]
        differs = differences([case.scores[key].signature for case in having])
        if differs:
            name = " ".join(word for word in key if word != RAW)
            notes.append(f"{name}: not comparable: differs in {', '.join(differs)}")
        else:
            tests += _tests(key, having)
    return Comparison(tuple(found), tuple(columns), tuple(corrected(tests)), tuple(notes))


def disagreements(right: ScoredCase, wrong: ScoredCase) -> list[Disagreement]:
    """Return the utterances that `right` has without an error and `wrong` with some, most first.

    Of evaluations with an error rate, by its first variant.
    """
    found = []
    for evaluation, metric, variant in dict.fromkeys(right.scores):
        if metric != "cer" or variant != next(
            key[2] for key in right.scores if key[:2] == (evaluation, "cer")
        ):
            continue
        lines, others = right.utterances(evaluation), wrong.utterances(evaluation)
        key = counts_name(metric, variant)
        texts = [_texts(case, evaluation) for case in (right, wrong)]
        by_id = {each.id: each for each in others or ()}
        for line in lines or ():
            other = by_id.get(line.id)
            if other is None or key not in other.counts or line.counts[key][0]:
                continue
            errors = int(other.counts[key][0])
            if errors and all(line.id in side for side in texts):
                reference, written = texts[0][line.id]
                found.append(
                    Disagreement(
                        evaluation, line.id, reference, written, texts[1][line.id][1], errors
                    )
                )
    return sorted(found, key=lambda each: -each.errors)


def _texts(case: ScoredCase, evaluation: str) -> dict[str, tuple[str, str]]:
    from soritune.decoding.hypotheses import read_hypotheses

    path = case.folder / "hypotheses" / f"{evaluation}.jsonl"
    return {each.id: (each.reference, each.scored) for each in read_hypotheses(path)}


def _read_cases(sources: Sequence[Path]) -> list[ScoredCase]:
    if not sources:
        raise UserError("compare: name runs or their results.json")
    paths = [source / RESULTS_FILE if source.is_dir() else source for source in sources]
    names = [path.resolve().parent.name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path.parent) for path in paths]
    found: list[ScoredCase] = []
    for path, name in zip(paths, names, strict=True):
        by_case: dict[str, dict[Key, Score]] = {}
        for score in read_results(path).scores:
            key = (score.evaluation, score.metric, score.variant)
            by_case.setdefault(score.case, {})[key] = score
        for case, scores in by_case.items():
            label = case if len(paths) == 1 else f"{name}/{case}"
            label = label if case else path.stem  # of files that were scored
            folders = [path.parent / kind / case for kind in ("cases", OTHER_MODELS)]
            folder = next((each for each in folders if each.is_dir()), folders[0])
            found.append(ScoredCase(label, case, folder, scores))
    return found


def _chosen(found: list[ScoredCase], cases: Sequence[str]) -> list[ScoredCase]:
    chosen = []
    for wanted in cases:
        fitting = [each for each in found if wanted in (each.label, each.name)]
        labels = [each.label for each in found]
        if not fitting:
            raise UserError(
                f'there is no case "{wanted}"{nearest(wanted, labels)}; there are: '
                + ", ".join(labels)
            )
        if len(fitting) > 1:
            raise UserError(
                f'several runs have a case "{wanted}"; name one of '
                + ", ".join(each.label for each in fitting)
            )
        chosen += fitting
    return chosen or found


def _is_shown(key: Key) -> bool:
    """Return whether a column stands in the table: not every variant of every metric."""
    _, metric, variant = key
    return metric in ("cer", "bleu", "invented") or (metric == "wer" and variant == RAW)


def _tests(key: Key, cases: Sequence[ScoredCase]) -> list[PairedTest]:
    evaluation, metric, variant = key
    name = counts_name(metric, variant)
    lines = {case.label: case.utterances(evaluation) for case in cases}
    known = {
        label: each
        for label, each in lines.items()
        if each and all(name in line.counts for line in each)
    }
    if len({tuple(line.id for line in each) for each in known.values()}) != 1:
        return []
    tables = [
        Measured(label, np.array([line.counts[name] for line in each], dtype=np.float64))
        for label, each in known.items()
    ]
    speakers = [line.speaker for line in next(iter(known.values()))]
    scorer = SCORERS[metric]
    return paired_tests(evaluation, metric, variant, tables, scorer, Clusters.of(speakers))
