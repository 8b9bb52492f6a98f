#!/usr/bin/env python3
"""Recordings whose words are known: times of words, joined texts, invented words, speed, memory.

    python benchmarks/listening.py words MODEL        times of words beside those by width
    python benchmarks/listening.py joined MODEL       error rates beside cutting each 30 s
    python benchmarks/listening.py silence MODEL      error rates of clips with silence around them
    python benchmarks/listening.py invented MODEL     words for sounds without speech
    python benchmarks/listening.py speed MODEL        x real time beside one clip at a time
    python benchmarks/listening.py memory MODEL       resident memory of a process by length

Speech is that of the demo's voices, English by default, by espeak-ng, without noise.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from rapidfuzz.distance import Levenshtein

import soritune
from soritune.decoding.cutting import whole, windows
from soritune.decoding.listening import PAUSE_FIXED_COST_S
from soritune.decoding.records import Segment
from soritune.decoding.subtitles import timed_words
from soritune.decoding.transcriber import Transcriber
from soritune.decoding.word_times import timed
from soritune.errors import UserError
from soritune.sources.corpora import non_speech
from soritune.sources.corpora.demo import espeak
from soritune.sources.corpora.demo.clip import DemoClip
from soritune.sources.corpora.demo.source import DemoSource, read
from soritune.tasks import Answer, Request, Task

RATE_HZ = 16_000
ENGLISH = Request(Task.ASR, "en")
CUT_S = 30
Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """A sentence, its sound without what is silent at its ends, and where its words begin."""

    text: str
    samples: Samples
    starts_s: tuple[float, ...]


def clips(count: int, language: str = "en") -> Iterator[Clip]:
    """Yield sentences whose words espeak-ng speaks one by one."""
    source = DemoSource(source="demo", language=language, train=0, dev=0, test=4 * count, seed=7)
    found = 0
    for utterance in read(source):
        clip = utterance.audio
        assert isinstance(clip, DemoClip)
        spoken, words = espeak.synthesize_timed(clip.text, clip.voice, clip.rate_wpm, clip.pitch)
        if len(words) != len(clip.text.split()) or found == count:
            continue
        found += 1
        samples = soxr.resample(spoken, espeak.SAMPLE_RATE_HZ, RATE_HZ)
        samples *= 0.06 / float(np.sqrt(np.mean(samples**2)))
        loud = np.flatnonzero(np.abs(samples) > 0.003)
        first, last = loud[0], loud[-1] + 1
        yield Clip(
            clip.text,
            samples[first:last],
            tuple(max(0.0, start_s - first / RATE_HZ) for _, start_s in words),
        )


def joined(parts: Sequence[Clip], gaps: Sequence[Samples]) -> Clip:
    """Return clips one after the other, each with a gap behind it."""
    texts, sounds, starts_s, now = [], [], [], 0
    for part, gap in zip(parts, gaps, strict=True):
        texts.append(part.text)
        sounds += [part.samples, gap]
        starts_s += [now / RATE_HZ + start_s for start_s in part.starts_s]
        now += len(part.samples) + len(gap)
    return Clip(" ".join(texts), np.concatenate(sounds), tuple(starts_s))


def gaps(kind: str, count: int) -> list[Samples]:
    """Return what is between clips: nothing, pauses, or pauses with noise and music in turn."""
    random = np.random.default_rng(1)
    if kind == "none":
        return [np.zeros(0, np.float32)] * count
    if kind == "pauses":
        return [np.zeros(int(random.uniform(0.2, 2) * RATE_HZ), np.float32) for _ in range(count)]
    names = [name for name in non_speech.SOUNDS if "noise" in name or "music" in name]
    return [
        np.pad(non_speech.Sound(names[place % len(names)], 3.0, place).render()[0], 4_000)
        for place in range(count)
    ]


def words_part(model: Transcriber, arguments: argparse.Namespace) -> None:
    """Word starts of the known texts, for the model's attention and for widths."""
    single = list(clips(arguments.clips))
    groups = [single[start : start + 8] for start in range(0, len(single), 8)]
    windows = [joined(group, gaps("pauses", len(group))) for group in groups]
    print(f"| {arguments.model} | words | aligned | by width |\n|---|---|---|---|")
    for name, recordings in (("a sentence", single), ("8 with pauses", windows)):
        aligned: list[float] = []
        widths: list[float] = []
        for clip in recordings:
            samples = clip.samples[: CUT_S * RATE_HZ]
            speech = whole(samples).speech
            if not speech or len(samples) < len(clip.samples):
                continue
            segment = Segment(speech[0][0], speech[-1][1], clip.text, None, 0, speech=speech)
            by_width = [word.start_s for word in timed_words(segment)]
            widths += np.abs(np.subtract(by_width, clip.starts_s)).tolist()
            aligned += np.abs(np.subtract(_aligned(model, clip), clip.starts_s)).tolist()
        print(f"| {name} | {len(widths)} | {_figures(aligned)} | {_figures(widths)} |")


