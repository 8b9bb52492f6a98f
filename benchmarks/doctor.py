"""Speed and memory of the audit: hours of audio a minute and core, by step, and the peak.

The corpora are synthetic demo speech (espeak-ng), prepared in a temporary folder. Its sentences
come from templates, so nearly all have near ones: comparing them takes longer than with sentences
that people wrote. With `--corpus` a prepared corpus of your own is measured instead.

OMP_NUM_THREADS=1 python benchmarks/doctor.py
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from soritune.corpus.job import versions
from soritune.corpus.prepare import prepare
from soritune.doctor.audit import Audited, audit, open_sources
from soritune.doctor.page import write_page
from soritune.sources.corpora.demo.source import DemoSource

FACTORS = (1, 4, 16)


@contextmanager
def quiet(step: str, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
    yield lambda amount: None


def timed_audit(folder: Path) -> tuple[Audited, dict[str, float]]:
    """The audit of one process, and the seconds of its steps."""
    steps: dict[str, float] = {}

    @contextmanager
    def track(step: str, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
        start = time.perf_counter()
        yield lambda amount: None
        steps[step] = time.perf_counter() - start

    start = time.perf_counter()
    result = audit(open_sources([folder]), track=track, workers=1)
    steps["the rest"] = time.perf_counter() - start - sum(steps.values())
    return result, steps


def measure_speed(folder: Path, repeats: int) -> None:
    passes = [timed_audit(folder) for _ in range(repeats + 1)][1:]  # the first one warms
    corpora = passes[0][0].audit.corpora
    hours = sum(corpus.duration_s for corpus in corpora) / 3600
    utterances = sum(corpus.utterances for corpus in corpora)
    print(f"\n{utterances:,} utterances, {hours:.2f} h; {repeats} passes after a warming one\n")
    print("| step, one core | seconds (min to max) | hours of audio a minute |")
    print("|---|---|---|")
    rows = {step: [steps[step] for _, steps in passes] for step in passes[0][1]}
    rows["all"] = [sum(steps.values()) for _, steps in passes]
    for step, found in rows.items():
        middle = statistics.median(found)
        spread = f"{middle:.2f} ({min(found):.2f} to {max(found):.2f})"
        print(f"| {step} | {spread} | {60 * hours / middle:,.1f} |")


def measure_memory(work: Path, utterances: int) -> None:
    print("\n| peak memory of one process | hours | MB | seconds |")
    print("|---|---|---|---|")
    for factor in FACTORS:
        folder = demo(work / f"demo-{factor}", utterances * factor)
        start = time.perf_counter()
        words = [sys.executable, __file__, "--memory-of", str(folder)]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        taken = time.perf_counter() - start
        hours = open_sources([folder])[0].card.duration_s / 3600
        peak = float(done.stdout.splitlines()[-1])
        print(
            f"| {utterances * factor:,} utterances | {hours:.2f} | {peak:,.0f} | {taken:.0f} |",
            flush=True,
        )


def print_memory_of(folder: Path) -> None:
    """Audit, write the page, and print the peak of this process in MB."""
    audited = audit(open_sources([folder]), track=quiet, workers=1)
    with tempfile.TemporaryDirectory() as out:
        write_page(Path(out) / "doctor.html", audited)
    # Not ru_maxrss: a process inherits that from the one which started it.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6)


def demo(folder: Path, utterances: int) -> Path:
    source = DemoSource(source="demo", train=utterances - 220, dev=100, test=120)
    prepare("demo", source, folder, workers=1)
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Speed and memory of the audit.")
    parser.add_argument("--utterances", type=int, default=1_500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--corpus", type=Path, help="a prepared corpus, for the speed alone")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.memory_of:
        print_memory_of(given.memory_of)
        return 0
    shown = ", ".join(f"{name} {version}" for name, version in versions().items())
    print(f"python {platform.python_version()}, {shown}")
    if given.corpus:
        measure_speed(given.corpus, given.repeats)
        return 0
    with tempfile.TemporaryDirectory() as work:
        measure_speed(demo(Path(work) / "speed", given.utterances), given.repeats)
        measure_memory(Path(work), given.utterances)
    return 0


if __name__ == "__main__":
    sys.exit(main())
