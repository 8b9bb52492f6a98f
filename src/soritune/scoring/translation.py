"""BLEU and chrF through sacrebleu, with its own signature and its own statistics.

Texts reach sacrebleu as they are: any change would make its published signature untrue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain

import numpy as np
import numpy.typing as npt
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from soritune.errors import UserError
from soritune.languages import find_language
from soritune.scoring.bootstrap import Floats, Scorer
from soritune.scoring.ngrams import Numbered, match_counts
from soritune.scoring.score import RAW, check_pairs, package_version
from soritune.scoring.table import Table

TOKENIZERS = ("char", "13a", "flores200")
"""Tokenizers that may be asked for besides that of the language."""
_ORDERS = 4
_CHARACTER_ORDERS = 6
_BETA_SQUARED = 4


def bleu_table(
    references: Sequence[str],
    hypotheses: Sequence[str],
    target_language: str,
    tokenizer: str | None = None,
) -> Table:
    """Return corpus BLEU (0–100) with the tokenizer of the language that is translated into.

    `target_language` is a code ("de"), a tag ("de-DE") or a name; `tokenizer` takes the place of
    its own.

    Raises UserError where that tokenizer is not installed or there are no utterances, ValueError
    on lists of unequal lengths.
    """
    check_pairs("bleu", references, hypotheses)
    name = tokenizer or find_language(target_language).bleu_tokenizer
    try:
        metric = _bleu_metric(name)
    except (RuntimeError, ImportError, OSError) as error:
        # What sacrebleu raises where a tokenizer's package or model is missing.
        extra = "sentencepiece" if name == "flores200" else f"sacrebleu[{name.partition('-')[0]}]"
        raise UserError(
            f"BLEU into {target_language!r} needs the tokenizer {name}, which does not "
            f'start: pip install "{extra}"'
        ) from error
    said, written = _numbered_words(metric, references, hypotheses)
    num_said, num_written, matches = match_counts(said, written, _ORDERS)
    counts = np.concatenate([num_written[:, :1], num_said[:, :1], matches, num_written], axis=1)
    return _table(metric, counts, "bleu", tokenizer or RAW, bleu_scores)


@cache
def _bleu_metric(tokenizer: str) -> BLEU:
    """Return the metric, one in a process: sacrebleu never frees what MeCab holds open."""
    return BLEU(tokenize=tokenizer)


def chrf_table(references: Sequence[str], hypotheses: Sequence[str]) -> Table:
    """Return corpus chrF2 (0–100): character 6-grams without words, the same in every language.

    Errors as in `bleu_table`.
    """
    check_pairs("chrf", references, hypotheses)
    said, written = map(Numbered.of_characters, (references, hypotheses))
    num_said, num_written, matches = match_counts(said, written, _CHARACTER_ORDERS)
    # sacrebleu counts what is written only in orders that the reference has.
    num_written = np.where(num_said > 0, num_written, 0)
    counts = np.stack([num_written, num_said, matches], axis=2).reshape(len(references), -1)
    return _table(CHRF(), counts, "chrf", RAW, chrf_scores)


def bleu_scores(sums: Floats) -> Floats:
    """BLEU of each row of sacrebleu's sums: lengths of both sides, matches and totals by order.

    With its exponential smoothing: the k-th order without a match counts as 1 / 2^k matches.
    """
    written, said = sums[:, 0], sums[:, 1]
    correct, total = sums[:, 2 : 2 + _ORDERS], sums[:, 2 + _ORDERS :]
    with np.errstate(divide="ignore", invalid="ignore"):
        zero = (correct == 0) & (total > 0)
        smoothed = np.where(zero, 0.5 ** np.cumsum(zero, axis=1), correct)
        logs = np.log(np.where(total > 0, smoothed / total, 0.0))
        brevity = np.where(written < said, np.exp(1 - said / written), 1.0)
        scores = 100 * brevity * np.exp(logs.mean(axis=1))
    return np.where(correct.any(axis=1) & (written > 0), scores, 0.0)


def chrf_scores(sums: Floats) -> Floats:
    """chrF2 of each row of sacrebleu's sums: n-grams written, said and matched by order."""
    counts = sums.reshape(len(sums), _CHARACTER_ORDERS, 3)
    written, said, matched = counts[..., 0], counts[..., 1], counts[..., 2]
    known = (written > 0) & (said > 0)
    orders = np.maximum(known.sum(axis=1), 1)
    precision = np.where(known, matched / np.maximum(written, 1), 0).sum(axis=1) / orders
    recall = np.where(known, matched / np.maximum(said, 1), 0).sum(axis=1) / orders
    weighted = _BETA_SQUARED * precision + recall
    product = (1 + _BETA_SQUARED) * precision * recall
    scores: Floats = 100 * product / np.where(weighted > 0, weighted, 1)
    return scores


