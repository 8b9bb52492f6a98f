"""Variants of error rates, jamo, spacing and readings, counted by hand."""

import unicodedata

import numpy as np
import pytest

from soritune.errors import UserError
from soritune.scoring.error_rates import confusions, error_table, spacing_table
from soritune.scoring.evaluate import default_variants, evaluate_hypotheses


def cer(reference: str, hypothesis: str, variant: str) -> float:
    return error_table("cer", [reference], [hypothesis], variant, "ko").value


def test_the_seed_counts_no_more_errors_than_letters() -> None:
    # The reference published 99.16 for a model of which another evaluation has 195.92.
    assert cer("가나", "hello", "raw") == 250
    assert cer("가나", "hello", "seed") == 100
    # evaluate 0.4.3 composes no syllables, and takes doubled spaces as one.
    assert cer("한", unicodedata.normalize("NFD", "한"), "raw") == 0
    assert cer("한", unicodedata.normalize("NFD", "한"), "seed") == 100
    assert cer("가 나", " 가  나 ", "seed") == 0


def test_micro_and_macro_are_both_there() -> None:
    (score,) = evaluate_hypotheses(
        ["cer"], "ko", ["가나", "다라마바사아자차"], ["가다", "다라마바사아자차"]
    )
    assert (score.value, score.macro) == (10, 25)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5월에 만나", "오월에 만나"),
        ("20명이 왔다", "이십 명이 왔다"),
        ("20명이 왔다", "스무 명이 왔다"),
        ("이십 명이 왔다", "스무 명이 왔다"),
        ("AI 기술", "에이아이 기술"),
        ("사과 3개", "사과 세 개"),
        ("3시 30분에 만나요.", "세 시 삼십 분에 만나요"),
        ("3:30에 만나", "세 시 반에 만나"),
        ("6월 10일", "유월 십일"),
        ("1만 원", "만 원"),
        ("12억 3,456만 원", "십이억 삼천사백오십육만 원"),
        ("$100", "백 달러"),
        ("영하 5도", "-5도"),
        ("010-1234-5678", "공일공 일이삼사 오육칠팔"),
        ("3.5kg", "삼 점 오 킬로"),
        ("MP3", "엠피쓰리"),
        ("5G", "오지"),
        ("KBS 뉴스", "케이비에스 뉴스"),
        ("Ｌｇ전자", "LG전자"),
    ],
)
def test_the_same_read_aloud_is_no_error(one: str, other: str) -> None:
    assert cer(one, other, "reading") == 0
    assert cer(other, one, "reading") == 0
    assert cer(one, other, "raw") > 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("이 사람", "두 사람"),  # this person
        ("3개", "네 개"),
        ("5월", "유월"),
        ("20명", "서른 명"),
        ("AI", "에이"),
        ("일 번", "한 번"),  # number one; once
        ("삼월", "세 월"),
    ],
)
def test_what_is_not_the_same_stays_an_error(one: str, other: str) -> None:
    assert cer(one, other, "reading") > 0
    assert cer(other, one, "reading") > 0


def test_readings_leave_the_length_of_the_reference_to_itself() -> None:
    # 세 개 is two syllables, whatever was written; one of them is wrong.
    assert error_table("cer", ["3개"], ["3게"], "reading", "ko").counts.tolist() == [[1, 2]]
    assert error_table("cer", ["세 개"], ["3게"], "reading", "ko").counts.tolist() == [[1, 2]]


def test_readings_without_numbers_and_letters_are_plain_edit_distances() -> None:
    rng = np.random.default_rng(0)
    letters = list("가나다라마 ")
    pairs = [["".join(rng.choice(letters, 12)) for _ in range(40)] for _ in range(2)]
    plain = error_table("cer", *pairs, "no-spaces").counts
    assert error_table("cer", *pairs, "reading", "ko").counts.tolist() == plain.tolist()


def test_a_language_without_readings_says_so() -> None:
    with pytest.raises(UserError, match="no readings are known"):
        error_table("cer", ["a"], ["b"], "reading", "en")
    assert default_variants("en") == ("raw",)
    assert default_variants("ko") == ("raw", "seed", "reading")


def test_jamo_counted_by_hand() -> None:
    # 한 is ㅎㅏㄴ, 항 is ㅎㅏㅇ: one of three; 국 against 귝: one of three.
    assert error_table("jamo", ["한국"], ["항귝"]).value == pytest.approx(100 * 2 / 6)
    # 가 has two jamo, 각 one more.
    assert error_table("jamo", ["가"], ["각"]).value == 50
    # An onset is not a coda: ㄱㅏ against ㅏㄱ.
    assert error_table("jamo", ["가"], ["악"]).value == 100
    assert error_table("jamo", ["A급"], ["A급"]).value == 0


def test_confusions_tell_onset_nucleus_and_coda() -> None:
    found = confusions(["바람이 분다", "개가"], ["파람이 붑다", "게가"])
    assert found == {("onset", "ㅂ", "ㅍ"): 1, ("coda", "ㄴ", "ㅂ"): 1, ("nucleus", "ㅐ", "ㅔ"): 1}
    # Syllables that share nothing say nothing of sounds.
    assert not confusions(["말"], ["곡"])


def spacing(reference: str, hypothesis: str) -> float:
    return spacing_table([reference], [hypothesis]).value


def test_spacing_counted_by_hand() -> None:
    assert spacing("나는 학교에 간다", "나는 학교에 간다") == 100
    # One of two spaces found, none invented: precision 1, recall 1/2.
    assert spacing("나는 학교에 간다", "나는 학교에간다") == pytest.approx(200 / 3)
    # Both found, one invented: precision 2/3, recall 1.
    assert spacing("나는 학교에 간다", "나 는 학교에 간다") == pytest.approx(80)
    # A wrong letter moves no space.
    assert spacing("나는 학교에 간다", "나는 하교를 간다") == 100
    # A missing letter moves those behind it.
    assert spacing("나는 학교에 간다", "나는 학교 간다") == 100
    assert spacing("나는", "나는") == 100
    assert spacing("나 는", "나는") == 0
