"""Time and memory of scoring 100,000 utterances, beside jiwer and sacrebleu in a loop.

    python benchmarks/scoring.py [--utterances 100000] [--loop 2000]

Ours: CER, WER, BLEU and chrF with intervals of 1,000 resamples, on one core. Theirs: jiwer and
sacrebleu without intervals, one utterance at a time for error rates as `evaluate` and most scripts
do, and sacrebleu's own statistics for BLEU and chrF, on the first `--loop` utterances; their time
for all is that multiplied, since it grows with the number. With their own bootstrap (sacrebleu's
`--confidence`), theirs would take longer still.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import time
from collections.abc import Callable

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import jiwer  # noqa: E402 - threads are set before numpy is imported
from sacrebleu.metrics.bleu import BLEU  # noqa: E402
from sacrebleu.metrics.chrf import CHRF  # noqa: E402

from soritune.scoring.evaluate import evaluate_hypotheses, tables_of  # noqa: E402

METRICS = ("cer", "wer", "bleu", "chrf")
VOCABULARY, WORDS = 20_000, (4, 20)
ERRORS = 0.1


def main() -> None:
    """Print one line a part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=100_000)
    parser.add_argument("--loop", type=int, default=2_000, help="utterances of jiwer and sacrebleu")
    arguments = parser.parse_args()
    references, hypotheses = made_texts(arguments.utterances)
    evaluate_hypotheses(METRICS, "en", references[:100], hypotheses[:100])  # imports, first calls

    for metric in METRICS:
        seconds = timed(lambda name=metric: tables_of([name], "en", references, hypotheses))
        print(f"ours, counts of {metric}: {seconds:.2f} s")
    seconds = timed(lambda: evaluate_hypotheses(METRICS, "en", references, hypotheses))
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"ours, all four with intervals: {seconds:.2f} s of one core, {peak_gib:.2f} GiB at most")

    some, others = references[: arguments.loop], hypotheses[: arguments.loop]
    parts: dict[str, Callable[[], object]] = {
        "jiwer.cer": lambda: [jiwer.cer(*pair) for pair in zip(some, others, strict=True)],
        "jiwer.wer": lambda: [jiwer.wer(*pair) for pair in zip(some, others, strict=True)],
        "sacrebleu BLEU": lambda: BLEU().corpus_score(others, [some]),
        "sacrebleu chrF": lambda: CHRF().corpus_score(others, [some]),
    }
    total = 0.0
    for name, part in parts.items():
        seconds_all = timed(part) * arguments.utterances / arguments.loop
        total += seconds_all
        print(f"{name} without intervals, for as many: {seconds_all:.1f} s")
    print(f"together: {total:.1f} s, {total / seconds:.1f} times ours")


def timed(work: Callable[[], object]) -> float:
    """Return the processor seconds of `work`, which other programs do not lengthen."""
    started = time.process_time()
    work()
    return time.process_time() - started


def made_texts(number: int) -> tuple[list[str], list[str]]:
    """Return sentences with marks and capitals, and what a recogniser may make of them."""
    draw = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(draw.choices(letters, k=draw.randint(1, 9))) for _ in range(VOCABULARY)]
    references, hypotheses = [], []
    for _ in range(number):
        said = draw.choices(words, k=draw.randint(*WORDS))
        written = [draw.choice(words) if draw.random() < ERRORS else word for word in said]
        references.append(f"{' '.join(said).capitalize()}.")
        hypotheses.append(f"{' '.join(written).capitalize()}.")
    return references, hypotheses


if __name__ == "__main__":
    main()
