"""Bootstrap intervals against cases that can be worked out without a computer."""

import numpy as np
import pytest

from soritune.scoring.bootstrap import (
    SINGLY,
    Clusters,
    Floats,
    Scorer,
    interval_of,
    resampled_sums,
)
from soritune.scoring.error_rates import error_table, percent
from soritune.scoring.score import Score
from soritune.scoring.table import Table, scores_of


def bootstrap_interval(
    table: Floats, scorer: Scorer, clusters: Clusters = SINGLY, **settings: int
) -> tuple[float, float]:
    return interval_of(scorer(resampled_sums(table, clusters=clusters, **settings)), clusters)


def cer(references: list[str], hypotheses: list[str]) -> Score:
    return scores_of([error_table("cer", references, hypotheses)])[0]


def test_two_utterances_one_of_them_wrong_span_everything() -> None:
    # Resamples give 0, 50 and 100 % with probability 1/4, 1/2 and 1/4: both tails exceed 2.5 %.
    score = cer(["가", "나"], ["가", "다"])
    assert (score.value, score.low, score.high) == (50, 0, 100)


def test_interval_of_a_proportion_is_that_of_the_binomial() -> None:
    # 100 utterances of one character, half of them wrong: resampled errors follow
    # Binomial(100, 1/2), whose 2.5 % and 97.5 % quantiles are 40 and 60.
    score = cer(["가"] * 100, ["가"] * 50 + ["나"] * 50)
    assert score.low == pytest.approx(40, abs=1)
    assert score.high == pytest.approx(60, abs=1)


def test_interval_narrows_with_the_root_of_the_number_of_utterances() -> None:
    few = cer(["가"] * 50, ["가"] * 25 + ["나"] * 25)
    many = cer(["가"] * 1250, ["가"] * 625 + ["나"] * 625)
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(5, rel=0.25)


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        wrong = rng.random(150) < 0.3
        statistics = np.stack([wrong, np.ones(150)], axis=1)
        low, high = bootstrap_interval(statistics, _ratio, num_resamples=400)
        held += low <= 0.3 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_a_rate_of_few_speakers_has_the_interval_of_student_on_the_scale_of_the_logarithm() -> None:
    # Linearised (Cochran, Sampling Techniques, 6.4): the variance of log(errors / length) is the
    # sum of (errors - rate length)^2 over the speakers, by the square of all errors, times
    # G / (G - 1); Student's t for G - 1 = 7 is 2.3646 (tables).
    errors = np.array([9, 14, 11, 6, 10, 13, 8, 12])
    lengths = np.array([100, 110, 90, 105, 95, 120, 100, 100])
    counts = np.stack([errors, lengths], axis=1).astype(float)
    speakers = [str(number) for number in range(8)]
    (score,) = scores_of([Table("cer", "raw", counts, percent, "")], speakers)
    rate = errors.sum() / lengths.sum()
    deviation = np.sqrt(8 / 7 * ((errors - rate * lengths) ** 2).sum()) / errors.sum()
    assert np.log(score.high / score.value) == pytest.approx(2.3646 * deviation, rel=0.03)
    assert score.low * score.high == pytest.approx(score.value**2)
    assert score.signature.endswith("drawn:speakers.log-t|seed:12345")
    # A speaker without an error is drawn alone now and then: no logarithm, but widened percentiles.
    counts[:7, 0] = 0
    (few,) = scores_of([Table("cer", "raw", counts, percent, "")], speakers)
    assert few.low == 0 < few.value < few.high


def test_same_seed_same_interval_and_other_seed_another() -> None:
    statistics = np.stack([np.arange(40) % 7, np.full(40, 10)], axis=1)
    assert bootstrap_interval(statistics, _ratio) == bootstrap_interval(statistics, _ratio)
    others = {bootstrap_interval(statistics, _ratio, seed=seed) for seed in range(5)}
    assert len(others) > 1


def test_one_utterance_has_an_interval_of_no_width() -> None:
    score = cer(["가나다라"], ["가나다"])
    assert (score.low, score.high) == (25, 25)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="num_utterances"):
        bootstrap_interval(np.zeros((0, 2)), _ratio)
    with pytest.raises(ValueError, match="num_utterances"):
        bootstrap_interval(np.zeros(3), _ratio)


def _ratio(sums: Floats) -> Floats:
    return np.asarray(sums[:, 0] / sums[:, 1])
