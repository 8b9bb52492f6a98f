"""Numbers in a sentence: how much they say, and how they are read before what is counted."""

from __future__ import annotations

import re

from soritune.languages.ko.counters import ends_word, find_counter
from soritune.languages.ko.numerals import (
    LARGE_UNITS,
    MAX_SINO,
    SMALL_UNITS,
    digit_by_digit,
    native,
    ordinal,
    sino,
)

NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_MULTIPLE = rf"{NUMBER}(?:[천백십]?[만억조경]|[천백십])"
AMOUNT = rf"(?:{_MULTIPLE}(?: ?{_MULTIPLE})*(?: ?\d{{1,4}}(?![\d,.]))?|{NUMBER})"
"""A number as it is written: 1,234 or 3.14 or 12억 3456만 7898 or 5천."""
_PART = re.compile(rf"({NUMBER})([천백십]?)([만억조경]?)")
# Not inside of a version (1.2.3), a code (MP3, COVID-19) or a range that is not resolved.
_VERSION = re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\d)")
_START = re.compile(rf"(?:(?<![\w.,])(?<![A-Za-z]-)|(?<=[가-힣_])){AMOUNT}")
_SERVICES = {112, 114, 119}
"""Police, directory and fire brigade: their numbers are said digit by digit."""
_MAX_DIGITS = 20
"""10^20 is where the Sino-Korean units of this folder end; longer ones are codes."""
_PLACES = re.compile(
    " ?(?:출구|문제|버스|게이트|승강장|창구|타자|국도|후보|홈|교향곡|트랙|채널|문항|아이언)"
)
_CLOCK = ("시", "분", "초", "월", "일")
_NAMED = (
    *("학번", "호", "호선", "호점", "호기", "번", "번선", "번지", "번길", "동", "선", "자리"),
    *("년", "년도", "년생", "년대"),
)
"""Behind these, a zero in front is said: 05학번, 07년생, 마을버스 02번."""
_COPULA = re.compile("인(?:데|지|가|즉|걸| 것| 경우)")
_GUESTS = re.compile("(?:손님|고객|고객님|어르신|선생님|할머니|할아버지|어른) ?$")
_VEHICLES = re.compile("(?:차|트럭|버스|택시|컴퓨터|카메라|비행기|자전거) ?$")
_AFTER_ORDINAL = re.compile(r"(?:^|\s)제 ?$")


def spell_amounts(text: str) -> str:
    """Return `text` with every number that stands for an amount or an order as words."""
    words = []
    done = 0
    while found := _START.search(text, done):
        words.append(text[done : found.start()])
        version = _VERSION.match(text, found.start())
        if version:
            words.append(version.group())
            done = version.end()
            continue
        amount, end = _without_counter(found.group(), text, found.end())
        if text[end : end + 1].isascii() and text[end : end + 1].isalpha():
            words.append(amount)
        else:
            before = text[: found.start()]
            phrase, end = _phrase(amount, before, text, end)
            joined = not _ends_in_hangul(before) or _AFTER_ORDINAL.search(before)
            words.append(phrase if joined else f" {phrase}")
        done = end
    return "".join(words) + text[done:]


def read_amount(amount: str) -> str:
    """Read an amount alone: 3만 5천 → 삼만 오천, 3.14 → 삼 점 일사, 007 → 공공칠."""
    plain = amount.replace(",", "")
    if re.fullmatch(r"0\d+", plain) or (plain.isdigit() and len(plain) > _MAX_DIGITS):
        return digit_by_digit(plain)
    number = value(amount)
    if number is not None:
        return sino(number)
    return " ".join(
        _decimal(found[1].replace(",", "")) + found[2] + found[3]
        for found in _PART.finditer(amount)
    )


def value(amount: str) -> int | None:
    """Return the whole number of an amount, None where it has decimals or units out of order."""
    total, last = 0, MAX_SINO
    for found in _PART.finditer(amount):
        digits, small, large = found.groups()
        myriad = LARGE_UNITS.get(large, 1)
        if "." in digits or len(digits) > _MAX_DIGITS:
            return None
        number = int(digits.replace(",", "")) * SMALL_UNITS.get(small, 1) * myriad
        if number >= last:
            return None
        total += number
        last = myriad if large else SMALL_UNITS.get(small, 1)
    return total if total < MAX_SINO else None


def _phrase(amount: str, before: str, text: str, end: int) -> tuple[str, int]:
    """Return the words of `amount` with the counter after it, and where `text` goes on."""
    number = value(amount)
    if text.startswith("째", end) and number is not None and 1 <= number < 100:
        return ordinal(number), end + 1
    counter, after = find_counter(text, end), end
    if counter is None and text[end : end + 1] == " ":
        after = end + 1
        counter = find_counter(text, after)
        if counter is not None and not ends_word(text, after + len(counter.word)):
            counter = None
    if counter is not None and counter.word == "인" and _COPULA.match(text, after):
        counter = None  # 8647인데: "is", not persons
    if counter is None:
        if number in _SERVICES and amount.isdigit():
            return digit_by_digit(amount), end
        return read_amount(amount), end
    after += len(counter.word)
    if number is None or (amount.startswith("0") and _is_name(amount, counter.word)):
        return f"{read_amount(amount)} {counter.word}", after
    if _is_sino_here(counter.word, number, before, text[after:]):
        return f"{sino(number)} {counter.word}", after
    if counter.word == "분" and 1 <= number < 20 and _GUESTS.search(before):
        return f"{native(number)} 분", after
    return counter.phrase(number), after


def _is_name(amount: str, word: str) -> bool:
    """Return whether a number with a zero in front names something: 05학번, 007호, not 09시."""
    if re.fullmatch(r"0\d", amount) is None:
        return amount != "0"
    return word in _NAMED or (amount == "00" and word not in _CLOCK)


def _is_sino_here(word: str, number: int, before: str, after: str) -> bool:
    """Return whether a counter of both systems has the Sino-Korean one in this sentence."""
    if _AFTER_ORDINAL.search(before):
        return word != "번째"
    if word == "번":
        return _PLACES.match(after) is not None
    if word == "대":  # 3 대 2; 20대, an age
        decade = number in range(10, 100, 10) and not _VEHICLES.search(before)
        return decade or re.match(r" ?\d", after) is not None
    return False


def _without_counter(amount: str, text: str, end: int) -> tuple[str, int]:
    """Remove the last letter where it begins a counter: 2조각, 3경기."""
    if amount[-1].isdigit():
        return amount, end
    counter = find_counter(text, end - 1)
    if counter is not None and len(counter.word) > 1:
        return amount[:-1], end - 1
    return amount, end


def _decimal(digits: str) -> str:
    whole, _, fraction = digits.partition(".")
    words = sino(int(whole)) if len(whole) <= _MAX_DIGITS else digit_by_digit(whole)
    return f"{words} 점 {digit_by_digit(fraction, zero='영')}" if fraction else words


def _ends_in_hangul(text: str) -> bool:
    return bool(text) and "가" <= text[-1] <= "힣"
