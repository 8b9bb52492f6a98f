"""CER and WER against jiwer and against strings counted by hand."""

import unicodedata
from importlib.metadata import version

import jiwer
import pytest

from soritune.errors import UserError
from soritune.languages.form import TextForm
from soritune.scoring.error_rates import error_table
from soritune.scoring.score import Score
from soritune.scoring.table import scores_of
from soritune.scoring.variants import prepare

REFERENCES = ["나는 학교에 간다", "오늘 날씨가 좋다", "the cat sat", "세 시에 만나요"]
HYPOTHESES = ["나는 학교에서 간다", "오늘 날씨", "the cat sat", ""]


def cer(
    references: list[str], hypotheses: list[str], variant: str = "raw", **settings: int
) -> Score:
    return scores_of([error_table("cer", references, hypotheses, variant, "ko")], **settings)[0]


def wer(
    references: list[str], hypotheses: list[str], variant: str = "raw", **settings: int
) -> Score:
    return scores_of([error_table("wer", references, hypotheses, variant, "ko")], **settings)[0]


def test_rates_equal_those_of_jiwer() -> None:
    assert cer(REFERENCES, HYPOTHESES).value == 100 * jiwer.cer(REFERENCES, HYPOTHESES)
    assert wer(REFERENCES, HYPOTHESES).value == 100 * jiwer.wer(REFERENCES, HYPOTHESES)


def test_korean_cer_counted_by_hand() -> None:
    # 학교에 -> 학교를: one of 9 characters (7 syllables and 2 spaces).
    assert cer(["나는 학교에 간다"], ["나는 학교를 간다"]).value == pytest.approx(100 / 9)
    # The same error where spaces do not count: one of 7.
    without = cer(["나는 학교에 간다"], ["나는 학교를 간다"], "no-spaces")
    assert without.value == pytest.approx(100 / 7)
    # One missing space is one deletion, or nothing at all.
    assert cer(["나는 간다"], ["나는간다"]).value == pytest.approx(100 / 5)
    assert cer(["나는 간다"], ["나는간다"], "no-spaces").value == 0
    # One wrong word of three.
    assert wer(["나는 학교에 간다"], ["나는 학교를 간다"]).value == pytest.approx(100 / 3)


def test_corpus_rate_is_all_edits_over_all_length_and_not_a_mean_of_rates() -> None:
    # 1 edit of 2 and 0 of 8: 10 %, where the mean of rates would be 25 %.
    assert cer(["가나", "다라마바사아자차"], ["가다", "다라마바사아자차"]).value == 10


def test_empty_reference_makes_all_that_was_written_insertions() -> None:
    assert error_table("cer", [""], ["가나"]).counts.tolist() == [[2, 0]]
    assert cer(["", "가나다라"], ["가나", "가나다라"]).value == 50
    assert wer(["", "가나 다라"], ["가나", "가나 다라"]).value == 50
    assert cer([""], [""]).value == 0
    assert cer([""], ["가나"]).value == 100 * jiwer.cer([""], ["가나"])


def test_empty_hypotheses_are_a_rate_of_one_hundred() -> None:
    score = cer(["가나", "다라 마"], ["", "  "])
    assert (score.value, score.low, score.high) == (100, 100, 100)


def test_more_written_than_said_is_above_one_hundred() -> None:
    assert cer(["가"], ["가나다라"]).value == 300


def test_records_of_utterances_add_up_to_the_corpus_rate() -> None:
    counts = error_table("wer", REFERENCES, HYPOTHESES).counts
    assert counts[0].tolist() == [1, 3]
    assert counts[3].tolist() == [3, 3]
    edits, length = counts.sum(axis=0)
    assert wer(REFERENCES, HYPOTHESES).value == pytest.approx(100 * edits / length)


def test_decomposed_syllables_count_as_one_character_each() -> None:
    decomposed = unicodedata.normalize("NFD", "한국어")
    assert len(decomposed) == 8
    assert cer(["한국어"], [decomposed]).value == 0


def test_white_space_at_the_ends_and_doubled_is_no_error() -> None:
    assert cer(["나는 간다"], ["  나는 \t간다\n"]).value == 0


def test_punctuation_and_case_count_unless_they_are_taken_out() -> None:
    reference, hypothesis = ["It's a well-known shop."], ["its a well known shop"]
    # I/i, the apostrophe, the dash and the full stop: 4 of 23.
    assert cer(reference, hypothesis).value == pytest.approx(400 / 23)
    assert cer(reference, hypothesis, "no-punctuation").value == 0
    assert wer(reference, hypothesis, "no-punctuation").value == 0
    assert cer(["만 원, 주세요!"], ["만 원 주세요"], "no-punctuation").value == 0


def test_signature_names_all_that_counts() -> None:
    signature = cer(["가"], ["가"]).signature
    assert signature == (
        "cer|unit:char|space:kept|case:mixed|punct:kept|norm:nfc"
        f"|rapidfuzz:{version('rapidfuzz')}|soritune:{version('soritune')}"
        "|bs:1000|drawn:utterances|seed:12345"
    )
    others = {
        cer(["가"], ["가"], "no-punctuation").signature,
        cer(["가"], ["가"], "no-spaces").signature,
        cer(["가"], ["가"], seed=1).signature,
        cer(["가"], ["가"], num_resamples=10).signature,
        wer(["가"], ["가"]).signature,
        signature,
    }
    assert len(others) == 6


def test_no_utterances_is_a_user_error() -> None:
    with pytest.raises(UserError, match="no utterances"):
        cer([], [])
    with pytest.raises(UserError, match="no utterances"):
        wer([], [])


def test_lists_of_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 references but 1"):
        cer(["가", "나"], ["가"])


def test_unknown_normalization_is_named_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="use raw, seed, no-spaces"):
        cer(["가"], ["가"], "lower")


def test_marks_that_unicode_calls_symbols_are_punctuation() -> None:
    said, written = "네 육 이오 노래", "네~ 육ㆍ이오 ♪ 노래～"
    assert cer([said], [written], "no-punctuation").value == 0


@pytest.mark.parametrize(
    "text",
    [
        "네~ 6ㆍ25, 3.14와 1,234!",
        "50%… “안녕”이라고?",
        "010-1234-5678",
        "서울-부산 ♪ 가ㆍ나",
        "It's A&B.",
    ],
)
def test_marks_go_from_scores_by_the_rule_of_a_corpus(text: str) -> None:
    """One rule: what `text: {punctuation: drop}` writes and what is scored differ in nothing."""
    form = TextForm(punctuation="drop").apply(text, "ko")
    assert cer([form], [text], "no-punctuation").value == 0
    assert prepare([form], "no-punctuation") == [form.lower()]
    assert "punct:removed.2" in cer([form], [text], "no-punctuation").signature
