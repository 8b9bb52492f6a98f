"""Numerals in words to digits, where the words can mean nothing else.

Korean numerals are also other words: 이 is "two", "this" and "tooth"; 일 "one", "day" and "work";
한 "one" and "about"; 네 "four", "your" and "yes"; 사회 is society and 오일 is oil. So a numeral is
written in digits only before a counter, behind 제, or where it is three syllables or more, and the
exceptions below are left as words. docs/korean-text.md lists what stays.
"""

from __future__ import annotations

import re

from soritune.languages.ko.counters import COUNTERS, MONTHS, WORD_END, ends_word
from soritune.languages.ko.numerals import (
    DIGITS,
    LARGE_UNITS,
    NATIVE_WORDS,
    parse_native,
    parse_sino,
    word_list,
)

_SIGNS = {
    **{"퍼센트포인트": "%p", "퍼센트": "%", "킬로미터": "km", "미터": "m", "센티미터": "cm"},
    **{"밀리미터": "mm", "킬로그램": "kg", "그램": "g", "밀리그램": "mg", "리터": "L"},
    **{"밀리리터": "mL", "제곱미터": "㎡", "킬로칼로리": "kcal"},
}
_DIGIT = "[영공일이삼사오육칠팔구]"
_GROUP = "[일이삼사오육칠팔구십백천]+"
_UNITS = "[일이삼사오육칠팔구십백천만억조경]{1,40}"
_SINO = f"{_UNITS}(?: {_UNITS}){{0,8}}|영"
"""With spaces at any place (칠 십, 천 구백): `parse_sino` tells what is one number. Bounded, so
that the time for a text grows with its length alone."""
_COUNTER = "|".join(sorted(COUNTERS, key=len, reverse=True))
_START = r"(?:(?<![가-힣\w])|(?<=(?<![가-힣])제))"
_END = r"(?![가-힣\w])"

_PHONE = re.compile(
    rf"{_START}([공영]{_DIGIT}{{1,2}})[ -]({_DIGIT}{{3,4}})[ -]({_DIGIT}{{4}}){_END}"
)
_MONTH = re.compile(rf"{_START}({'|'.join(sorted(MONTHS[1:], key=len, reverse=True))})")
_DECIMAL = re.compile(rf"{_START}({_SINO}) (?:점|쩜) ({_DIGIT}+)(?: ?({_COUNTER}))?")
_COUNTED = re.compile(
    rf"{_START}(?:(?P<native>(?:[일이삼사오육칠팔구]?[천백])*(?:{NATIVE_WORDS}))"
    rf"|(?P<sino>{_SINO}))(?P<space> ?)(?P<counter>{_COUNTER})(?={WORD_END})"
)
_BARE = re.compile(rf"{_START}({_SINO})")
_NUMERAL_BEFORE = re.compile(
    rf"(?:^|\s)(?:(?:{NATIVE_WORDS}|{_SINO}) ?|\d+ ?|유|시)(?:월|시|분|년|학년|층|동|도|만|억) $"
)

# One syllable that is also another word before this counter; the numeral stays in words.
_SURE_AFTER_I = frozenset(
    word_list(
        """
        퍼센트 개월 킬로미터 센티미터 밀리미터 킬로그램 그램 밀리그램 리터 밀리리터 미터 인분
        교시 분기 개국
        """
    )
)
_UNSURE = {
    # "Once", "one side", "a certain", "the same", "step by step".
    "한": "번 쪽 점 배 분 사람 동 편 차례 통 대 판 단 줄 구 팀 걸음 가지 군데 곳 모금",
    "네": "배 편 팀 말 곡 줄 방 문장 글자 자리 식구",  # your
    "일": "도 점 대 동 호 자 종 할",
    "구": "도 대 동 호 단 자 기",  # old, district
    "사": "기 자",
    "오": "기 자 도",
    "십": "자",
    "천": "조각 장",  # cloth
    "만": "자",
    "오만": "가지",  # all kinds of
    "두": "사람",
    "세": "사람",
}
_UNSURE_PAIRS = frozenset(
    (numeral, counter) for numeral, counters in _UNSURE.items() for counter in counters.split()
)
# Written as one word, a single syllable and a counter are mostly another word (사회, 구원, 오일).
_JOINED = frozenset(
    word_list(
        """
        한개 두개 세개 네개 한명 두명 세명 네명 두시 세시 네시 한살 두살 세살 네살 두달 세달
        네달 한시간 두시간 세시간 네시간 두마리 세마리 네마리 일년 삼년 사년 오년 육년 칠년
        팔년 십년 일학년 이학년 삼학년 사학년 오학년 육학년 일층 삼층 사층 오층 육층 칠층 팔층
        십층 일주일 일개월 삼개월 육개월 일등 삼등
        """
    )
)
_VERB = re.compile("고|며|면|지|라|던|네|다|나|는|ㄴ")
_AGES = frozenset(word_list("세 살 년 개월 시간 일 주 달"))


