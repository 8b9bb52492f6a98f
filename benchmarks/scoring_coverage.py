"""How often the 95 % intervals hold the truth, and how often the paired test errs.

    python benchmarks/scoring_coverage.py [--trials 1000] [--tests 1000] [--corpora 457:10 600:30]
        [--drawn speakers]

Simulated corpora whose true error rate is known: errors of an utterance are binomial with a rate of
its own (beta distributed, so a few utterances are far worse than the rest), and in the clustered
ones with a rate of its speaker. At no difference, two systems have the same rates;
the test makes 2,000 exchanges instead of 20,000, which errs as often and takes a tenth of the time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from soritune.scoring.bootstrap import SINGLY, Clusters
from soritune.scoring.error_rates import percent
from soritune.scoring.paired import Measured, paired_tests
from soritune.scoring.table import Table, scores_of

RATE, SPREAD = 0.1, 8.0
CORPORA = ("120", "457", "120:6", "200:10", "457:10", "600:30")
EXCHANGES = 2_000
SPEAKER_SD = 0.4  # of the logarithm of a speaker's rate

Counts = npt.NDArray[np.float64]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--tests", type=int, default=1000, help="of them, with the paired test")
    parser.add_argument("--drawn", choices=("both", "speakers"), default="both")
    parser.add_argument("--corpora", nargs="+", default=CORPORA, metavar="UTTERANCES[:SPEAKERS]")
    trials, tests, wanted, corpora = vars(parser.parse_args()).values()
    random = np.random.default_rng(0)
    print("| corpus | drawn | interval holds the truth | test errs at no difference |")
    print("|---|---|---|---|")
    for corpus in corpora:
        utterances, speakers = map(int, f"{corpus}:0".split(":")[:2])
        drawings = [False, True] if wanted == "both" else [True]
        for clustered in drawings if speakers else [False]:
            held = errs = 0
            for trial in range(trials):
                names = [str(n % speakers) for n in range(utterances)] if clustered else None
                clusters = SINGLY if names is None else Clusters.of(names)
                one, other = made(random, utterances, speakers)
                (score,) = scores_of([Table("cer", "raw", one, percent, "")], names)
                held += score.low <= 100 * truth() <= score.high
                if trial >= tests:
                    continue
                cases = [Measured("a", one), Measured("b", other)]
                (test,) = paired_tests("e", "cer", "raw", cases, percent, clusters, EXCHANGES)
                errs += test.p is not None and test.p < 0.05
            title = f"{utterances} utterances" + (f", {speakers} speakers" if speakers else "")
            drawn = "speakers" if clustered else "utterances"
            erred = f"{errs / tests:.1%}" if tests else "–"
            print(f"| {title} | {drawn} | {held / trials:.1%} | {erred} |", flush=True)


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
