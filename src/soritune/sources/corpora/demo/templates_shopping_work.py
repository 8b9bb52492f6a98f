"""Sentence templates of the demo grammar: counting, shopping, food, work and daily life.

Same form as in `templates_travel_time`.
"""

from __future__ import annotations

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
from soritune.sources.corpora.demo.numerals import english, ordinal

COUNTING = (
    Template(
        "{where} {people} 있어요",
        "there are {people} {where}",
        {
            "where": phrases(
                ("교실에", "in the classroom"),
                ("버스에", "on the bus"),
                ("공원에", "in the park"),
                ("사무실에", "in the office"),
                ("도서관에", "in the library"),
            ),
            "people": counted(
                (
                    Phrase("학생", "student", "students", "명"),
                    Phrase("아이", "child", "children", "명"),
                    Phrase("어른", "adult", "adults", "명"),
                    Phrase("외국인", "foreigner", "foreigners", "명"),
                ),
                range(2, 13),
                "이/가",
            ),
        },
    ),
    Template(
        "{where} {things} 있어요",
        "there are {things} {where}",
        {
            "where": phrases(
                ("책상 위에", "on the desk"),
                ("가방 안에", "in the bag"),
                ("의자 밑에", "under the chair"),
                ("상자 안에", "in the box"),
            ),
            "things": counted(
                (
                    Phrase("책", "book", "books", "권"),
                    Phrase("공책", "notebook", "notebooks", "권"),
                    Phrase("연필", "pencil", "pencils", "자루"),
                    Phrase("사진", "photo", "photos", "장"),
                    Phrase("컵", "cup", "cups", "개"),
                ),
                range(2, 13),
                "이/가",
            ),
        },
    ),
    Template(
        "{person:은/는} {year}",
        "{person} {year}",
        {
            "person": words.pick(words.PEOPLE, "남동생", "여동생", "아들", "딸"),
            "year": tuple(
                phrase
                for age in (7, 9, 10, 12, 15, 18, 20, 22, 25)
                for phrase in phrases(
                    (f"올해 {native(age)} 살이에요", f"is {english(age)} years old this year"),
                    (
                        f"내년에 {native(age)} 살이 돼요",
                        f"will be {english(age)} years old next year",
                    ),
                )
            ),
        },
    ),
    Template(
        "{room:은/는} {building} {floor} 층에 있어요",
        "the {room} is on the {floor} floor of the {building}",
        {
            "room": phrases(
                ("화장실", "restroom"),
                ("사무실", "office"),
                ("회의실", "meeting room"),
                ("커피숍", "coffee shop"),
            ),
            "building": words.pick(words.PLACES, "병원", "호텔", "백화점", "도서관", "학교"),
            "floor": numbers(range(1, 11), sino, ordinal),
        },
    ),
)

_PAST_DAYS = phrases(
    ("그저께", "the day before yesterday"),
    ("어제", "yesterday"),
    ("오늘", "today"),
    ("지난주에", "last week"),
)
_GOODS_VERBS = phrases(
    ("찾고 있어요", "i am looking for"),
    ("사고 싶어요", "i want to buy"),
    ("샀어요", "i bought"),
    ("보여 주세요", "please show me"),
)

SHOPPING = (
    Template(
        "{drinks}하고 {foods} 주세요",
        "please give me {drinks} and {foods}",
        {
            "drinks": counted(
                (
                    Phrase("커피", "cup of coffee", "cups of coffee", "잔"),
                    Phrase("주스", "glass of juice", "glasses of juice", "잔"),
                    Phrase("물", "bottle of water", "bottles of water", "병"),
                    Phrase("맥주", "bottle of beer", "bottles of beer", "병"),
                ),
                range(1, 6),
            ),
            "foods": counted(
                (
                    Phrase("빵", "piece of bread", "pieces of bread", "개"),
                    Phrase("샌드위치", "sandwich", "sandwiches", "개"),
                    Phrase("케이크", "cake", "cakes", "개"),
                    Phrase("사과", "apple", "apples", "개"),
                ),
                range(1, 6),
            ),
        },
    ),
    Template(
        "{which} {item:은/는} {price} 원이에요",
        "{which} {item} is {price} won",
        {
            "which": phrases(("이", "this"), ("저", "that")),
            "item": words.GOODS,
            "price": words.PRICES,
        },
    ),
    Template(
        "{color} {item:을/를} {verb}",
        "{verb} {color:a} {item}",
        {
            "color": phrases(
                ("빨간", "red"),
                ("파란", "blue"),
                ("노란", "yellow"),
                ("검은", "black"),
                ("하얀", "white"),
                ("작은", "small"),
                ("큰", "big"),
            ),
            "item": words.GOODS,
            "verb": _GOODS_VERBS,
        },
    ),
    Template(
        "{which} {item:은/는} {degree} {quality}",
        "{which} {item} is {degree} {quality}",
        {
            "which": phrases(("이", "this"), ("저", "that")),
            "item": words.GOODS,
            "degree": phrases(("너무", "too"), ("아주", "very"), ("정말", "really")),
            "quality": phrases(
                ("비싸요", "expensive"),
                ("커요", "big"),
                ("작아요", "small"),
                ("무거워요", "heavy"),
                ("가벼워요", "light"),
            ),
        },
    ),
    Template(
        "{when} {shop}에서 {things} 샀어요",
        "i bought {things} at the {shop} {when}",
        {
            "when": _PAST_DAYS,
            "shop": phrases(("시장", "market"), ("가게", "store"), ("마트", "supermarket")),
            "things": counted(
                (
                    Phrase("사과", "apple", "apples", "개"),
                    Phrase("계란", "egg", "eggs", "개"),
                    Phrase("장미", "rose", "roses", "송이"),
                    Phrase("공책", "notebook", "notebooks", "권"),
                    Phrase("생선", "fish", "fish", "마리"),
                ),
                range(2, 8),
                "을/를",
            ),
        },
    ),
    Template(
        "{place}에서 {means:으로/로} {price} 원을 냈어요",
        "i paid {price} won {means} at the {place}",
        {
            "place": words.pick(
                words.PLACES, "시장", "식당", "약국", "서점", "백화점", "호텔", "병원"
            ),
            "means": phrases(("카드", "by card"), ("현금", "in cash")),
            "price": words.PRICES,
        },
    ),
)

