"""What the page says beside figures: the recipe, its corpora, what the doctor found there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CorpusSummary:
    """A prepared corpus; `speakers` counts the named ones."""

    name: str
    source: str
    license: str
    utterances: int
    duration_s: float
    speakers: int
    quarantined: int


@dataclass(frozen=True)
class FindingSummary:
    """One finding of the doctor; `share` of the corpus, 0–1."""

    severity: str
    corpus: str
    title: str
    utterances: int
    share: float
    meaning: str
    fix: str


@dataclass(frozen=True)
class Background:
    """All of it.

    Attributes:
        base: the untrained model.
        language: code of the one that is learnt.
        recipe: as it was written; "" where it is not kept.
        findings: None where the corpora were not audited as they are.
        audit_command: that audits them.
    """

    base: str
    language: str
    recipe: str
    corpora: tuple[CorpusSummary, ...]
    findings: tuple[FindingSummary, ...] | None
    audit_command: str
