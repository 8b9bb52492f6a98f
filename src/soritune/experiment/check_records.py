"""What a run would do, as records: see `soritune.experiment.check`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BaseCheck:
    """The base model; sizes are None where only a download, or nobody here, would tell."""

    name: str
    parameters: int | None
    num_bytes: int | None
    download: bool
    on_server: bool = False


@dataclass(frozen=True)
class CorpusCheck:
    """One corpus.

    Attributes:
        splits: utterances of each; None where only preparing it would tell.
        total: utterances that are read; None where that is not known.
        by_hand: how to get the recordings where they cannot be downloaded.
        reasons: why it is to be prepared again; empty where it is prepared, or never was.
        exact: whether `splits` are those that a preparation takes, not only those of the texts.
    """

    name: str
    source: str
    prepared: bool
    splits: Mapping[str, int] | None
    total: int | None
    duration_s: float | None = None
    download_bytes: int | None = None
    languages: Mapping[str, int] | None = None
    download: bool = False
    by_hand: str = ""
    reasons: tuple[str, ...] = ()
    exact: bool = True

    def utterances(self, split: str) -> tuple[int | None, bool]:
        """Return an upper bound of the utterances of a split, and whether it is exact."""
        if self.splits is not None:
            return self.splits.get(split, 0), self.exact
        return self.total, False

    def compares_with(self, other: CorpusCheck) -> bool:
        """Whether the number of sentences that both have is known.

        The demo's test sentences are in none of its training sets.
        """
        return (self.prepared and other.prepared) or self.source == other.source == "demo"

    def utterances_in(self, duration_s: float) -> int:
        """Estimate how many fit into a time; more than any corpus has where nothing is known."""
        if not self.duration_s or not self.total:
            return sys.maxsize
        return max(1, int(duration_s * self.total / self.duration_s))


@dataclass(frozen=True)
class CaseCheck:
    """One case; numbers are upper bounds where `exact` is false, None where nothing is known.

    Attributes:
        reasons: why it is to be trained again.
        waits_for: corpora that are prepared again: only with another content it is trained again.
        trained_as: the former name of a case that was renamed.
    """

    name: str
    title: str
    corpora: tuple[str, ...]
    utterances_per_epoch: int | None
    steps: int | None
    exact: bool
    done: bool
    reasons: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    trained_as: str | None = None


@dataclass(frozen=True)
class EvaluationCheck:
    """One evaluation; `cases_done` of its cases have their figures already."""

    name: str
    corpus: str
    split: str
    task: str
    metrics: tuple[str, ...]
    utterances: int | None
    exact: bool
    cases: int
    cases_done: int


@dataclass(frozen=True)
class RunCheck:
    """All that a run would do."""

    name: str
    output: Path
    base: BaseCheck
    corpora: tuple[CorpusCheck, ...]
    cases: tuple[CaseCheck, ...]
    evaluations: tuple[EvaluationCheck, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