def _numbered_words(
    metric: BLEU, references: Sequence[str], hypotheses: Sequence[str]
) -> tuple[Numbered, Numbered]:
    """Return the tokens of both sides as numbers, the same for the same token.

    13a looks at no character beyond white space, so each different word is tokenised once.
    """
    numbers: dict[str, int] = {}
    sides = references, hypotheses
    # 13a joins two words over a hyphen at the end of a line.
    by_word = metric.tokenizer.signature() == "13a" and not any(
        "\n" in each for each in chain(*sides)
    )

    def tokens(text: str) -> list[int]:
        # Letters and digits alone are one token to 13a.
        words = [text] if by_word and text.isalnum() else metric._preprocess_segment(text).split()
        return [numbers.setdefault(word, len(numbers)) for word in words]

    if by_word:
        words = _Words(tokens)
        said, written = map(words.of_texts, sides)
    else:
        said, written = (Numbered.of_words(list(map(tokens, texts))) for texts in sides)
    return said, written


class _Words(dict[str, int]):
    """Numbers of different words, each tokenised when it is first seen.

    The loop over all words of a test set is that of `map`, not of this module: it is the longest.
    """

    def __init__(self, tokens: Callable[[str], list[int]]) -> None:
        super().__init__()
        self._tokens = tokens
        self._known: list[list[int]] = []

    def __missing__(self, word: str) -> int:
        self[word] = len(self._known)
        self._known.append(self._tokens(word))
        return self[word]

    def of_texts(self, texts: Sequence[str]) -> Numbered:
        """Return the tokens of texts."""
        num_words: list[int] = []

        def split(text: str) -> list[str]:
            words = text.split()
            num_words.append(len(words))
            return words

        # Text by text: to keep the words of all would cost more time than to number them.
        all_words = chain.from_iterable(map(split, texts))
        words = np.fromiter(map(self.__getitem__, all_words), dtype=np.int64)
        sizes = np.array(list(map(len, self._known)), dtype=np.int64)
        starts = np.cumsum(sizes) - sizes
        of_word = sizes[words]  # tokens of each word of the texts
        before = np.cumsum(of_word) - of_word
        places = np.repeat(starts[words] - before, of_word) + np.arange(of_word.sum())
        tokens = np.fromiter(chain.from_iterable(self._known), dtype=np.uint32)
        text_of_word = np.repeat(np.arange(len(texts)), num_words)
        lengths = np.bincount(text_of_word, weights=of_word, minlength=len(texts))
        return Numbered(tokens[places], lengths.astype(np.int64))


def _table(
    metric: BLEU | CHRF, counts: npt.NDArray[np.int64], name: str, variant: str, scorer: Scorer
) -> Table:
    """Return counts in the form of sacrebleu's own statistics, with its signature."""
    metric.n_bootstrap = metric.seed = None  # of a metric that was used elsewhere
    metric.num_refs = 1
    return Table(
        metric=name,
        variant=variant,
        counts=counts.astype(np.float64),
        scorer=scorer,
        exact=lambda total: float(metric._compute_score_from_stats(list(total)).score),
        signature=f"{name}|{metric.get_signature()}|soritune:{package_version('soritune')}",
    )
