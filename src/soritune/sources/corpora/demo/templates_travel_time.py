"""Sentence templates of the demo grammar: travel and time.

Every sentence is polite spoken Korean (해요체) without punctuation, numbers spelled as words, and
its English translation in lower-case letters a–z, apostrophe and space.
"""

from __future__ import annotations

from collections.abc import Mapping

from soritune.languages.ko.numerals import native, sino
from soritune.sources.corpora.demo import lexicon as words
from soritune.sources.corpora.demo.grammar import (
    Phrase,
    Template,
    counted,
    different,
    numbers,
    phrases,
)
from soritune.sources.corpora.demo.numerals import english


def _can_go(chosen: Mapping[str, Phrase]) -> bool:
    """Jeju is an island; ships and planes go to some of the cities only."""
    city = chosen["city"].english
    vehicle = (chosen.get("vehicle") or chosen["tickets"]).english
    if "ship" in vehicle:
        return city in ("busan", "incheon", "jeju")
    if "plane" in vehicle:
        return city in ("seoul", "busan", "daegu", "jeju")
    return city != "jeju"


TRAVEL = (
    Template(
        "{city}까지 {vehicle:으로/로} {hours} 걸려요",
        "it takes {hours} to get to {city} by {vehicle}",
        {
            "city": words.CITIES,
            "vehicle": words.pick(words.VEHICLES, "버스", "기차", "비행기", "배"),
            "hours": (
                Phrase("한 시간", "one hour"),
                *numbers(
                    range(2, 7), lambda n: f"{native(n)} 시간", lambda n: f"{english(n)} hours"
                ),
                *numbers(
                    range(2, 5),
                    lambda n: f"{native(n)} 시간 반",
                    lambda n: f"{english(n)} and a half hours",
                ),
            ),
        },
        _can_go,
    ),
    Template(
        "{city:으로/로} 가는 {vehicle:은/는} {clock}에 출발해요",
        "the {vehicle} to {city} leaves at {clock}",
        {
            "city": words.pick(words.CITIES, "서울", "부산", "인천", "제주"),
            "vehicle": words.pick(words.VEHICLES, "버스", "기차", "비행기"),
            "clock": words.CLOCK,
        },
        _can_go,
    ),
    Template(
        "{place:은/는} {landmark} {side} 있어요",
        "the {place} is {side} the {landmark}",
        {
            "place": words.PLACES,
            "landmark": words.PLACES,
            "side": phrases(
                ("옆에", "next to"),
                ("앞에", "in front of"),
                ("뒤에", "behind"),
                ("건너편에", "across from"),
            ),
        },
        different("place", "landmark"),
    ),
    Template(
        "{origin} {place}까지 걸어서 {minutes} 분 걸려요",
        "it takes {minutes} minutes to walk from {origin} to the {place}",
        {
            "origin": phrases(("집에서", "home"), ("회사에서", "the office"), ("여기서", "here")),
            "place": words.PLACES,
            "minutes": numbers((5, 10, 15, 20, 25, 30, 40, 45, 50), sino),
        },
    ),
    Template(
        "{month} {day} 일에 {city}에 도착해요",
        "i arrive in {city} on {month} {day}",
        {"month": words.MONTHS, "day": words.MONTH_DAYS, "city": words.CITIES},
    ),
    Template(
        "{city} 가는 {tickets} 주세요",
        "please give me {tickets} to {city}",
        {
            "city": words.CITIES,
            "tickets": counted(
                (
                    Phrase("기차표", "train ticket", "train tickets", "장"),
                    Phrase("버스표", "bus ticket", "bus tickets", "장"),
                    Phrase("비행기표", "plane ticket", "plane tickets", "장"),
                ),
                range(1, 9),
            ),
        },
        _can_go,
    ),
    Template(
        "{week} {weekday} {part} {people} 명 예약하고 싶어요",
        "i want to make a reservation for {people} people {week} {weekday} {part}",
        {
            "week": phrases(("이번 주", "this"), ("다음 주", "next")),
            "weekday": words.WEEKDAYS,
            "part": phrases(("오후에", "afternoon"), ("저녁에", "evening")),
            "people": numbers(range(2, 11), native),
        },
    ),
    Template(
        "{period} 전에 {city:으로/로} {verb}",
        "i {verb} {city} {period} ago",
        {
            "period": words.PERIODS,
            "city": words.CITIES,
            "verb": phrases(("이사했어요", "moved to"), ("여행을 갔어요", "took a trip to")),
        },
    ),
    Template(
        "{when} {city}에는 {weather} 거예요",
        "it will {weather} in {city} {when}",
        {
            "when": (
                *phrases(
                    ("오늘 밤", "tonight"),
                    ("내일", "tomorrow"),
                    ("모레", "the day after tomorrow"),
                    ("주말에", "on the weekend"),
                ),
                *words.ON_WEEKDAYS,
            ),
            "city": words.CITIES,
            "weather": phrases(
                ("비가 올", "rain"),
                ("눈이 올", "snow"),
                ("바람이 불", "be windy"),
                ("안개가 낄", "be foggy"),
            ),
        },
    ),
    Template(
        "{when} {city} 기온은 {degrees} 도예요",
        "the temperature in {city} is {degrees} degrees {when}",
        {
            "when": phrases(("지금", "now"), ("오늘", "today"), ("오늘 밤", "tonight")),
            "city": words.CITIES,
            "degrees": (
                *numbers((5, 10), lambda n: f"영하 {sino(n)}", lambda n: f"minus {english(n)}"),
                *numbers((2, 3, 4, 5, 8, 10, 15, 20, 25, 30), sino),
            ),
        },
    ),
)

