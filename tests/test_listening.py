"""Recordings of any length: nothing lost, nothing doubled, nothing invented."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
from spoken_numbers import RATE_HZ, WORD_S, LevelDetector, LevelEngine, spoken, word

from soritune.audio.stream import Sound, Source
from soritune.decoding import cutting
from soritune.decoding.engine import Decoded, Piece
from soritune.decoding.guard import Guard
from soritune.decoding.joining import cut_apart, one_text
from soritune.decoding.listening import Listening, listen, segments
from soritune.decoding.records import Failure, Transcript
from soritune.decoding.transcriber import sources
from soritune.errors import UserError
from soritune.models.family import ClipLimits
from soritune.tasks import Request, Task

ASR = Listening(Request(Task.ASR))
Samples = npt.NDArray[np.float32]


@pytest.fixture(autouse=True)
def levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "VoiceDetector", LevelDetector)


def heard(source: Source, engine: LevelEngine | None = None, asked: Listening = ASR) -> Transcript:
    (found,) = listen(engine or LevelEngine(), [source], asked)
    assert isinstance(found, Transcript), found
    return found


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def words(*numbers: int) -> str:
    return " ".join(map(word, numbers))


@pytest.mark.parametrize("pause_s", [0.0, 0.05, 0.2, 0.5, 1.5, 4.0])
@pytest.mark.parametrize("window_s", [4.0, 11.3, 30.0])
def test_no_word_is_lost_or_doubled_whatever_the_pauses(pause_s: float, window_s: float) -> None:
    recording = spoken(range(120), pause_s)
    asked = Listening(ASR.request, window_s=window_s)
    engine = LevelEngine()
    found = heard(Sound(recording, RATE_HZ), engine, asked)
    assert found.text.split() == [word(number) for number in range(120)]
    assert max(piece.duration_s for piece in engine.pieces) <= window_s
    assert found.duration_s == pytest.approx(len(recording) / RATE_HZ)


@pytest.mark.parametrize(
    ("trained_s", "asked_s", "longest_s"),
    [(None, None, 30), (6.0, None, 6.4), (6.0, 12.0, 12), (45.0, None, 30)],
)
def test_windows_are_as_long_as_the_clips_of_the_training_unless_asked_otherwise(
    trained_s: float | None, asked_s: float | None, longest_s: float
) -> None:
    engine = LevelEngine(longest_trained_s=trained_s)
    asked = Listening(ASR.request, window_s=asked_s)
    assert cutting.longest_window_s(engine.clip_limits, asked_s) == longest_s
    for pause_s in (0.0, 0.2):
        found = heard(Sound(spoken(range(120), pause_s), RATE_HZ), engine, asked)
        assert found.text.split() == [word(number) for number in range(120)]
    longest = max(piece.duration_s for piece in engine.pieces)
    assert longest_s / 2 < longest <= longest_s


@pytest.mark.parametrize(
    ("count", "pause_s", "asked_s", "whole"),
    [
        (7.7, 0.0, None, True),
        (7.7, 0.4, None, False),
        (7.7, 0.0, 6.4, False),
        (9.0, 0.0, None, False),
    ],
)
def test_a_recording_without_a_pause_may_be_a_little_longer_than_a_window(
    count: float, pause_s: float, asked_s: float | None, whole: bool
) -> None:
    words_of = int(count / WORD_S)
    halved = [
        spoken(range(words_of // 2)),
        silence(pause_s),
        spoken(range(words_of // 2, words_of)),
    ]
    recording = np.concatenate(halved)
    engine = LevelEngine(longest_trained_s=6.0)
    found = heard(Sound(recording, RATE_HZ), engine, Listening(ASR.request, window_s=asked_s))
    assert (len(engine.pieces) == 1) is whole
    assert found.text.split() == [word(number) for number in range(words_of)]


def test_windows_of_a_family_whose_short_clips_cost_as_much_stay_long() -> None:
    limits = ClipLimits(400, 30.0, fixed_cost=True, longest_trained_s=6.0)
    assert cutting.longest_window_s(limits) == cutting.longest_unbroken_s(limits) == 30.0


def test_halves_without_a_quiet_moment_share_what_is_in_the_middle() -> None:
    """Of 12 s each third has 4 s; the middle one is heard twice, once on each side."""
    samples = np.full(12 * RATE_HZ, 0.5, np.float32)
    first, second = cutting.halves(cutting.whole(samples), samples)
    frame_s = 0.032
    assert (first.start_s, first.overlap_s) == (0, 0)
    assert first.end_s == pytest.approx(8, abs=2 * frame_s)
    assert second.start_s == pytest.approx(4, abs=2 * frame_s)
    assert second.end_s == pytest.approx(12)
    assert second.overlap_s == pytest.approx(first.end_s - second.start_s)


def test_segments_stand_where_their_words_are_spoken() -> None:
    recording = np.concatenate([silence(7), spoken([1]), silence(50), spoken([2, 3]), silence(9)])
    first, second = heard(Sound(recording, RATE_HZ)).segments
    assert (first.text, second.text) == (words(1), words(2, 3))
    frame_s = 0.032
    assert first.start_s == pytest.approx(7, abs=frame_s)
    assert first.end_s == pytest.approx(7 + WORD_S, abs=frame_s)
    assert second.start_s == pytest.approx(57 + WORD_S, abs=frame_s)
    assert second.end_s == pytest.approx(57 + 3 * WORD_S, abs=frame_s)


@pytest.mark.parametrize("around_s", [0.0, 0.6, 1.0, 12.0])
def test_what_fits_into_a_window_is_heard_whole_without_long_silence(around_s: float) -> None:
    """Without any, its text is that of the clip alone, as in evaluations; times stay true."""
    spoken_s = 5 + 2 * WORD_S
    around = silence(around_s)
    recording = np.concatenate([around, spoken([1]), silence(5), spoken([2]), around])
    engine = LevelEngine()
    found = heard(Sound(recording, RATE_HZ), engine)
    (piece,) = engine.pieces
    if around_s < 0.7:
        assert np.array_equal(piece.samples, recording)
    else:
        assert piece.duration_s == pytest.approx(spoken_s + 0.4, abs=0.1)
    (segment,) = found.segments
    assert (segment.text, found.duration_s) == (words(1, 2), len(recording) / RATE_HZ)
    assert segment.start_s == pytest.approx(around_s, abs=0.033)
    assert segment.end_s == pytest.approx(around_s + spoken_s, abs=0.033)


def test_cutting_does_not_depend_on_the_blocks_that_are_read() -> None:
    recording = spoken(range(150), 0.3)

    def cut(block: int) -> list[tuple[float, float]]:
        blocks = (recording[i : i + block] for i in range(0, len(recording), block))
        found = cutting.windows(blocks, longest_s=10, pause_s=1)
        return [(window.start_s, window.end_s) for window in found]

    assert cut(777) == cut(16_000) == cut(len(recording))


def test_memory_does_not_grow_with_the_length_of_a_recording() -> None:
    cutter = cutting.Cutter(longest_s=30, pause_s=1)
    held = 0
    for minute in range(12):
        sound = spoken(range(150)) if minute % 2 else silence(60)
        cutter.feed(sound)
        held = max(held, len(cutter._samples))
    assert held <= 60 * RATE_HZ


def test_nothing_is_asked_where_nobody_speaks() -> None:
    engine = LevelEngine()
    assert heard(Sound(silence(100), RATE_HZ), engine).text == ""
    short = heard(Sound(silence(10), RATE_HZ), engine)
    assert not engine.pieces
    assert short.text == ""
    assert [segment.unsure for segment in short.dropped] == ["no speech"]
    heard(Sound(silence(10), RATE_HZ), engine, Listening(ASR.request, keep_unsure=True))
    assert len(engine.pieces) == 1


def test_what_nobody_speaks_is_done_while_it_is_read() -> None:
    done: list[float] = []

    class Late(LevelEngine):
        def decode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Decoded]]:
            waiting = list(pieces)
            assert sum(done) == pytest.approx(200, abs=2)
            yield from super().decode(waiting)

    sound = np.concatenate([silence(100), spoken([1, 2]), silence(100), spoken([3])])
    list(listen(Late(), [Sound(sound, RATE_HZ)], ASR, advance=done.append))
    assert sum(done) == pytest.approx(len(sound) / RATE_HZ)


def test_what_the_guard_holds_back_is_reported_and_can_be_kept() -> None:
    recording = Sound(spoken([1, 2, 3]), RATE_HZ)
    found = heard(recording, LevelEngine(logprob=-2.5))
    assert found.text == ""
    (dropped,) = found.dropped
    assert dropped.text == words(1, 2, 3)
    assert dropped.unsure == "mean log-probability -2.50"
    kept = heard(recording, LevelEngine(logprob=-2.5), Listening(ASR.request, keep_unsure=True))
    assert kept.text == words(1, 2, 3)
    assert kept.segments[0].unsure == dropped.unsure
    assert not kept.dropped


@pytest.mark.parametrize("pause_s", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("num_words", [60, 110])
def test_where_the_model_repeats_itself_halves_give_all_words(
    pause_s: float, num_words: int
) -> None:
    sound = Sound(spoken(range(num_words), pause_s), RATE_HZ, "a.wav")
    engine = LevelEngine(loops_above_s=9.0)
    found, other = listen(engine, [sound, Sound(spoken([1, 2]), RATE_HZ)], ASR)
    assert isinstance(found, Transcript)
    assert found.text.split() == [word(number) for number in range(num_words)]
    assert isinstance(other, Transcript)
    assert (other.text, other.note) == (words(1, 2), "")
    assert not found.dropped
    assert ("a.wav: 0.0 to" in found.note) == any(p.duration_s > 9 for p in engine.pieces)
    starts_s = [segment.start_s for segment in found.segments]
    assert starts_s == sorted(starts_s)


def test_only_what_still_repeats_itself_is_held_back() -> None:
    """Halves of less than 8 s are not cut again, wherever the model goes on repeating itself."""

    class Stuck(LevelEngine):
        def read(self, samples: Samples) -> str:
            text = super().read(samples)
            return " ".join([word(3)] * 60) if word(3) in text else text

    found = heard(Sound(spoken(range(60)), RATE_HZ), Stuck())
    (dropped,) = found.dropped
    assert "repeats itself" in (dropped.unsure or "")
    assert dropped.end_s - dropped.start_s < 8
    assert found.text.split()[-40:] == [word(number) for number in range(20, 60)]


@pytest.mark.parametrize(
    ("text", "logprob", "speech_s", "speech_prob", "reason"),
    [
        ("오늘 날씨가 좋습니다", -0.3, 2.0, 0.99, None),
        ("오늘 날씨가 좋습니다", -1.5, 2.0, 0.99, None),
        ("오늘 날씨가 좋습니다", -1.5, 2.0, 0.7, "mean log-probability"),
        ("감사합니다", -0.1, 2.0, 0.2, "no speech"),
        ("네 네 " * 40, -0.1, 20.0, 0.99, "repeats itself"),
        ("thank you for watching " * 5, -0.1, 9.0, 0.99, "repeats itself"),
        ("the quick brown fox jumps over a lazy dog", -0.1, 0.5, 0.99, "characters a second"),
        ("", -9.0, 1.0, 0.9, None),
    ],
)
def test_reasons_of_the_guard(
    text: str, logprob: float, speech_s: float, speech_prob: float, reason: str | None
) -> None:
    found = Guard().unsure(text, logprob, speech_s, speech_prob)
    assert (found is None) == (reason is None)
    assert (reason or "") in (found or "")


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("one two three four fi", "ee four five six", "one two three four five six"),
        ("one two, three four", "Two three. Four five", "one two, three Four five"),
        ("저는 학생 입니다 그리", "학생입니다 그리고 갑니다", "저는 학생 입니다 그리고 갑니다"),
        ("今日はいい天気で", "いい天気ですね", "今日はいい天気ですね"),
        ("one two three four", "five six seven eight", "one two three four five six seven eight"),
        ("", "one two", "one two"),
    ],
)
def test_texts_meet_where_they_agree(before: str, after: str, whole: str) -> None:
    """By hand. Where they agree nowhere, one of them did not write what both have heard."""
    assert one_text(list(cut_apart(before, after, 0.5, 0.5))) == whole


def test_a_phrase_that_repeats_is_not_taken_for_the_overlap() -> None:
    """By hand: the longest stretch in common is of two sentences that begin alike."""
    before = (
        "i went to make a preservation for six people today "
        "i want to make a reservation for six people to"
    )
    after = (
        "i want to make a reservation for six people two day "
        "i want to made the reservation four six people tomorrow"
    )
    assert one_text(list(cut_apart(before, after, 1.0, 1.0))) == (
        "i went to make a preservation for six people two day "
        "i want to made the reservation four six people tomorrow"
    )


def hum(seconds: float, level: float) -> Samples:
    return np.full(round(seconds * RATE_HZ), level, np.float32)


def test_speech_without_pauses_is_cut_between_words() -> None:
    """Nothing is heard twice where a quiet moment is, though the detector takes it for speech."""
    words_of_a_second = [np.concatenate([hum(0.85, 0.5), hum(0.15, 0.08)]) for _ in range(60)]
    found = list(cutting.windows([np.concatenate(words_of_a_second)], longest_s=10, pause_s=1))
    assert len(found) > 5
    for window in found[:-1]:
        assert window.overlap_s == 0
        assert window.end_s % 1 > 0.85 or window.end_s % 1 < 0.032
        assert window.end_s - window.start_s <= 10
    for before, after in pairwise(found):
        assert before.end_s == after.start_s


@pytest.mark.parametrize("level", [0.14, 0.5])
def test_where_no_moment_is_quiet_windows_overlap(level: float) -> None:
    sound = np.concatenate([np.concatenate([hum(0.85, 0.5), hum(0.15, level)])] * 60)
    found = list(cutting.windows([sound], longest_s=10, pause_s=1))
    assert {round(window.overlap_s, 1) for window in found[1:]} == {3.3}


def test_segments_come_while_the_recording_is_still_read() -> None:
    read = 0

    class Watched(io.BytesIO):
        def readinto(self, buffer: object) -> int:  # type: ignore[override]
            nonlocal read
            count = super().readinto(buffer)  # type: ignore[arg-type]
            read += count
            return count

    file = io.BytesIO()
    soundfile.write(file, spoken(range(200), 1.2), RATE_HZ, format="WAV")
    found = segments(LevelEngine(), Watched(file.getvalue()), ASR)
    assert next(found).text == words(0)
    assert read < 0.3 * len(file.getvalue())
    assert sum(1 for _ in found) == 199


@pytest.fixture
def forms(tmp_path: Path) -> Iterator[list[Source]]:
    recording = spoken(range(20), 0.3)
    path = tmp_path / "a.wav"
    soundfile.write(path, recording, RATE_HZ, subtype="FLOAT")
    whole = (recording * 32768).round().astype(np.int16)
    with path.open("rb") as file:
        yield [
            path,
            str(path),
            path.read_bytes(),
            file,
            Sound(recording, RATE_HZ),
            Sound(whole, RATE_HZ),
            Sound(np.stack([recording, recording], axis=1), RATE_HZ),
            Sound(np.repeat(recording, 2), 2 * RATE_HZ),
        ]


def test_paths_bytes_file_objects_and_arrays_are_one(forms: list[Source]) -> None:
    expected = [word(number) for number in range(20)]
    for found in listen(LevelEngine(), forms, ASR):
        assert isinstance(found, Transcript), found
        assert found.text.split() == expected


def test_what_is_given_to_a_loaded_model_has_a_form_or_is_named(tmp_path: Path) -> None:
    recording = spoken([1, 2])
    for given in (recording, torch.from_numpy(recording)):
        [found] = sources(given, RATE_HZ)
        assert isinstance(found, Sound)
        assert np.array_equal(found.samples, recording)
        assert found.rate_hz == RATE_HZ
    with pytest.raises(UserError, match="the recording: is an array without its sampling rate"):
        sources(recording)
    file = io.BytesIO()
    assert sources([tmp_path, "a.wav", b"RIFF", file]) == [tmp_path, "a.wav", b"RIFF", file]
    for wrong, name in (((recording, RATE_HZ), "tuple"), ({"array": recording}, "dict")):
        with pytest.raises(UserError, match=f"recording 2: is a {name}. Give a path, bytes"):
            sources(["a.wav", wrong])  # type: ignore[list-item]


def test_bad_recordings_fail_in_their_place(tmp_path: Path) -> None:
    good = tmp_path / "good.wav"
    soundfile.write(good, spoken(range(100), 0.2), RATE_HZ)
    lying = tmp_path / "lying.wav"
    lying.write_bytes(good.read_bytes()[:-40_000])
    empty = tmp_path / "empty.wav"
    empty.write_bytes(b"")
    nan = Sound(np.full(40 * RATE_HZ, np.nan, np.float32), RATE_HZ, "nan")
    wide = Sound(np.zeros((2, RATE_HZ), np.float32), RATE_HZ, "wide")
    slow = Sound(spoken([1]), 3, "slow")
    given: list[Source] = [lying, good, empty, nan, tmp_path, tmp_path / "none", wide, slow, good]
    found = list(listen(LevelEngine(), given, ASR))
    assert [isinstance(each, Failure) for each in found] == [each is not good for each in given]
    words_of_failures = [each.error for each in found if isinstance(each, Failure)]
    for error, said in zip(
        words_of_failures,
        [
            "breaks off",
            "empty file",
            "not numbers",
            "folder",
            "no such file",
            "(samples, ch",
            "3 Hz",
        ],
        strict=True,
    ):
        assert said in error
        assert "\n" not in error
