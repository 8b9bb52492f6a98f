"""From utterances that a check picked to its finding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from soritune.doctor.catalogue import CHECKS
from soritune.doctor.findings import Finding, FoundUtterance, Severity
from soritune.doctor.scan import ScannedUtterance

MAX_EXAMPLES = 5
MAX_TEXT = 200


@dataclass(frozen=True)
class Hit:
    """An utterance that a check picked; hits with the highest `weight` are shown."""

    utterance: ScannedUtterance
    detail: str
    weight: float


def make_finding(
    check: str,
    names: Sequence[str],
    hits: Sequence[Hit],
    of: int,
    *,
    where: str = "",
    severity: Severity | None = None,
    title: str | None = None,
    leave_out: Iterable[ScannedUtterance] = (),
) -> Finding | None:
    """The finding of `check` in the corpus of the hits; None where there are none.

    `names` are those of the corpora, by their places; `of` is how many were looked at.
    `leave_out` are what to leave out to fix it, where that is not the hits.
    """
    if not hits:
        return None
    about = CHECKS[check]
    ordered = sorted(hits, key=lambda hit: -hit.weight)  # stable: equal ones by their order
    return Finding(
        check=check,
        severity=severity or about.severity,
        corpus=names[hits[0].utterance.corpus],
        where=where,
        title=title or about.title,
        utterances=len(hits),
        of=of,
        share=len(hits) / of,
        meaning=about.meaning,
        fix=about.fix,
        ids=[hit.utterance.id for hit in hits],
        leave_out=_by_corpus(leave_out, names),
        examples=[_example(hit, names) for hit in ordered[:MAX_EXAMPLES]],
    )


def _by_corpus(
    utterances: Iterable[ScannedUtterance], names: Sequence[str]
) -> dict[str, list[str]]:
    """Ids of each corpus, each once, in the order of the utterances."""
    ids: dict[str, dict[str, None]] = {}
    for utterance in utterances:
        ids.setdefault(names[utterance.corpus], {})[utterance.id] = None
    return {corpus: list(own) for corpus, own in ids.items()}


def _example(hit: Hit, names: Sequence[str]) -> FoundUtterance:
    text = hit.utterance.text
    return FoundUtterance(
        corpus=names[hit.utterance.corpus],
        id=hit.utterance.id,
        split=hit.utterance.split,
        text=text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…",
        detail=hit.detail,
    )
