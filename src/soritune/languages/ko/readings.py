"""All the ways in which what is written may be read, for scores that count them as equal.

5월 is 오월; 20명 is 스무 명 and 이십 명; AI is 에이아이. `spell` and `letters` choose the usual
reading; here every one is kept that a speaker may have said, and the scorer takes the nearest.
Nothing becomes equal that does not stand for the same number, sign or letters.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import islice, product

from soritune.languages.ko.amounts import AMOUNT, read_amount, value
from soritune.languages.ko.characters import unify
from soritune.languages.ko.counters import COUNTERS, ends_word, find_counter
from soritune.languages.ko.letters import AS_WORDS, NAMES
from soritune.languages.ko.numerals import (
    MAX_NATIVE,
    MAX_SINO,
    NATIVE_WORDS,
    digit_by_digit,
    native,
    sino,
)
from soritune.languages.ko.spell import UNITS, spell_numbers

Segments = tuple[tuple[str, ...], ...]

VERSION = 1
"""Raised by hand when other texts become equal; it stands in signatures."""
_MAX_ALTERNATIVES = 64

_LETTER_NAMES = {
    **{letter.lower(): (name,) for letter, name in NAMES.items()},
    "c": ("씨", "시"),
    "h": ("에이치", "에이취"),
    "r": ("알", "아르"),
    "w": ("더블유", "더블류"),
    "z": ("제트", "지", "젯"),
}
# As they are usually written; 표준국어대사전 and the 외래어 표기법 where they have the word.
_WORDS = {
    **{word.lower(): said for word, said in AS_WORDS.items()},
    **{"nasdaq": "나스닥", "covid": "코비드", "sars": "사스", "mers": "메르스"},
    **{"ram": "램", "lan": "랜", "wifi": "와이파이", "ok": "오케이"},
}
_ENGLISH_DIGITS = {
    **{"0": ("제로", "오"), "1": ("원",), "2": ("투",), "3": ("쓰리", "스리"), "4": ("포",)},
    **{"5": ("파이브",), "6": ("식스",), "7": ("세븐",), "8": ("에잇", "에이트")},
    **{"9": ("나인",), "10": ("텐",)},
}
_BOTH_SYSTEMS = {
    *("개월", "번", "점", "동", "대", "장", "쪽", "주", "시", "시간", "차례"),
    *("센티미터", "미터", "킬로미터", "킬로", "킬로그램", "그램", "세트", "박"),
}
"""Counters that are heard with both systems: 세 개월 and 삼 개월, 스물 센티미터 in Zeroth."""
_SINO_FROM = 20
"""From here on, native counters are heard with both: 이십 명."""
_SHORT_MONTHS = {"6": "유", "10": "시"}
_SHORT_NATIVE = {3: ("석", "서"), 4: ("넉", "너")}
_UNIT_NAMES = {
    "%": ("프로",),
    "km": ("킬로", "키로"),
    "kg": ("킬로", "키로"),
    "cm": ("센티", "센치"),
    "mm": ("밀리",),
}
_UNIT = "|".join(re.escape(sign) for sign in sorted(UNITS, key=len, reverse=True))
_NUMBER = (
    r"\d+(?:[-/.:]\d+){2,}"  # dates, telephones, versions
    rf"|\d{{1,2}}:\d{{2}}(?!\d)|\d+[:/]\d+|{AMOUNT}(?: ?[~∼–] ?{AMOUNT})?"
)
_CHUNK = re.compile(
    rf"(?P<code>(?<![A-Za-z])[A-Za-z]+-?\d+(?![.,:]?\d)(?![A-Za-z])|(?<!\d)\d{{1,3}}[A-Z]+(?![a-z]))"
    rf"|(?P<number>(?:[₩$€£¥] ?|(?<![\w)])[-−+](?=\d))?(?:{_NUMBER})(?: ?(?:{_UNIT})(?![A-Za-z]))?)"
    r"|(?P<latin>[A-Za-z]+(?:&[A-Za-z]+)?)"
)
_SINO_WORD = "[이삼사오육칠팔구]?십[일이삼사오육칠팔구]?"
_SPOKEN = re.compile(rf"(?<![가-힣\d])(?:(?P<native>{NATIVE_WORDS})|(?P<sino>{_SINO_WORD})) ?")


def readings(text: str, *, numbers: bool = True, letters: bool = True) -> Segments:
    """Return `text` as segments with all their readings, the usual one first.

    Only letters and digits are left, in lower case and without spaces. A segment without another
    reading has one alternative. `numbers` and `letters` say which of both may be read.
    """
    text = unify(text)
    segments: list[tuple[str, ...]] = []
    done = 0
    for start, end, alternatives in _chunks(text, numbers, letters):
        segments += [(plain,) for plain in [squash(text[done:start])] if plain]
        segments.append(alternatives)
        done = end
    segments += [(plain,) for plain in [squash(text[done:])] if plain]
    return tuple(segments)


def squash(text: str) -> str:
    """Return the letters and digits of `text` in lower case."""
    return "".join(filter(str.isalnum, text.lower()))


def _chunks(text: str, numbers: bool, letters: bool) -> list[tuple[int, int, tuple[str, ...]]]:
    found: list[tuple[int, int, tuple[str, ...]]] = []
    done = 0
    while match := _next(text, done):
        start, end = match.span()
        if match.re is _SPOKEN:
            alternatives, end = _spoken(match, text) if numbers else ((), end)
        elif match["code"]:
            alternatives = _code(match["code"]) if numbers and letters else ()
        elif match["latin"]:
            alternatives = _latin(match["latin"]) if letters else ()
        else:
            alternatives, end = _number(match["number"], text, end) if numbers else ((), end)
        if alternatives:
            found.append((start, end, alternatives))
        done = max(end, start + 1)
    return found


def _next(text: str, start: int) -> re.Match[str] | None:
    matches = (_CHUNK.search(text, start), _SPOKEN.search(text, start))
    return min(filter(None, matches), key=lambda match: match.start(), default=None)


def _number(written: str, text: str, end: int) -> tuple[tuple[str, ...], int]:
    """Return the readings of a number with its counter, and where the text goes on."""
    counter, after = find_counter(text, end), end
    if counter is None and text[end : end + 1] == " ":
        counter = find_counter(text, end + 1)
        after = end + 1
        if counter is not None and not ends_word(text, after + len(counter.word)):
            counter = None
    word = ""
    if counter is not None and not written[-1:].isalpha():
        word = counter.word
        end = after + len(word)
    elif text.startswith("째", end) and written.isdigit():
        word = "째"
        end += 1
    usual = squash(spell_numbers(f"{written}{' ' if word and word != '째' else ''}{word}"))
    found = [usual, squash(written) + word]
    sign = re.search(rf"(?:{_UNIT})$", written)
    digits = written[: sign.start()].rstrip() if sign else written
    money = digits[:1] in "₩$€£¥"
    if re.fullmatch(AMOUNT, digits) and not money:
        names = _unit_names(sign.group()) if sign else (word,)
        amounts = _amounts(digits, word, bare=not word and not sign)
        found += ["".join(pair) for pair in product(amounts, names)]
        if word in ("번째", "째") and digits == "1":
            found.append(f"첫{word}")
    clock = re.fullmatch(r"(\d{1,2}):30", written)
    if clock:
        found.append(squash(spell_numbers(f"{clock[1]}시")) + "반")
    if re.fullmatch(r"\d+:\d+", written):
        one, other = written.split(":")
        found.append(f"{squash(read_amount(one))}대{squash(read_amount(other))}{word}")
    return tuple(dict.fromkeys(found)), end


def _amounts(digits: str, counter: str, *, bare: bool) -> list[str]:
    """Return the readings of an amount without what is counted."""
    plain = digits.replace(",", "")
    found = [squash(read_amount(digits))]
    number = value(digits)
    if "." in plain:
        return [*found, squash(read_amount(digits)).replace("영", "공")]
    if number is None or not 0 <= number < MAX_SINO:
        return found
    if counter == "월" and digits in _SHORT_MONTHS:
        return [_SHORT_MONTHS[digits]]
    system = COUNTERS.get(counter)
    counted = system is not None and system.native_up_to > 0
    if counted and counter not in _BOTH_SYSTEMS and 1 <= number < _SINO_FROM:
        found = []  # nobody says 삼 개
    else:
        found.append(squash(sino(number)))
        if found[-1][0] in "만천":
            found.append("일" + found[-1])
    takes_native = counted or system is None or counter in _BOTH_SYSTEMS
    if 1 <= number <= MAX_NATIVE and (takes_native or bare):
        found += [native(number), native(number, counted=False)]
        found += _SHORT_NATIVE.get(number, ())
    if plain.isdigit() and len(plain) > 1 and (bare or plain[0] == "0" or len(plain) > 3):
        found += [digit_by_digit(plain), digit_by_digit(plain, zero="영")]
    if number == 0:
        found.append("공")
    return found


def _unit_names(sign: str) -> tuple[str, ...]:
    usual = squash(UNITS[sign])
    return (usual, *_UNIT_NAMES.get(sign, ()))


def _latin(word: str) -> tuple[str, ...]:
    """Return a Latin word spelled, as the word that some abbreviations are, and as it is."""
    lower = word.lower()
    letters = [("앤", "엔") if letter == "&" else _LETTER_NAMES[letter] for letter in lower]
    spelled = islice(product(*letters), 16)
    found = ["".join(names) for names in spelled]
    said = _WORDS.get(lower)
    return tuple(dict.fromkeys([*found, *([said] if said else []), squash(lower)]))


def _code(code: str) -> tuple[str, ...]:
    """Return letters with digits (MP3, 5G): digits are Korean or English, or one by one."""
    parts = re.findall(r"[A-Za-z]+|\d+", code)
    options = []
    for part in parts:
        if part.isdigit():
            read = [squash(read_amount(part)), *_ENGLISH_DIGITS.get(part, ()), part]
            options.append([*read, digit_by_digit(part), digit_by_digit(part, zero="영")])
        else:
            options.append(list(_latin(part)))
    found = ["".join(each) for each in islice(product(*options), _MAX_ALTERNATIVES)]
    said = _WORDS.get(squash(code))
    return tuple(dict.fromkeys([*([said] if said else []), *found, squash(code)]))


def _spoken(match: re.Match[str], text: str) -> tuple[tuple[str, ...], int]:
    """Return both readings of a number word from ten on before its counter: 이십 명, 스무 명."""
    counter = find_counter(text, match.end())
    if counter is None or counter.native_up_to == 0:
        return (), match.end("native") if match["native"] else match.end("sino")
    end = match.end() + len(counter.word)
    number = _spoken_values().get(match["native"] or match["sino"])
    if number is None or not ends_word(text, end):
        return (), match.end()
    said = match["native"] or match["sino"]
    both = dict.fromkeys([said, native(number), native(number, counted=False), sino(number)])
    return tuple(f"{each}{counter.word}" for each in both), end


@cache
def _spoken_values() -> dict[str, int]:
    numbers = range(10, MAX_NATIVE + 1)
    return {
        **{sino(number): number for number in numbers},
        **{native(number): number for number in numbers},
    }
