"""Edits of generated pairs as other scorers count them; meeteval and kocer where installed."""

from __future__ import annotations

import random
from collections.abc import Iterator

import jiwer
import numpy as np
import pytest

from soritune.languages.ko.numerals import native, sino
from soritune.scoring.error_rates import error_table

NUM_PAIRS = 3_000
UNITS = [*"가각간갇하힣뷁늘은는이을를", *"aeiouXYZ", *"0123456789", *".,?!%", "é", "漢", "🎤"]


def made_pairs(seed: int) -> tuple[list[str], list[str]]:
    """Return references, and the same with edits of characters and of words; some are empty."""
    draw = random.Random(seed)

    def word() -> str:
        return "".join(draw.choices(UNITS, k=draw.randint(1, 7)))

    def heard(said: str) -> Iterator[str]:
        for unit in said:
            chance = draw.random()
            if chance > 0.1:
                yield unit
            if chance < 0.05 or chance > 0.96:
                yield draw.choice([*UNITS, " "])

    references, hypotheses = [], []
    for _ in range(NUM_PAIRS):
        words = [word() for _ in range(draw.randint(1, 12))]
        references.append(" ".join(words))
        changed = [each for each in words if draw.random() > 0.1]
        if draw.random() < 0.1:
            draw.shuffle(changed)
        text = "".join(heard("  ".join(changed) if draw.random() < 0.2 else " ".join(changed)))
        hypotheses.append(text if draw.random() > 0.02 else "")
    return references, hypotheses


REFERENCES, HYPOTHESES = made_pairs(0)
# Several spaces in a row are errors for these libraries, and one space for every variant here.
PAIRS = [(one, " ".join(two.split())) for one, two in zip(REFERENCES, HYPOTHESES, strict=True)]


def edits(metric: str) -> list[float]:
    counts: list[float] = error_table(metric, REFERENCES, HYPOTHESES, "raw", "ko").counts[:, 0]
    return list(counts)


def test_jiwer_counts_the_same_edits_in_every_pair() -> None:
    for metric, process in (("cer", jiwer.process_characters), ("wer", jiwer.process_words)):
        found = [process(*pair) for pair in PAIRS]
        expected = [each.substitutions + each.deletions + each.insertions for each in found]
        assert edits(metric) == expected
    assert sum(edits("cer")) > 10 * NUM_PAIRS / 2  # the pairs do differ


def test_meeteval_counts_the_same_edits_in_every_pair() -> None:
    meeteval = pytest.importorskip("meeteval.wer.wer.siso", reason="meeteval is not installed")
    for metric, rate in (
        ("cer", meeteval.siso_character_error_rate),
        ("wer", meeteval.siso_word_error_rate),
    ):
        # It fails on the characters of an empty hypothesis.
        counted = [pair for pair in zip(edits(metric), PAIRS, strict=True) if pair[1][1]]
        assert len(counted) > 0.9 * NUM_PAIRS
        assert [ours for ours, _ in counted] == [rate(*pair).errors for _, pair in counted]


# Counters with the numbers that are said before them, as dictionaries have them.
NATIVE, SINO = ("개", "명", "마리", "시"), ("원", "월", "층", "년")
FRAMES = ("오늘 {} 남았어요", "모두 {}, 맞지?", "저는 {}라고 들었습니다.", "{} 이상은 안 됩니다")


def numbered_pairs(seed: int) -> tuple[list[str], list[str]]:
    """Return sentences with numbers in digits, and the same in words with other edits."""
    draw = random.Random(seed)
    references, hypotheses = [], []
    for _ in range(NUM_PAIRS):
        frame = draw.choice(FRAMES)
        counter = draw.choice(NATIVE + SINO)
        number = draw.randint(1, 12 if counter in ("월", "시") else 99)
        words = native(number) if counter in NATIVE else sino(number)
        if counter == "월":
            words = {6: "유", 10: "시"}.get(number, words)
        said = frame.format(f"{number}{counter}")
        written = frame.format(f"{words}{draw.choice((' ', ''))}{counter}")
        for _ in range(draw.choice((0, 0, 1, 2))):
            place = draw.randrange(len(written))
            written = written[:place] + draw.choice(("", "뷁")) + written[place + 1 :]
        both = [said, written]
        if draw.random() < 0.5:
            both.reverse()
        references.append(both[0])
        hypotheses.append(both[1])
    return references, hypotheses


def test_kocer_counts_the_same_edits_where_numbers_are_digits_and_words() -> None:
    kocer = pytest.importorskip("kocer", reason="kocer is not installed")
    references, hypotheses = numbered_pairs(0)
    ours = error_table("cer", references, hypotheses, "reading", "ko").counts[:, 0]
    theirs = [kocer.measure(*pair).errors for pair in zip(references, hypotheses, strict=True)]
    assert np.array_equal(ours, theirs)


def test_a_published_alignment_of_sclite() -> None:
    # Jurafsky and Martin, Speech and Language Processing, on word error rate: an utterance of the
    # CallHome corpus as sclite aligns it has 6 substitutions, 3 insertions and 1 deletion.
    said = "i um the phone is i left the portable phone upstairs last night"
    written = "i got it to the fullest i love to portable form of stores last night"
    assert error_table("wer", [said], [written]).counts.tolist() == [[6 + 3 + 1, 13]]
