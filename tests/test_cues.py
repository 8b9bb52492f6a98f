"""Subtitles to cues: WebVTT as its specification has it, SubRip as players take it."""

from __future__ import annotations

import pytest

from soritune.errors import UserError
from soritune.sources.formats.cues import Kind, read_cues, spoken_text
from soritune.sources.formats.rolling import BadCue, Cue


def cues(content: str, kind: Kind) -> list[tuple[float, float, str, str | None]]:
    found = list(read_cues(content, kind))
    assert all(isinstance(cue, Cue) for cue in found), found
    return [(c.start_s, c.end_s, c.text, c.speaker) for c in found if isinstance(c, Cue)]


# The examples of https://www.w3.org/TR/webvtt1/ section 1, cut to what matters here.


def test_voices_of_the_specifications_first_example() -> None:
    content = (
        "WEBVTT\n\n"
        "00:11.000 --> 00:13.000\n<v Roger Bingham>We are in New York City\n\n"
        "00:16.000 --> 00:18.000\n<v Roger Bingham>We're actually at the Lucern Hotel\n\n"
        "00:30.000 --> 00:31.500 align:right size:50%\n<v Roger Bingham>We are with Neil\n"
    )
    assert cues(content, "vtt") == [
        (11.0, 13.0, "We are in New York City", "Roger Bingham"),
        (16.0, 18.0, "We're actually at the Lucern Hotel", "Roger Bingham"),
        (30.0, 31.5, "We are with Neil", "Roger Bingham"),
    ]


def test_comments_styles_regions_and_names_of_cues_are_not_said() -> None:
    content = (
        "WEBVTT - This file was written by Jill\nKind: captions\n\n"
        "NOTE\nThis file is\nabout 1 --> nothing\n\n"
        "STYLE\n::cue(b) {\n  color: peachpuff;\n}\n\n"
        "REGION\nid:fred\nwidth:40%\n\n"
        "NOTE check this\n\n"
        "crédit de transcription\n00:00:00.000 --> 00:00:02.000\nhello\nthere\n\n"
        "slide 1\n1:00:00.004 --> 123:00:00.000\nbye\n"
    )
    found = list(read_cues(content, "vtt"))
    assert isinstance(found[0], BadCue)  # the arrow ends the comment, as the grammar says
    assert [(c.start_s, c.end_s, c.text) for c in found[1:] if isinstance(c, Cue)] == [
        (0.0, 2.0, "hello there"),
        (3600.004, 442800.0, "bye"),
    ]


# Accepted and refused as in web-platform-tests, webvtt/parsing/file-parsing (timings-too-long,
# timings-too-short, arrows).
@pytest.mark.parametrize("time", ["000:00:00.000", "0:00:00.000", "00:00.000", "00:00:00.000"])
def test_times_that_webvtt_has(time: str) -> None:
    assert cues(f"WEBVTT\n\n{time} --> 00:00:01.000\nsaid\n", "vtt") == [(0.0, 1.0, "said", None)]


@pytest.mark.parametrize(
    "time",
    [
        *("00::00:00.000", "00:000:00.000", "00:00:000.000", "00:00:00.0000", "000:00.000"),
        *("00:00:00,000", "00:0:00.000", "00:00:00.00", "00:00:00", "0:00.000", "00:60:00.000"),
        "-00:00:01.000",
    ],
)
def test_times_that_webvtt_has_not_cost_their_cue(time: str) -> None:
    content = f"WEBVTT\n\n{time} --> 00:00:01.000\nlost\n\n00:01.000 --> 00:02.000\nkept\n"
    bad, kept = read_cues(content, "vtt")
    assert isinstance(bad, BadCue)
    assert bad.line == 3
    assert kept == Cue(6, 1.0, 2.0, "kept")


def test_an_arrow_begins_a_cue_even_without_an_empty_line() -> None:
    content = (
        "WEBVTT\n\n-->\n00:00:00.000 --> 00:00:01.000\ntext1\nfoo-->\n"
        "00:00:00.000 --> 00:00:01.000\ntext2\n00:00:00.000 --> 00:00:01.000\ntext3\n"
    )
    found = list(read_cues(content, "vtt"))
    assert [c.text for c in found if isinstance(c, Cue)] == ["text1", "text2", "text3"]
    assert [c.line for c in found if isinstance(c, BadCue)] == [3, 6]


