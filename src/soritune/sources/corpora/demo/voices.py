"""The voices of the demo speech: who speaks in training, and who only in dev and test.

A voice is one of espeak-ng's voices for a language with one of its variants ("ko+f2"). The
variant is what makes the timbre, so the sets are disjoint by variant: one that is kept for dev or
test is never heard in training, in neither language. Left out are variants that whisper, echo
strongly, clip or sound like robots, and those of "klatt 6" (caleb, adam …), whose breath comes
from the C library's `rand()` and so depends on what the process did before.
"""

from __future__ import annotations

from soritune.utterance import Split

LANGUAGES = ("ko", "en")

VARIANTS: dict[Split, tuple[str, ...]] = {
    "train": (
        *("m1", "m2", "m3", "m5", "m6", "f1", "f2", "f3", "f5", "grandpa", "grandma", "aunty"),
        *("max", "Mike", "Alex", "Mario", "Michael", "Denis", "rob", "victor", "pablo", "sandro"),
        *("boris", "michel", "quincy", "norbert", "travis", "linda", "klatt3", "klatt4", "belinda"),
    ),
    "dev": ("m7", "shelby"),
    "test": ("m4", "f4", "robert", "Annie"),
}

# Accents are dealt out to the variants in turn.
_ACCENTS = {"ko": ("ko",), "en": ("en-us", "en-gb-x-rp", "en-us", "en-gb-scotland")}


def voices(language: str, split: Split) -> tuple[str, ...]:
    """Return the voices of a split ("en-us+m1", …); `language` is one of `LANGUAGES`."""
    accents = _ACCENTS[language]
    return tuple(
        f"{accents[place % len(accents)]}+{variant}"
        for place, variant in enumerate(VARIANTS[split])
    )
