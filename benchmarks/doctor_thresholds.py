"""What the audit measures of clips as they are and of the same clips with faults put in.

Each threshold of `src/soritune/doctor/catalogue.py` should lie between the two. Without `--corpus`
the clips are synthetic demo speech (espeak-ng), made in a temporary folder.

OMP_NUM_THREADS=1 python benchmarks/doctor_thresholds.py [--corpus FOLDER] [--clips N]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from soritune.audio import SAMPLE_RATE_HZ
from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.doctor.audio_checks import JUDGES
from soritune.doctor.audit import open_sources
from soritune.doctor.duplicates import MAX_ERROR_RATE, MIN_COMPARED
from soritune.doctor.fingerprint import bit_error_rate, frame_bits, worst_stretch
from soritune.doctor.losses import loss_findings, mean_losses
from soritune.doctor.scan import ScannedUtterance, scan
from soritune.doctor.shared_checks import OTHER_TEXT_WORST_RATE
from soritune.doctor.signal import Signal, measure, power_spectra
from soritune.doctor.text_checks import text_findings
from soritune.models import load
from soritune.sources.corpora.demo.source import DemoSource
from soritune.sources.corpora.demo.voices import voices

# The same faults as in the tests.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from doctor_corpus import coded, noisy, speak

Samples = npt.NDArray[np.float32]
Change = Callable[[Samples], Samples]
NARROW_HZ = 8_000
SAME_SPEAKER_PAIRS = 200
OTHER_WORDS = (
    ("{} 평일에는 다섯 시에 일어나요", ("아내는", "친구는")),
    ("{} 백화점 건너편에 있어요", ("호텔은", "식당은")),
    ("이 가방은 {} 원이에요", ("만 오천", "팔천")),
)
EXCHANGED = 0.05
RATE_CHECKS = ("too-much-text", "too-little-text")
BASE = "builtin:tiny"
"""It hears English."""


def measured(samples: Samples) -> Signal:
    samples = samples.astype(np.float32)
    return measure(samples, power_spectra(samples))


def stored(samples: Samples) -> Samples:
    """As 16 bits hold them."""
    return (np.clip(np.rint(samples * 32_768), -32_768, 32_767) / 32_768).astype(np.float32)


def upsampled(quality: str) -> Change:
    def change(samples: Samples) -> Samples:
        narrow = stored(soxr.resample(samples, SAMPLE_RATE_HZ, NARROW_HZ))
        return stored(soxr.resample(narrow, NARROW_HZ, SAMPLE_RATE_HZ, quality=quality))

    return change


def linear(samples: Samples) -> Samples:
    """Upsampled by straight lines between samples, as simple tools do."""
    narrow = stored(soxr.resample(samples, SAMPLE_RATE_HZ, NARROW_HZ))
    places = np.arange(2 * len(narrow) - 1) / 2
    return np.interp(places, np.arange(len(narrow)), narrow).astype(np.float32)


def overdriven(share: float) -> Change:
    """Cut at the level that `share` of the samples exceed; that level is then 0.7."""

    def change(samples: Samples) -> Samples:
        cut = float(np.quantile(np.abs(samples), 1 - share))
        return stored(np.clip(samples, -cut, cut) * np.float32(0.7 / cut))

    return change


def with_noise(snr_db: float) -> Change:
    return lambda samples: stored(noisy(samples, snr_db))


def silent_ends(samples: Samples) -> Samples:
    """1.2 s before it, with noise at the level of its own."""
    level = 10 ** (measured(samples).noise_dbfs / 20)
    noise = np.random.default_rng(0).normal(0, level, round(1.2 * SAMPLE_RATE_HZ))
    return stored(np.concatenate([noise.astype(np.float32), samples]))


def moved(samples: Samples) -> Samples:
    return stored(samples * np.float32(0.9) + np.float32(0.03))


VALUES: dict[str, tuple[str, Callable[[Signal], float], dict[str, Change]]] = {
    "narrow-band": (
        "dB above 4.4 kHz against below",
        lambda signal: signal.high_band_db,
        {
            **{f"from 8 kHz, soxr {q}": upsampled(q) for q in ("VHQ", "HQ", "MQ", "LQ")},
            "through MP3": lambda samples: coded(samples, "mp3"),
            "through Vorbis": lambda samples: coded(samples, "ogg"),
        },
    ),
    "narrow-band ": (
        "dB at 4 kHz against both sides",
        lambda signal: signal.gap_db,
        {
            "from 8 kHz, soxr QQ": upsampled("QQ"),
            "from 8 kHz, linear": linear,
            "through MP3": lambda samples: coded(samples, "mp3"),
            "through Vorbis": lambda samples: coded(samples, "ogg"),
        },
    ),
    "clipping": (
        "plateaus",
        lambda signal: max(signal.clipped_runs, signal.flat_runs),
        {f"{100 * s:g} % of the samples cut": overdriven(s) for s in (0.0001, 0.001, 0.003, 0.01)},
    ),
    "noise": (
        "dB, speech over noise",
        lambda signal: signal.snr_db,
        {f"white noise at {db} dB": with_noise(db) for db in (20, 15, 10, 6, 3, 0)},
    ),
    "offset": (
        "% of full scale",
        lambda signal: 100 * abs(signal.offset),
        {"3 % added": moved},
    ),
    "end-silence": (
        "seconds at the longer end",
        lambda signal: max(signal.lead_s, signal.trail_s),
        {"1.2 s put before": silent_ends},
    ),
}
COPIES: dict[str, Change] = {
    "quieter": lambda x: stored(x * np.float32(0.3)),
    "cut by half a frame": lambda x: x[10 * 256 + 128 :],
    "MP3": lambda x: coded(x, "mp3"),
    "Vorbis": lambda x: coded(x, "ogg"),
    "telephone (8 kHz, µ-law)": lambda x: coded(x, "ulaw", NARROW_HZ),
    "white noise at 20 dB": with_noise(20),
    "white noise at 15 dB": with_noise(15),
    "white noise at 10 dB": with_noise(10),
}


def row(name: str, values: Sequence[float], found: float) -> str:
    cells = np.percentile(values, (0, 5, 50, 95, 100))
    return f"| {name} | " + " | ".join(f"{value:.4g}" for value in cells) + f" | {found:.1%} |"


def print_signals(clips: Sequence[Samples]) -> None:
    for check, (unit, value, changes) in VALUES.items():
        print(f"\n| {check.strip()}: {unit} | min | 5 % | median | 95 % | max | found |")
        print("|---|---|---|---|---|---|---|")
        for name, change in {"as it is": stored, **changes}.items():
            signals = [measured(change(samples)) for samples in clips]
            found = sum(JUDGES[check.strip()](signal) is not None for signal in signals) / len(
                signals
            )
            print(row(name, [value(signal) for signal in signals], found), flush=True)


def alike(one: Samples, other: Samples) -> tuple[float, float]:
    """The least share of bits that differ, whatever the distance of the two clips, and that in the
    worst quarter of a second there; 1 where too little of them can be compared.
    """
    prints = [frame_bits(power_spectra(samples.astype(np.float32))) for samples in (one, other)]
    best = (1.0, 0)
    for offset in range(-len(prints[1][0]) + 1, len(prints[0][0])):
        rate, compared = bit_error_rate(prints[0], prints[1], offset)
        if compared >= MIN_COMPARED:
            best = min(best, (rate, offset))
    return best[0], worst_stretch(prints[0], prints[1], best[1]) if best[0] < 1 else 1.0


def print_copies(clips: Sequence[Samples], speakers: Sequence[str | None]) -> None:
    found = {name: [alike(clip, change(clip)) for clip in clips] for name, change in COPIES.items()}
    pairs = itertools.combinations(range(len(clips)), 2)
    same = [(a, b) for a, b in pairs if speakers[a] is not None and speakers[a] == speakers[b]]
    step = max(1, len(same) // SAME_SPEAKER_PAIRS)
    others = [alike(clips[a], clips[b]) for a, b in same[::step]]
    found["no copies: other clips of the same speaker"] = [each for each in others if each[0] < 1]
    found["no copies: another word by the same synthetic voice"] = [
        alike(*(speak(sentence.format(word), "ko", voice, 5) for word in words))
        for sentence, words in OTHER_WORDS
        for voice in voices("ko", "train")[:8]
    ]
    limits = {"": MAX_ERROR_RATE, ", worst quarter of a second": OTHER_TEXT_WORST_RATE}
    for place, (what, limit) in enumerate(limits.items()):
        print(f"\n| share of bits that differ{what} | min | 5 % | median | 95 % | max | found |")
        print("|---|---|---|---|---|---|---|")
        for name, rates in found.items():
            if rates:
                listed = [each[place] for each in rates]
                print(row(name, listed, sum(each <= limit for each in listed) / len(listed)))


def exchanged(utterances: Sequence[ScannedUtterance]) -> tuple[list[ScannedUtterance], set[str]]:
    """Some of the utterances with each other's transcripts, and which they are."""
    chosen = np.random.default_rng(0).permutation(len(utterances))
    chosen = chosen[: max(2, round(EXCHANGED * len(utterances)))]
    given = list(utterances)
    for place, other in zip(chosen, np.roll(chosen, 1), strict=True):
        text = utterances[other]
        given[place] = replace(utterances[place], text=text.text, units=text.units)
    return given, {given[place].id for place in chosen}


