"""`report.html` as a file: what is in it, what is not, and that no text becomes markup."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jiwer
import numpy as np
import pytest
from made_report import HOSTILE, a_background, a_report, evaluated

from soritune.report.curves import chart
from soritune.report.page import page, write_page
from soritune.report.sound import FOLDER, MAX_PAGE_BYTES, Sound, keep_sound, load_sound
from soritune.report.utterances import MAX_TEXT, CaseTexts, character_errors, page_data

SILENT = Sound({}, beside=False)

KEY = "0123456789abcdef01234567"


class Parsed(HTMLParser):
    """Tags, attributes, and the texts of scripts by id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.scripts: dict[str, str] = {}
        self.text = ""
        self._script = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._script = (dict(attrs).get("id") or "code") if tag == "script" else ""

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._script = ""


def made(**changes: object) -> Parsed:
    return Parsed(page(a_report(), [replace(evaluated(), **changes)], a_background(), SILENT))


def test_the_page_is_one_file_that_asks_for_nothing() -> None:
    html = page(a_report(), [evaluated()], a_background(), SILENT)
    parsed = Parsed(html)
    assert not {"link", "img", "iframe", "object"} & set(parsed.tags)
    assert not [v for name, v in parsed.attributes if name in ("src", "action") or "://" in v]
    assert not re.search(r"@import|url\(", html)
    policy = next(v for name, v in parsed.attributes if v.startswith("default-src"))
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "connect-src" not in policy  # default-src: no connection at all


def test_every_word_of_the_interface_is_there_in_both_languages() -> None:
    parsed = made()
    words = json.loads(parsed.scripts["words"])
    assert all(len(each) == 2 and all(each) for each in words.values())
    script = parsed.scripts["code"]
    asked = {
        v for name, v in parsed.attributes if name.startswith("data-t") and name != "data-values"
    }
    asked |= set(re.findall(r'say\("([^"]+)"', script))
    assert asked <= words.keys()
    for english, korean in words.values():
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", korean))


def test_the_records_stand_in_the_page() -> None:
    text = " ".join(made().text.split())
    for expected in [
        "lora-1 (LoRA)",
        "12.3",
        "gate failed",
        "+10.50",
        "better, p < 0.001",
        "truncation",
        "2 to 5 s",
        "cer|unit:char",
        "16 of 16",
        "name: demo-recipe",
        "made by a synthesizer",
        "speakers in train and test",
    ]:
        assert expected in text, expected


def test_hostile_names_and_texts_stay_text() -> None:
    report = a_report(HOSTILE)
    html = page(report, [evaluated(HOSTILE)], a_background(HOSTILE), SILENT)
    plain = Parsed(page(a_report(), [evaluated()], a_background(), SILENT))
    parsed = Parsed(html)
    assert parsed.tags == plain.tags
    assert {name for name, _ in parsed.attributes} == {name for name, _ in plain.attributes}
    assert json.loads(parsed.scripts["data-records"])["evaluations"][0]["references"][0] == HOSTILE
    assert parsed.scripts["code"] == plain.scripts["code"]
    assert HOSTILE in parsed.text


@pytest.mark.parametrize("text", ["half \ud800 of one", "\x00\x07", "\u2028", "e\u0301", "a" * 9])
def test_odd_characters_reach_the_script_as_they_are(text: str) -> None:
    html = page(a_report(), [evaluated(text)], a_background(), SILENT)
    html.encode("utf-8")
    read = json.loads(Parsed(html).scripts["data-records"])["evaluations"][0]
    assert read["references"][0] == text


def test_errors_of_utterances_add_up_to_the_raw_cer() -> None:
    """By jiwer."""
    one = evaluated()
    data = page_data(one)
    for place, case in enumerate(one.cases):
        rate = jiwer.cer(list(one.references), list(case.texts))
        errors = sum(data["cases"][place]["errors"])
        assert errors / sum(data["lengths"]) == pytest.approx(rate)


def test_long_texts_are_cut_and_say_so() -> None:
    long = "가" * (MAX_TEXT + 5)
    one = evaluated()
    case = replace(one.cases[0], texts=[long, *one.cases[0].texts[1:]])
    data = page_data(replace(one, cases=[case]))
    assert len(data["cases"][0]["texts"][0]) == MAX_TEXT
    assert data["cases"][0]["cut"] == {0: MAX_TEXT + 5}
    assert data["cases"][0]["errors"][0] == character_errors(one.references[0], long)


def test_texts_of_a_megabyte_are_compared_in_a_moment_or_not_at_all() -> None:
    assert character_errors("가" * 10, "나" * 1_000_000) == 1_000_000
    assert character_errors("가" * 1_000_000, "나" * 1_000_000) is None


def test_sound_is_inside_a_small_page_and_beside_a_large_one(tmp_path: Path) -> None:
    samples = np.sin(np.arange(16000, dtype=np.float32) / 20) * np.float32(0.3)
    keep_sound(tmp_path / FOLDER, {KEY: lambda: samples, "0" * 24: lambda: samples})
    (tmp_path / FOLDER / "mine.mp3").write_bytes(b"mine")
    keep_sound(tmp_path / FOLDER, {KEY: lambda: pytest.fail("is encoded once")})
    kept = {path.name for path in (tmp_path / FOLDER).iterdir()}
    assert kept == {f"{KEY}.mp3", "mine.mp3"}
    assert load_sound(tmp_path / FOLDER, [KEY], 100_000).inside.keys() == {KEY}
    beside = load_sound(tmp_path / FOLDER, [KEY], MAX_PAGE_BYTES - 100)
    assert beside.beside
    assert beside.data["folder"] == FOLDER


def test_the_encoded_sound_is_the_recording(tmp_path: Path) -> None:
    import io

    import soundfile

    from soritune.report.sound import encode

    samples = np.sin(np.arange(32000, dtype=np.float32) / 20) * np.float32(0.3)
    heard, rate = soundfile.read(io.BytesIO(encode(samples)), dtype="float32")
    assert rate == 16000
    assert len(encode(samples)) < 12_000  # two seconds
    best = max(
        float(np.corrcoef(samples[2000:30000], heard[2000 + lag : 30000 + lag])[0, 1])
        for lag in range(0, 1500)
    )
    assert best > 0.99


def test_a_page_without_a_result_says_so(tmp_path: Path) -> None:
    from made_report import bare_report

    write_page(tmp_path / "report.html", bare_report(), [], replace(a_background(), findings=None))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nothing is decoded yet." in text
    assert "soritune doctor recipe.yaml" in text


def test_curves_are_drawn_to_scale() -> None:
    """Hand-computed: 0–100 steps over 464 units from 44, 0–4 over 166 units up from 176."""
    drawn = chart("loss", {"a": [(0, 4.0), (50, 2.0), (100, 0.0)], "b": [(1, float("nan"))]})
    assert drawn is not None
    assert [curve.case for curve in drawn.curves] == ["a"]
    assert drawn.curves[0].line == "44.0,10.0 276.0,93.0 508.0,176.0"
    assert [tick.text for tick in drawn.values] == ["0", "1", "2", "3", "4"]
    assert chart("loss", {"a": [(1, 1.0)]}) is None


def test_a_failure_of_a_case_is_kept_by_its_place() -> None:
    case = CaseTexts("x", ["a", "b"], [(), ("loop", "empty")])
    data = page_data(replace(evaluated(), ids=["1", "2"], references=["a", "b"], cases=[case]))
    assert data["cases"][0]["failures"] == {1: ("loop", "empty")}
