"""Reader of the demo: synthetic speech in Korean or English, made on this machine by espeak-ng.

No recordings of people: sentences from the grammar in this folder, spoken by a GPL library
that is installed separately (`pip install soritune[demo]`). Test sentences and test voices occur
in no training set, in neither language.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import NonNegativeInt

from soritune.errors import UserError
from soritune.languages.setting import written_as
from soritune.sources.corpora.demo.clip import DemoClip
from soritune.sources.corpora.demo.sentences import pairs
from soritune.sources.corpora.demo.voices import voices
from soritune.sources.options import SourceOptions
from soritune.utterance import Split, Utterance

RATE_WPM = (165, 240)
PITCH = (25, 75)
SNR_DB = (18.0, 35.0)
GAIN_DB = (-3.0, 3.0)

_Item = TypeVar("_Item")


class DemoSource(SourceOptions):
    """Synthetic demo speech: its language and how many clips each split has."""

    source: Literal["demo"]
    language: Annotated[Literal["ko", "en"], written_as({"ko": "ko", "en": "en"})] = "ko"
    train: NonNegativeInt = 4000
    dev: NonNegativeInt = 100
    test: NonNegativeInt = 120
    seed: int = 0


def read(source: DemoSource) -> Iterator[Utterance]:
    """Yield the utterances of all splits; their audio is rendered only when asked for.

    Sentences and voices are dealt out evenly: each is used once before any is used twice. For
    the same number and seed the Korean and the English set hold the same sentence pairs.

    Raises UserError where the test set would have to repeat a sentence.
    """
    counts: dict[Split, int] = {"train": source.train, "dev": source.dev, "test": source.test}
    distinct = len(pairs("test"))
    if source.test > distinct:
        raise UserError(
            f"demo source: test: {source.test} asked for, but the grammar has {distinct} distinct "
            f"test sentences; ask for at most {distinct}"
        )
    for split, count in counts.items():
        yield from _read_split(source, split, count)


def _read_split(source: DemoSource, split: Split, count: int) -> Iterator[Utterance]:
    language = source.language
    sentences = _deal(pairs(split), count, f"{source.seed}/sentences/{split}")
    speakers = _deal(voices(language, split), count, f"{source.seed}/voices/{language}/{split}")
    for place, (pair, voice) in enumerate(zip(sentences, speakers, strict=True)):
        name = f"{language}-{split}-{place:05d}"
        korean = language == "ko"
        text = pair.korean if korean else pair.english
        yield Utterance(
            id=name,
            audio=_clip(text, language, voice, f"{source.seed}/clip/{name}"),
            text=text,
            language=language,
            split=split,
            speaker=voice,
            translation=pair.english if korean else pair.korean,
            translation_language="en" if korean else "ko",
        )


def _clip(text: str, language: str, voice: str, key: str) -> DemoClip:
    generator = _generator(key)
    return DemoClip(
        text=text,
        language=language,
        voice=voice,
        rate_wpm=generator.randint(*RATE_WPM),
        pitch=generator.randint(*PITCH),
        snr_db=generator.uniform(*SNR_DB),
        gain_db=generator.uniform(*GAIN_DB),
        seed=generator.getrandbits(32),
    )


def _deal(items: Sequence[_Item], count: int, key: str) -> list[_Item]:
    """`count` items from shuffled decks of all of them, one deck after another."""
    dealt: list[_Item] = []
    while len(dealt) < count:
        deck = list(items)
        _generator(f"{key}/{len(dealt)}").shuffle(deck)
        dealt += deck
    return dealt[:count]


def _generator(key: str) -> random.Random:
    return random.Random(hashlib.sha256(key.encode()).digest())