def _aligned(model: Transcriber, clip: Clip) -> list[float]:
    processor = model.model.processor
    given = processor.encode(clip.samples, ENGLISH, Answer(clip.text))
    tokens = given.target_ids or []
    try:
        (spans,) = model.model.align([given], [tokens])
    except UserError as error:
        raise SystemExit(str(error)) from None
    return [word.start_s for word in timed(clip.text, tokens, spans, processor.decode)]


def _figures(errors: Sequence[float]) -> str:
    return f"{1000 * np.mean(errors):.0f} ms (90 %: {1000 * np.quantile(errors, 0.9):.0f})"


def joined_part(model: Transcriber, arguments: argparse.Namespace) -> None:
    """Error rates of recordings made of known clips, beside those of cutting each 30 s."""
    parts = list(clips(arguments.clips))
    print(
        f"| {arguments.model} | seconds | CER, WER | lost, added | each {CUT_S} s | lost, added |"
    )
    print("|---|---|---|---|---|---|")
    for kind in ("pauses", "none", "noise and music"):
        recording = joined(parts, gaps(kind, len(parts)))
        sound, step = recording.samples, CUT_S * RATE_HZ
        (whole_one,) = _texts(model, [sound])
        plain = _texts(model, [sound[start : start + step] for start in range(0, len(sound), step)])
        ours, cut = _rates(recording.text, whole_one), _rates(recording.text, " ".join(plain))
        print(f"| {kind} | {len(sound) / RATE_HZ:.0f} | {ours} | {cut} |")


def _texts(
    model: Transcriber, sounds: list[Samples], *, keep: bool = False, language: str = "en"
) -> list[str]:
    found = model.transcribe(sounds, sampling_rate=RATE_HZ, language=language, keep_unsure=keep)
    return [transcript.text for transcript in found]


def silence_part(model: Transcriber, arguments: argparse.Namespace) -> None:
    """Error rates of clips with faint noise (-66 dB) before and behind them."""
    language, random = arguments.language, np.random.default_rng(1)
    parts = list(clips(arguments.clips, language))
    said = " ".join(part.text for part in parts)
    print(f"| {arguments.model} | CER, WER | lost, added |\n|---|---|---|")
    for seconds in (0, 0.5, 1, 3, 10):
        gap = round(seconds * RATE_HZ)
        sounds = []
        for part in parts:
            before, behind = 0.0005 * random.standard_normal((2, gap)).astype(np.float32)
            sounds.append(np.concatenate([before, part.samples, behind]))
        rates = _rates(said, " ".join(_texts(model, sounds, language=language)))
        print(f"| {seconds} s | {rates} |", flush=True)


def _plain(text: str) -> list[str]:
    """Return words without case and punctuation."""
    kept = "".join(c if c.isalnum() or c in " '" else " " for c in text.casefold())
    return kept.split()


def _rates(said: str, written: str) -> str:
    """Return error rates, and words that are lost or added rather than replaced."""
    words, found = _plain(said), _plain(written)
    edits = Levenshtein.editops(words, found)
    lost, added = (sum(edit.tag == tag for edit in edits) for tag in ("delete", "insert"))
    letters = Levenshtein.distance(" ".join(words), " ".join(found)) / len(" ".join(words))
    return f"{100 * letters:.1f}, {100 * len(edits) / len(words):.1f} | {lost}, {added}"


