"""How often the 95 % intervals hold the truth, and how often the paired test errs.

    python benchmarks/scoring_coverage.py [--trials 1000]

Simulated corpora whose true error rate is known: errors of an utterance are binomial with a rate of
its own (beta distributed, so a few utterances are far worse than the rest), and in the clustered
ones with a rate of its speaker. At no difference, two systems have the same rates.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from soritune.scoring.bootstrap import SINGLY, Clusters, bootstrap_interval
from soritune.scoring.error_rates import percent
from soritune.scoring.paired import Measured, paired_tests

RATE, SPREAD = 0.1, 8.0
SPEAKER_SD = 0.4  # of the logarithm of a speaker's rate

Counts = npt.NDArray[np.float64]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    random = np.random.default_rng(0)
    print("| corpus | drawn | interval holds the truth | test errs at no difference |")
    print("|---|---|---|---|")
    for utterances, speakers in ((120, 0), (457, 0), (120, 6), (200, 10), (457, 10), (600, 30)):
        for clustered in (False, True)[: 2 if speakers else 1]:
            held = errs = 0
            for _ in range(trials):
                clusters = SINGLY
                if clustered:
                    clusters = Clusters.of([str(n % speakers) for n in range(utterances)])
                one, other = made(random, utterances, speakers)
                low, high = bootstrap_interval(one, percent, clusters=clusters)
                held += low <= 100 * truth() <= high
                cases = [Measured("a", one), Measured("b", other)]
                (test,) = paired_tests("e", "cer", "raw", cases, percent, clusters)
                errs += test.p is not None and test.p < 0.05
            title = f"{utterances} utterances" + (f", {speakers} speakers" if speakers else "")
            drawn = "speakers" if clustered else "utterances"
            print(f"| {title} | {drawn} | {held / trials:.1%} | {errs / trials:.1%} |", flush=True)


def truth() -> float:
    """Return the rate of the whole population: speakers have it on average."""
    return RATE


def made(random: np.random.Generator, utterances: int, speakers: int) -> Iterator[Counts]:
    """Yield the counts of two systems of the same quality on the same utterances."""
    lengths = random.integers(10, 60, utterances)
    rates = np.full(utterances, RATE)
    if speakers:
        logs = random.normal(-(SPEAKER_SD**2) / 2, SPEAKER_SD, speakers)
        rates = RATE * np.exp(logs)[np.arange(utterances) % speakers]
    rates = np.minimum(rates, 0.9)
    own = random.beta(SPREAD * rates, SPREAD * (1 - rates))
    for _ in range(2):
        # Each system has errors of its own on the same hard utterances, and its own bad speakers.
        mine = own
        if speakers:
            factor = np.exp(random.normal(-0.02, 0.2, speakers))[np.arange(utterances) % speakers]
            mine = np.minimum(own * factor, 1)
        yield np.stack([random.binomial(lengths, mine), lengths], axis=1).astype(np.float64)


if __name__ == "__main__":
    main()
