"""Preparing and reading corpora beside the plain way: a `map` over `datasets`.

prepare   recordings to 16 kHz: ours checks, writes FLAC into Parquet shards and sums them up; the
          plain way decodes with soundfile, resamples with soxr and lets `datasets` write float32
          samples to Arrow, four times the bytes and unchecked; beside it the same map that writes
          FLAC, as ours does
read      a prepared corpus to model features: ours decodes FLAC from the shards and makes our
          features; the plain way takes the samples from Arrow and calls transformers' extractor
memory    the peak of a process of its own, for 1, 4, 16 and 48 times the recordings; with
          `--rows N` also for lists of N short clips, and what an utterance more costs

Everything runs in one process on one thread, ours and the plain way in turns; the recordings are
noise shaped like speech, made in a temporary folder.

OMP_NUM_THREADS=1 python benchmarks/corpus.py
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from soritune.corpus.job import versions
from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.sources.formats.manifest import ManifestSource

FORMS = {
    "FLAC 16 kHz": ("flac", 16_000),
    "MP3 48 kHz": ("mp3", 48_000),
    "WAV 44.1 kHz": ("wav", 44_100),
}
CLIP_S = 6.0
FEW_CLIPS, FEW_ROWS = 50, 2000
MEMORY_FACTORS = (1, 4, 16, 48)
SAMPLE_RATE_HZ = 16_000


def speech_like(rng: np.random.Generator, rate_hz: int) -> npt.NDArray[np.float32]:
    """Noise with the slope of speech (-6 dB an octave above 500 Hz) that comes in syllables."""
    num = round(rate_hz * CLIP_S * rng.uniform(0.5, 1.5))
    spectrum = np.fft.rfft(rng.standard_normal(num))
    frequency_hz = np.fft.rfftfreq(num, 1 / rate_hz)
    spectrum /= 1 + np.maximum(frequency_hz, 60) / 500
    spectrum[frequency_hz > 7_500] = 0
    wave = np.fft.irfft(spectrum, num)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(num) / rate_hz)
    return (0.3 * wave / np.abs(wave).max() * syllables).astype(np.float32)


def make_list(folder: Path, form: str, num_clips: int, repeat: int = 1) -> Path:
    """A list of recordings; `repeat` names each file that often, under other ids."""
    ending, rate_hz = FORMS[form]
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for index in range(num_clips):
        path = folder / f"{index}.{ending}"
        if not path.exists():
            soundfile.write(path, speech_like(rng, rate_hz), rate_hz)
    path = folder / f"list-{repeat}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for turn in range(repeat):
            for index in range(num_clips):
                row = {"id": f"{turn}-{index}", "audio": f"{index}.{ending}"}
                row |= {"text": f"문장 {turn} {index}", "split": "train"}
                file.write(json.dumps(row) + "\n")
    return path


def ours(list_path: Path, out: Path) -> None:
    source = ManifestSource(source="manifest", language="ko", path=list_path)
    prepare("bench", source, out, workers=1)


def decode_plainly(row: dict[str, Any]) -> dict[str, Any]:
    samples, rate_hz = soundfile.read(row["audio"], dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate_hz != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
    return {"samples": mono}


def encode_plainly(row: dict[str, Any]) -> dict[str, Any]:
    buffer = io.BytesIO()
    samples = decode_plainly(row)["samples"]
    soundfile.write(buffer, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return {"flac": buffer.getvalue()}


def plain(list_path: Path, out: Path, work: Callable[..., Any] = decode_plainly) -> Any:
    import datasets

    datasets.disable_progress_bars()
    rows = [json.loads(line) for line in list_path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["audio"] = str(list_path.parent / row["audio"])
    out.mkdir(parents=True, exist_ok=True)
    return datasets.Dataset.from_list(rows).map(
        work, cache_file_name=str(out / "plain.arrow"), load_from_cache_file=False
    )


def seconds(work: Callable[[], object]) -> float:
    """Of the processor, so that other work on the machine counts less; all runs in one thread."""
    start = time.process_time()
    work()
    return time.process_time() - start


def compare_preparing(work: Path, num_clips: int, repeats: int) -> None:
    print(
        "\n| prepare, one core | hours of audio a minute | plain way | times it (min to max) "
        "| plain way to FLAC | times it (min to max) |"
    )
    print("|---|---|---|---|---|---|")
    for form in FORMS:
        list_path = make_list(work / form.split()[0], form, num_clips)
        audio_h = sum(soundfile.info(str(p)).duration for p in list_path.parent.glob("[0-9]*.*"))
        audio_h /= 3600
        ways = {
            "ours": lambda path=list_path: ours(path, work / "out" / "ours"),
            "plain": lambda path=list_path: plain(path, work / "out" / "plain"),
            "flac": lambda path=list_path: plain(path, work / "out" / "flac", encode_plainly),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(repeats + 1):  # the first turn warms
            shutil.rmtree(work / "out", ignore_errors=True)
            for name, way in ways.items():
                taken = seconds(way)
                if turn:
                    times[name].append(taken)
        rates = {name: 60 * audio_h / statistics.median(found) for name, found in times.items()}
        cells = [f"{rates['ours']:.1f}"]
        for name in ("plain", "flac"):
            ratios = [p / o for o, p in zip(times["ours"], times[name], strict=True)]
            cells.append(f"{rates[name]:.1f}")
            cells.append(
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            )
        print(f"| {form} | " + " | ".join(cells) + " |", flush=True)


def compare_reading(work: Path, num_clips: int, repeats: int) -> None:
    from transformers import Phi4MultimodalFeatureExtractor

    from soritune.models.phi4mm.features import log_mel

    list_path = make_list(work / "FLAC", "FLAC 16 kHz", num_clips)
    ours(list_path, work / "read" / "ours")
    mapped = plain(list_path, work / "read" / "plain")
    extractor = Phi4MultimodalFeatureExtractor()
    audio_s = Corpus.open(work / "read" / "ours").card.duration_s

    def read_ours() -> Iterator[Any]:
        corpus = Corpus.open(work / "read" / "ours")
        for record in corpus.records():
            yield log_mel(corpus.samples(record))

    def samples_alone() -> Iterator[Any]:
        corpus = Corpus.open(work / "read" / "ours")
        for record in corpus.records():
            yield corpus.samples(record)

    def read_plainly() -> Iterator[Any]:
        for row in mapped:
            samples = np.asarray(row["samples"], dtype=np.float32)
            yield extractor([samples], sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")

    def read_plain_numpy() -> Iterator[Any]:
        for row in mapped.with_format("numpy"):
            yield extractor([row["samples"]], sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")

    ways = {
        "ours: FLAC and features": read_ours,
        "ours: FLAC alone": samples_alone,
        "plain way": read_plainly,
        "plain way, as numpy": read_plain_numpy,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            taken = seconds(lambda way=way: [None for _ in way()])
            if turn:
                times[name].append(taken)
    print("\n| read for training, one core | times real time | times the plain way (min to max) |")
    print("|---|---|---|")
    for name, found in times.items():
        ratios = [p / o for o, p in zip(found, times["plain way"], strict=True)]
        print(
            f"| {name} | {audio_s / statistics.median(found):,.0f} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |",
            flush=True,
        )


def compare_memory(work: Path, num_clips: int) -> None:
    print("\n| peak memory | " + " | ".join(f"{n}×" for n in MEMORY_FACTORS) + " |")
    print("|---" * (1 + len(MEMORY_FACTORS)) + "|")
    for way in ("ours", "plain"):
        cells = []
        for factor in MEMORY_FACTORS:
            path = make_list(work / "FLAC", "FLAC 16 kHz", num_clips, factor)
            cells.append(f"{memory_of(way, path, work / 'out'):,.0f} MB")
        print(f"| {way}, one process | " + " | ".join(cells) + " |", flush=True)


def memory_of(way: str, list_path: Path, out: Path) -> float:
    """The peak in MB of a process that prepares `list_path`."""
    shutil.rmtree(out, ignore_errors=True)
    words = [sys.executable, __file__, "--memory-of", way, str(list_path), str(out)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.splitlines()[-1])


def compare_rows(work: Path, num_rows: int) -> None:
    """What each utterance takes in memory, where the splits are given and where they are not."""
    folder = work / "rows"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(FEW_CLIPS):
        noise = 0.1 * rng.standard_normal(SAMPLE_RATE_HZ // 4)
        soundfile.write(folder / f"{index}.flac", noise.clip(-1, 1), SAMPLE_RATE_HZ)
    print(f"\n| peak memory | {FEW_ROWS:,} rows | {num_rows:,} rows | bytes an utterance |")
    print("|---|---|---|---|")
    for name, split in (("splits given", {"split": "train"}), ("divided by sentence", {})):
        peaks = []
        for count in (FEW_ROWS, num_rows):
            path = folder / f"{len(split)}-{count}.jsonl"
            with path.open("w", encoding="utf-8") as file:
                for index in range(count):
                    row = {"id": f"utterance-{index:07d}", "audio": f"{index % FEW_CLIPS}.flac"}
                    row |= {"text": f"이것은 {index} 번째 문장입니다"} | split
                    file.write(json.dumps(row) + "\n")
            peaks.append(memory_of("ours", path, work / "out"))
        each = 1e6 * (peaks[1] - peaks[0]) / (num_rows - FEW_ROWS)
        print(f"| {name} | {peaks[0]:.0f} MB | {peaks[1]:.0f} MB | {each:.0f} |", flush=True)


def measure_memory(way: str, list_path: Path, out: Path) -> None:
    """Print the peak of this process in MB."""
    (ours if way == "ours" else plain)(list_path, out)
    # Not ru_maxrss: a process inherits that from the one which started it.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Preparing and reading, beside datasets.map.")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=0, help="0: lists of many rows are left out")
    parser.add_argument("--memory-of", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.memory_of:
        way, list_path, out = given.memory_of
        measure_memory(way, Path(list_path), Path(out))
        return 0
    import datasets
    import torch
    import transformers

    torch.set_num_threads(1)
    shown = {**versions(), "datasets": datasets.__version__, "torch": torch.__version__}
    shown |= {"transformers": transformers.__version__}
    print(f"python {platform.python_version()}, " + ", ".join(f"{k} {v}" for k, v in shown.items()))
    print(f"{given.clips} clips of 3 to 9 s, {given.repeats} passes each after a warming one")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        compare_preparing(work, given.clips, given.repeats)
        compare_reading(work, given.clips, given.repeats)
        compare_memory(work, given.clips)
        if given.rows:
            compare_rows(work, given.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
