"""The records that decoding and scoring leave in their stamps; training has `TrainingSummary`."""

from __future__ import annotations

from dataclasses import dataclass

from soritune.report.records import Sample
from soritune.scoring.records import ConditionScore, Confusion, FailureCount, Speed
from soritune.scoring.score import Score


@dataclass(frozen=True)
class DecodingOutcome:
    """Hypotheses of one evaluation, which lie in a file of their own.

    `batch_size` and `device` are those of the decoding, for its speed.
    """

    utterances: int
    batch_size: int | None = None
    device: str | None = None


@dataclass(frozen=True)
class ScoringOutcome:
    """Scores of one evaluation.

    Attributes:
        language: the one that is spoken.
        decoding_s: None where the decoding was interrupted.
        samples: a few utterances for the report.
    """

    language: str
    decoding_s: float | None
    scores: list[Score]
    samples: list[Sample]
    failures: list[FailureCount]
    conditions: list[ConditionScore]
    confusions: list[Confusion]
    speed: Speed
