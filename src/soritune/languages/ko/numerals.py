"""The two Korean number systems: whole numbers as words.

Sources: 한글 맞춤법 제44항 (numbers are spaced by 만: 십이억 삼천사백오십육만 칠천팔백구십팔),
표준어 규정 제6항 (열두째, 스물두째) and 제17항 (서 돈, 넉 냥), 외국인을 위한 한국어 문법 1
(국립국어원 2005: 하나, 둘, 셋, 넷, 스물 become 한, 두, 세, 네, 스무 before what is counted).
"""

from __future__ import annotations

DIGITS = "영일이삼사오육칠팔구"
SMALL_UNITS = {"십": 10, "백": 100, "천": 1000}
LARGE_UNITS = {"만": 10**4, "억": 10**8, "조": 10**12, "경": 10**16}
MAX_SINO = 10**20
MAX_NATIVE = 99
TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
ONES = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
ONES_BEFORE = ("", "한", "두", "세", "네", *ONES[5:])


def word_list(text: str) -> tuple[str, ...]:
    """Return the words of `text`; a table of short words reads best as running text."""
    return tuple(text.split())


def sino(number: int) -> str:
    """Return Sino-Korean words, 0 to 10^20 − 1, spaced by 만: 35000 → 삼만 오천.

    One 만 is 만, but one 억 is 일억; the 일 of 일만 is said after a larger unit.
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
    """Return native words, 1 to 99: `counted` 한, 스무, 스물한, otherwise 하나, 스물, 스물하나."""
    if not 1 <= number <= MAX_NATIVE:
        raise ValueError(f"native numerals are written for 1 to {MAX_NATIVE}, not {number}")
    tens, ones = divmod(number, 10)
    if counted and number == 20:
        return "스무"
    return TENS[tens] + (ONES_BEFORE if counted else ONES)[ones]


def ordinal(number: int) -> str:
    """Return the ordinal in 째, 1 to 99: 첫째, 둘째, 열두째 (표준어 규정 제6항), 열셋째, 스무째."""
    if number == 1:
        return "첫째"
    tens, ones = divmod(number, 10)
    if tens and ones in (1, 2):
        return TENS[tens] + ONES_BEFORE[ones] + "째"
    return ("스무" if number == 20 else native(number, counted=False)) + "째"


def digit_by_digit(digits: str, zero: str = "공") -> str:
    """Return each digit by itself: 010 → 공일공 (telephone), 14 → 일사 (behind a decimal point)."""
    return "".join(zero if digit == "0" else DIGITS[int(digit)] for digit in digits)


def _below_myriad(number: int) -> str:
    words = ""
    for unit, value in reversed(SMALL_UNITS.items()):
        digit, number = divmod(number, value)
        if digit:
            words += ("" if digit == 1 else DIGITS[digit]) + unit
    return words + (DIGITS[number] if number else "")


NATIVE_WORDS = "|".join(sorted(map(native, range(1, MAX_NATIVE + 1)), key=len, reverse=True))
"""A pattern of all native numerals before what is counted, the longest first."""