def invented_part(model: Transcriber, arguments: argparse.Namespace) -> None:
    """Words a minute for sounds without speech, with and without the guard."""
    source = non_speech.NonSpeechSource(source="non-speech", language="en")
    sounds = [utterance.audio.render()[0] for utterance in non_speech.read(source)]  # type: ignore[union-attr]
    sounds = sounds[: arguments.clips]
    minutes = sum(map(len, sounds)) / RATE_HZ / 60
    print(f"| {arguments.model} | sounds | words a minute |\n|---|---|---|")
    for name, keep in (("with the guard", False), ("without", True)):
        words = sum(len(text.split()) for text in _texts(model, sounds, keep=keep))
        print(f"| {name} | {len(sounds)} | {words / minutes:.1f} |")


def speed_part(model: Transcriber, arguments: argparse.Namespace) -> None:
    """Times real time of one long recording, and of its clips one at a time."""
    parts = list(clips(arguments.clips))
    recording = joined(parts, gaps("pauses", len(parts))).samples
    _texts(model, [recording[: CUT_S * RATE_HZ]])
    print(f"| {arguments.model} | seconds of sound | x real time |\n|---|---|---|")
    for name, jobs in (("one recording", [[recording]]), ("clips", [[p.samples] for p in parts])):
        length_s = sum(len(sound) for job in jobs for sound in job) / RATE_HZ
        started = time.perf_counter()
        for job in jobs:
            _texts(model, job)
        print(f"| {name} | {length_s:.0f} | {length_s / (time.perf_counter() - started):.1f} |")
    if model.model.family.name == "whisper":
        length_s = len(recording) / RATE_HZ
        speed = length_s / _transformers_s(arguments.model, recording)
        print(f"| transformers' generate, same windows | {length_s:.0f} | {speed:.1f} |")


def _transformers_s(folder: str, recording: Samples) -> float:
    """Return for how long transformers' own Whisper writes the windows, all in one batch."""
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    processor = WhisperProcessor.from_pretrained(folder)
    whisper = WhisperForConditionalGeneration.from_pretrained(folder)
    started = time.perf_counter()
    cut = windows([recording], longest_s=CUT_S, pause_s=PAUSE_FIXED_COST_S)
    features = processor.feature_extractor(
        [window.samples for window in cut], sampling_rate=RATE_HZ, return_tensors="pt"
    )
    tokens = whisper.generate(features.input_features, language="en", task="transcribe")
    processor.batch_decode(tokens, skip_special_tokens=True)
    return time.perf_counter() - started


def memory_part(model: Transcriber, arguments: argparse.Namespace) -> None:
    """Highest resident memory of a process that transcribes a file, by its length (Linux)."""
    parts = list(clips(arguments.clips))
    block = joined(parts, gaps("pauses", len(parts))).samples
    print(f"| {arguments.model} | resident memory at its highest |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.flac"
        for minutes in arguments.minutes:
            wanted = round(minutes * 60 * RATE_HZ)
            with soundfile.SoundFile(path, "w", RATE_HZ, 1) as file:
                for start in range(0, wanted, len(block)):
                    file.write(block[: wanted - start])
            command = [sys.executable, "-c", _CHILD, arguments.model, str(path)]
            peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            print(f"| {minutes:g} minutes | {int(peak) / 1024:.0f} MB |", flush=True)


_CHILD = """
import resource, sys, soritune
soritune.load(sys.argv[1], device="cpu").transcribe(sys.argv[2], language="en")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
PARTS = {
    "words": words_part,
    "joined": joined_part,
    "silence": silence_part,
    "invented": invented_part,
    "speed": speed_part,
    "memory": memory_part,
}


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("model")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--language", default="en", help="of silence: en or ko")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10])
    arguments = parser.parse_args()
    PARTS[arguments.part](soritune.load(arguments.model, device="cpu"), arguments)


if __name__ == "__main__":
    main()