def test_what_does_not_begin_with_webvtt_is_none() -> None:
    for content in ("", "WEBVTTX\n\n", "1\n00:00:00,000 --> 00:00:01,000\nsaid\n", "<html>"):
        with pytest.raises(UserError, match="WEBVTT"):
            list(read_cues(content, "vtt"))
    assert cues("\ufeffWEBVTT\r\n\r\n00:00.000-->00:01.000\r\nsaid", "vtt")
    assert list(read_cues("WEBVTT", "vtt")) == []


def test_subrip_as_it_is_written() -> None:
    content = (
        "\ufeff1\r\n00:00:00,500 --> 00:00:02,000 X1:63 X2:223\r\n{\\an8}<i>안녕</i>\r\n하세요\r\n"
        "\r\n2\r\n00:00:02,000 --> 00:00:03,000\r\n\r\n"
        "3\r\n00:00:4,000 --> 0:00:05.250\r\n1984\r\n\r\nhalf\r\n"
        "4\r\n01:00:06 --> 01:00:07\r\nlast\r\n\r\n"
    )
    assert cues(content, "srt") == [
        (0.5, 2.0, "안녕 하세요", None),
        (2.0, 3.0, "", None),
        (4.0, 5.25, "1984 half", None),
        (3606.0, 3607.0, "last", None),
    ]


def test_numbers_that_are_said_stay_where_cues_are_not_counted() -> None:
    content = "00:00:00,000 --> 00:00:01,000\n1984\n\n00:00:01,000 --> 00:00:02,000\n7\n"
    assert [c[2] for c in cues(content, "srt")] == ["1984", "7"]


def test_the_line_of_a_cue_is_that_of_its_times() -> None:
    content = "1\n00:00:00,000 --> 00:00:01,000\n가\n\n2\n00:00:01,00 --> 00:00:02,000\n나\n"
    first, second = read_cues(content, "srt")
    assert first.line == 2
    assert second == BadCue(6, "times that cannot be read: '00:00:01,00 --> 00:00:02,000'")


@pytest.mark.parametrize(
    ("text", "said", "speaker"),
    [
        # Tags of the specification, section 3 and 6.4.
        ("<v.first.loud Esme Dupont>It's a blue apple tree!", "It's a blue apple tree!", None),
        ("<c.yellow.bg_blue>Hee!</c> <i>Laughter</i>", "Hee! Laughter", None),
        ("<00:19.000><c>by</c> now", "by now", None),
        ("<lang en-GB>colour</lang>", "colour", None),
        ("<ruby>漢<rt>kan</rt>字<rt>ji</rt></ruby>", "漢字", None),
        ("<ruby>漢<rt>kan</ruby> 字", "漢 字", None),
        ("R&amp;D &lt;b&gt; &#44032; a&nbsp;b&lrm;", "R&D <b> 가 a b\u200e", None),
        ("cut off <i", "cut off", None),
        ("<v Bob>Hi <v Eve>Hello", "Hi Hello", None),
        ("<v Bob>Hi</v> <v  Bob >again</v>", "Hi again", "Bob"),
        ("<v R&amp;B>Hi", "Hi", "R&B"),
    ],
)
def test_text_of_webvtt(text: str, said: str, speaker: str | None) -> None:
    if "Esme" in text:
        speaker = "Esme Dupont"
    assert spoken_text(text, "vtt") == (said, speaker)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<font color="#ffff00">노란</font> <b>글</b>', "노란 글"),
        ("{\\an8}{\\pos(10,20)}위에 {i}비스듬히{/i}", "위에 비스듬히"),
        ("3 < 5 그리고 5 > 3", "3 < 5 그리고 5 > 3"),
        ("첫 줄\\N둘째\\h줄", "첫 줄 둘째 줄"),
        ("- 안녕?\n- 응, 안녕.", "안녕? 응, 안녕."),
        ("-안녕\n>> 누구세요", "안녕 누구세요"),
        ("-3도입니다", "-3도입니다"),
        ("[문 닫히는 소리] 누구세요?", "누구세요?"),
        ("(한숨) 알았어", "알았어"),
        ("- (웃으며) 알았어 (박수)", "알았어"),
        ("세계보건기구(WHO)는", "세계보건기구(WHO)는"),
        ("（박수）네【음악】", "네"),
    ],
)
def test_text_of_subrip(text: str, said: str) -> None:
    assert spoken_text(text, "srt") == (said, None)


@pytest.mark.parametrize(
    "text", ["[음악]", "(박수)", "♪", "♪ 사랑해 ♪", "[ Bats Screeching ]", "-", "...", "", "🎵 la"]
)
def test_sounds_and_songs_are_no_speech(text: str) -> None:
    assert spoken_text(text, "srt") == ("", None)
    assert spoken_text(text, "vtt") == ("", None)


