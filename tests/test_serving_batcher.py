"""Which clips share a batch, and that none is lost on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from serving_server import WAIT_S, wait_for
from small_model import noise

from soritune.decoding.engine import Decoded, Piece
from soritune.models.speech_model import Watch
from soritune.serving import batcher as module
from soritune.serving.batcher import Batcher, ClosedError, LineFullError
from soritune.tasks import Answer, Request, Task

ENGLISH, KOREAN = Request(Task.ASR, "en"), Request(Task.ASR, "ko")


@pytest.fixture
def gate() -> threading.Event:
    """Holds the model back until it is set."""
    return threading.Event()


@pytest.fixture
def broken() -> list[Exception]:
    """What the model raises, whatever it is given."""
    return []


@pytest.fixture
def batches(
    monkeypatch: pytest.MonkeyPatch, gate: threading.Event, broken: list[Exception]
) -> list[list[Piece]]:
    """Batches that the model was given; it answers each clip with its key."""
    seen: list[list[Piece]] = []

    def decode(
        model: object, batch: Sequence[Piece], *, watch: Watch = lambda texts: [False] * len(texts)
    ) -> list[Decoded]:
        assert gate.wait(WAIT_S)
        if broken:
            raise broken[0]
        seen.append(list(batch))
        if any(piece.key == (66, 6) for piece in batch):
            raise RuntimeError("out of memory")
        ended = watch([str(piece.key) for piece in batch])
        outputs = ["" if end else str(p.key) for p, end in zip(batch, ended, strict=True)]
        return [Decoded(output, Answer(output), 0.0) for output in outputs]

    monkeypatch.setattr(module, "decode_batch", decode)
    return seen


@pytest.fixture
def batcher(load_small: Callable[[], Any], gate: threading.Event) -> Any:
    found = Batcher(load_small(), batch_size=4, wait_s=0.05, max_waiting=20)
    yield found
    gate.set()
    found.close(WAIT_S)


def piece(number: int, request: Request = ENGLISH, samples: int = 16_000) -> Piece:
    return Piece((number, number % 10), noise(samples), request)


def test_waiting_clips_of_one_request_share_a_batch(
    batcher: Batcher, batches: list[list[Piece]], gate: threading.Event
) -> None:
    jobs = [batcher.submit(piece(n, KOREAN if n % 3 == 2 else ENGLISH)) for n in range(9)]
    gate.set()
    assert [job.future.result(WAIT_S).output for job in jobs] == [f"({n}, {n})" for n in range(9)]
    assert all(len({each.request for each in batch}) == 1 for batch in batches)
    assert len(batches) < 9
    taken = [each.key[0] for batch in batches for each in batch]
    assert sorted(taken) == list(range(9))  # each once


def test_a_batch_keeps_to_its_budget(
    batcher: Batcher, batches: list[list[Piece]], gate: threading.Event
) -> None:
    longest = int(16_000 * batcher.model.family.clip_limits.max_duration_s)
    jobs = [batcher.submit(piece(n, samples=longest)) for n in range(12)]
    gate.set()
    for job in jobs:
        job.future.result(WAIT_S)
    assert max(len(batch) for batch in batches) <= 4


def test_a_bad_clip_costs_only_itself(
    batcher: Batcher, batches: list[list[Piece]], gate: threading.Event
) -> None:
    jobs = [batcher.submit(piece(n)) for n in (1, 66, 2)]
    gate.set()
    assert jobs[0].future.result(WAIT_S).output == "(1, 1)"
    assert jobs[2].future.result(WAIT_S).output == "(2, 2)"
    with pytest.raises(RuntimeError, match="out of memory"):
        jobs[1].future.result(WAIT_S)
    assert batcher.answers


@pytest.mark.parametrize(
    ("error", "lasts"),
    [
        ("a matrix has no room", False),
        ("CUDA out of memory. Tried to allocate 2 GiB", False),
        ("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA", True),
    ],
)
def test_a_model_that_fails_is_tried_until_it_answers(
    batcher: Batcher,
    batches: list[list[Piece]],
    gate: threading.Event,
    broken: list[Exception],
    monkeypatch: pytest.MonkeyPatch,
    error: str,
    lasts: bool,
) -> None:
    monkeypatch.setattr(module, "TRY_EVERY_S", 0.05)
    gate.set()
    broken.append(RuntimeError(error))
    with pytest.raises(RuntimeError):
        batcher.submit(piece(1)).future.result(WAIT_S)
    wait_for(lambda: not batcher.answers)
    assert (batcher.problem is not None) is lasts
    assert batcher.problem in (None, f"the GPU failed ({error[:40]}). Start the server again.")
    broken.clear()
    wait_for(lambda: batcher.answers)  # though nobody asks
    assert batches == [[module.TRIAL]]


def test_a_cancelled_clip_is_not_decoded_and_a_full_line_refuses(
    batcher: Batcher, batches: list[list[Piece]], gate: threading.Event
) -> None:
    first = batcher.submit(piece(0))
    jobs = []
    while batcher.waiting < 20:
        jobs.append(batcher.submit(piece(len(jobs) + 1)))
    with pytest.raises(LineFullError):
        batcher.submit(piece(99))
    jobs[-1].cancel()
    gate.set()
    assert first.future.result(WAIT_S)
    assert jobs[0].future.result(WAIT_S)
    batcher.close(WAIT_S)
    assert jobs[-1].future.cancelled()
    assert all(jobs[-1].piece is not each for batch in batches for each in batch)
    with pytest.raises(ClosedError):
        batcher.submit(piece(1))


def test_a_clip_that_nobody_waits_for_ends_at_the_next_token(
    batcher: Batcher, batches: list[list[Piece]], gate: threading.Event
) -> None:
    left, wanted = batcher.submit(piece(1)), batcher.submit(piece(2))
    wait_for(left.future.running)
    left.cancel()
    gate.set()
    assert [left.future.result(WAIT_S).output, wanted.future.result(WAIT_S).output] == [
        "",
        "(2, 2)",
    ]


def test_nobody_waits_for_a_thread_that_has_ended(
    batcher: Batcher,
    batches: list[list[Piece]],
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(batcher, "_on_batch", fail)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    jobs = [batcher.submit(piece(n, KOREAN if n else ENGLISH)) for n in range(3)]
    gate.set()
    assert jobs[0].future.result(WAIT_S).output == "(0, 0)"
    with pytest.raises(ClosedError):
        jobs[1].future.result(WAIT_S)
    assert not batcher.alive or batcher._thread.join(30) is None
    with pytest.raises(ClosedError):
        batcher.submit(piece(9))


def test_closing_answers_what_waits(
    batcher: Batcher, batches: list[list[Piece]], gate: threading.Event, tmp_path: Path
) -> None:
    jobs = [batcher.submit(piece(n)) for n in range(8)]
    gate.set()
    batcher.close(WAIT_S)
    assert all(job.future.done() for job in jobs)
