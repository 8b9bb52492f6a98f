"""Lists, names and fields as they are found: read, or refused one by one with a reason."""

from __future__ import annotations

import csv
import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import TypeAdapter

from soritune.corpus.check import check_utterance
from soritune.corpus.shard import Taken
from soritune.decoding.formats import Format, shown
from soritune.decoding.transcriber import Transcript
from soritune.errors import UserError
from soritune.experiment.audited import find_corpora
from soritune.languages.names import language_code
from soritune.sources import SourceConfig, read_source
from soritune.sources.formats.records import table_records
from soritune.utterance import Excerpt, Rejected, Utterance

SOURCE: TypeAdapter[Any] = TypeAdapter(SourceConfig)


def clip(path: Path, duration_s: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, round(16_000 * duration_s))
    soundfile.write(path, noise.astype(np.float32), 16_000)


def entries(path: Path, source: str = "manifest", **settings: Any) -> list[Utterance | Rejected]:
    given = {"source": source, "path": str(path), "language": "ko", "test_share": 0, "dev_share": 0}
    return list(read_source(SOURCE.validate_python({**given, **settings})))


def texts(found: list[Utterance | Rejected]) -> list[str]:
    return [each.text if isinstance(each, Utterance) else each.reason for each in found]


def test_a_quotation_mark_that_is_not_closed_costs_its_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    rows = ["0.wav,내일 아침에", '1.wav,"그가 말했다', '2.wav,"오늘 점심은', "3.wav,버스가", ""]
    path.write_text("audio,text\n" + "\n".join(rows), encoding="utf-8")
    assert texts(entries(path)) == ["내일 아침에", "bad-line", "bad-line", "버스가"]


# Python's csv module, which is RFC 4180, is the truth for tables that keep its rules.
@pytest.mark.parametrize(
    "table",
    [
        "a,b\n1,2\n",
        'a,b\n1,"two\nlines"\n3,4\n',
        'a,b\n"two\nlines",1\n3,4\n',
        'a,b,c\n1,"x ""y"" z",3\n"p,q",,\n',
        'a,b\n1,5" disc\n2,3\n',
        "a\none\ntwo\n",
        'a,b\r\n1,"two\r\nlines and a comma;\r\n"\r\n3,4\r\n',
    ],
)
def test_tables_that_keep_the_rules_are_read_as_ever(table: str) -> None:
    lines = table.splitlines(keepends=True)
    found = [cells for _, cells in table_records(lines, csv.excel)]
    assert found == list(csv.reader(lines))


