"""Korean particles that depend on how the word before them ends.

Rules of standard Korean: a word that ends in a final consonant takes the first form
(은, 이, 을, 과, 이에요), one that ends in a vowel the second (는, 가, 를, 와, 예요);
으로 becomes 로 after a vowel and after ㄹ.
"""

from __future__ import annotations

_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3  # Unicode block "Hangul Syllables": 가 … 힣
_FINALS = 28  # finals a syllable block can have, "none" (0) among them
_RIEUL = 8  # place of ㄹ among the finals

PAIRS = frozenset({"은/는", "이/가", "을/를", "과/와", "으로/로", "이에요/예요"})


def final_consonant(word: str) -> int:
    """Return the number of the final consonant of `word` in Unicode's order, 0 after a vowel.

    Raises ValueError where the word does not end in a Hangul syllable.
    """
    code = ord(word[-1]) if word else 0
    if not _FIRST_SYLLABLE <= code <= _LAST_SYLLABLE:
        raise ValueError(f"{word!r} does not end in a Hangul syllable")
    return (code - _FIRST_SYLLABLE) % _FINALS


def particle(word: str, pair: str) -> str:
    """Return the form of `pair` (such as "은/는") that follows `word`.

    Raises ValueError for a pair that is not in `PAIRS`.
    """
    if pair not in PAIRS:
        raise ValueError(f"unknown particle {pair!r}; known: {', '.join(sorted(PAIRS))}")
    after_consonant, after_vowel = pair.split("/")
    final = final_consonant(word)
    if final == 0 or (pair == "으로/로" and final == _RIEUL):
        return after_vowel
    return after_consonant


def attach(word: str, pair: str) -> str:
    """Return `word` with the right form of `pair` after it."""
    return word + particle(word, pair)
