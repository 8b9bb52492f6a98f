"""Words that several templates of the demo grammar share."""

from __future__ import annotations

from soritune.languages.ko.counters import MONTHS as KOREAN_MONTHS
from soritune.languages.ko.numerals import native, sino
from soritune.sources.corpora.demo.grammar import Phrase, numbers, phrases
from soritune.sources.corpora.demo.numerals import english, ordinal


def pick(words: tuple[Phrase, ...], *korean: str) -> tuple[Phrase, ...]:
    """The phrases with the given Korean words, in that order."""
    by_korean = {word.korean: word for word in words}
    return tuple(by_korean[word] for word in korean)


CITIES = phrases(
    ("서울", "seoul"),
    ("부산", "busan"),
    ("대구", "daegu"),
    ("인천", "incheon"),
    ("제주", "jeju"),
    ("대전", "daejeon"),
    ("전주", "jeonju"),
)
VEHICLES = phrases(("버스", "bus"), ("기차", "train"), ("비행기", "plane"), ("배", "ship"))
PLACES = phrases(
    ("학교", "school"),
    ("병원", "hospital"),
    ("은행", "bank"),
    ("시장", "market"),
    ("공원", "park"),
    ("도서관", "library"),
    ("식당", "restaurant"),
    ("약국", "pharmacy"),
    ("우체국", "post office"),
    ("호텔", "hotel"),
    ("백화점", "department store"),
    ("서점", "bookstore"),
)
PEOPLE = phrases(
    ("친구", "my friend"),
    ("동료", "my colleague"),
    ("남동생", "my younger brother"),
    ("여동생", "my younger sister"),
    ("아내", "my wife"),
    ("남편", "my husband"),
    ("아들", "my son"),
    ("딸", "my daughter"),
)
COMPANIONS = (
    *phrases(("어머니", "my mother"), ("선생님", "my teacher")),
    *pick(PEOPLE, "친구", "동료", "아내", "딸"),
)
EVENTS = phrases(
    ("회의", "meeting"), ("수업", "class"), ("시험", "exam"), ("경기", "game"), ("공연", "concert")
)
GOODS = phrases(
    ("가방", "bag"),
    ("모자", "hat"),
    ("시계", "watch"),
    ("우산", "umbrella"),
    ("치마", "skirt"),
    ("셔츠", "shirt"),
    ("책", "book"),
    ("컵", "cup"),
)
DRINKS = (
    Phrase("커피", "coffee", "cups of"),
    Phrase("녹차", "green tea", "cups of"),
    Phrase("우유", "milk", "glasses of"),
    Phrase("주스", "juice", "glasses of"),
    Phrase("물", "water", "glasses of"),
)
FOODS = phrases(
    ("비빔밥", "bibimbap"),
    ("김밥", "gimbap"),
    ("국수", "noodles"),
    ("불고기", "bulgogi"),
    ("피자", "pizza"),
    ("생선", "fish"),
    ("만두", "dumplings"),
    ("카레", "curry"),
)

_WEEKDAY_NAMES = (
    ("월요일", "monday"),
    ("화요일", "tuesday"),
    ("수요일", "wednesday"),
    ("목요일", "thursday"),
    ("금요일", "friday"),
    ("토요일", "saturday"),
    ("일요일", "sunday"),
)
WEEKDAYS = phrases(*_WEEKDAY_NAMES)
ON_WEEKDAYS = phrases(*((f"{korean}에", f"on {name}") for korean, name in _WEEKDAY_NAMES))
MONTH_NAMES = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
MONTHS = tuple(Phrase(*names) for names in zip(KOREAN_MONTHS[1:], MONTH_NAMES, strict=True))
# Days that every month has.
MONTH_DAYS = numbers((1, 2, 3, 4, 5, 10, 12, 15, 20, 25), sino, ordinal)

_DAY_PARTS = (
    ("오전", "morning", range(7, 12)),
    ("오후", "afternoon", range(1, 6)),
    ("저녁", "evening", range(6, 9)),
)
# 오후 세 시 / three / afternoon
DAY_HOURS = tuple(
    Phrase(f"{part} {native(hour)} 시", english(hour), meaning)
    for part, meaning, hours in _DAY_PARTS
    for hour in hours
)
DAY_HALF_HOURS = tuple(
    Phrase(f"{time.korean} 반", f"half past {time.english}", time.other) for time in DAY_HOURS
)
# 세 시 / three o'clock, 세 시 반 / half past three
CLOCK = (
    *(Phrase(f"{native(hour)} 시", f"{english(hour)} o'clock") for hour in range(1, 13)),
    *(Phrase(f"{native(hour)} 시 반", f"half past {english(hour)}") for hour in range(1, 13)),
)
PRICES = numbers(
    (3000, 5000, 8000, 10_000, 12_000, 15_000, 20_000, 25_000, 30_000, 50_000, 80_000, 100_000),
    sino,
)
PERIODS = (
    *phrases(("한 달", "one month"), ("두 달", "two months"), ("세 달", "three months")),
    *(
        Phrase(f"{sino(years)} 년", f"{english(years)} {'year' if years == 1 else 'years'}")
        for years in (1, 2, 3, 5, 10)
    ),
)
