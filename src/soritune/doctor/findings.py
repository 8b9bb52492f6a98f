"""What the audit says: one typed record for each finding, and the facts behind it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
FORMAT_VERSION = 1
OUTDATED = "was prepared before its recipe or recordings changed; run soritune prepare first"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FoundUtterance(_Record):
    """One utterance that a finding is about; `detail` says what was measured or with which."""

    corpus: str
    id: str
    split: str
    text: str
    detail: str


class Finding(_Record):
    """One thing that a check found in a corpus.

    `utterances` of the `of` that were looked at, `share` their quotient; `ids` are all of them in
    the order of the corpus, `examples` the few that are shown, the worst first. `where` names the
    part of the corpus ("test against train"), "" for all of it. `meaning` is why it matters,
    `fix` what to do about it. `leave_out` are ids by corpus without which it would not be there,
    where those are others than `ids`: what is trained on, not what is tested with.
    """

    check: str
    severity: Severity
    corpus: str
    where: str
    title: str
    utterances: int
    of: int
    share: float
    meaning: str
    fix: str
    ids: list[str]
    leave_out: dict[str, list[str]]
    examples: list[FoundUtterance]


class Histogram(_Record):
    """`counts[i]` utterances from `edges[i]` to below `edges[i + 1]`, of `durations_s[i]` together.

    Values beyond the edges count in the first and the last. `low` and `high` are the 5th and
    the 95th percentile of the values.
    """

    unit: str
    edges: list[float]
    counts: list[int]
    durations_s: list[float]
    low: float
    median: float
    high: float


class SplitFacts(_Record):
    """Size of one split; `speakers` counts those that are named."""

    utterances: int
    duration_s: float
    speakers: int


class SpeakerFacts(_Record):
    """One speaker; those after the most frequent ones are not listed."""

    speaker: str
    utterances: int
    duration_s: float
    splits: list[str]


class RateFacts(_Record):
    """Speaking rate of one language, in `unit` a second of speech without silence at the ends."""

    language: str
    unit: str
    histogram: Histogram


class CorpusFacts(_Record):
    """What a corpus holds.

    `outdated`: it is not what its recipe says now. `speakers` are those of the `speaker_count`
    named ones with the most speech; `unnamed_speakers` counts utterances. `snr` is of the speech
    level over that of the noise.
    """

    name: str
    folder: str
    source: str
    utterances: int
    duration_s: float
    quarantined: int
    speaker_count: int
    splits: dict[str, SplitFacts]
    languages: dict[str, SplitFacts]
    speakers: list[SpeakerFacts]
    unnamed_speakers: int
    outdated: bool
    lengths: Histogram
    rates: list[RateFacts]
    snr: Histogram
    median_noise_dbfs: float


class Audit(_Record):
    """The result of `soritune doctor`: facts, findings (most severe first), what was checked.

    `model` is the one that losses were computed with, None where no model was given; `recipe` is
    whose corpora they are, as far as that is known.
    """

    format_version: int
    corpora: list[CorpusFacts]
    findings: list[Finding]
    checks: list[str]
    model: str | None
    recipe: str = "RECIPE"

    @property
    def errors(self) -> int:
        """Findings that spoil figures or training."""
        return sum(finding.severity == "error" for finding in self.findings)
