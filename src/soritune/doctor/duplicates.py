"""The same recording more than once: groups of utterances by their samples and fingerprints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soritune.audio import SAMPLE_RATE_HZ
from soritune.corpus.pool import run_chunks
from soritune.doctor.fingerprint import Bits, bit_error_rate, frame_bits, worst_stretch
from soritune.doctor.scan import AuditedCorpus, ScannedUtterance, read_samples
from soritune.doctor.signal import HOP, WINDOW, power_spectra

MAX_ERROR_RATE = 0.30
"""Of the bits. Measured (docs/doctor.md): other clips of the same speaker 0.32 and more, of which
next to none become candidates; copies through codecs 0.09 and less, with noise up to 0.29."""
MIN_COMPARED = 0.6
"""Of the loud frames of the shorter clip."""
VOTES = 2
"""Sampled frames with equal bits at the same distance that make a candidate."""
APART = WINDOW // HOP
"""Frames between the first and the last of them: windows that share no sample."""
NEIGHBOURS = 8
"""Frames with the same bits in many clips (hum, pauses): each is paired with this many others."""
SEARCH = 2
"""Frames around a candidate's distance that are tried."""


@dataclass(frozen=True)
class Copy:
    """`utterance` repeats the audio of `original` (places in the list that was searched).

    `error_rate` is 0 for equal samples, `worst_rate` that of the worst quarter of a second;
    `offset_s` is where in the original it begins.
    """

    utterance: int
    original: int
    error_rate: float
    worst_rate: float
    offset_s: float


def find_copies(
    utterances: Sequence[ScannedUtterance],
    sources: Sequence[AuditedCorpus],
    workers: int = 1,
    advance: Callable[[float], None] = lambda amount: None,
) -> list[Copy]:
    """All utterances whose audio an earlier one has, exactly or nearly.

    `original` is the first of its group. `advance` is called with the number of clips read again.
    """
    copies: dict[int, Copy] = {}
    first: dict[bytes, int] = {}
    for place, utterance in enumerate(utterances):
        if utterance.signal is not None:
            original = first.setdefault(utterance.audio_hash, place)
            if original != place:
                copies[place] = Copy(place, original, 0.0, 0.0, 0.0)
    candidates = _candidates(utterances, list(first.values()))
    fingerprints = _fingerprints(utterances, sources, candidates, workers, advance)
    near = []
    for one, other, offset in candidates:
        if one in fingerprints and other in fingerprints:
            rate, at = _compare(fingerprints[one], fingerprints[other], offset)
            if rate <= MAX_ERROR_RATE:
                worst = worst_stretch(fingerprints[one], fingerprints[other], at)
                near.append((one, other, rate, worst, at))
    for one, other, rate, worst, at in sorted(near, key=lambda pair: (pair[1], pair[0])):
        # A copy of a copy is one of the first; its own distance is not known then.
        root = copies[one].original if one in copies else one
        if other not in copies and root != other:
            offset_s = at * HOP / SAMPLE_RATE_HZ if root == one else 0.0
            copies[other] = Copy(other, root, rate, worst, offset_s)
    moved = {
        place: replace(copy, original=copies[copy.original].original)
        if copy.original in copies
        else copy
        for place, copy in copies.items()
    }
    return [moved[place] for place in sorted(moved)]


