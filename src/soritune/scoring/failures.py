"""In which way an output fails: classes that tell more than a rate.

The classes are counted for every evaluation, also where none occurs. An utterance may show several
of the first six; of the three "only" classes it shows at most one, the first that explains all of
the difference.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

from rapidfuzz.distance import Levenshtein

from soritune.languages import find_language
from soritune.scoring.reading import Segments, graph_distance
from soritune.scoring.score import RAW
from soritune.scoring.variants import NO_PUNCTUATION, prepare

_REFUSALS = re.compile(
    r"\bI(?:'|’)?m sorry\b|\bI am sorry\b|\b(?:can(?:'|’)?t|cannot|unable to) "
    r"(?:assist|help|transcribe|translate|process|provide|understand|listen|hear)\b"
    r"|\bas an AI\b|\b(?:no|without) (?:audio|speech) (?:was |is )?(?:provided|detected|found)\b"
    r"|죄송(?:합니다|하지만|해요).{0,40}(?:수 없|못)"
    r"|(?:도와|제공해|번역해|전사해).{0,6}(?:드릴 수 없|줄 수 없)"
    r"|음성을 (?:인식|이해|처리)할 수 없",
    re.IGNORECASE,
)
_REFUSAL_SHARE = 0.6
"""An answer nearer to what was said than this share of its length is speech about refusing."""
_LOOP = re.compile(r"(.{1,60}?)\1{3,}", re.DOTALL)
_MAX_LOOP_TEXT = 20_000
_LOOP_SHARE = 0.5
"""Share of the output that one unit, four times and more in a row, makes up."""
_MIN_LOOP = 8  # characters; ㅋㅋㅋㅋ and 네네네네 are said
_TRUNCATED_SHARE = 0.7
"""An output of at most this share of the reference is cut off where it is like its beginning."""
_PREFIX_ERRORS = 0.2
_SCRIPT_SHARE = 0.5


def failures_of(reference: str, hypothesis: str, language: str) -> tuple[str, ...]:
    """Return the classes of `records.FAILURES` that an output shows.

    `language` is that of the reference. An empty reference is a clip without speech: all that is
    written for it is an insertion.
    """
    (said,), (written,) = prepare([reference], RAW), prepare([hypothesis], RAW)
    if not said:
        return ("insertion",) if written else ()
    if not written:
        return ("empty",)
    if said == written:
        return ()
    found = [name for name, shows in _RULES if shows(said, written)]
    # OK and 오케이 are two scripts and one language.
    if not found or (found == ["wrong-script"] and _is_read_alike(said, written, language)):
        found = _explained(said, written, language)
    return tuple(found)


def _is_refusal(said: str, written: str) -> bool:
    if _REFUSALS.search(written) is None or _REFUSALS.search(said) is not None:
        return False
    distance = Levenshtein.distance(said, written)
    return distance > _REFUSAL_SHARE * max(len(said), len(written))


def _is_loop(said: str, written: str) -> bool:
    if len(written) <= len(said):
        return False
    for match in _LOOP.finditer(written[:_MAX_LOOP_TEXT]):
        length = match.end() - match.start()
        long = length >= _MIN_LOOP and length > _LOOP_SHARE * min(len(written), _MAX_LOOP_TEXT)
        if long and match.group() not in said:
            return True
    return False


def _is_wrong_script(said: str, written: str) -> bool:
    scripts, other = _scripts(said), _scripts(written)
    if not scripts or not other:
        return False
    ((usual, number),) = scripts.most_common(1)
    shares = number / scripts.total(), other[usual] / other.total()
    return shares[0] >= _SCRIPT_SHARE > shares[1]


def _is_truncated(said: str, written: str) -> bool:
    if len(written) > _TRUNCATED_SHARE * len(said):
        return False
    edits: int = Levenshtein.distance(said[: len(written)], written)
    return edits <= _PREFIX_ERRORS * len(written)


_RULES: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
    ("refusal", _is_refusal),
    ("loop", _is_loop),
    ("wrong-script", _is_wrong_script),
    ("truncation", _is_truncated),
)


def _explained(said: str, written: str, language: str) -> list[str]:
    """Return what alone makes the difference: spaces, how numbers or how letters are written."""
    if said.replace(" ", "") == written.replace(" ", ""):
        return ["spacing-only"]
    plain = prepare([said, written], NO_PUNCTUATION)
    if plain[0].replace(" ", "") == plain[1].replace(" ", ""):
        return []  # punctuation or case
    if _is_read_alike(said, written, language, letters=False):
        return ["numbers-only"]
    return ["latin-only"] if _is_read_alike(said, written, language, numbers=False) else []


def _is_read_alike(
    said: str, written: str, language: str, *, numbers: bool = True, letters: bool = True
) -> bool:
    """Whether a reading of both is the same, of numbers and of Latin letters."""
    readings = find_language(language).readings
    if readings is None or not any(map(_may_be_read, (said, written))):
        return False
    one: Segments = readings(said, numbers=numbers, letters=letters)
    other: Segments = readings(written, numbers=numbers, letters=letters)
    return graph_distance(one, other) == 0


def _may_be_read(text: str) -> bool:
    return any(character.isascii() and character.isalnum() for character in text)


def _scripts(text: str) -> Counter[str]:
    """Count letters by script, the first word of their Unicode names."""
    return Counter(
        unicodedata.name(character, "?").partition(" ")[0]
        for character in text
        if character.isalpha()
    )
