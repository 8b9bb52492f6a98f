"""BLEU and chrF against sacrebleu itself."""

import pytest
import sacrebleu
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.tokenizers import tokenizer_ko_mecab

from soritune.errors import UserError
from soritune.languages import find_language
from soritune.scoring import translation
from soritune.scoring.evaluate import evaluate_hypotheses
from soritune.scoring.score import Score, differences
from soritune.scoring.table import scores_of
from soritune.scoring.translation import bleu_table, chrf_table

ENGLISH = [
    "The train to Busan leaves at three in the afternoon.",
    "I would like two cups of coffee, please.",
    "She works at a small company near the river.",
    "How much are these apples?",
    "",
]
WRITTEN = [
    "The train to Busan leaves at four in the afternoon.",
    "I would like two coffees please.",
    "She works in a small company near the river.",
    "",
    "nothing was said",
]
KOREAN = [
    "부산으로 가는 기차는 오후 세 시에 떠납니다.",
    "커피 두 잔 주세요.",
    "이 사과는 얼마예요?",
]
WRITTEN_KOREAN = [
    "부산에 가는 기차는 오후 세시에 떠납니다.",
    "커피 두 잔을 주세요.",
    "이 사과가 얼마예요?",
]


def bleu(references: list[str], hypotheses: list[str], language: str) -> Score:
    return scores_of([bleu_table(references, hypotheses, language)])[0]


def chrf(references: list[str], hypotheses: list[str]) -> Score:
    return scores_of([chrf_table(references, hypotheses)])[0]


def test_bleu_equals_sacrebleu() -> None:
    assert bleu(ENGLISH, WRITTEN, "en").value == sacrebleu.corpus_bleu(WRITTEN, [ENGLISH]).score


def test_korean_bleu_is_counted_in_morphemes() -> None:
    expected = sacrebleu.corpus_bleu(WRITTEN_KOREAN, [KOREAN], tokenize="ko-mecab").score
    by_words = sacrebleu.corpus_bleu(WRITTEN_KOREAN, [KOREAN]).score
    assert abs(expected - by_words) > 1
    score = bleu(KOREAN, WRITTEN_KOREAN, "ko")
    assert score.value == expected
    assert "tok:ko-mecab-" in score.signature


def test_chrf_equals_sacrebleu() -> None:
    for references, hypotheses in [(ENGLISH, WRITTEN), (KOREAN, WRITTEN_KOREAN)]:
        expected = sacrebleu.corpus_chrf(hypotheses, [references]).score
        assert chrf(references, hypotheses).value == expected


@pytest.mark.parametrize("metric", [BLEU(), CHRF()])
def test_interval_and_signature_are_those_of_sacrebleu(metric: BLEU | CHRF) -> None:
    # Many, since sacrebleu's own resampling of chrF stumbles over a resample that scores 0.
    references, hypotheses = ENGLISH * 8, WRITTEN * 8
    theirs = metric.corpus_score(hypotheses, [references], n_bootstrap=1000)
    is_bleu = isinstance(metric, BLEU)
    ours = bleu(references, hypotheses, "en") if is_bleu else chrf(references, hypotheses)
    assert (ours.high - ours.low) / 2 == pytest.approx(theirs._ci, abs=1e-4)
    plain = type(metric)()
    plain.corpus_score(hypotheses, [references])
    assert str(plain.get_signature()) in ours.signature
    assert "bs:1000|drawn:utterances|seed:12345" in ours.signature


def test_tokenizer_follows_the_language_however_it_is_named() -> None:
    assert {find_language(name).bleu_tokenizer for name in ["ko", "ko-KR", "ko_kr", "Korean"]} == {
        "ko-mecab"
    }
    assert {find_language(name).bleu_tokenizer for name in ["en", "English", "en-US", "de"]} == {
        "13a"
    }


def test_all_empty_outputs_score_zero() -> None:
    score = bleu(ENGLISH, [""] * len(ENGLISH), "en")
    assert (score.value, score.low, score.high) == (0, 0, 0)
    assert chrf(ENGLISH, [""] * len(ENGLISH)).value == 0


def test_missing_korean_tokenizer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_ko_mecab, "MeCab", None)
    translation._bleu_metric.cache_clear()
    with pytest.raises(UserError, match=r'pip install "sacrebleu\[ko\]"'):
        bleu(KOREAN, WRITTEN_KOREAN, "ko")


def test_each_score_has_the_tokenizer_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """MeCab is never freed: the 16,297th tokenizer of a process did not start any more."""
    translation._bleu_metric.cache_clear()
    first = bleu(KOREAN, WRITTEN_KOREAN, "ko")
    monkeypatch.setattr(tokenizer_ko_mecab, "MeCab", None)
    assert bleu(KOREAN, WRITTEN_KOREAN, "ko") == first


def test_no_utterances_is_a_user_error_and_unequal_lists_are_refused() -> None:
    with pytest.raises(UserError, match="no utterances"):
        bleu([], [], "en")
    with pytest.raises(ValueError, match="1 references but 2"):
        chrf(["a"], ["a", "b"])


def test_metrics_are_scored_in_their_order() -> None:
    scores = evaluate_hypotheses(["bleu", "chrf"], "en", ENGLISH, WRITTEN)
    assert [score.metric for score in scores] == ["bleu", "chrf"]
    assert scores[0].value == bleu(ENGLISH, WRITTEN, "en").value
    assert scores[1].value == chrf(ENGLISH, WRITTEN).value
    # Another test set has another signature.
    (other,) = evaluate_hypotheses(["chrf"], "en", ENGLISH[::-1], WRITTEN[::-1])
    assert differences([scores[1].signature, other.signature])[0].startswith("refs (")


def test_unknown_metric_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match="no metric to score; name some of cer"):
        evaluate_hypotheses([], "en", ["a"], ["a"])
    with pytest.raises(UserError, match='did you mean "bleu"'):
        evaluate_hypotheses(["blue"], "en", ["a"], ["a"])