def test_two_columns_of_one_name_are_told(tmp_path: Path) -> None:
    """Else the last of them is taken, without a word."""
    path = tmp_path / "l.csv"
    path.write_text("audio,text,Text\n0.wav,이것,저것\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"line 1: two columns are called text\. Rename one"):
        entries(path)


def test_one_object_over_many_lines_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    path.write_text(json.dumps({"audio": "a.wav", "text": "글"}, indent=2), encoding="utf-8")
    with pytest.raises(UserError, match="over several lines"):
        entries(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('\n\n{"audio": "a.wav",\n "text": "글"}\n', "over several lines"),
        ('{"audio":\n"a.wav", "text": "글"}\n', "over several lines"),
        ('[\n{"audio": "a.wav", "text": "글"},\n{"audio": "b.wav", "text": "말"}\n]', "JSON array"),
        ('[{"audio": "a.wav", "text": "글"}]', "JSON array"),
    ],
)
def test_json_of_another_layout_is_one_message(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "l.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        entries(path)


def test_a_damaged_first_line_of_json_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    good = '{"audio": "a.wav", "text": "글"}'
    path.write_text(f'{{"audio": "b.wav", "te\n{good}\n', encoding="utf-8")
    assert texts(entries(path)) == ["bad-line", "글"]


def test_a_mark_that_another_program_has_escaped_changes_no_text(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text('audio,text\na.wav,"가 \\"나\\" 다"\nb.wav,말\n', encoding="utf-8")
    assert texts(entries(path)) == ["bad-line", "말"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_list_in_wide_characters_is_called_by_its_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes("audio,text\na.wav,글\n".encode(encoding))
    with pytest.raises(UserError, match=f"is written in {encoding.upper()}; save it as UTF-8"):
        entries(path)


def test_a_list_as_excel_in_korea_saves_it(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes("파일,전사\r\na.wav,내일 봐요\r\n".encode("cp949"))
    assert texts(entries(path, columns={"audio": "파일", "text": "전사"})) == ["내일 봐요"]
    path.write_bytes("audio,text\r\na.wav,내일 봐요\r\n".encode("cp949"))
    assert texts(entries(path)) == ["내일 봐요"]
    (tmp_path / "wav.scp").write_bytes("가 a.wav\n".encode("cp949"))
    (tmp_path / "text").write_bytes("가 내일 봐요\n".encode("cp949"))
    assert texts(entries(tmp_path, "kaldi")) == ["내일 봐요"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "heading",
    [("audio", "text", "speaker"), ("파일", "전사", "화자"), ("파일명", "문장", "화자명")],
)
def test_a_table_is_read_by_what_separates_its_headings(
    tmp_path: Path, separator: str, heading: tuple[str, ...]
) -> None:
    path = tmp_path / "l.csv"
    rows = [heading, ("a.wav", "내일; 아니 모레" if separator == "," else "내일, 모레", "미나")]
    path.write_text("\n".join(map(separator.join, rows)), encoding="utf-8")
    [found] = entries(path)
    assert isinstance(found, Utterance)
    assert (found.text, found.speaker) == (rows[1][1], "미나")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            "녹음;내용\na.wav;내일\n",
            r"no column for the audio; it has 녹음, 내용\. Call one audio, or",
        ),
        ("녹음;내용\na.wav;내일\n", r"columns: \{audio: 녹음\}$"),
        ("파일,내용\na.wav,내일\n", r"no column for the text; .*columns: \{text: 내용\}$"),
        ("a.wav,내일\nb.wav,모레\n", r"a line above it that names the columns, such as audio,text"),
    ],
)
def test_headings_that_say_nothing_are_reported_with_the_key_that_says_it(
    tmp_path: Path, table: str, words: str
) -> None:
    path = tmp_path / "l.csv"
    path.write_text(table, encoding="utf-8")
    with pytest.raises(UserError, match=words):
        entries(path)


def test_a_spreadsheet_is_answered_with_how_to_save_it(tmp_path: Path) -> None:
    path = tmp_path / "recordings.xlsx"
    path.write_bytes(b"PK")
    with pytest.raises(
        UserError, match=r"recordings\.xlsx: is a spreadsheet; save it as CSV UTF-8"
    ):
        entries(path)
    with pytest.raises(UserError, match="is a spreadsheet"):
        find_corpora([path], None, print)


def test_a_list_may_name_files_of_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "l.csv").write_text("audio,text\n~/a.wav,글\n", encoding="utf-8")
    [found] = entries(tmp_path / "l.csv")
    assert isinstance(found, Utterance)
    assert found.audio == tmp_path / "home/a.wav"


def test_recordings_that_are_too_long_or_of_a_phone_are_refused_with_what_to_do(
    tmp_path: Path,
) -> None:
    clip(tmp_path / "long.wav", 31.0)
    # The first box of a file of a phone: ISO/IEC 14496-12, section 4.3.
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x1cftypM4A \0\0\0\0M4A mp42isom" + bytes(4096))
    (tmp_path / "l.csv").write_text("audio,text\nlong.wav,글\na.m4a,글\n", encoding="utf-8")
    found = [check_utterance(each, 0) for each in entries(tmp_path / "l.csv")]  # type: ignore[arg-type]
    assert [each.reason for each in found if isinstance(each, Rejected)] == [
        "too-long",
        "unreadable",
    ]
    details = [each.detail for each in found if isinstance(each, Rejected)]
    assert "lasts 31.0 s; at most 30 s are taken. Cut it at its pauses" in details[0]
    assert "is MPEG-4 (m4a, mp4, 3gp), which is not read. Convert it: ffmpeg" in details[1]