def print_labels(folder: Path, model_name: str | None) -> None:
    (source,) = sources = open_sources([folder])
    utterances = [u for shard in scan(sources, 1, lambda _: None) for u in shard.utterances]
    given, wrong = exchanged(utterances)
    found = {
        "speaking rate": [f for f in text_findings(given, [source.name]) if f.check in RATE_CHECKS]
    }
    if model_name:
        losses = mean_losses(given, sources, load(model_name))
        found[f"loss of {model_name}"] = list(loss_findings(given, losses, [source.name]))
    of = f"{len(wrong)} exchanged transcripts"
    print(f"\n| {source.name}, reported by | of {of} | of the {len(given) - len(wrong)} others |")
    print("|---|---|---|")
    for name, findings in found.items():
        hits = {each for finding in findings for each in finding.ids}
        print(f"| {name} | {len(hits & wrong)} | {len(hits - wrong)} |")


def print_all(folder: Path, num_clips: int) -> None:
    corpus = Corpus.open(folder)
    records = list(corpus.records())
    records = records[:: max(1, len(records) // num_clips)][:num_clips]
    clips = [corpus.samples(record) for record in records]
    seconds = sum(map(len, clips)) / SAMPLE_RATE_HZ
    print(
        f"{len(clips)} clips, {seconds / 60:.1f} min, {len({r.speaker for r in records})} speakers"
    )
    print_signals(clips)
    print_copies(clips, [record.speaker for record in records])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measures with and without faults.")
    parser.add_argument("--corpus", type=Path, help="a prepared corpus; default: demo speech")
    parser.add_argument("--clips", type=int, default=200)
    given = parser.parse_args(arguments)
    if given.corpus:
        print_all(given.corpus, given.clips)
        print_labels(given.corpus, None)
        return 0
    with tempfile.TemporaryDirectory() as work:
        for language in ("ko", "en"):
            folder = Path(work) / language
            size = 5 * given.clips
            source = DemoSource(source="demo", language=language, train=size, dev=0, test=0)
            prepare(f"demo {language}", source, folder, workers=1)
            if language == "ko":
                print_all(folder, given.clips)
            print_labels(folder, BASE if language == "en" else None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
