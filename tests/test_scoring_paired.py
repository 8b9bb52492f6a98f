"""Paired tests, Holm's correction and the retention gate against cases that can be worked out."""

import itertools

import numpy as np
import pytest
from test_scoring_bootstrap import bootstrap_interval

from soritune.scoring.bootstrap import SINGLY, Clusters, t_quantile
from soritune.scoring.error_rates import percent
from soritune.scoring.paired import Measured, corrected, paired_tests
from soritune.scoring.records import PairedTest
from soritune.scoring.retention import retention_verdicts


def compare(
    one: np.ndarray, other: np.ndarray, clusters: Clusters = SINGLY, metric: str = "cer"
) -> PairedTest:
    cases = [Measured("a", one.astype(float)), Measured("b", other.astype(float))]
    (test,) = corrected(paired_tests("korean", metric, "raw", cases, percent, clusters))
    return test


def errors(*edits: int) -> np.ndarray:
    return np.stack([np.array(edits), np.full(len(edits), 10)], axis=1)


def test_p_is_that_of_all_exchanges() -> None:
    # 20 utterances differ in 6: all 2^6 exchanges can be listed.
    gains = (3, 1, 1, 2, 1, 1)
    before, after = errors(*(4,) * 20), errors(*(4 - g for g in gains), *(4,) * 14)
    signs = itertools.product((1, -1), repeat=len(gains))
    sums = [abs(sum(s * g for s, g in zip(each, gains, strict=True))) for each in signs]
    exact = np.mean([total >= sum(gains) for total in sums])
    assert compare(before, after).p == pytest.approx(exact, abs=0.004)


def test_a_clear_gain_is_better_and_its_reverse_worse() -> None:
    rng = np.random.default_rng(0)
    before = errors(*rng.integers(3, 7, 100))
    after = before - [2, 0]
    assert compare(before, after).words == "better, p < 0.001"
    assert compare(after, before).words == "worse, p < 0.001"
    same = compare(before, before)
    assert (same.words, same.difference, same.low, same.high, same.p) == (
        *("no difference shown", 0, 0, 0, 1.0),
    )


def test_too_few_utterances_or_one_speaker_say_nothing() -> None:
    few = errors(*(4,) * 19)
    assert compare(few, few - [4, 0]).words == "too few to say"
    one_voice = Clusters.of(["ann"] * 40)
    assert compare(errors(*(4,) * 40), errors(*(0,) * 40), one_voice).words == "too few to say"


def test_utterances_of_one_speaker_are_exchanged_together() -> None:
    # The gain lies in one of 8 speakers: 2 of 2^8 exchanges keep him apart from none.
    speakers = Clusters.of([f"speaker-{n // 10}" for n in range(80)])
    before, after = errors(*(4,) * 80), errors(*(0,) * 10, *(4,) * 70)
    assert compare(before, after).p < 0.01
    assert compare(before, after, speakers).p == 1.0
    assert compare(before, after, speakers).clusters == 8


def test_p_of_few_speakers_is_exact() -> None:
    # 2^8 exchanges; a rate of all is as far apart where the same speakers' gains add up as far.
    gains = (5, 3, 1, -1, 2, 4, 0, 2)
    before = errors(*itertools.chain.from_iterable([5] * 5 for _ in gains))
    after = errors(*itertools.chain.from_iterable([5 - gain] * 5 for gain in gains))
    signs = itertools.product((1, -1), repeat=len(gains))
    sums = [abs(sum(s * g for s, g in zip(each, gains, strict=True))) for each in signs]
    speakers = Clusters.of([f"speaker-{n // 5}" for n in range(40)])
    expected = sum(total >= sum(gains) for total in sums) / 2**8
    assert compare(before, after, speakers).p == expected


def test_at_no_difference_the_test_errs_in_one_of_twenty() -> None:
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(200):
        lengths = rng.integers(5, 40, 60)
        tables = [np.stack([rng.binomial(lengths, 0.1), lengths], axis=1) for _ in range(2)]
        cases = [Measured(name, t.astype(float)) for name, t in zip("ab", tables, strict=True)]
        (test,) = paired_tests("e", "cer", "raw", cases, percent, SINGLY)
        found += test.p is not None and test.p < 0.05
    assert found / 200 <= 0.08


def test_holm_corrects_as_in_his_paper() -> None:
    # Holm 1979: the smallest of m is compared with alpha / m, the next with alpha / (m - 1) ...
    tests = [
        compare(errors(*(4,) * 20), errors(*(4,) * 20)).__class__(
            **{**vars(compare(errors(*(4,) * 20), errors(*(3,) * 20))), "p": p}
        )
        for p in (0.01, 0.04, 0.03, 0.005)
    ]
    assert [each.p_holm for each in corrected(tests)] == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_of_higher_scores_the_higher_is_better() -> None:
    hits = errors(*(2,) * 50)
    assert compare(hits, hits + np.array([3, 0]), metric="bleu").verdict == "better"


def test_the_gate_needs_the_whole_interval() -> None:
    def verdict(difference: float, low: float, high: float, metric: str = "cer") -> str:
        values = {**vars(compare(errors(*(4,) * 20), errors(*(4,) * 20))), "metric": metric}
        values |= {"difference": difference, "low": low, "high": high}
        allowed = {("korean", metric, "raw"): 1.0}
        (found,) = retention_verdicts([PairedTest(**values)], "a", allowed)
        return found.verdict

    assert verdict(0.2, -0.3, 0.9) == "kept"
    assert verdict(0.2, -0.3, 1.4) == "not shown"
    assert verdict(12.7, 9.8, 15.6) == "lost"
    assert verdict(-5, -7, -3) == "kept"
    assert verdict(-0.5, -0.9, 0.1, "bleu") == "kept"
    assert verdict(-5, -7, -3, "bleu") == "lost"


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(1, 12.706), (2, 4.303), (5, 2.571), (9, 2.262), (30, 2.042)]
)
def test_quantiles_of_t_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(quantile, abs=5e-4)


def test_clustered_intervals_hold_the_truth_and_single_ones_do_not() -> None:
    """Ten speakers, as in the test of Zeroth, whose error rates differ: 95 % must stay 95 %."""
    rng = np.random.default_rng(2)
    held = {True: 0, False: 0}
    trials = 250
    names = [f"speaker-{number // 12}" for number in range(120)]
    for _ in range(trials):
        rates = np.clip(rng.normal(0.2, 0.05, 10), 0, 1)
        edits = rng.binomial(40, np.repeat(rates, 12))
        table = np.stack([edits, np.full(120, 40)], axis=1)
        for clustered in held:
            clusters = Clusters.of(names) if clustered else SINGLY
            low, high = bootstrap_interval(table, percent, clusters, num_resamples=400)
            held[clustered] += low <= 20 <= high
    assert 0.92 <= held[True] / trials <= 0.98
    assert held[False] / trials < 0.75


def test_few_speakers_are_not_drawn() -> None:
    assert Clusters.of(["a", "b", "c", "d", "e"] * 4).index is None
    assert Clusters.of(["a", "b", "c", "d", "e"] * 4).speakers == 5
    assert Clusters.of([*"abcdefg", None]) == Clusters()
