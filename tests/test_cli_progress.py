"""Progress in logs: lines that come now and then, with rate and time left."""

from __future__ import annotations

import pytest

from soritune.progress import PlainProgress, duration_text, track


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("known_from_s", [0, 20])
def test_a_line_comes_every_fifteen_seconds(known_from_s: float) -> None:
    clock, lines = Clock(), list[str]()

    def total() -> float | None:
        return 100 if clock.now_s >= known_from_s else None

    progress = PlainProgress("train", total, "steps", clock=clock, write=lines.append)
    for _ in range(60):  # one step a second
        clock.now_s += 1
        progress.advance(1)
    assert len(lines) == 4
    of_total, left = ("/100", ", 1 min 25 s left") if known_from_s == 0 else ("", "")
    assert lines[0] == f"train: 15{of_total} steps, 1 steps/s, 15 s elapsed{left}"
    assert lines[1] == "train: 30/100 steps, 1 steps/s, 30 s elapsed, 1 min 10 s left"


def test_the_last_line_says_how_long_it_took() -> None:
    clock, lines = Clock(), list[str]()
    progress = PlainProgress("prepare", None, "utterances", clock=clock, write=lines.append)
    clock.now_s = 2.0
    progress.advance(1000)
    progress.line("done")
    assert lines == ["prepare: 1,000 utterances, 500 utterances/s, done after 2 s"]


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with track("decode", 2, "utterances") as advance:
        advance(2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("decode: 2/2 utterances")


def test_work_without_anything_to_do_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with track("decode", 2, "utterances"):
        pass
    assert capsys.readouterr().err == ""


def test_interrupted_work_says_where_it_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with track("decode", 9, "utterances") as advance:
            advance(3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert "3/9 utterances" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7440, "2 h 04 min"),
        (190_080, "52 h 48 min"),
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
