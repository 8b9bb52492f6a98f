"""Killed at any moment, `prepare` goes on and ends in the same bytes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_source import contents, prepare_made
from processes import kill_in_fork

from soritune.utterance import Utterance

NUM_UTTERANCES = 20
CHUNK_SIZE = 5
NUM_REPLACED = 1 + 2 * (NUM_UTTERANCES // CHUNK_SIZE) + 2
"""Files that a run puts in place: fingerprint, shard and result a chunk, quarantine, card."""


def utterances(stall_at: int | None = None) -> Iterator[Utterance]:
    rng = np.random.default_rng(0)
    for index in range(NUM_UTTERANCES):
        if index == stall_at:
            time.sleep(60)
        buffer = io.BytesIO()
        samples = 0.1 * rng.standard_normal(3000 + index)
        soundfile.write(buffer, samples, 22_050, format="WAV")
        audio = b"" if index % 7 == 3 else buffer.getvalue()
        yield Utterance(f"u{index}", audio, f"문장 {index}", "ko", "train", None)


def run(out: Path, workers: int = 1) -> list[float]:
    told: list[float] = []
    prepare_made(
        "c", utterances(), out, chunk_size=CHUNK_SIZE, workers=workers, advance=told.append
    )
    return told


def start(script: str, out: Path) -> subprocess.Popen[bytes]:
    head = (
        "from test_prepare_resume import *\n"
        # Where the tests run in the background, SIGINT is ignored, and that is inherited.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(script), str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        start_new_session=True,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("uninterrupted")
    run(out)
    return contents(out)


def run_killed_at(nth: int, side: str, out: Path) -> None:
    """Run in a process that is killed right before or after it puts its nth file in place."""

    def work() -> None:
        real, calls = os.replace, 0

        def replace(source: Path, target: Path) -> None:
            nonlocal calls
            calls += 1
            if calls == nth and side == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            real(source, target)
            if calls == nth:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = replace
        run(out)

    kill_in_fork(work)


@pytest.mark.parametrize(
    ("nth", "side"),
    [
        (1, "before"),  # nothing there but a temporary file
        (2, "before"),  # in the first shard
        (4, "after"),  # a shard without its result
        (5, "after"),  # between two chunks
        (NUM_REPLACED - 1, "before"),  # all chunks, no quarantine
        (NUM_REPLACED, "before"),  # all but the card
        (NUM_REPLACED, "after"),  # the card, not yet tidied up
    ],
)
def test_killed_at_any_step_it_ends_in_the_same_bytes(
    tmp_path: Path, uninterrupted: dict[str, bytes], nth: int, side: str
) -> None:
    run_killed_at(nth, side, tmp_path)
    assert contents(tmp_path) != uninterrupted
    run(tmp_path)
    assert contents(tmp_path) == uninterrupted


def test_what_was_finished_is_not_done_again(tmp_path: Path) -> None:
    run_killed_at(5, "after", tmp_path)
    shards = sorted((tmp_path / "shards").glob("*.parquet"))
    before = [path.stat().st_mtime_ns for path in shards]
    assert len(shards) == 2
    assert sum(run(tmp_path)) == NUM_UTTERANCES
    assert [path.stat().st_mtime_ns for path in shards] == before


STALLED = "prepare_made('c', utterances(stall_at=17), Path(sys.argv[1]), " + (
    f"chunk_size={CHUNK_SIZE}, workers=2)"
)


def group_is_gone(group: int, within_s: float = 10.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent_and_the_next_run_goes_on(
    tmp_path: Path, uninterrupted: dict[str, bytes], how: signal.Signals
) -> None:
    process = start(STALLED, tmp_path)
    end = time.monotonic() + 60
    while not list(tmp_path.glob("work/*.json")) and time.monotonic() < end:
        time.sleep(0.02)
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # a terminal sends Ctrl-C to all of them
    else:
        process.kill()
    _, errors = process.communicate(timeout=240)
    assert process.returncode != 0
    assert group_is_gone(process.pid)
    if how is signal.SIGINT:
        assert errors.decode().count("KeyboardInterrupt") == 1  # the workers are quiet
    assert not (tmp_path / "corpus.json").exists()
    run(tmp_path)
    assert contents(tmp_path) == uninterrupted
