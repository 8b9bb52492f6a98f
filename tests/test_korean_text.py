"""Korean text: every rule by hand-made cases, and what holds for all numbers."""

from __future__ import annotations

import itertools
import random
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from soritune.languages.ko.characters import FINALS, INITIALS, VOWELS, compose, unify
from soritune.languages.ko.letters import spell_letters
from soritune.languages.ko.normalization import normalize, syllables
from soritune.languages.ko.numerals import native, ordinal, sino
from soritune.languages.ko.spell import spell_numbers
from soritune.languages.punctuation import drop_punctuation

CASES_FILE = Path(__file__).parent / "korean_cases.tsv"
TASKS: dict[str, Callable[[str], str]] = {
    "spell": lambda text: spell_numbers(unify(text)),
    "letters": spell_letters,
    "unify": unify,
    "drop": drop_punctuation,
}
LINES = CASES_FILE.read_text(encoding="utf-8").splitlines()
ROWS = [line.split("\t") for line in LINES if not line.startswith("#") and "\t" in line]
CASES = [(task, given, right) for task, given, right in ROWS if task in TASKS]


@pytest.mark.parametrize(("task", "given", "right"), CASES)
def test_a_case_is_as_a_korean_wrote_it(task: str, given: str, right: str) -> None:
    assert TASKS[task](given) == right.partition("|")[0]


def test_there_are_enough_cases() -> None:
    assert sum(case[0] == "spell" for case in CASES) >= 200


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "영"),
        (1, "일"),
        (10, "십"),
        (16, "십육"),
        (110, "백십"),
        (1111, "천백십일"),
        (10_000, "만"),
        (10_001, "만 일"),
        (110_000, "십일만"),
        (100_000_000, "일억"),
        (100_010_000, "일억 일만"),
        (10**12, "일조"),
        (1_234_567_898, "십이억 삼천사백오십육만 칠천팔백구십팔"),
    ],
)
def test_sino_korean_numbers(number: int, words: str) -> None:
    assert sino(number) == words


@pytest.mark.parametrize(
    ("number", "counted", "alone"),
    [
        (1, "한", "하나"),
        (4, "네", "넷"),
        (20, "스무", "스물"),
        (21, "스물한", "스물하나"),
        (55, "쉰다섯", "쉰다섯"),
        (99, "아흔아홉", "아흔아홉"),
    ],
)
def test_native_numbers(number: int, counted: str, alone: str) -> None:
    assert native(number) == counted
    assert native(number, counted=False) == alone


def test_ordinals_are_those_of_the_rules_of_standard_korean() -> None:
    numbers = {1: "첫째", 2: "둘째", 3: "셋째", 4: "넷째", 5: "다섯째", 10: "열째", 11: "열한째"}
    numbers |= {12: "열두째", 13: "열셋째", 20: "스무째", 22: "스물두째", 32: "서른두째"}
    assert {number: ordinal(number) for number in numbers} == numbers


def test_every_syllable_is_composed_of_what_is_typed_and_of_its_conjoining_letters() -> None:
    every = "".join(map(chr, range(ord("가"), ord("힣") + 1)))
    assert len(every) == 11_172
    typed = itertools.product(INITIALS, VOWELS, ["", *FINALS])  # Unicode's order of syllables
    assert compose("".join(map("".join, typed))) == every
    assert compose("ㄱㅏㅄ ㅆㅘㅆㄷㅏ") == "값 쐈다"
    assert unify(unicodedata.normalize("NFD", every)) == every


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("안녕하세요", 5),
        ("", 0),
        ("3시 30분", 5),  # 세 시 삼십 분
        ("12,000원", 4),  # 만 이천 원
        ("KBS", 5),  # 케이비에스
        ("W", 3),  # 더블유
        ("50%", 5),  # 오십 퍼센트
        ("ㅋㅋ 좋아!", 2),
        ("banana 2개", 5),
        ("MP3", 4),  # 엠피스리
        (unicodedata.normalize("NFD", "한국"), 2),
    ],
)
def test_syllables_are_those_that_are_said(text: str, number: int) -> None:
    assert syllables(text) == number


def test_normalize_does_what_its_options_say() -> None:
    text = "ＫＢＳ 뉴스, 9시 30분에  25%…"
    assert normalize(text) == "KBS 뉴스, 9시 30분에 25%…"
    assert normalize(text, punctuation="drop") == "KBS 뉴스 9시 30분에 25%"
    assert normalize(text, numerals="words", punctuation="drop", letters="hangul") == (
        "케이비에스 뉴스 아홉 시 삼십 분에 이십오 퍼센트"
    )


