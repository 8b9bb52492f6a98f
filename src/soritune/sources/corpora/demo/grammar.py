"""The small machine behind the demo sentences: phrases with two languages, templates with slots.

A template is a Korean and an English format string over the same slots. In the Korean one the
format spec is a particle pair that is resolved by the final consonant (`{place:은/는}`); in the
English one it is `a` (indefinite article), `other` (the phrase's second English form) or nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from soritune.languages.ko.numerals import native
from soritune.sources.corpora.demo.numerals import english
from soritune.sources.corpora.demo.particles import attach


@dataclass(frozen=True)
class Phrase:
    """A word or group of words and its translation.

    `other` is a second English form: the plural of a noun, the part of the day of a time.
    `counter` is the Korean counting word of a noun (개, 명, 잔 …).
    """

    korean: str
    english: str
    other: str = ""
    counter: str = ""


@dataclass(frozen=True)
class Template:
    """A sentence with slots; `allowed` may refuse combinations that make no sense."""

    korean: str
    english: str
    slots: Mapping[str, Sequence[Phrase]]
    allowed: Callable[[Mapping[str, Phrase]], bool] = lambda _: True

    def expand(self) -> Iterator[tuple[str, str]]:
        """Yield every allowed combination as (Korean, English), the last slot varying fastest."""
        for choice in itertools.product(*self.slots.values()):
            chosen = dict(zip(self.slots, choice, strict=True))
            if self.allowed(chosen):
                yield (
                    self.korean.format_map({k: _KoreanSlot(p) for k, p in chosen.items()}),
                    self.english.format_map({k: _EnglishSlot(p) for k, p in chosen.items()}),
                )


@dataclass(frozen=True)
class _KoreanSlot:
    phrase: Phrase

    def __format__(self, spec: str) -> str:
        return attach(self.phrase.korean, spec) if spec else self.phrase.korean


@dataclass(frozen=True)
class _EnglishSlot:
    phrase: Phrase

    def __format__(self, spec: str) -> str:
        if spec == "a":
            return with_article(self.phrase.english)
        if spec == "other":
            return self.phrase.other
        if spec:
            raise ValueError(f"unknown English form {spec!r} in a template")
        return self.phrase.english


def with_article(english_noun: str) -> str:
    """Return the noun after "a" or "an", by its first letter (enough for the words in use)."""
    return ("an " if english_noun[0] in "aeiou" else "a ") + english_noun


def counted(
    things: Sequence[Phrase], amounts: Sequence[int], pair: str | None = None
) -> tuple[Phrase, ...]:
    """Return things with how many of them: 사과 세 개, or with a particle pair 사과를 세 개.

    The English form is "one apple" or "three apples" (`Phrase.other` is the plural).
    """
    return tuple(
        Phrase(
            f"{attach(thing.korean, pair) if pair else thing.korean} "
            f"{native(amount)} {thing.counter}",
            f"{english(amount)} {thing.english if amount == 1 else thing.other}",
        )
        for thing in things
        for amount in amounts
    )
