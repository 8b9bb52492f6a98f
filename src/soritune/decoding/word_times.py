"""From the times of tokens to those of words."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import regex

from soritune.decoding.records import Word

_WORD = regex.compile(r"\S+")
_UNFINISHED = "\ufffd"  # a letter whose bytes are not all there


def timed(
    text: str,
    tokens: Sequence[int],
    spans: Sequence[tuple[float, float]],
    decode: Callable[[Sequence[int]], str],
) -> tuple[Word, ...]:
    """Return the words of `text` with their times; none where the tokens do not have that text.

    Args:
        text: all or a part of what the tokens say.
        spans: of each token.
        decode: tokens to text; edges are stripped.
    """
    grown = [decode(tokens[:count]).rstrip(_UNFINISHED) for count in range(1, len(tokens) + 1)]
    offset = grown[-1].find(text) if grown else -1
    if offset < 0:
        return ()
    # How long the text is after each token at least: what a token seems to take back was not there.
    lengths = list(itertools.accumulate(map(len, grown), max))
    words = []
    for found in _WORD.finditer(text):
        first = _token_of(lengths, offset + found.start())
        last = _token_of(lengths, offset + _last_letter(found[0]) + found.start())
        words.append(Word(found[0], spans[first][0], spans[last][1]))
    return tuple(words)


def _token_of(lengths: Sequence[int], place: int) -> int:
    """Return the token that brings the letter at `place`."""
    return next(number for number, length in enumerate(lengths) if length > place)


def _last_letter(word: str) -> int:
    """Return the place of the last letter or digit: punctuation takes the pause that follows."""
    spoken = [place for place, letter in enumerate(word) if letter.isalnum()]
    return spoken[-1] if spoken else len(word) - 1


def shifted(words: Sequence[Word], seconds: float) -> tuple[Word, ...]:
    """Return words that are spoken `seconds` later."""
    return tuple(
        replace(word, start_s=word.start_s + seconds, end_s=word.end_s + seconds) for word in words
    )


def first_words(words: Sequence[Word], text: str) -> tuple[Word, ...]:
    """Return the words of the beginning `text` of their text."""
    return _renamed(words[: len(text.split())], text)


def last_words(words: Sequence[Word], text: str) -> tuple[Word, ...]:
    """Return the words of the end `text` of their text."""
    return _renamed(words[max(0, len(words) - len(text.split())) :], text)


def _renamed(words: Sequence[Word], text: str) -> tuple[Word, ...]:
    """Return words as `text` has them: where a text was cut, a word may be without its end."""
    texts = text.split()
    if len(texts) != len(words):
        return ()
    return tuple(replace(word, text=name) for word, name in zip(words, texts, strict=True))