def write_numbers(text: str) -> str:
    """`text` with its numerals in digits: 세 시 삼십 분에 스물한 명 → 3시 30분에 21명.

    From 10,000 on numbers are grouped by 만 as 한글 맞춤법 제44항 has it (12억 3456만 7898), and
    frequent measures get their sign (50%, 3kg). Reading the result (`spell_numbers`) gives the
    words again, if they were those that `spell_numbers` writes.
    """
    text = _PHONE.sub(_phone, text)
    text = _DECIMAL.sub(_decimal, text)
    text = _COUNTED.sub(_counted, text)
    text = _MONTH.sub(_month, text)
    text = _BARE.sub(_bare, text)
    return re.sub(r"(?:영하|마이너스) (?=\d)", _sign, text)


def grouped(number: int) -> str:
    """Digits by 만: 9999 → 9999, 35000 → 3만 5000."""
    parts = []
    for unit, value in reversed(LARGE_UNITS.items()):
        count, number = divmod(number, value)
        if count:
            parts.append(f"{count}{unit}")
    if number or not parts:
        parts.append(str(number))
    return " ".join(parts)


def _phone(found: re.Match[str]) -> str:
    return "-".join(_as_digits(group) for group in found.groups())


def _as_digits(words: str) -> str:
    return "".join(str(DIGITS.index("영" if word == "공" else word)) for word in words)


def _decimal(found: re.Match[str]) -> str:
    words, fraction, counter = found.groups()
    number = parse_sino(words)
    if number is None or (number >= 10_000):
        return found.group()
    if counter is not None and ends_word(found.string, found.end()):
        return f"{number}.{_as_digits(fraction)}{_SIGNS.get(counter, counter)}"
    # 이 점 이 may be "this point …": without a counter the numeral must show that it is one.
    sure = len(fraction) > 1 or len(words) > 1 or words == "영"
    after = found.end(2)
    if counter is None and sure and ends_word(found.string, after):
        return f"{number}.{_as_digits(fraction)}"
    return found.group()


def _counted(found: re.Match[str]) -> str:
    counter, joined = found["counter"], not found["space"]
    words = found["native"] or found["sino"]
    if words[-2:-1] == " " and words[-1] + counter in COUNTERS:  # 만 일차: not 10,001 of 차
        words, counter, joined = words[:-2], words[-1] + counter, False
    before = found.string[: found.start()]
    prefix = ""
    if found["sino"] and words.startswith("만 ") and counter in _AGES:
        prefix, words = "만 ", words.removeprefix("만 ")  # 만 삼십 세: full years of age
    number = parse_native(words) if found["native"] else parse_sino(words)
    behind_order = before.endswith("제")
    if number is None or (
        not behind_order
        and not _is_sure(words, counter, joined, before, found.string[found.end() :])
    ):
        return found.group()
    sign = _SIGNS.get(counter, counter)
    space = " " if number >= 10_000 and number % 10_000 == 0 else ""
    return f"{prefix}{grouped(number)}{space}{sign}"


def _is_sure(words: str, counter: str, joined: bool, before: str, after: str) -> bool:
    if counter == "도" and not joined and re.search("(?:영하|영상|섭씨|화씨) $", before):
        return True
    if (words, counter) in _UNSURE_PAIRS:
        return False
    if re.fullmatch(".[조경]", words):  # 구경 is sightseeing, 구조 rescue
        return counter in ("원", "달러", "엔", "유로")
    if words in ("이", "영"):
        if words == "영":
            return counter in ("도", "점", "시", "퍼센트", "원", "개") and not joined
        follows = _NUMERAL_BEFORE.search(before) is not None
        if joined:
            return f"{words}{counter}" in _JOINED
        return counter in _SURE_AFTER_I or follows
    if joined and len(words) == 1:
        verb = counter == "시" and _VERB.match(after) is not None  # 두시고, of 두다
        return f"{words}{counter}" in _JOINED and not verb
    return not (joined and words in ("이십", "오만", "천만") and counter in ("자", "원"))


def _month(found: re.Match[str]) -> str:
    month = MONTHS.index(found[1])
    if not ends_word(found.string, found.end()):
        return found.group()
    if month == 2:  # 이월하다: to carry over
        day = re.match(rf" (?:\d+일|{_GROUP} ?일|말|초|달)", found.string[found.end() :])
        if not day and not re.search(r"년 $", found.string[: found.start()]):
            return found.group()
    return f"{month}월"


def _bare(found: re.Match[str]) -> str:
    words = found[1]
    number = parse_sino(words)
    if (
        number is None
        or len(words.replace(" ", "")) < 3
        or not ends_word(found.string, found.end())
    ):
        return found.group()
    return grouped(number)


def _sign(found: re.Match[str]) -> str:
    return "-" if found.group() == "마이너스 " else found.group()