def _candidates(
    utterances: Sequence[ScannedUtterance], places: Sequence[int]
) -> list[tuple[int, int, int]]:
    """Pairs of `places` (the earlier first) with frames alike at the same distance in frames."""
    with_keys = [place for place in places if len(utterances[place].keys)]
    if len(with_keys) < 2:
        return []
    sizes = [len(utterances[place].keys) for place in with_keys]
    keys = np.concatenate([utterances[place].keys for place in with_keys])
    frames = np.concatenate([utterances[place].places for place in with_keys]).astype(np.int64)
    owners = np.repeat(np.array(with_keys, np.int64), sizes)
    order = np.lexsort((frames, owners, keys))
    keys, frames, owners = keys[order], frames[order], owners[order]
    # Frames side by side are often equal: the first of a clip represents them.
    fresh = np.ones(len(keys), np.bool_)
    fresh[1:] = (keys[1:] != keys[:-1]) | (owners[1:] != owners[:-1])
    keys, frames, owners = keys[fresh], frames[fresh], owners[fresh]
    pairs = []
    for distance in range(1, NEIGHBOURS + 1):
        alike = np.flatnonzero(keys[distance:] == keys[:-distance])
        ones, others = alike, alike + distance
        columns = (owners[ones], owners[others], frames[ones] - frames[others], frames[ones])
        pairs.append(np.stack(columns, axis=1))
    return _voted(np.concatenate(pairs))


def _voted(pairs: npt.NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """(one, other, offset) on which `VOTES` rows (one, other, offset, frame of one) agree.

    They must agree within `SEARCH` frames, and lie `APART` in the clip: neighbouring frames of
    one long sound are one piece of evidence.
    """
    if not len(pairs):
        return []
    rows = pairs[np.lexsort((pairs[:, 3], pairs[:, 2], pairs[:, 1], pairs[:, 0]))]
    new = np.ones(len(rows), np.bool_)
    new[1:] = (rows[1:, :2] != rows[:-1, :2]).any(axis=1) | (rows[1:, 2] - rows[:-1, 2] > SEARCH)
    starts = np.flatnonzero(new)
    sizes = np.diff(np.append(starts, len(rows)))
    spread = np.maximum.reduceat(rows[:, 3], starts) - np.minimum.reduceat(rows[:, 3], starts)
    kept = (sizes >= VOTES) & (spread >= APART)
    middle = rows[(starts + sizes // 2)[kept], :3]
    return [(one, other, offset) for one, other, offset in middle.tolist()]


@dataclass(frozen=True)
class _FingerprintTask:
    path: Path
    rows: tuple[tuple[int, int], ...]  # row of the shard, place in the list


_Fingerprint = tuple[Bits, npt.NDArray[np.bool_]]


def _fingerprints(
    utterances: Sequence[ScannedUtterance],
    sources: Sequence[AuditedCorpus],
    candidates: Sequence[tuple[int, int, int]],
    workers: int,
    advance: Callable[[float], None],
) -> Mapping[int, _Fingerprint]:
    """Whole fingerprints of the clips of candidates, read again."""
    by_shard: defaultdict[Path, list[tuple[int, int]]] = defaultdict(list)
    for place in sorted({place for pair in candidates for place in pair[:2]}):
        utterance = utterances[place]
        source = sources[utterance.corpus]
        path = source.folder / source.card.shards[utterance.shard].file
        by_shard[path].append((utterance.row, place))
    tasks = [_FingerprintTask(path, tuple(rows)) for path, rows in by_shard.items()]
    found: dict[int, _Fingerprint] = {}
    for part in run_chunks(
        _fingerprint_rows,
        tasks,
        workers if len(tasks) > 1 else 1,
        finished=lambda task: None,
        advance=lambda part: advance(len(part)),
    ):
        found.update(part)
    return found


def _fingerprint_rows(task: _FingerprintTask) -> dict[int, _Fingerprint]:
    samples = read_samples(task.path, [row for row, _ in task.rows])
    return {
        place: frame_bits(power_spectra(samples[row])) for row, place in task.rows if row in samples
    }


def _compare(one: _Fingerprint, other: _Fingerprint, offset: int) -> tuple[float, int]:
    """Lowest error rate around an offset, and the offset; 1.0 where too little is compared."""
    best = (1.0, offset)
    for at in range(offset - SEARCH, offset + SEARCH + 1):
        rate, compared = bit_error_rate(one, other, at)
        if compared >= MIN_COMPARED:
            best = min(best, (rate, at))
    return best
