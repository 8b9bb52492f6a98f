"""Error rates in characters, words and jamo, and how well the spaces are set.

Edits are those of Levenshtein (1966), each at the cost of one, counted by rapidfuzz.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

from soritune.errors import UserError
from soritune.languages.jamo import SLOTS, decompose, slots_of
from soritune.scoring.bootstrap import Floats
from soritune.scoring.score import RAW, check_pairs, package_version
from soritune.scoring.table import Table
from soritune.scoring.variants import NO_SPACES, READING, VARIANTS, check_variant, prepare

# Indices of words are shown as characters; the code points of surrogates are left out.
_FIRST_SURROGATE, _NUM_SURROGATES = 0xD800, 0x800
_MAX_WORDS = 0x110000 - _NUM_SURROGATES


def error_table(
    metric: str,
    references: Sequence[str],
    hypotheses: Sequence[str],
    variant: str = RAW,
    language: str | None = None,
) -> Table:
    """Count the edits of each utterance, and what its reference holds.

    Args:
        metric: "cer" (characters), "wer" (words between white space), "jamo" (Hangul syllables as
            onset, nucleus and coda, other characters as they are).
        language: whose readings count as equal, for the variant `reading`.

    Raises UserError on an unknown variant, one that the metric does not have, or no utterances;
    ValueError on lists of unequal lengths.
    """
    check_pairs(metric, references, hypotheses)
    chosen = check_variant(variant)
    if metric not in chosen.metrics:
        raise UserError(
            f'{metric} has no variant "{variant}"; use '
            + ", ".join(each.name for each in VARIANTS.values() if metric in each.metrics)
        )
    described = chosen.described
    if variant == READING:
        from soritune.scoring.reading import reading_counts, reading_signature

        edits, lengths = reading_counts(references, hypotheses, language)
        described += f"|{reading_signature(language)}"
    else:
        said, written = prepare(references, variant), prepare(hypotheses, variant)
        if metric == "wer":
            said, written = _words_as_characters(said, written)
        elif metric == "jamo":
            said, written = [list(map(decompose, texts)) for texts in (said, written)]
        edits = distances(said, written)
        lengths = np.array([len(text) for text in said], dtype=np.float64)
    if chosen.capped:
        edits = np.minimum(edits, lengths)
    unit = {"cer": "char", "wer": "word", "jamo": "jamo"}[metric]
    if metric == "wer":
        described = described.partition("|")[2]  # words are separated by spaces anyway
    return Table(
        metric=metric,
        variant=variant,
        counts=np.stack([edits, lengths], axis=1),
        scorer=percent,
        macro=float(np.mean(100 * edits / np.maximum(lengths, 1))),
        signature=(
            f"{metric}|unit:{unit}|{described}|rapidfuzz:{package_version('rapidfuzz')}"
            f"|soritune:{package_version('soritune')}"
        ),
    )


def spacing_table(references: Sequence[str], hypotheses: Sequence[str]) -> Table:
    """Count the spaces that stand where the reference has them, for the F1 of spacing.

    The letters are aligned first; a space is found where both sides have one between the same
    aligned letters. Counts: twice the found ones, and all spaces of both sides.
    """
    check_pairs("spacing", references, hypotheses)
    pairs = zip(prepare(references, RAW), prepare(hypotheses, RAW), strict=True)
    return Table(
        metric="spacing",
        variant=RAW,
        counts=np.array([_spacing_counts(*pair) for pair in pairs], dtype=np.float64),
        scorer=f1,
        signature=(
            f"spacing|f1|case:mixed|punct:kept|norm:nfc|rapidfuzz:{package_version('rapidfuzz')}"
            f"|soritune:{package_version('soritune')}"
        ),
    )


def invented_table(hypotheses: Sequence[str], durations_s: Sequence[float]) -> Table:
    """Count the words that were written for clips without speech, and their minutes."""
    check_pairs("invented", hypotheses, hypotheses)
    words = [len(text.split()) for text in hypotheses]
    minutes = np.asarray(durations_s, dtype=np.float64) / 60
    return Table(
        metric="invented",
        variant=RAW,
        counts=np.stack([np.array(words, dtype=np.float64), minutes], axis=1),
        scorer=per_minute,
        signature=f"invented|unit:word|per:minute|soritune:{package_version('soritune')}",
    )


def per_minute(sums: Floats) -> Floats:
    """Words a minute from (words, minutes)."""
    rates: Floats = sums[:, 0] / np.maximum(sums[:, 1], 1e-9)
    return rates


def percent(sums: Floats) -> Floats:
    """Rates from (edits, reference length), shape (n, 2) to (n,).

    Without any reference character the rate is the number of edits, as jiwer has it.
    """
    rates: Floats = 100.0 * (sums[:, 0] / np.maximum(sums[:, 1], 1.0))
    return rates


def f1(sums: Floats) -> Floats:
    """F1 in percent from (twice the found, all of both sides); 100 where there is no space."""
    shares: Floats = 100.0 * np.where(sums[:, 1] > 0, sums[:, 0] / np.maximum(sums[:, 1], 1), 1.0)
    return shares


def distances(said: Sequence[str], written: Sequence[str]) -> Floats:
    """Return the Levenshtein distance of each pair."""
    return np.asarray(cpdist(said, written, scorer=Levenshtein.distance, dtype=np.float64))


def confusions(
    references: Sequence[str], hypotheses: Sequence[str]
) -> Counter[tuple[str, str, str]]:
    """Count jamo written for another one: (slot, said, written), "" for no coda.

    Of syllables that the alignment puts one for the other, those that share a jamo count; syllables
    that share none say nothing of sounds that are alike.
    """
    found: Counter[tuple[str, str, str]] = Counter()
    pairs = zip(prepare(references, NO_SPACES), prepare(hypotheses, NO_SPACES), strict=True)
    for said, written in pairs:
        for edit in Levenshtein.editops(said, written):
            if edit.tag != "replace":
                continue
            one, other = slots_of(said[edit.src_pos]), slots_of(written[edit.dest_pos])
            if one is None or other is None or all(a != b for a, b in zip(one, other, strict=True)):
                continue
            for slot, a, b in zip(SLOTS, one, other, strict=True):
                if a != b:
                    found[slot, a, b] += 1
    return found


def _words_as_characters(said: Sequence[str], written: Sequence[str]) -> list[list[str]]:
    """Return texts in which each different word is one character."""
    numbers = _WordNumbers()
    return [
        ["".join(map(numbers.__getitem__, text.split())) for text in texts]
        for texts in (said, written)
    ]


class _WordNumbers(dict[str, str]):
    """A character for each different word, made when the word is first seen."""

    def __missing__(self, word: str) -> str:
        code = len(self)
        if code >= _MAX_WORDS:
            raise UserError(f"more than {_MAX_WORDS:,} different words: score the files in parts")
        self[word] = chr(code if code < _FIRST_SURROGATE else code + _NUM_SURROGATES)
        return self[word]


def _spacing_counts(said: str, written: str) -> tuple[int, int]:
    spaces_said, letters_said = _spaces(said)
    spaces_written, letters_written = _spaces(written)
    total = len(spaces_said) + len(spaces_written)
    if letters_said == letters_written:
        return 2 * len(spaces_said & spaces_written), total
    found = 0
    left_said, left_written = set(spaces_said), set(spaces_written)
    for block in Levenshtein.opcodes(letters_said, letters_written):
        said_places = range(block.src_start, block.src_end + 1)
        written_places = range(block.dest_start, block.dest_end + 1)
        paired = block.tag in ("equal", "replace")
        # Both ends of a block are on the path of the alignment.
        for place, other in (zip if paired else product)(said_places, written_places):
            if place in left_said and other in left_written:
                left_said.remove(place)
                left_written.remove(other)
                found += 1
    return 2 * found, total


def _spaces(text: str) -> tuple[set[int], str]:
    """Return the places of the spaces, in letters before them, and the letters."""
    words = text.split()
    places = np.cumsum([len(word) for word in words])[:-1].tolist() if words else []
    return set(places), "".join(words)
