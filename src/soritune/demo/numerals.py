"""Numbers as words: the two Korean systems and English, spelled so that spoken equals written."""

from __future__ import annotations

_NATIVE_ONES = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
_NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
# Forms that change before a counter: 하나 → 한 시, 스물 → 스무 살.
_BEFORE_COUNTER = {"하나": "한", "둘": "두", "셋": "세", "넷": "네"}
_SINO_DIGITS = ("", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
_MONTHS = {6: "유월", 10: "시월"}  # the two months whose number loses a consonant

# fmt: off
_ENGLISH = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
# fmt: on
_ENGLISH_TENS = (
    "",
    "",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
)
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def native(number: int) -> str:
    """Native Korean numeral before a counter, 1 to 99: 1 → 한, 20 → 스무, 25 → 스물다섯."""
    if not 1 <= number <= 99:
        raise ValueError(f"native numerals are written for 1 to 99, not {number}")
    tens, ones = divmod(number, 10)
    if ones == 0:
        return "스무" if tens == 2 else _NATIVE_TENS[tens]
    one = _NATIVE_ONES[ones]
    return _NATIVE_TENS[tens] + _BEFORE_COUNTER.get(one, one)


def sino(number: int) -> str:
    """Sino-Korean numeral, 1 to 99,999,999, with a space behind 만: 15000 → 만 오천."""
    if not 1 <= number < 100_000_000:
        raise ValueError(f"Sino-Korean numerals are written for 1 to 99,999,999, not {number}")
    myriads, rest = divmod(number, 10_000)
    parts = []
    if myriads:
        parts.append(("" if myriads == 1 else _below_myriad(myriads)) + "만")
    if rest:
        parts.append(_below_myriad(rest))
    return " ".join(parts)


def _below_myriad(number: int) -> str:
    word = ""
    for unit, value in (("천", 1000), ("백", 100), ("십", 10), ("", 1)):
        digit, number = divmod(number, value)
        if digit:
            word += ("" if digit == 1 and unit else _SINO_DIGITS[digit]) + unit
    return word


def month(number: int) -> str:
    """Korean name of a month, 1 to 12: 6 → 유월, 10 → 시월."""
    if not 1 <= number <= 12:
        raise ValueError(f"no month {number}")
    return _MONTHS.get(number, sino(number) + "월")


def english(number: int) -> str:
    """English words, 0 to 999,999, without hyphens or "and": 125 → one hundred twenty five."""
    if not 0 <= number < 1_000_000:
        raise ValueError(f"English numbers are written for 0 to 999,999, not {number}")
    if number >= 1000:
        thousands, rest = divmod(number, 1000)
        return f"{english(thousands)} thousand" + (f" {english(rest)}" if rest else "")
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        return f"{_ENGLISH[hundreds]} hundred" + (f" {english(rest)}" if rest else "")
    if number < 20:
        return _ENGLISH[number]
    tens, ones = divmod(number, 10)
    return _ENGLISH_TENS[tens] + (f" {_ENGLISH[ones]}" if ones else "")


def ordinal(number: int) -> str:
    """English ordinal: 3 → third, 20 → twentieth, 25 → twenty fifth."""
    *head, last = english(number).split()
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return " ".join([*head, last])