@pytest.mark.parametrize("numerals", ["keep", "words"])
@pytest.mark.parametrize("punctuation", ["keep", "drop"])
def test_to_normalize_twice_changes_nothing_more(numerals: str, punctuation: str) -> None:
    for _, given, _ in CASES:
        once = normalize(given, numerals=numerals, punctuation=punctuation)  # type: ignore[arg-type]
        assert normalize(once, numerals=numerals, punctuation=punctuation) == once  # type: ignore[arg-type]


def test_strange_text_is_neither_an_error_nor_slow() -> None:
    draw = random.Random(3)
    letters = "0123456789.,:-~/만억일이십 월시개₩$%가\u1112ㅎﾡ\ud55c\U0001f600A"
    started = time.perf_counter()
    for _ in range(300):
        text = "".join(draw.choices(letters, k=60))
        normalize(text, numerals="words", punctuation="drop", letters="hangul")
        syllables(text)
    for text in (
        "1" * 5000,
        "1" * 5000 + ".5",
        "9" * 21 + "만",
        "일" * 5000,
        "1," * 3000,
        "만 " * 3000,
        "공일공 " * 1000,
    ):
        normalize(text, numerals="words")
    assert time.perf_counter() - started < 30


# 표준국어대사전 has the names of the units; an abbreviation is named by its letters.
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("물 2L", "물 이 리터"),
        ("3g", "삼 그램"),
        ("100m", "백 미터"),
        ("30m²", "삼십 제곱미터"),
        ("KBS2", "케이비에스 이"),
        ("5G 폰 2대", "파이브지 폰 두 대"),
    ],
)
def test_units_are_read_before_letters_are_named(written: str, said: str) -> None:
    assert normalize(written, numerals="words", letters="hangul") == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("03명이 07박 08일", "세 명이 칠 박 팔 일"),
        ("02개월", "이 개월"),
        ("제06회", "제육 회"),
        ("06살 09세", "여섯 살 구 세"),
        ("03교시 05층", "삼 교시 오 층"),
        ("02번째", "두 번째"),
        ("05kg 07%", "오 킬로그램 칠 퍼센트"),
        # Names: the zero is said.
        ("05학번", "공오 학번"),
        ("007 영화", "공공칠 영화"),
        ("마을버스 02번", "마을버스 공이 번"),
        ("101동 0203호", "백일 동 공이공삼 호"),
        ("02-345-6789", "공이 삼사오 육칠팔구"),
        ("00학번", "공공 학번"),
        ("0교시 0시", "영 교시 영 시"),
    ],
)
def test_a_zero_in_front_is_said_only_in_names(written: str, said: str) -> None:
    assert spell_numbers(unify(written)) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("3㎢", "삼 제곱킬로미터"),
        ("30m2", "삼십 제곱미터"),
        ("5㎥", "오 세제곱미터"),
        ("10㎝", "십 센티미터"),
        ("3㎖", "삼 밀리리터"),
        ("5kWh", "오 킬로와트시"),
        ("100Mbps", "백 메가비피에스"),
        ("15min", "십오 분"),
        ("3000rpm", "삼천 알피엠"),
        ("50μm", "오십 마이크로미터"),
        ("12.5oz", "십이 점 오 온스"),
        ("5mg/dL", "5mg/dL"),  # all of it or nothing
    ],
)
def test_units_of_other_kinds_are_named_before_letters_are(written: str, said: str) -> None:
    assert spell_numbers(unify(written)) == said
    form = {"numerals": "words", "letters": "hangul", "punctuation": "keep", "spacing": "keep"}
    if said != written:
        assert normalize(written, **form) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1,2위를 했다", "일, 이 위를 했다"),
        ("3,4월에는", "삼, 사월에는"),
        ("1,2차 대전", "일, 이 차 대전"),
        ("10,20대 남성", "십, 이십 대 남성"),
        ("1,2,3등", "일, 이, 삼등"),
        ("사과 4,5개", "사과 네, 다섯 개"),
        ("1,200명과 3,4명", "천이백 명과 세, 네 명"),
        ("비타민 20㎍", "비타민 이십 마이크로그램"),
        ("10ms 안에", "십 밀리초 안에"),
        ("25\u00b5s", "이십오 마이크로초"),
        ("6/3(월) 오전", "유월 삼 일(월) 오전"),
        ("06/03과 12/05", "유월 삼 일과 십이월 오 일"),
        ("6/30 (토)", "유월 삼십 일 (토)"),
        ("3/6", "육분의 삼"),
        ("500MW급, 3kΩ", "오백 메가와트급, 삼 킬로옴"),
        ("1,013hPa의", "천십삼 헥토파스칼의"),
    ],
)
def test_numbers_with_one_counter_are_all_read(written: str, said: str) -> None:
    assert normalize(written, numerals="words") == said