NFC, NFD = (unicodedata.normalize(form, "녹음") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("listed", "stored"), [(NFC, NFD), (NFD, NFC)])
def test_names_in_the_other_unicode_form_are_found(
    tmp_path: Path, listed: str, stored: str
) -> None:
    audio = tmp_path / stored / f"{stored}.wav"
    clip(audio)
    name = f"{listed}/{listed}.wav"
    line = {"audio": name, "text": "내일 봐요"}
    (tmp_path / "l.jsonl").write_text(json.dumps(line), encoding="utf-8")
    (tmp_path / "wav.scp").write_text(f"u {name}\n", encoding="utf-8")
    (tmp_path / "text").write_text("u 내일 봐요\n", encoding="utf-8")
    recording = {"id": "r", "sources": [{"type": "file", "channels": [0], "source": name}]}
    said = {"id": "s", "recording_id": "r", "start": 0, "duration": 1, "text": "내일 봐요"}
    cut = {"id": "c", "start": 0, "duration": 1, "channel": 0, "recording": recording}
    content = json.dumps({**cut, "supervisions": [{**said, "channel": 0}]})
    (tmp_path / "cuts.jsonl").write_text(content, encoding="utf-8")
    (tmp_path / "s.srt").write_text("1\n00:00:00,100 --> 00:00:00,900\n봐요.\n", encoding="utf-8")
    pair = {"audio": name, "subtitles": "s.srt"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair), encoding="utf-8")
    for path, source in (
        (tmp_path / "l.jsonl", "manifest"),
        (tmp_path, "kaldi"),
        (tmp_path / "cuts.jsonl", "lhotse"),
        (tmp_path / "pairs.jsonl", "subtitles"),
    ):
        [found] = entries(path, source)
        assert isinstance(found, Utterance), source
        place = found.audio.path if isinstance(found.audio, Excerpt) else found.audio
        assert place == audio


def test_subtitles_beside_a_recording_in_the_other_unicode_form(tmp_path: Path) -> None:
    clip(tmp_path / f"{NFD}.wav", 3.0)
    srt = "1\n00:00:01,000 --> 00:00:02,000\n봐요.\n"
    (tmp_path / f"{NFC}.ko.srt").write_text(srt, encoding="utf-8")
    (tmp_path / f"._{NFC}.ko.srt").write_bytes(b"\0\5\x16\7")
    (tmp_path / "a.m4a").write_bytes(b"x")
    (tmp_path / "a.srt").write_text(srt, encoding="utf-8")
    clip(tmp_path / "b.wav")
    (tmp_path / "b.smi").write_bytes(b"<SAMI>")
    found = entries(tmp_path, "subtitles")
    assert texts(found) == ["unreadable", "unreadable", "봐요."]
    details = [each.detail for each in found if isinstance(each, Rejected)]
    assert "a.m4a cannot be read" in details[0]
    assert ".srt or .vtt" in details[1]


