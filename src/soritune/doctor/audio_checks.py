"""Findings about the sound of each clip by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from soritune.doctor.catalogue import (
    END_SILENCE_S,
    GAP_DB,
    MIN_FLAT_RUNS,
    NARROW_BAND_DB,
    NOISY_DB,
    OFFSET,
)
from soritune.doctor.findings import Finding
from soritune.doctor.make import Hit, make_finding
from soritune.doctor.scan import ScannedUtterance
from soritune.doctor.signal import HIGH_HZ, PLATEAU_RUN, Signal

Verdict = tuple[str, float] | None
"""What was measured, in words, and how bad it is; None where nothing is wrong."""


def audio_findings(
    utterances: Sequence[ScannedUtterance], names: Sequence[str]
) -> Iterator[Finding]:
    """Findings of the utterances of one corpus, in the order of the checks."""
    unreadable = [Hit(u, u.problem, 0) for u in utterances if u.signal is None]
    found = make_finding("unreadable", names, unreadable, len(utterances))
    if found is not None:
        yield found
    for check, judge in JUDGES.items():
        hits = []
        for utterance in utterances:
            verdict = judge(utterance.signal) if utterance.signal is not None else None
            if verdict is not None:
                hits.append(Hit(utterance, *verdict))
        found = make_finding(check, names, hits, len(utterances))
        if found is not None:
            yield found


def narrow_band(signal: Signal) -> Verdict:
    """Nothing above 4 kHz, or only the mirrored image of what is below."""
    if signal.high_band_db < NARROW_BAND_DB:
        level = f"{signal.high_band_db:.0f} dB above {HIGH_HZ[0] / 1000:g} kHz against below"
        return level, -signal.high_band_db
    if signal.gap_db < GAP_DB:
        return f"a gap of {-signal.gap_db:.0f} dB at 4 kHz, mirrored above", -signal.gap_db
    return None


def clipping(signal: Signal) -> Verdict:
    """Samples that stay at full scale, or often at the clip's own peak."""
    if signal.clipped_runs:
        return f"{signal.clipped_runs} times at full scale", signal.clipped_runs
    if signal.flat_runs >= MIN_FLAT_RUNS:
        times = f"{signal.flat_runs} times {PLATEAU_RUN} samples and more"
        return f"{times} at the same peak of {signal.peak:.2f}", signal.flat_runs
    return None


def end_silence(signal: Signal) -> Verdict:
    """A long time before or after the speech."""
    longest = max(signal.lead_s, signal.trail_s)
    if longest <= END_SILENCE_S:
        return None
    return f"{signal.lead_s:.1f} s before, {signal.trail_s:.1f} s after", longest


def offset(signal: Signal) -> Verdict:
    """A mean that is not zero."""
    if abs(signal.offset) <= OFFSET:
        return None
    return f"{100 * signal.offset:+.1f} % of full scale", abs(signal.offset)


def noise(signal: Signal) -> Verdict:
    """Find speech that is hardly louder than the sound between it."""
    if signal.snr_db >= NOISY_DB:
        return None
    return f"speech {signal.snr_db:.0f} dB above the noise", -signal.snr_db


JUDGES: dict[str, Callable[[Signal], Verdict]] = {
    "narrow-band": narrow_band,
    "clipping": clipping,
    "noise": noise,
    "end-silence": end_silence,
    "offset": offset,
}
