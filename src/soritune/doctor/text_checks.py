"""Findings about transcripts: their length for the audio, their characters, their numbers."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from soritune.doctor.catalogue import (
    CHECKS,
    MIN_FOR_STATISTICS,
    MIXED_SHARE,
    RATE_BOUNDS,
    RATE_Z,
)
from soritune.doctor.findings import Finding, Severity
from soritune.doctor.make import Hit, make_finding
from soritune.doctor.scan import ScannedUtterance
from soritune.doctor.words import (
    character_name,
    number_forms,
    unusual_characters,
    usual_scripts,
)
from soritune.languages import find_language

MIN_SPEECH_S = 0.1
MIN_SPREAD = 0.1
"""Standard deviation of the logarithm of rates that is always granted, 10 %."""
SHORT_VARIANCE = 0.25
"""Variance that a sentence of one unit has more; it falls with its length. Single words are said
at half or double the speaker's rate."""
MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
SHOWN_CHARACTERS = 8


def speech_s(utterance: ScannedUtterance) -> float:
    """Seconds of a clip without the silence at its ends."""
    signal = utterance.signal
    silence_s = 0.0 if signal is None else signal.lead_s + signal.trail_s
    return max(MIN_SPEECH_S, utterance.duration_s - silence_s)


def robust_z(values: Sequence[float], least: float = 0.0) -> list[float]:
    """Distance of each value from the median in robust standard deviations of at least `least`."""
    array = np.array(values, np.float64)
    centre = float(np.median(array))
    spread = max(least, MAD_TO_SIGMA * float(np.median(np.abs(array - centre))), 1e-9)
    return [float(value) for value in (array - centre) / spread]


def text_findings(
    utterances: Sequence[ScannedUtterance], names: Sequence[str]
) -> Iterator[Finding]:
    """Findings of the utterances of one corpus, one of each kind for each language."""
    by_language: defaultdict[str, list[ScannedUtterance]] = defaultdict(list)
    for utterance in utterances:
        by_language[utterance.language].append(utterance)
    for language, own in sorted(by_language.items()):
        where = language if len(by_language) > 1 else ""
        found = [
            *_rates(own, language, names, where),
            _characters(own, language, names, where),
            _numbers(own, language, names, where),
        ]
        yield from (finding for finding in found if finding is not None)


def _rates(
    utterances: Sequence[ScannedUtterance], language: str, names: Sequence[str], where: str
) -> list[Finding | None]:
    readable = [u for u in utterances if u.signal is not None]
    units = [u.units for u in readable]
    rates = [max(n, 0.5) / speech_s(u) for n, u in zip(units, readable, strict=True)]
    unit = find_language(language).spoken_unit
    lowest, highest = RATE_BOUNDS[unit]
    logs = np.log(rates) if rates else np.zeros(0)
    centre = float(np.median(logs)) if len(logs) else 0.0
    spread = MAD_TO_SIGMA * float(np.median(np.abs(logs - centre))) if len(logs) else 0.0
    high, low = [], []
    for utterance, count, rate in zip(readable, units, rates, strict=True):
        variance = max(spread, MIN_SPREAD) ** 2 + SHORT_VARIANCE / max(count, 1)
        z = (math.log(rate) - centre) / math.sqrt(variance)
        if len(rates) < MIN_FOR_STATISTICS:
            z = 0.0
        detail = f"{rate:.1f} {unit} a second, the median is {math.exp(centre):.1f}"
        if z > RATE_Z or rate > highest:
            high.append(Hit(utterance, detail, rate))
        elif z < -RATE_Z or rate < lowest:
            low.append(Hit(utterance, detail, -rate))
    return [
        make_finding("too-much-text", names, high, len(utterances), where=where),
        make_finding("too-little-text", names, low, len(utterances), where=where),
    ]


def _characters(
    utterances: Sequence[ScannedUtterance], language: str, names: Sequence[str], where: str
) -> Finding | None:
    scripts = usual_scripts((u.text for u in utterances), language)
    hits = []
    counts: Counter[str] = Counter()
    for utterance in utterances:
        unusual = unusual_characters(utterance.text, language, scripts)
        if unusual:
            counts.update(unusual)
            detail = ", ".join(f"{c} ({character_name(c)})" for c in unusual[:SHOWN_CHARACTERS])
            hits.append(Hit(utterance, detail, len(unusual)))
    most = sorted(counts, key=lambda c: (-counts[c], c))[:SHOWN_CHARACTERS]
    shown = ", ".join(f"{_visible(c)} ({counts[c]})" for c in most)
    title = f"{CHECKS['characters'].title}: {shown}"
    return make_finding(
        "characters", names, hits, len(utterances), where=where, title=title if hits else None
    )


def _visible(character: str) -> str:
    return character if character.isprintable() else f"U+{ord(character):04X}"


def _numbers(
    utterances: Sequence[ScannedUtterance], language: str, names: Sequence[str], where: str
) -> Finding | None:
    forms = [(u, number_forms(u.text, language)) for u in utterances]
    hits: dict[str, Hit] = {}
    kinds = []
    mixed = False
    for kind in find_language(language).number_forms:
        digits = [u for u, found in forms if "digits" in found.get(kind, ())]
        words = [u for u, found in forms if "words" in found.get(kind, ())]
        if not digits or not words:
            continue
        rarer, form = (digits, "digits") if len(digits) <= len(words) else (words, "words")
        like = f" like {kind}" if kind else ""
        kinds.append(f"{like} in digits {len(digits)}, in words {len(words)}")
        mixed |= len(rarer) >= MIXED_SHARE * (len(digits) + len(words))
        for utterance in rarer:
            hits.setdefault(utterance.id, Hit(utterance, f"numbers{like} in {form}", 0))
    severity: Severity = "warning" if mixed else "info"
    title = f"numbers are written in two ways:{';'.join(kinds)}"
    return make_finding(
        "numbers",
        names,
        list(hits.values()),
        len(utterances),
        where=where,
        severity=severity,
        title=title,
    )