@pytest.mark.parametrize("ending", ["m4b", "weba", "mkv", "3gp", "wmv"])
def test_recordings_that_are_not_read_are_named_beside_subtitles_and_in_folders(
    tmp_path: Path, ending: str
) -> None:
    clip(tmp_path / "b.wav")
    (tmp_path / f"a.{ending}").write_bytes(b"x")
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\n봐요.\n", encoding="utf-8")
    (tmp_path / "b.srt").write_text("1\n00:00:00,000 --> 00:00:00,400\n네.\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("네.", encoding="utf-8")
    assert texts(entries(tmp_path, "subtitles")) == ["unreadable", "네."]
    assert texts(entries(tmp_path, "folder")) == ["empty-text", "네."]


# ISO 639 (Library of Congress), BCP 47 tags, FLORES and POSIX forms.
@pytest.mark.parametrize(
    ("written", "code"),
    [
        *((name, "ko") for name in ("ko", "Korean", "kor", "kor_Hang", "ko-KR", "ko_KR.UTF-8")),
        *((name, "zh") for name in ("zho", "chi", "cmn_Hans_CN", "zh-TW", "Chinese")),
        ("deu", "de"),
        ("ger", "de"),
        ("iw", "he"),
        ("yue", "yue"),
        ("ENG", "en"),
    ],
)
def test_a_language_has_one_code_however_it_is_written(written: str, code: str) -> None:
    assert language_code(written) == code


def utterance(tmp_path: Path, **fields: Any) -> Taken | Rejected:
    clip(tmp_path / "a.wav")
    given: dict[str, Any] = {"id": "a", "audio": tmp_path / "a.wav", "text": "글", "split": "train"}
    return check_utterance(Utterance(**{"language": "ko", **given, **fields}), 0)


def test_the_corpus_has_the_code(tmp_path: Path) -> None:
    taken = utterance(tmp_path, language="kor_Hang", translation="x", translation_language="eng")
    assert isinstance(taken, Taken)
    assert (taken.utterance.language, taken.utterance.translation_language) == ("ko", "en")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"speaker": "a\udcff"}, "bad-text"),
        ({"language": "\ud800"}, "bad-text"),
        ({"translation": "x", "translation_language": "e\udcff"}, "bad-text"),
        ({"language": "x" * 500}, "bad-language"),
        ({"language": "k\0"}, "bad-language"),
        ({"speaker": "x" * 5000}, "bad-speaker"),
        ({"speaker": "a\nb"}, "bad-speaker"),
    ],
)
def test_fields_that_are_no_text_cost_their_entry(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    found = utterance(tmp_path, **fields)
    assert isinstance(found, Rejected)
    assert found.reason == reason


def test_a_country_in_place_of_a_language_is_answered_with_the_language(tmp_path: Path) -> None:
    found = utterance(tmp_path, language="kr")
    assert isinstance(found, Rejected)
    assert found.detail.endswith('"kr" is a country, write ko for Korean')


@pytest.mark.parametrize("number", ["1e308", "-1e308", "1e400", "9" * 400, "1e10"])
@pytest.mark.parametrize("key", ["offset", "duration"])
def test_times_out_of_all_range_cost_their_line(tmp_path: Path, key: str, number: str) -> None:
    clip(tmp_path / "a.wav")
    times = {"offset": "0.1", "duration": "0.5", key: number}
    line = ", ".join(f'"{name}": {value}' for name, value in times.items())
    (tmp_path / "l.jsonl").write_text(f'{{"audio": "a.wav", "text": "a", {line}}}\n')
    [found] = entries(tmp_path / "l.jsonl")
    assert isinstance(found, Rejected)
    assert found.reason == "bad-line"


def test_a_part_out_of_all_range_is_outside(tmp_path: Path) -> None:
    for times in ((1e308, 1.0), (0.0, 1e308)):
        found = utterance(tmp_path, audio=Excerpt(tmp_path / "a.wav", *times))
        assert isinstance(found, Rejected)
        assert found.reason == "outside"


def test_utf_32_is_told(tmp_path: Path) -> None:
    clip(tmp_path / "a.wav")
    (tmp_path / "a.srt").write_text("1\n00:00:00,100 --> 00:00:00,900\n봐요.\n", encoding="utf-32")
    assert texts(entries(tmp_path, "subtitles")) == ["bad-text"]


def test_a_file_name_in_cp949_is_told_as_a_name(tmp_path: Path) -> None:
    name = os.fsdecode("안녕".encode("cp949"))
    clip(tmp_path / "a.wav")
    (tmp_path / "a.wav").rename(tmp_path / f"{name}.wav")
    (tmp_path / f"{name}.txt").write_bytes("모레 봐요".encode("cp949"))
    [found] = entries(tmp_path, "folder")
    assert isinstance(found, Utterance)
    outcome = check_utterance(found, 0)
    assert isinstance(outcome, Rejected)
    assert "the name is not UTF-8" in outcome.detail
    transcript = Transcript(file=f"{name}.wav", text="모레", translation=None, duration_s=1.0)
    line = shown(transcript, Format.JSON, named=True)
    assert json.loads(line.encode("utf-8"))["file"] == f"{name}.wav"
