"""What is counted in Korean, and in which of the two number systems.

외국인을 위한 한국어 문법 1 (국립국어원 2005): native numerals stand before 개, 병, 마리, 장 and the
like, Sino-Korean ones before dates; there is no clear rule, so the system belongs to each word of
these lists. From 100 on all are Sino-Korean. Hours are native, minutes and seconds Sino-Korean
(국립국어원 국어생활종합상담실); from 13 on an hour is read from the 24-hour clock, which is
Sino-Korean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from soritune.languages.ko.numerals import MAX_NATIVE, native, sino, word_list

_NATIVE = word_list(
    """
    개 건 명 사람 마리 살 시간 시 번 번째 차례 가지 곳 군데 잔 병 컵 캔 그릇 접시 숟가락 스푼
    모금 권 장 자루 켤레 벌 쌍 채 척 대 그루 송이 포기 다발 묶음 알 톨 조각 토막 판 통 봉지
    상자 박스 갑 포대 줄 칸 배 편 곡 끼 달 팀 걸음 바퀴 방울 움큼 글자 단어 문장 문제 종류
    경기 골 남매 자매 식구 돈 냥 되 섬 자리 자릿수 뼘
    """
)

_SINO = word_list(
    """
    년 년대 년도 년생 년차 년간 월 일 일간 일차 주 주일 주년 주간 주차 개월 개월간 개년 세기
    분기 학기 학년 반 교시 박 분 분간 초 초간 도 원 달러 엔 유로 위안 파운드 센트 퍼센트
    퍼센트포인트 프로 미터 킬로미터 센티미터 밀리미터 센티 킬로 제곱미터 세제곱미터 평 헥타르
    그램 킬로그램 밀리그램 톤 리터 밀리리터 칼로리 킬로칼로리 와트 킬로와트 볼트 헤르츠
    킬로헤르츠 메가헤르츠 기가헤르츠 바이트 킬로바이트 메가바이트 기가바이트 테라바이트 데시벨
    광년 마일 인치 층 호 호선 호점 호기 번지 번길 동 등 위 순위 급 단 단계 차 차선 차로 차원
    회 회차 승 무 패 연승 연패 점 쪽 페이지 항 조항 절 인 인분 인승 개국 개국어 개사 개교 개소
    세 세대 가구 대째 과목 배속 화 부 부작 학번 번선 선 이닝 라운드 세트 쿼터 할 푼 종 열
    행 석 성급 비트 음절 자 구 호봉 관 기 군
    """
)

# Said in both systems; this is the one that is read here.
_NATIVE_UP_TO = {"시": 12, "시간": 20}
_FORMS = {
    # 표준어 규정 제17항: 서 너 before 돈 말 발 푼, 석 넉 before 냥 되 섬 자.
    "돈": {3: "서", 4: "너"},
    **{word: {3: "석", 4: "넉"} for word in ("냥", "되", "섬")},
    "번째": {1: "첫"},
}
# 한글 맞춤법 제52항: 유월 and 시월 are written as they are said.
_SHORTENED = {6: "유", 10: "시"}
MONTHS = ("", *(f"{_SHORTENED.get(month, sino(month))}월" for month in range(1, 13)))


@dataclass(frozen=True)
class Counter:
    """A word that follows a number; `native_up_to` is 0 where it takes Sino-Korean numerals."""

    word: str
    native_up_to: int

    def read(self, number: int) -> str:
        """Return the words of a whole number before this counter."""
        if not 1 <= number <= self.native_up_to:
            return sino(number)
        return _FORMS.get(self.word, {}).get(number) or native(number)

    def phrase(self, number: int) -> str:
        """Return the number and the counter with the space of 한글 맞춤법 제43항.

        None stands in the words that dictionaries have as one: 유월, 일주일, 일등.
        """
        if self.word == "월" and 1 <= number <= 12:
            return MONTHS[number]
        joined = (self.word == "주일" and number == 1) or (self.word == "등" and 1 <= number <= 3)
        return self.read(number) + ("" if joined else " ") + self.word


COUNTERS = {
    **{word: Counter(word, 0) for word in _SINO},
    **{word: Counter(word, _NATIVE_UP_TO.get(word, MAX_NATIVE)) for word in _NATIVE},
}
_LONGEST = max(map(len, COUNTERS))


def find_counter(text: str, start: int = 0) -> Counter | None:
    """Return the longest counter that `text` has at `start`."""
    for length in range(_LONGEST, 0, -1):
        counter = COUNTERS.get(text[start : start + length])
        if counter is not None and len(counter.word) == length:
            return counter
    return None


_PARTICLES = word_list(
    """
    이 가 은 는 을 를 에 에서 에게 의 도 만 로 으로 와 과 나 이나 부터 까지 쯤 씩 당 째 간
    짜리 정도 이상 이하 미만 초과 전 후 뒤 동안 마다 보다 밖에 뿐 처럼 만큼 께 이다 다 입니다
    이고 고 이며 며 인 이라 라 였다 이었다 였습니다 이었습니다 이에요 예요 이죠 죠 이지 지
    이야 야 요 인데 이라고 라고 이라는 라는 이면 면 반
    """
)
_WORD_END = re.compile(
    f"(?:{'|'.join(sorted(_PARTICLES, key=len, reverse=True))}){{0,3}}(?![가-힣])"
)
"""What may follow a word: particles, then no further syllable."""


def ends_word(text: str, position: int) -> bool:
    """Return whether a word ends at `position`, or goes on with particles alone (에서는)."""
    return _WORD_END.match(text, position) is not None