# A SubRip time has three digits behind the comma. Of 3,90 ffmpeg and VLC make 3.090 s, others 3.9.
@pytest.mark.parametrize("end", ["03,9", "03,90", "03,1000", "03.90"])
def test_times_of_which_players_make_different_things_are_refused(end: str) -> None:
    found = list(read_cues(f"1\n00:00:01,000 --> 00:00:{end}\nsaid\n", "srt"))
    assert [type(cue) for cue in found] == [BadCue]


TWO = "1\n00:00:01,000 --> 00:00:03,000\n내일 봐요.\n\n2\n00:00:05,000 --> 00:00:07,000\n1984\n"


@pytest.mark.parametrize(
    "content",
    [
        TWO,
        TWO.replace("\n", "\r\r\n"),
        TWO.replace("1\n0", "1\n1\n0").replace("2\n0", "2\n2\n0"),
        TWO.replace("1\n0", "1\n\n0").replace("2\n0", "2\n\n0"),
        TWO.removeprefix("1\n"),
        "\ufeff\ufeff" + TWO,
        TWO.replace("00:00:05", "\ufeff00:00:05").replace("00:00:01", "\u200e00:00:01"),
        TWO.replace("\n\n2", "\n2"),
    ],
)
def test_the_number_of_a_cue_is_never_said(content: str) -> None:
    assert cues(content, "srt") == [(1.0, 3.0, "내일 봐요.", None), (5.0, 7.0, "1984", None)]


def test_a_time_below_zero_is_refused_and_is_no_text() -> None:
    found = list(read_cues(TWO.replace("00:00:05", "-00:00:05"), "srt"))
    assert [cue.text if isinstance(cue, Cue) else "bad" for cue in found] == ["내일 봐요.", "bad"]


def test_a_number_that_is_said_stays_where_cues_are_not_counted() -> None:
    content = "00:00:01,000 --> 00:00:03,000\n1984\n\n00:00:05,000 --> 00:00:07,000\n2024\n"
    assert [cue[2] for cue in cues(content, "srt")] == ["1984", "2024"]


# The form in which YouTube gives the captions that it recognised.
ROLLING = """WEBVTT

00:00:00.500 --> 00:00:03.000
{blank}
내일<00:00:01.000><c> 아침에</c>

00:00:03.000 --> 00:00:03.010
내일 아침에
{blank}

00:00:03.010 --> 00:00:05.500
내일 아침에
다시<00:00:04.000><c> 올게요</c>
""".replace("{blank}", " ")


def test_rolling_captions_are_said_once() -> None:
    assert cues(ROLLING, "vtt") == [
        (0.5, 3.0, "내일 아침에", None),
        (3.01, 5.5, "다시 올게요", None),
    ]
    lines = ["가자", "어디", "거기", "좋아", "그래"]
    rolled = "".join(
        f"00:00:{n:02},000 --> 00:00:{n + 1:02},000\n"
        + "\n".join(lines[max(0, n - 2) : n + 1])
        + "\n\n"
        for n in range(len(lines))
    )
    assert [cue[2] for cue in cues(rolled, "srt")] == lines


def test_what_is_said_twice_stays_twice() -> None:
    said = [
        "네.",
        "네.",
        "아니요.\n왜요?",
        "왜요?\n몰라요.",
        "가자.",
        "가자.",
        "내일.",
        "모레.",
        "글피.",
    ]
    content = "WEBVTT\n\n" + "".join(
        f"00:{n:02}.000 --> 00:{n + 1:02}.000\n{text}\n\n" for n, text in enumerate(said)
    )
    assert [cue[2] for cue in cues(content, "vtt")] == [" ".join(text.split()) for text in said]


# -- other members of these kinds


CUES = """1
00:00:01,000 --> 00:00:02,000
안녕

2
00:00:03,000 --> 00:00:04,000
내일 봐요.

3
00:00:05,000 --> 00:00:06,500
끝
"""
SAID = ["안녕", "내일 봐요.", "끝"]


@pytest.mark.parametrize(
    "time",
    [
        *("00:00:04:500", "00:00:04;500", "00:00:04, 500", "00:00:04，500", "00:00:04‚500"),
        *("00:00:04,abc", "00:00:04,500X", "00:00:-4,500", "00:00:04.500 다음", "00:00:04,5000"),
    ],
)
def test_a_time_that_no_player_reads_alike_is_refused_at_either_end(time: str) -> None:
    for old in ("00:00:03,000", "00:00:04,000"):
        found = list(read_cues(CUES.replace(old, time), "srt"))
        assert [type(cue) for cue in found] == [Cue, BadCue, Cue]
        assert [cue.text for cue in found if isinstance(cue, Cue)] == ["안녕", "끝"]


