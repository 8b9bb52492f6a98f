"""Korean text: every rule by hand-made cases, and what holds for all numbers."""

from __future__ import annotations

import random
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from soritune.languages.ko import (
    compose,
    decompose,
    normalize,
    spell_numbers,
    syllables,
    unify,
    write_numbers,
)
from soritune.languages.ko.counters import COUNTERS
from soritune.languages.ko.letters import spell_letters
from soritune.languages.ko.numerals import native, ordinal, parse_native, parse_sino, sino
from soritune.languages.ko.punctuation import drop_punctuation

CASES_FILE = Path(__file__).parent / "korean_cases.tsv"
TASKS: dict[str, Callable[[str], str]] = {
    "spell": lambda text: spell_numbers(unify(text)),
    "write": write_numbers,
    "letters": spell_letters,
    "unify": unify,
    "drop": drop_punctuation,
}
LINES = CASES_FILE.read_text(encoding="utf-8").splitlines()
ROWS = [line.split("\t") for line in LINES if not line.startswith("#") and "\t" in line]
CASES = [(task, given, right) for task, given, right in ROWS if task in TASKS]
NUMBERS = [*range(200), *(random.Random(5).randrange(10**6) for _ in range(300)), 10**4, 10**6]


@pytest.mark.parametrize(("task", "given", "right"), CASES)
def test_a_case_is_as_a_korean_wrote_it(task: str, given: str, right: str) -> None:
    assert TASKS[task](given) == right.partition("|")[0]


def test_there_are_enough_cases() -> None:
    assert sum(case[0] in ("spell", "write") for case in CASES) >= 200


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
    assert parse_sino(words) == number


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
    assert parse_native(counted) == number


def test_ordinals_are_those_of_the_rules_of_standard_korean() -> None:
    numbers = {1: "첫째", 2: "둘째", 3: "셋째", 4: "넷째", 5: "다섯째", 10: "열째", 11: "열한째"}
    numbers |= {12: "열두째", 13: "열셋째", 20: "스무째", 22: "스물두째", 32: "서른두째"}
    assert {number: ordinal(number) for number in numbers} == numbers


@pytest.mark.parametrize(
    "words", ["", "일이", "삼사", "십백", "만만", "일억이조", "이십삼십", "사회"]
)
def test_what_is_no_number_is_none(words: str) -> None:
    assert parse_sino(words) is None


def test_sino_words_of_every_sampled_number_lead_back_to_it() -> None:
    draw = random.Random(1)
    for size in range(1, 20):
        for _ in range(200):
            number = draw.randrange(10**size)
            assert parse_sino(sino(number)) == number


@pytest.mark.parametrize("counter", sorted(COUNTERS))
def test_words_to_digits_to_words_is_no_change_for_any_counter(counter: str) -> None:
    for number in NUMBERS:
        words = spell_numbers(f"{number}{counter}")
        assert spell_numbers(write_numbers(words)) == words


def test_all_but_a_few_small_numbers_become_digits_again() -> None:
    for counter in ("원", "명", "개", "킬로미터", "년"):
        left = [n for n in NUMBERS if write_numbers(spell_numbers(f"{n}{counter}")).isalpha()]
        assert set(left) <= {0, 2}, counter


def test_digits_to_words_to_digits_is_no_change_below_ten_thousand() -> None:
    for number in [n for n in NUMBERS if 2 < n < 10_000]:
        for counter in ("명", "개", "분", "년", "원", "층", "살", "%", "kg"):
            assert write_numbers(spell_numbers(f"{number}{counter}")) == f"{number}{counter}"


def test_every_syllable_is_taken_apart_and_put_together() -> None:
    every = "".join(map(chr, range(ord("가"), ord("힣") + 1)))
    assert len(every) == 11_172
    assert compose(decompose(every)) == every
    assert decompose("값 쐈다") == "ㄱㅏㅄ ㅆㅘㅆㄷㅏ"
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
    assert normalize("아홉 시 삼십 분", numerals="digits") == "9시 30분"


@pytest.mark.parametrize("numerals", ["keep", "words", "digits"])
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
        for numerals in ("words", "digits"):
            normalize(text, numerals=numerals, punctuation="drop", letters="hangul")  # type: ignore[arg-type]
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
        normalize(text, numerals="digits")
    assert time.perf_counter() - started < 30
