"""What a corpus holds: hours, speakers, lengths, speaking rates, noise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from soritune.doctor.findings import CorpusFacts, Histogram, RateFacts, SpeakerFacts, SplitFacts
from soritune.doctor.scan import AuditedCorpus, ScannedUtterance
from soritune.doctor.text_checks import speech_s
from soritune.languages import find_language

SPLITS = ("train", "dev", "test")
MAX_SPEAKERS = 20
LENGTH_EDGES_S = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0)
RATE_EDGES = {
    "syllables": tuple(float(n) for n in range(13)),
    "letters": tuple(float(n) for n in range(0, 37, 3)),
}
SNR_EDGES_DB = tuple(float(n) for n in range(0, 80, 6))


def facts_of(source: AuditedCorpus, utterances: Sequence[ScannedUtterance]) -> CorpusFacts:
    """The facts of one corpus from all its utterances."""
    speakers = _speakers(utterances)
    durations_s = [u.duration_s for u in utterances]
    heard = [(u, u.signal) for u in utterances if u.signal is not None]
    return CorpusFacts(
        name=source.name,
        folder=str(source.folder),
        source=str(source.card.source.get("source", "")),
        utterances=len(utterances),
        duration_s=_seconds(utterances),
        quarantined=source.card.quarantined,
        splits=_sizes(utterances, "split", SPLITS),
        languages=_sizes(utterances, "language", sorted({u.language for u in utterances})),
        speaker_count=len(speakers),
        speakers=speakers[:MAX_SPEAKERS],
        outdated=source.outdated,
        unnamed_speakers=sum(u.speaker is None for u in utterances),
        lengths=histogram(durations_s, durations_s, LENGTH_EDGES_S, "s"),
        rates=_rates(utterances),
        snr=histogram(
            [signal.snr_db for _, signal in heard],
            [u.duration_s for u, _ in heard],
            SNR_EDGES_DB,
            "dB",
        ),
        median_noise_dbfs=_median([signal.noise_dbfs for _, signal in heard]),
    )


def histogram(
    values: Sequence[float], durations_s: Sequence[float], edges: Sequence[float], unit: str
) -> Histogram:
    """Counts and seconds of values; those beyond the edges count in the first and the last bin."""
    array = np.array(values, np.float64)
    within = np.clip(array, edges[0], np.nextafter(edges[-1], edges[0]))
    counts, _ = np.histogram(within, edges)
    seconds, _ = np.histogram(within, edges, weights=np.array(durations_s, np.float64))
    low, median, high = np.percentile(array, (5, 50, 95)).tolist() if values else (0.0, 0.0, 0.0)
    return Histogram(
        unit=unit,
        edges=list(edges),
        counts=counts.tolist(),
        durations_s=seconds.round(3).tolist(),
        low=round(low, 3),
        median=round(median, 3),
        high=round(high, 3),
    )


def _sizes(
    utterances: Sequence[ScannedUtterance], attribute: str, values: Iterable[str]
) -> dict[str, SplitFacts]:
    sizes = {}
    for value in values:
        own = [u for u in utterances if getattr(u, attribute) == value]
        if own:
            speakers = len({u.speaker for u in own} - {None})
            sizes[value] = SplitFacts(
                utterances=len(own), duration_s=_seconds(own), speakers=speakers
            )
    return sizes


def _speakers(utterances: Sequence[ScannedUtterance]) -> list[SpeakerFacts]:
    """Named speakers, those with the most speech first."""
    by_speaker: defaultdict[str, list[ScannedUtterance]] = defaultdict(list)
    for utterance in utterances:
        if utterance.speaker is not None:
            by_speaker[utterance.speaker].append(utterance)
    speakers = [
        SpeakerFacts(
            speaker=speaker,
            utterances=len(own),
            duration_s=_seconds(own),
            splits=[split for split in SPLITS if any(u.split == split for u in own)],
        )
        for speaker, own in by_speaker.items()
    ]
    return sorted(speakers, key=lambda speaker: (-speaker.duration_s, speaker.speaker))


def _rates(utterances: Sequence[ScannedUtterance]) -> list[RateFacts]:
    rates = []
    for language in sorted({u.language for u in utterances}):
        own = [u for u in utterances if u.language == language and u.signal is not None]
        if own:
            unit = find_language(language).spoken_unit
            values = [u.units / speech_s(u) for u in own]
            durations_s = [u.duration_s for u in own]
            shown = histogram(values, durations_s, RATE_EDGES[unit], f"{unit}/s")
            rates.append(RateFacts(language=language, unit=unit, histogram=shown))
    return rates


def _seconds(utterances: Iterable[ScannedUtterance]) -> float:
    return round(sum(u.duration_s for u in utterances), 3)


def _median(values: Sequence[float]) -> float:
    return round(float(np.median(values)), 1) if values else 0.0
