"""Numerals in digits to the words that are said.

Rules in their order: what is longer and surer comes first (telephone numbers, dates, times), and
amounts last. Some only write a notation out (2026-06-10 → 2026년 6월 10일) and leave its digits
to the amounts. docs/korean-text.md has the rules with their sources and the readings that are open.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from soritune.languages.ko.amounts import AMOUNT, read_amount, spell_amounts
from soritune.languages.ko.counters import find_counter
from soritune.languages.ko.numerals import digit_by_digit, sino

UNITS = {
    **{"%p": "퍼센트포인트", "%": "퍼센트", "℃": "도", "℉": "도", "°": "도"},
    **{"km": "킬로미터", "m": "미터", "cm": "센티미터", "mm": "밀리미터"},
    **{"kg": "킬로그램", "g": "그램", "mg": "밀리그램", "t": "톤"},
    **{"L": "리터", "l": "리터", "ℓ": "리터", "mL": "밀리리터", "ml": "밀리리터", "cc": "시시"},
    **{
        "㎡": "제곱미터",
        "m²": "제곱미터",
        "km²": "제곱킬로미터",
        "m³": "세제곱미터",
        "ha": "헥타르",
    },
    **{"cal": "칼로리", "kcal": "킬로칼로리", "W": "와트", "kW": "킬로와트", "V": "볼트"},
    **{
        "Hz": "헤르츠",
        "kHz": "킬로헤르츠",
        "MHz": "메가헤르츠",
        "GHz": "기가헤르츠",
        "dB": "데시벨",
    },
    **{"KB": "킬로바이트", "MB": "메가바이트", "GB": "기가바이트", "TB": "테라바이트"},
    **{"km/h": "킬로미터", "m/s": "미터"},
    **{"㎢": "제곱킬로미터", "km2": "제곱킬로미터", "m2": "제곱미터", "㎥": "세제곱미터"},
    **{"m3": "세제곱미터", "cm²": "제곱센티미터", "cm³": "세제곱센티미터"},
    **{"μg": "마이크로그램", "μL": "마이크로리터", "μl": "마이크로리터"},
    **{"μm": "마이크로미터", "nm": "나노미터", "dL": "데시리터", "dl": "데시리터"},
    **{"kV": "킬로볼트", "kWh": "킬로와트시", "mAh": "밀리암페어시", "Ω": "옴"},
    **{"ms": "밀리초", "μs": "마이크로초", "ns": "나노초", "ng": "나노그램", "yd": "야드"},
    **{"mW": "밀리와트", "MW": "메가와트", "GW": "기가와트", "Wh": "와트시", "MWh": "메가와트시"},
    **{"mA": "밀리암페어", "Ah": "암페어시", "mV": "밀리볼트", "kΩ": "킬로옴", "kJ": "킬로줄"},
    **{"hPa": "헥토파스칼", "kPa": "킬로파스칼", "MPa": "메가파스칼", "PB": "페타바이트"},
    **{"px": "픽셀", "dpi": "디피아이", "bpm": "비피엠"},
    **{"ft": "피트", "oz": "온스", "lb": "파운드", "min": "분", "sec": "초"},
    **{"bps": "비피에스", "Kbps": "킬로비피에스", "Mbps": "메가비피에스", "Gbps": "기가비피에스"},
    **{"rpm": "알피엠", "fps": "에프피에스", "ppm": "피피엠"},
}
"""Signs of units behind a number and their names (표준국어대사전)."""
_BEFORE = {"℃": "섭씨 ", "℉": "화씨 ", "km/h": "시속 ", "m/s": "초속 "}
"""What is said before the number; 표준국어대사전 has ℃ as the sign of 섭씨."""
_CURRENCIES = {"₩": "원", "$": "달러", "€": "유로", "£": "파운드", "¥": "엔"}
_BOTH_IN_LISTS = ("대", "번")
"""20대 is an age, 2번 a number: the sentence decides."""
_NAMED_DAYS = {
    **{"3·1": "삼일", "4·19": "사일구", "5·18": "오일팔", "6·10": "육십", "6·25": "육이오"},
    **{"8·15": "팔일오", "10·26": "십이육", "12·12": "십이십이"},
}
"""Days of history that are called by their date."""

_UNIT = "|".join(re.escape(sign) for sign in sorted(UNITS, key=len, reverse=True))
_UNIT_END = r"(?![A-Za-z²³]|/[A-Za-z])"
"""Of 9.8m/s² and 5mg/dL nothing is read: half of a unit would be wrong."""
_SIGN = rf"(?: ?(?P<sign>{_UNIT}){_UNIT_END})?"
_DAY = "|".join(map(re.escape, _NAMED_DAYS))
_DOTTED_DAY = "|".join(re.escape(day.replace("·", ".")) for day in _NAMED_DAYS)
_MONTH, _DAY_OF_MONTH = "0?[1-9]|1[0-2]", r"0?[1-9](?!\d)|[12]\d|3[01]"
_EVENT = "절|운동|혁명|민주|전쟁|사변|광복|사태|항쟁|쿠데타|만세"
Rule = Callable[[re.Match[str]], str]


def spell_numbers(text: str) -> str:
    """Return `text` with its numerals as words: 3시 30분에 21명 → 세 시 삼십 분에 스물한 명.

    Expects the characters that `unify` gives. What it cannot read (codes such as MP3, versions)
    stays as it is.
    """
    if not any(character.isdigit() for character in text):
        return text
    for pattern, rule in _RULES:
        text = pattern.sub(rule, text)
    return spell_amounts(text)


def _digits(found: re.Match[str]) -> str:
    plus = "플러스 " if found.group().startswith("+") else ""
    return plus + " ".join(digit_by_digit(group) for group in re.findall(r"\d+", found.group()))


def _date(found: re.Match[str]) -> str:
    year, month, day = (int(part) for part in found.groups())
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return found.group()
    return f"{year}년 {month}월 {day}일"


def _short_date(found: re.Match[str]) -> str:
    return f"{int(found[1])}월 {int(found[2])}일"


def _time(found: re.Match[str]) -> str:
    hour, minute, second = (int(part or 0) for part in found.groups())
    if hour > 24:
        return f"{hour}분 {minute}초" if not found[3] else found.group()
    parts = [f"{hour}시", f"{minute}분" if minute else "", f"{second}초" if second else ""]
    return " ".join(part for part in parts if part)


def _listed(found: re.Match[str]) -> str:
    """4,5개 → 네, 5개; a comma in front of one or two digits stands between numbers."""
    *firsts, last = found.group().split(",")
    counter = find_counter(found.string, found.end())
    native = counter is not None and counter.native_up_to and counter.word not in _BOTH_IN_LISTS
    if counter is not None and native:
        firsts = [counter.read(int(each)) if int(each) < 10 else each for each in firsts]
    return ", ".join([*firsts, last])


def _range(found: re.Match[str]) -> str:
    """3~5명 → 3명에서 5명; a sign is said once: 10~20% → 10에서 20%."""
    first, unit = found.groups()
    rest = found.string[found.end() :]
    second = re.match(AMOUNT, rest)
    counter = find_counter(rest, second.end()) if second and not unit else None
    return f"{first}{unit or (counter.word if counter else '')}에서 "


def _negative(found: re.Match[str]) -> str:
    return "영하 " if found["degrees"] else "마이너스 "


def _fraction(found: re.Match[str]) -> str:
    part, whole = int(found["part"]), int(found["whole"])
    words = f"{sino(whole)}분의 {sino(part)}"
    if found["sign"]:
        return f"{words} {UNITS[found['sign']]}"
    return words + (" " if find_counter(found.string, found.end()) else "")


def _money(found: re.Match[str]) -> str:
    name, amount = _CURRENCIES[found[1]], found[2]
    cents = re.fullmatch(r"([\d,]+)\.(\d\d)", amount)
    if name in ("달러", "유로") and cents:
        whole, rest = read_amount(cents[1]), int(cents[2])
        words = f"{whole} {name}"
        return f"{words} {sino(rest)} 센트" if rest else words
    return f"{read_amount(amount)} {name}"


def _measure(found: re.Match[str]) -> str:
    amount, sign = found.groups()
    before = found.string[: found.start()]
    prefix = _BEFORE.get(sign, "")
    if prefix and before.endswith((prefix, "영하 ", "영상 ", "시속", "초속")):
        prefix = ""
    space = " " if before and "가" <= before[-1] <= "힣" else ""
    if re.fullmatch(r"0[1-9]", amount):
        amount = amount[1]
    return f"{space}{prefix}{read_amount(amount)} {UNITS[sign]}"


_RULES: list[tuple[re.Pattern[str], Rule]] = [
    # Telephone numbers: a landline or mobile one, a nation-wide one, one without hyphens.
    (re.compile(r"\(0\d{1,2}\) ?\d{3,4}[-. ]\d{4}(?![\d-])"), _digits),
    (re.compile(r"(?<![\d-])(?:\+82[- ]?\d|0\d)\d?[-. )] ?\d{3,4}[-. ]\d{4}(?![\d-])"), _digits),
    (re.compile(r"(?<![\d-])1[568]\d\d-\d{4}(?![\d-])|(?<!\d)01\d{8,9}(?!\d)"), _digits),
    (re.compile(r"(?<![\d-])(?:1-)?(?:\d{3}-)?\d{3}-\d{4}(?![\d-])"), _digits),
    # Cards, accounts and registration numbers.
    (re.compile(r"(?<![\d-])(?:\d{6}-\d{7}|\d{3,6}(?:-\d{2,6}){2,3})(?![\d-])(?<!-\d\d)"), _digits),
    (re.compile(r"(?<![\d.])(\d{4})(?:-|/|\. ?)(\d{1,2})(?:-|/|\. ?)(\d{1,2})(?![\d])\.?"), _date),
    # 6/3(월) and 06/03 are dates; 6/3 alone is a fraction.
    (re.compile(rf"(?<![\d./])({_MONTH})/({_DAY_OF_MONTH})(?= ?\([월화수목금토일])"), _short_date),
    (re.compile(rf"(?<![\d./])(0[1-9])/({_DAY_OF_MONTH})(?![\d./])"), _short_date),
    (re.compile(rf"(?<![\d./])({_MONTH})/(0[1-9])(?![\d./])"), _short_date),
    (re.compile(r"(?<![\d:])(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?![\d:])"), _time),
    (re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{1,2})+(?![\d,])"), _listed),
    (re.compile(r"(?<=\d) ?: ?(?=\d)"), lambda found: " 대 "),
    (re.compile(rf"(?<![\d.·])({_DAY})(?![\d.·])"), lambda found: _NAMED_DAYS[found[1]]),
    (
        re.compile(rf"(?<![\d.])({_DOTTED_DAY})(?= ?(?:{_EVENT}))"),
        lambda found: _NAMED_DAYS[found[1].replace(".", "·")],
    ),
    (re.compile(rf"(?<![\d.])({AMOUNT})({_UNIT}|[가-힣]{{1,3}})? ?[~–] ?(?=\d)"), _range),
    (
        re.compile(
            rf"(?<![\w)\]])[-−](?={AMOUNT}(?P<degrees> ?(?:도|℃|°))?)",
        ),
        _negative,
    ),
    (re.compile(r"(?<![\w)\]])\+(?=\d)"), lambda found: "플러스 "),
    (
        re.compile(rf"(?<![\d/.])(?P<part>\d{{1,4}})/(?P<whole>\d{{1,4}})(?![\d/.]){_SIGN}"),
        _fraction,
    ),
    (
        re.compile(rf"(?<![\d.])(?P<whole>\d{{1,4}})분의 ?(?P<part>\d{{1,4}})(?![\d.]){_SIGN}"),
        _fraction,
    ),
    (re.compile(r"(?<=\d)-(?=\d+ ?(?:번지|호|동))"), lambda found: "에 "),
    (re.compile(rf"(?:(?<![A-Za-z])US)?([₩$€£¥]) ?({AMOUNT})"), _money),
    (re.compile(rf"(?<![A-Za-z\d.,])({AMOUNT}) ?({_UNIT}){_UNIT_END}"), _measure),
]
