"""Long recordings cut along their subtitles: the right words on the right samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.sources import count_source, describe_source, read_source
from soritune.sources.formats.rolling import BadCue, Cue
from soritune.sources.formats.subtitles import SubtitlesSource
from soritune.sources.formats.subtitles_cut import (
    CutSettings,
    Segment,
    UnusableCue,
    cut,
    sentence_goes_on,
)
from soritune.utterance import Excerpt, Rejected, Utterance

RATE_HZ = 16_000
PLAIN = CutSettings(max_duration_s=20, max_gap_s=0.5, pad_s=0.2, shift_s=0)


def cue(start_s: float, end_s: float, text: str = "말", speaker: str | None = None) -> Cue:
    """`line` is made of the start, so that every cue has one of its own."""
    return Cue(round(start_s * 1000) + 1, start_s, end_s, text, speaker)


def spans(*cues: Cue | BadCue, **settings: float) -> list[tuple[float, float, str] | str]:
    chosen = CutSettings(**{**PLAIN.__dict__, **settings})
    return [
        entry.reason if isinstance(entry, UnusableCue) else (entry.start_s, entry.end_s, entry.text)
        for entry in cut(cues, chosen)
    ]


def test_cues_of_one_sentence_are_joined() -> None:
    assert spans(cue(1, 2, "어제"), cue(2.1, 3, "갔다."), cue(3.1, 4, "그리고")) == [
        (1, 3, "어제 갔다."),
        (3.1, 4, "그리고"),
    ]


@pytest.mark.parametrize(
    ("text", "goes_on"),
    [
        ("갔다.", False),
        ("갔어?", False),
        ('"갔다!"', False),
        ("그는 (갔다.)", False),
        ("行った。", False),
        ("갔는데", True),
        ("갔는데,", True),
        ("그게...", True),
        ("그게…", True),
    ],
)
def test_where_a_sentence_ends(text: str, goes_on: bool) -> None:
    assert sentence_goes_on(text) is goes_on


def test_a_pause_another_voice_or_a_sound_ends_a_piece() -> None:
    assert len(spans(cue(1, 2), cue(2.5, 3))) == 2  # the gap must be smaller
    assert len(spans(cue(1, 2), cue(2.499, 3))) == 1
    assert len(spans(cue(1, 2, speaker="a"), cue(2, 3, speaker="b"))) == 2
    assert spans(cue(1, 2), cue(2.1, 2.2, ""), cue(2.3, 3)) == [
        (1, 2, "말"),
        "no-speech",
        (2.3, 3, "말"),
    ]


def test_pieces_with_their_padding_are_no_longer_than_asked() -> None:
    # 0-4, 4-8, …: two cues and two paddings of 0.2 s are 8.4 s.
    four = [cue(4 * n, 4 * n + 4) for n in range(4)]
    assert [span[:2] for span in spans(*four, max_duration_s=8.4)] == [(0, 8), (8, 16)]
    assert len(spans(*four, max_duration_s=8.39)) == 4
    # One cue alone is not cut, however long: its words would not be where the audio is.
    assert spans(cue(0, 25)) == [(0, 25, "말")]


def test_cues_that_are_shown_together_are_left_out_both() -> None:
    assert spans(cue(0, 10), cue(2, 3), cue(4, 5), cue(11, 12)) == [
        "overlap",
        "overlap",
        "overlap",
        (11, 12, "말"),
    ]
    assert spans(cue(0, 2), cue(1, 3, ""), cue(2.6, 4)) == [
        (0, 2, "말"),
        "no-speech",
        (2.6, 4, "말"),
    ]


def test_padding_reaches_half_of_the_way_to_the_next_speech() -> None:
    first, second, _, third = cut(
        [cue(0.1, 1, "네."), cue(1.3, 2, "예."), cue(2.1, 3, "", None), cue(5, 6)], PLAIN
    )
    assert isinstance(first, Segment)
    assert isinstance(second, Segment)
    assert isinstance(third, Segment)
    assert (first.before_s, first.after_s) == pytest.approx((0.1, 0.15))
    assert (second.before_s, second.after_s) == pytest.approx((0.15, 1.5))
    assert third.before_s == pytest.approx(1.5)
    assert third.after_s == float("inf")


def test_an_overlap_of_a_rounding_is_cut_in_its_middle() -> None:
    first, second = cut([cue(0, 1.04, "네."), cue(1, 2, "예.")], PLAIN)
    assert isinstance(first, Segment)
    assert isinstance(second, Segment)
    assert (first.after_s, second.before_s) == pytest.approx((-0.02, -0.02))


def test_times_that_cannot_be_are_told() -> None:
    assert spans(cue(2, 1), cue(1, 1), BadCue(7, "00:00")) == ["bad-time"] * 3
    assert spans(cue(1, 2), cue(3, 4), shift_s=-1.5) == ["bad-time", (1.5, 2.5, "말")]


def test_cues_are_taken_in_the_order_of_time() -> None:
    assert spans(cue(5, 6, "둘."), cue(1, 2, "하나.")) == [(1, 2, "하나."), (5, 6, "둘.")]


def stamp(time_s: float) -> str:
    thousandths = round(1000 * time_s)
    minutes, rest = divmod(thousandths, 60_000)
    return f"00:{minutes:02d}:{rest // 1000:02d},{rest % 1000:03d}"


def srt(path: Path, *cues: tuple[float, float, str], encoding: str = "utf-8") -> Path:
    blocks = [
        f"{number}\n{stamp(start_s)} --> {stamp(end_s)}\n{text}\n"
        for number, (start_s, end_s, text) in enumerate(cues, start=1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join(blocks).encode(encoding))
    return path


def noise(seed: int, duration_s: float, channels: int = 1) -> np.ndarray:
    """16-bit values, shape (num_samples, channels), none of them like another stretch."""
    size = (round(duration_s * RATE_HZ), channels)
    return np.random.default_rng(seed).integers(-8000, 8000, size, dtype=np.int16)


def record(path: Path, samples: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE_HZ)
    return path


def source(path: Path, **settings: Any) -> SubtitlesSource:
    return SubtitlesSource(source="subtitles", path=path, **{"language": "ko", **settings})


def entries(path: Path, **settings: Any) -> list[Utterance | Rejected]:
    return list(read_source(source(path, **{"test_share": 0, "dev_share": 0, **settings})))


def reasons(path: Path, **settings: Any) -> list[tuple[str, str]]:
    found = entries(path, **settings)
    return [(entry.id, entry.reason) for entry in found if isinstance(entry, Rejected)]


def test_pieces_are_the_right_samples(tmp_path: Path) -> None:
    sound = noise(1, 10)
    record(tmp_path / "talk.flac", sound)
    srt(
        tmp_path / "talk.srt",
        (1, 2, "첫 문장은"),
        (2.1, 3, "깁니다."),
        (3.2, 4, "[박수]"),
        (4.5, 5.25, "둘째 문장."),
        (5.25, 6, "바로 뒤."),
        (8, 9, "겹침 하나"),
        (8.5, 9.5, "겹침 둘"),
        (20, 21, "끝난 뒤"),
        (9.9, 9.8, "거꾸로"),
    )
    settings = {"test_share": 0, "dev_share": 0}
    card = prepare("mine", source(tmp_path, **settings), tmp_path / "out")
    assert (card.read, card.taken, card.quarantined) == (8, 3, 5)
    assert card.reasons == {"bad-time": 1, "no-speech": 1, "outside": 1, "overlap": 2}
    corpus = Corpus.open(tmp_path / "out")
    found = {record.id: record for record in corpus.records("train")}
    # 0.2 s of padding, but half of the way where speech is nearer.
    wanted = {
        "talk/00001000-00003000": ("첫 문장은 깁니다.", 0.8, 3.2),
        "talk/00004500-00005250": ("둘째 문장.", 4.3, 5.25),
        "talk/00005250-00006000": ("바로 뒤.", 5.25, 6.2),
    }
    assert found.keys() == wanted.keys()
    for name, (text, start_s, end_s) in wanted.items():
        assert found[name].text == text
        segment = sound[round(start_s * RATE_HZ) : round(end_s * RATE_HZ), 0]
        np.testing.assert_array_equal(corpus.samples(found[name]) * 32768, segment)


def test_subtitles_that_come_too_late_are_shifted(tmp_path: Path) -> None:
    record(tmp_path / "talk.wav", noise(1, 3))
    srt(tmp_path / "talk.srt", (1, 2, "네"))
    (entry,) = entries(tmp_path, shift_s=-0.5, pad_s=0)
    assert isinstance(entry, Utterance)
    assert entry.audio == Excerpt(tmp_path / "talk.wav", 0.5, 1.0)


def test_the_last_words_may_be_padded_beyond_the_end(tmp_path: Path) -> None:
    sound = noise(1, 3)
    record(tmp_path / "talk.wav", sound)
    srt(tmp_path / "talk.srt", (0, 1, "네."), (2, 3, "끝."))
    card = prepare("mine", source(tmp_path, pad_s=0.5, test_share=0, dev_share=0), tmp_path / "out")
    assert card.taken == 2
    corpus = Corpus.open(tmp_path / "out")
    *_, last = corpus.records("train")
    np.testing.assert_array_equal(corpus.samples(last) * 32768, sound[24_000:, 0])


def test_recordings_find_the_subtitles_of_their_name_and_language(tmp_path: Path) -> None:
    for name in ("a/one.wav", "a/two.mp3", "b/one.wav", "b/lone.wav", "b/twice.wav"):
        record(tmp_path / name, noise(1, 2))
    srt(tmp_path / "a/one.ko.srt", (0, 1, "가"))
    srt(tmp_path / "a/one.en.srt", (0, 1, "ga"))
    (tmp_path / "a/two.VTT").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\n<v Kim>나\n", "utf-8")
    srt(tmp_path / "b/one.ko-KR.srt", (0, 1, "다"), encoding="cp949")
    srt(tmp_path / "b/alone.srt", (0, 1, "라"))
    srt(tmp_path / "b/twice.srt", (0, 1, "마"))
    srt(tmp_path / "b/twice.ko.srt", (0, 1, "마"))
    found = entries(tmp_path)
    taken = [entry for entry in found if isinstance(entry, Utterance)]
    assert [(e.id.rpartition("/")[0], e.text, e.speaker) for e in taken] == [
        ("a/one", "가", None),
        ("a/two", "나", "Kim"),
        ("b/one", "다", None),
    ]
    assert reasons(tmp_path) == [
        ("b/alone", "missing"),
        ("b/lone", "missing"),
        ("b/twice", "bad-line"),
    ]
    assert count_source(source(tmp_path)) == len(found) == 6


def test_a_list_names_pairs_with_their_channel_shift_speaker_and_split(tmp_path: Path) -> None:
    sound = noise(3, 4, channels=2)
    record(tmp_path / "sound/call.wav", sound)
    srt(tmp_path / "text/left.srt", (1, 2, "왼쪽"))
    srt(tmp_path / "text/right.srt", (1, 2, "오른쪽"))
    both = {"audio": "sound/call.wav", "split": "train"}
    lines = [
        {**both, "subtitles": "text/left.srt", "channel": 0, "speaker": "kim"},
        {**both, "subtitles": "text/right.srt", "channel": 1, "shift_s": 0.5, "split": "test"},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    prepare("mine", source(path, pad_s=0), tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    (left,), (right,) = corpus.records("train"), corpus.records("test")
    assert (left.id, left.speaker) == ("sound/call/channel-0/00001000-00002000", "kim")
    np.testing.assert_array_equal(corpus.samples(left) * 32768, sound[16_000:32_000, 0])
    np.testing.assert_array_equal(corpus.samples(right) * 32768, sound[24_000:40_000, 1])


def test_lines_of_a_list_that_are_wrong_cost_themselves(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", noise(1, 2))
    srt(tmp_path / "a.srt", (0, 1, "가"))
    pair = {"audio": "a.wav", "subtitles": "a.srt"}
    lines: list[Any] = [
        {**pair, "split": "train"},
        {**pair, "split": "train"},
        {**pair, "audio": "b.wav", "split": "other"},
        {**pair, "audio": "b.wav", "offset": 1},
        {**pair, "audio": "b.wav", "subtitles": "a.txt"},
        {**pair, "audio": "c.wav"},
        [],
    ]
    path = tmp_path / "pairs.jsonl"
    text = "\ufeff" + "".join(f"{json.dumps(line)}\n" for line in lines) + "{\n"
    path.write_text(text, encoding="utf-8")
    assert reasons(path) == [
        ("a", "duplicate-id"),
        ("b", "bad-split"),
        ("", "bad-line"),
        ("b", "bad-line"),
        ("c/00000000-00001000", "no-split"),
        ("", "bad-line"),
        ("", "bad-line"),
    ]


def test_subtitles_that_cannot_be_read_cost_their_recording(tmp_path: Path) -> None:
    for name in ("empty", "html", "binary", "good"):
        record(tmp_path / f"{name}.wav", noise(1, 2))
    (tmp_path / "empty.srt").write_text("\n", encoding="utf-8")
    (tmp_path / "html.vtt").write_text("<html>", encoding="utf-8")
    (tmp_path / "binary.srt").write_bytes(b"\xff\x00\xff\x80")
    srt(tmp_path / "good.srt", (0, 1, "가"), encoding="utf-16")
    assert reasons(tmp_path) == [
        ("binary", "bad-text"),
        ("empty", "empty"),
        ("html", "unreadable"),
    ]


def test_a_recording_without_names_stays_in_one_split(tmp_path: Path) -> None:
    for number in range(8):
        record(tmp_path / f"{number}.wav", noise(number, 5))
        lines = [(n, n + 0.9, f"문장 {number} {n}.") for n in range(4)]
        srt(tmp_path / f"{number}.srt", *lines)
    found = entries(tmp_path, test_share=0.25)
    assert len(found) == 32
    taken = [entry for entry in found if isinstance(entry, Utterance)]
    tested = {entry.id.split("/")[0] for entry in taken if entry.split == "test"}
    trained = {entry.id.split("/")[0] for entry in taken if entry.split == "train"}
    assert len(tested) == 2
    assert not tested & trained
    assert {entry.speaker for entry in taken} == {None}


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", noise(1, 1))
    with pytest.raises(UserError, match="no recording with subtitles"):
        entries(tmp_path)
    with pytest.raises(UserError, match="neither a folder nor a list"):
        entries(tmp_path / "a.wav")
    with pytest.raises(UserError, match="cannot be read"):
        entries(tmp_path / "nowhere.jsonl")
    with pytest.raises(ValidationError, match="pad_s"):
        source(tmp_path, pad_s=0.6)


def test_changed_subtitles_make_another_corpus(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", noise(1, 2))
    srt(tmp_path / "a.srt", (0, 1, "가"))
    before = describe_source(source(tmp_path))
    assert before == describe_source(source(tmp_path))
    srt(tmp_path / "a.srt", (0, 1, "가나"))
    assert describe_source(source(tmp_path)) != before
