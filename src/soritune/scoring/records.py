"""What is concluded from scores: tests between cases, failures, groups, retention, speed.

All of them are records of `results.json` (docs/scoring.md has its schema). Rates and differences
are in points of the metric: percent for error rates, 0–100 for the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import ConfigDict

Verdict = Literal["better", "worse", "no difference shown", "too few to say"]
FAILURES = (
    "empty",
    "refusal",
    "loop",
    "wrong-script",
    "truncation",
    "numbers-only",
    "latin-only",
    "spacing-only",
    "insertion",
    "unparsable",
)
"""Classes of failures, each with its rule in `failures.py`."""
CONDITIONS = ("length", "rate", "level", "snr", "speaker", "source", "language")


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Case B against case A on the same utterances.

    Attributes:
        difference: score of B minus that of A.
        low, high: its 95 % interval (paired bootstrap).
        p: two-sided, by approximate randomisation; None where the utterances are too few.
        p_holm: after Holm's correction over all tests of the table.
        verdict: of B.
        clusters: speakers that were swapped and drawn as wholes; None: single utterances were.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    evaluation: str
    metric: str
    variant: str
    case_a: str
    case_b: str
    difference: float
    low: float
    high: float
    p: float | None
    p_holm: float | None
    verdict: Verdict
    utterances: int
    clusters: int | None = None

    @property
    def words(self) -> str:
        """The verdict with its p: “better, p < 0.01”."""
        if self.p_holm is None or self.verdict not in ("better", "worse"):
            return self.verdict
        bound = next(bound for bound in (0.001, 0.01, 0.05) if self.p_holm < bound)
        return f"{self.verdict}, p < {bound}"


@dataclass(frozen=True, kw_only=True)
class FailureCount:
    """How many utterances of an evaluation fail in one way; also where it is none."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    case: str
    evaluation: str
    failure: str
    count: int
    utterances: int


@dataclass(frozen=True, kw_only=True)
class ConditionScore:
    """The first score of an evaluation on one group of its utterances ("length", "5–10 s")."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    case: str
    evaluation: str
    condition: str
    group: str
    metric: str
    variant: str
    value: float
    low: float
    high: float
    utterances: int


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """A jamo that was written for another one; `slot` is onset, nucleus or coda."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    case: str
    evaluation: str
    slot: str
    said: str
    written: str
    count: int


@dataclass(frozen=True, kw_only=True)
class RetentionVerdict:
    """Whether a case keeps a skill of the untrained base.

    Attributes:
        worse_by: points by which it may get worse.
        loss: points by which it is worse (below 0: better), with its 95 % interval.
        verdict: "kept" where the whole interval is allowed, "lost" where none of it is, "not shown"
            between the two. A case passes where it is kept.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    case: str
    evaluation: str
    metric: str
    variant: str
    worse_by: float
    loss: float
    low: float
    high: float
    verdict: Literal["kept", "lost", "not shown"]

    @property
    def passes(self) -> bool:
        return self.verdict == "kept"


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast an evaluation was decoded; None where an interruption makes it unknown.

    Attributes:
        audio_per_s: seconds of audio a second.
        tokens_per_s: generated tokens a second, end tokens included.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    case: str
    evaluation: str
    audio_s: float
    decoding_s: float | None
    audio_per_s: float | None
    tokens_per_s: float | None
    batch_size: int | None
    device: str | None


@dataclass(frozen=True, kw_only=True)
class UtteranceScore:
    """One line of `scores/<evaluation>.jsonl`: an utterance by itself.

    Attributes:
        failures: those of `FAILURES` that it shows.
        conditions: its group in each condition that is known.
        counts: what sums to each score, by `metric/variant`: edits and reference length for error
            rates, sacrebleu's statistics for bleu and chrf, twice the found spaces and all spaces
            of both sides for spacing.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    speaker: str | None = None
    failures: tuple[str, ...] = ()
    conditions: dict[str, str] = field(default_factory=dict)
    counts: dict[str, tuple[float, ...]] = field(default_factory=dict)
