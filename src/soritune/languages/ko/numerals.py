"""The two Korean number systems: whole numbers to words, and words back to numbers.

Sources: 한글 맞춤법 제44항 (numbers are spaced by 만: 십이억 삼천사백오십육만 칠천팔백구십팔),
표준어 규정 제6항 (열두째, 스물두째) and 제17항 (서 돈, 넉 냥), 외국인을 위한 한국어 문법 1
(국립국어원 2005: 하나, 둘, 셋, 넷, 스물 become 한, 두, 세, 네, 스무 before what is counted).
"""

from __future__ import annotations

import re

DIGITS = "영일이삼사오육칠팔구"
SMALL_UNITS = {"십": 10, "백": 100, "천": 1000}
LARGE_UNITS = {"만": 10**4, "억": 10**8, "조": 10**12, "경": 10**16}
MAX_SINO = 10**20
MAX_NATIVE = 99
TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
ONES = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
ONES_BEFORE = ("", "한", "두", "세", "네", *ONES[5:])

_GROUP = re.compile(
    "([일이삼사오육칠팔구]?천)?([일이삼사오육칠팔구]?백)?([일이삼사오육칠팔구]?십)?(.)?"
)
_LARGE = re.compile(r"([^만억조경]*)([만억조경]|$)")
_NATIVE_TAIL = re.compile("(.*?[천백])?(.+)")


def word_list(text: str) -> tuple[str, ...]:
    """The words of `text`; a table of short words reads best as running text."""
    return tuple(text.split())


def sino(number: int) -> str:
    """Sino-Korean words, 0 to 10^20 − 1, spaced by 만: 35000 → 삼만 오천.

    One 만 is 만, but one 억 is 일억; the 일 of 일만 is said behind a larger unit.
    """
    if not 0 <= number < MAX_SINO:
        raise ValueError(f"Sino-Korean numerals are written for 0 to 10^20 - 1, not {number}")
    if number < 10:
        return DIGITS[number]
    parts: list[str] = []
    for unit, value in reversed(LARGE_UNITS.items()):
        count, number = divmod(number, value)
        if count:
            bare = unit == "만" and count == 1 and not parts
            parts.append(("" if bare else _below_myriad(count)) + unit)
    if number:
        parts.append(_below_myriad(number))
    return " ".join(parts)


def native(number: int, *, counted: bool = True) -> str:
    """Native words, 1 to 99: before what is counted 한, 스무, 스물한, else 하나, 스물, 스물하나."""
    if not 1 <= number <= MAX_NATIVE:
        raise ValueError(f"native numerals are written for 1 to {MAX_NATIVE}, not {number}")
    tens, ones = divmod(number, 10)
    if counted and number == 20:
        return "스무"
    return TENS[tens] + (ONES_BEFORE if counted else ONES)[ones]


def ordinal(number: int) -> str:
    """The ordinal in 째, 1 to 99: 첫째, 둘째, 열두째 (표준어 규정 제6항), 열셋째, 스무째."""
    if number == 1:
        return "첫째"
    tens, ones = divmod(number, 10)
    if tens and ones in (1, 2):
        return TENS[tens] + ONES_BEFORE[ones] + "째"
    return ("스무" if number == 20 else native(number, counted=False)) + "째"


def digit_by_digit(digits: str, zero: str = "공") -> str:
    """Each digit by itself: 010 → 공일공 (telephone), 14 → 일사 (behind a decimal point)."""
    return "".join(zero if digit == "0" else DIGITS[int(digit)] for digit in digits)


def parse_sino(words: str) -> int | None:
    """The number of Sino-Korean words with or without spaces, None where they are none.

    An 일 that is usually left out may stand (일천, 일만). 일이 and 삼사 are no numbers but two.
    """
    compact = words.replace(" ", "")
    if compact in ("영", "공"):
        return 0
    total, last = 0, MAX_SINO
    for found in _LARGE.finditer(compact):
        group, unit = found.groups()
        if not group and not unit:
            continue
        count = _parse_group(group) if group else (1 if unit == "만" and not total else None)
        value = LARGE_UNITS.get(unit, 1)
        if count is None or value >= last:
            return None
        total, last = total + count * value, value
    return total or None


def parse_native(words: str) -> int | None:
    """The number of native words before what is counted, also behind 백 and 천 (백한 → 101)."""
    found = _NATIVE_TAIL.fullmatch(words)
    if found is None:
        return None
    head = parse_sino(found[1]) if found[1] else 0
    tail = _NATIVE.get(found[2])
    return None if head is None or tail is None else head + tail


def _below_myriad(number: int) -> str:
    words = ""
    for unit, value in reversed(SMALL_UNITS.items()):
        digit, number = divmod(number, value)
        if digit:
            words += ("" if digit == 1 else DIGITS[digit]) + unit
    return words + (DIGITS[number] if number else "")


def _parse_group(group: str) -> int | None:
    found = _GROUP.fullmatch(group)
    if found is None or (found[4] and found[4] not in DIGITS[1:]):
        return None
    number = DIGITS.index(found[4]) if found[4] else 0
    for part in found.groups()[:3]:
        if part:
            number += (DIGITS.index(part[0]) if len(part) == 2 else 1) * SMALL_UNITS[part[-1]]
    return number


_NATIVE = {native(number): number for number in range(1, MAX_NATIVE + 1)}
NATIVE_WORDS = "|".join(sorted(_NATIVE, key=len, reverse=True))
"""A pattern of all native numerals before what is counted, the longest first."""