FOOD = (
    Template(
        "{when} {person:과/와} {meal} {food:을/를} 먹었어요",
        "i ate {food} for {meal} with {person} {when}",
        {
            "when": _PAST_DAYS,
            "person": words.COMPANIONS,
            "meal": phrases(("점심으로", "lunch"), ("저녁으로", "dinner")),
            "food": words.FOODS,
        },
    ),
    Template(
        "{person:은/는} {less}보다 {more:을/를} 더 좋아해요",
        "{person} likes {more} more than {less}",
        {"person": words.PEOPLE, "less": words.DRINKS, "more": words.DRINKS},
        different("less", "more"),
    ),
    Template(
        "{person:은/는} 하루에 {drink:을/를} {amount} 잔 마셔요",
        "{person} drinks {amount} {drink:other} {drink} a day",
        {"person": words.PEOPLE, "drink": words.DRINKS, "amount": numbers(range(2, 6), native)},
    ),
)

WORK = (
    Template(
        "{deadline}까지 {document:을/를} {verb} 주세요",
        "please {verb} the {document} by {deadline}",
        {
            "deadline": (*phrases(("내일", "tomorrow")), *words.WEEKDAYS),
            "document": phrases(
                ("보고서", "report"),
                ("계약서", "contract"),
                ("편지", "letter"),
                ("일정표", "schedule"),
                ("서류", "documents"),
            ),
            "verb": phrases(
                ("보내", "send"),
                ("준비해", "prepare"),
                ("확인해", "check"),
                ("번역해", "translate"),
            ),
        },
    ),
    Template(
        "{person:은/는} {place}에서 {years} 년 동안 일했어요",
        "{person} worked at the {place} for {years} years",
        {
            "person": words.PEOPLE,
            "place": words.pick(
                words.PLACES, "은행", "병원", "호텔", "도서관", "백화점", "식당", "약국", "서점"
            ),
            "years": numbers((2, 3, 4, 5, 10, 15, 20), sino),
        },
    ),
    Template(
        "{person:은/는} {period} 전에 {job:이/가} 됐어요",
        "{person} became {job:a} {period} ago",
        {
            "person": words.PEOPLE,
            "period": words.PERIODS,
            "job": phrases(
                ("의사", "doctor"),
                ("선생님", "teacher"),
                ("가수", "singer"),
                ("변호사", "lawyer"),
                ("기자", "reporter"),
                ("요리사", "cook"),
            ),
        },
    ),
    Template(
        "{day} {time}에 {event:이/가} 있어요",
        "i have {event:a} at {time} {day} {time:other}",
        {
            "day": (
                *phrases(("내일", "tomorrow")),
                *(Phrase(day.korean, f"on {day.english}") for day in words.WEEKDAYS),
            ),
            "time": words.DAY_HOURS,
            "event": phrases(
                ("회의", "meeting"),
                ("수업", "class"),
                ("시험", "exam"),
                ("약속", "appointment"),
                ("면접", "interview"),
            ),
        },
    ),
)

LIFE = (
    Template(
        "{when} {person}에게 {thing:을/를} 보냈어요",
        "i sent {thing:a} to {person} {when}",
        {
            "when": _PAST_DAYS,
            "person": words.PEOPLE,
            "thing": phrases(
                ("편지", "letter"),
                ("선물", "present"),
                ("사진", "photo"),
                ("메일", "email"),
                ("소포", "package"),
            ),
        },
    ),
    Template(
        "{person:은/는} {period}째 {skill:을/를} 배우고 있어요",
        "{person} has been learning {skill} for {period}",
        {
            "person": words.PEOPLE,
            "period": words.PERIODS[1:],
            "skill": phrases(
                ("영어", "english"),
                ("중국어", "chinese"),
                ("피아노", "the piano"),
                ("수영", "to swim"),
                ("요리", "to cook"),
                ("춤", "to dance"),
            ),
        },
    ),
    Template(
        "{since} {body:이/가} {degree} 아파요",
        "my {body} has hurt {degree} since {since}",
        {
            "since": phrases(
                ("어제부터", "yesterday"), ("아침부터", "this morning"), ("지난주부터", "last week")
            ),
            "body": phrases(
                ("머리", "head"),
                ("배", "stomach"),
                ("목", "throat"),
                ("다리", "leg"),
                ("허리", "back"),
                ("팔", "arm"),
            ),
            "degree": phrases(("많이", "a lot"), ("조금", "a little")),
        },
    ),
    Template(
        "{when} {person:과/와} {hobby} 싶어요",
        "i want to {hobby} with {person} {when}",
        {
            "when": (
                *phrases(
                    ("내일", "tomorrow"), ("주말에", "on the weekend"), ("다음 주에", "next week")
                ),
                *words.ON_WEEKDAYS,
            ),
            "person": words.COMPANIONS,
            "hobby": phrases(
                ("영화를 보고", "watch a movie"),
                ("산책을 하고", "take a walk"),
                ("테니스를 치고", "play tennis"),
                ("노래를 부르고", "sing"),
                ("사진을 찍고", "take pictures"),
                ("등산을 가고", "go hiking"),
            ),
        },
    ),
)