@pytest.mark.parametrize("arrow", ["->", "--->", "-- >", "—>", "–>", "→", "=>", "--&gt;", " - "])
def test_times_with_another_arrow_are_no_text(arrow: str) -> None:
    damaged = CUES.replace("03,000 -->", f"03,000 {arrow}")
    found = list(read_cues(damaged, "srt"))
    assert [type(cue) for cue in found] == [Cue, BadCue, Cue]
    assert [cue.text for cue in found if isinstance(cue, Cue)] == ["안녕", "끝"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n2\n", "\n\u00a02\u200b\n"),
        ("\n3\n", "\n\u200e3\n"),
        ("\n2\n", "\n2.\n"),
        ("\n2\n", "\n#2\n"),
        ("\n2\n", "\nNo. 2\n"),
        ("\n2\n", "\n(2)\n"),
        ("\n2\n", "\n2,\n"),
        ("\n2\n", "\n2/3\n"),
        ("내일", "{y:i}내일"),
        ("내일 ", "내일<br />"),
        ("\n2\n", "\n２\n"),
        ("\n2\n", "\n2\n\n2\n"),
        ("\n2\n", "\n2\n\n2\n\n2\n"),
        ("끝\n", "끝\n\n4\n"),
        ("끝\n", "끝\n\n4\n\n5\n\n"),
        ("\n3\n", "\n1\n"),
        ("\n", "\n\r"),
    ],
)
def test_no_counter_in_any_form_becomes_text(old: str, new: str) -> None:
    assert [cue[2] for cue in cues(CUES.replace(old, new), "srt")] == SAID


def test_numbers_that_are_said_stay() -> None:
    said = CUES.replace("안녕", "3").replace("내일 봐요.", "하나\n2").replace("끝", "10")
    assert [cue[2] for cue in cues(said, "srt")] == ["3", "하나 2", "10"]


@pytest.mark.parametrize("mark", ["{\\an8}", "{y:i}", "{\\c&HFFFFFF&}"])
def test_marks_of_other_forms_are_no_text_in_webvtt(mark: str) -> None:
    said = cues(f"WEBVTT\n\n00:01.000 --> 00:02.000\n{mark}하나<br>둘\n", "vtt")
    assert [cue[2] for cue in said] == ["하나 둘"]


def test_captions_that_slide_are_said_once() -> None:
    texts = (
        "오늘은 날씨가",
        "오늘은 날씨가 아주 좋습니다.",
        "아주 좋습니다 그래서",
        "그래서 밖에 나갑니다.",
    )
    found = [cue[2] for cue in cues(live(*texts, "밖에 나갑니다. 네."), "srt")]
    assert " ".join(found) == "오늘은 날씨가 아주 좋습니다. 그래서 밖에 나갑니다. 네."
    said = ("네.", "네.", "그래 가자.", "가자.", "어디?")  # people, not captions
    assert [cue[2] for cue in cues(live(*said), "srt")] == list(said)


def live(*texts: str) -> str:
    return "\n".join(
        f"{n}\n00:00:{n:02d},000 --> 00:00:{n + 1:02d},000\n{text}\n"
        for n, text in enumerate(texts, start=1)
    )


def test_captions_that_grow_are_said_once_in_their_whole_time() -> None:
    grown = live("오", "오늘", "오늘 날씨", "오늘 날씨가 좋네요", "산책", "산책 가요")
    assert cues(grown, "srt") == [
        (1.0, 5.0, "오늘 날씨가 좋네요", None),
        (5.0, 7.0, "산책 가요", None),
    ]
    shown_again = live("가나", "가나", "가나", "다라", "다라", "다라")
    assert cues(shown_again, "srt") == [(1.0, 4.0, "가나", None), (4.0, 7.0, "다라", None)]


def test_what_two_people_say_alike_is_said_twice() -> None:
    assert [cue[2] for cue in cues(live("네.", "네.", "가요.", "어디로?"), "srt")] == [
        *("네.", "네.", "가요.", "어디로?")
    ]


def test_captions_that_roll_may_get_their_full_stops_later() -> None:
    rolled = live("가나", "가나.\n다라", "다라,\n마바", "마바!\n사아")
    assert [cue[2] for cue in cues(rolled, "srt")] == ["가나", "다라", "마바", "사아"]
