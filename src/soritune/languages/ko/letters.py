"""Latin letters as they are named in Korean.

The names are those of 표준국어대사전 (국립국어원), except for C, R and Z: it has 시, 아르 and 제트;
씨, 알 and 제트 are what one hears. Abbreviations that are said as words, and codes in which the
digit is English, have no rule; the table holds the frequent ones.
"""

from __future__ import annotations

import re

from soritune.languages.ko.numerals import word_list
from soritune.languages.ko.spell import UNITS

NAMES = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        word_list(
            "에이 비 씨 디 이 에프 지 에이치 아이 제이 케이 엘 엠 엔 오 피 큐 알 에스 티 유 "
            "브이 더블유 엑스 와이 제트"
        ),
        strict=True,
    )
)
AS_WORDS = {
    "NASA": "나사",
    "NATO": "나토",
    "UNESCO": "유네스코",
    "UNICEF": "유니세프",
    "FIFA": "피파",
    "OPEC": "오펙",
    "ASEAN": "아세안",
    "AIDS": "에이즈",
    "KOSPI": "코스피",
    "KOSDAQ": "코스닥",
    "POSCO": "포스코",
    "KAIST": "카이스트",
    "KOTRA": "코트라",
    "A4": "에이포",
    "A3": "에이스리",
    "B2B": "비투비",
    "B2C": "비투씨",
    "D2C": "디투씨",
    "P2P": "피투피",
    "MP3": "엠피스리",
    "MP4": "엠피포",
    "3D": "스리디",
    "2D": "투디",
    "4D": "포디",
    "4K": "포케이",
    "3G": "스리지",
    "4G": "포지",
    "5G": "파이브지",
    "G7": "지세븐",
    "G20": "지이십",
    "F1": "에프원",
    "K2": "케이투",
    "U2": "유투",
    "Q&A": "큐앤에이",
    "R&D": "알앤디",
    "M&A": "엠앤에이",
    "A/S": "에이에스",
}
_CODE = re.compile(
    "|".join(rf"(?<![A-Za-z\d]){re.escape(word)}(?![A-Za-z\d])" for word in AS_WORDS)
)
_AFTER_NUMBER = re.compile(r"\d ?$")
_ABBREVIATION = re.compile(r"(?<![A-Za-z])(?:[A-Z]{1,6}|[a-z])(?![A-Za-z])")


def spell_codes(text: str) -> str:
    """Write codes that are said as words (MP3, 5G) as they are said."""
    return _CODE.sub(lambda found: AS_WORDS[found.group()], text)


def spell_letters(text: str) -> str:
    """Write abbreviations in capitals and single letters by their Korean names: KBS → 케이비에스.

    Latin words (Seoul, iPhone) stay as they are, since letters do not tell how they are said, and
    so do units behind a number (2L).
    """
    return _ABBREVIATION.sub(_named, spell_codes(text))


def _named(found: re.Match[str]) -> str:
    letters = found.group()
    if letters in UNITS and _AFTER_NUMBER.search(found.string, 0, found.start()):
        return letters
    return "".join(NAMES[letter] for letter in letters.upper())