TIME = (
    Template(
        "{time}에 {person:과/와} {place}에서 만나요",
        "i am meeting {person} at the {place} at {time} in the {time:other}",
        {
            "time": words.DAY_HOURS,
            "person": words.COMPANIONS,
            "place": words.pick(
                words.PLACES, "공원", "식당", "시장", "도서관", "백화점", "호텔", "병원"
            ),
        },
    ),
    Template(
        "{event:은/는} {time}에 {verb}",
        "the {event} {verb} at {time} in the {time:other}",
        {
            "event": (*words.EVENTS, *phrases(("영화", "movie"))),
            "time": (*words.DAY_HOURS, *words.DAY_HALF_HOURS),
            "verb": phrases(("시작해요", "starts"), ("끝나요", "ends")),
        },
    ),
    Template(
        "지금은 {time} {minutes} 분이에요",
        "it is {time} {minutes} in the {time:other} now",
        {"time": words.DAY_HOURS, "minutes": numbers((10, 15, 20, 25, 30, 40, 45, 50), sino)},
    ),
    Template(
        "{person:은/는} {often} {routine}",
        "{person} {routine} {often}",
        {
            "person": words.PEOPLE,
            "often": phrases(
                ("매일", "every day"), ("평일에는", "on weekdays"), ("요즘", "these days")
            ),
            "routine": tuple(
                Phrase(f"{native(hour)} 시에 {korean}", f"{meaning} at {english(hour)}")
                for korean, meaning, hours in (
                    ("일어나요", "gets up", (5, 6, 7)),
                    ("출근해요", "goes to work", (8, 9)),
                    ("점심을 먹어요", "eats lunch", (12, 1)),
                    ("집에 와요", "comes home", (5, 6, 7)),
                    ("자요", "goes to bed", (10, 11)),
                )
                for hour in hours
            ),
        },
    ),
    Template(
        "{when} {hours} 시간 동안 {activity}",
        "i {activity} for {hours} hours {when}",
        {
            "when": phrases(
                ("어제", "yesterday"),
                ("그저께", "the day before yesterday"),
                ("지난 주말에", "last weekend"),
                ("오늘", "today"),
            ),
            "hours": numbers(range(2, 8), native),
            "activity": phrases(
                ("책을 읽었어요", "read a book"),
                ("음악을 들었어요", "listened to music"),
                ("영어를 공부했어요", "studied english"),
                ("피아노를 쳤어요", "played the piano"),
                ("축구를 했어요", "played soccer"),
                ("방을 청소했어요", "cleaned my room"),
                ("친구를 기다렸어요", "waited for my friend"),
                ("텔레비전을 봤어요", "watched television"),
            ),
        },
    ),
    Template(
        "{person} 생일은 {month} {day} 일이에요",
        "{person}'s birthday is {month} {day}",
        {"person": words.PEOPLE, "month": words.MONTHS, "day": words.MONTH_DAYS},
    ),
    Template(
        "{place:은/는} {weekday}에 몇 시에 {verb}",
        "what time does the {place} {verb} on {weekday}",
        {
            "place": words.PLACES,
            "weekday": words.WEEKDAYS,
            "verb": phrases(("열어요", "open"), ("닫아요", "close")),
        },
        lambda c: c["place"].english not in ("hotel", "park", "school"),
    ),
)
