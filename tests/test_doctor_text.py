"""Transcripts: near sentences against comparing all with all; rates, characters, numbers."""

from __future__ import annotations

import random

import pytest
from rapidfuzz import fuzz

from soritune.doctor.sentences import near_sentences
from soritune.doctor.text_checks import robust_z
from soritune.doctor.words import (
    number_forms,
    unusual_characters,
    usual_scripts,
)
from soritune.languages import find_language
from soritune.sources.corpora.demo.sentences import all_pairs
from soritune.utterance import sentence_key


def test_near_sentences_are_those_that_comparing_all_with_all_finds() -> None:
    """On sentences from templates, where nearly all have a near one."""
    for text in ("korean", "english"):
        keys = sorted({sentence_key(getattr(pair, text)) for pair in all_pairs()[::19]})
        random.Random(1).shuffle(keys)
        ones, others = keys[:120], keys[120:]
        found = {near.one: near for near in near_sentences(ones, others)}
        for place, one in enumerate(ones):
            ratios = [fuzz.ratio(one, other) for other in others]
            best = max(ratios)
            if best >= 90:
                assert found[place].ratio == best
                assert found[place].other == ratios.index(best)
            else:
                assert place not in found
        assert 10 < len(found) < len(ones)


def test_short_and_repetitive_sentences_are_compared_as_well() -> None:
    draw = random.Random(2)
    ones = ["".join(draw.choice("ab") for _ in range(draw.randint(1, 26))) for _ in range(150)]
    others = ["".join(draw.choice("ab") for _ in range(draw.randint(1, 26))) for _ in range(150)]
    found = {near.one for near in near_sentences(ones, others)}
    expected = {
        place
        for place, one in enumerate(ones)
        if any(fuzz.ratio(one, other) >= 90 for other in others)
    }
    assert found == expected
    assert 0 < len(expected) < len(ones)


def test_nothing_is_near_nothing() -> None:
    assert list(near_sentences([], ["가"])) == []
    assert list(near_sentences(["", "가나다"], [])) == []


def test_korean_is_measured_in_syllables_as_it_is_read() -> None:
    assert find_language("ko").spoken_units("오늘 3시에 만나요!") == 8
    assert find_language("ko").spoken_units("KBS 뉴스 30%") == 12  # 케이비에스 뉴스 삼십 퍼센트
    assert find_language("ko").spoken_units("...") == 0


def test_other_languages_are_measured_in_letters() -> None:
    assert find_language("en").spoken_units("It's 5 o'clock.") == 10


def test_the_usual_characters_of_korean() -> None:
    scripts = usual_scripts([], "ko")
    usual = '가힣 abc Zürich 0-9, 3.14% (예) "말" ‘인용’ “인용” … · ~ ! ? : ; & / @ $5 ₩100 20°C'
    assert unusual_characters(usual, "ko", scripts) == []


@pytest.mark.parametrize(
    "character",
    [
        "ㅋ",
        "ㅏ",
        "大",
        "あ",
        "ア",
        "Я",
        "😀",
        "\ufffd",
        "*",
        "#",
        "_",
        "<",
        "１",
        "，",
        "\u3000",
        "\t",
    ],
)
def test_unusual_characters_of_korean(character: str) -> None:
    text = f"가나{character}다{character}"
    assert unusual_characters(text, "ko", usual_scripts([], "ko")) == [character]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Don’t panic — “naïve café”, 50% off & more… (really?)"),
        ("de", "Größe, Straße; „Anführung“ – 3,5 €"),
        ("ja", "今日は、カメラを買いました。ＡＢＣ"),
        ("zh", "今天，天气很好。"),
        ("ru", "Сегодня — хорошая погода."),
        ("hi", "आज मौसम अच्छा है।"),
        ("ar", "الطقس جميل اليوم، أليس كذلك؟ ٢٣"),
        ("th", "วันนี้อากาศดี"),
        ("am", "ዛሬ ጥሩ ቀን ነው።"),  # not in the table: the script of most letters
    ],
)
def test_other_languages_give_no_false_alarm(language: str, text: str) -> None:
    assert unusual_characters(text, language, usual_scripts([text], language)) == []


def test_another_script_in_english_is_seen() -> None:
    assert unusual_characters("Mосква 서울", "en", usual_scripts([], "en")) == list("осква서울")


@pytest.mark.parametrize(
    ("language", "text", "forms"),
    [
        ("ko", "사과 세 개 주세요", {"세 개": {"words"}}),
        ("ko", "사과 3개 주세요", {"세 개": {"digits"}}),
        ("ko", "삼십 분 걸려요", {"삼십 분": {"words"}}),
        ("ko", "30분 걸려요", {"삼십 분": {"digits"}}),
        ("ko", "세 명이 30분 동안", {"세 개": {"words"}, "삼십 분": {"digits"}}),
        ("ko", "이 사람은 만원 버스를 탔다", {}),
        ("ko", "세계적인 개발자", {}),
        ("ko", "일요일에 이천에 가요", {}),
        ("en", "twenty one people", {"": {"words"}}),
        ("en", "21 people", {"": {"digits"}}),
        ("en", "no one often attends", {}),
        ("de", "21 Leute", {}),
    ],
)
def test_forms_of_numbers(language: str, text: str, forms: dict[str, set[str]]) -> None:
    assert number_forms(text, language) == forms


def test_robust_z_by_hand() -> None:
    # Median 3, absolute deviations 2 1 0 1 97: their median is 1, so sigma is 1.4826.
    assert robust_z([1, 2, 3, 4, 100]) == pytest.approx(
        [-1.349, -0.6745, 0, 0.6745, 65.43], abs=0.01
    )
    assert robust_z([5, 5, 5, 6], least=0.5) == [0, 0, 0, 2]
