"""Joins the texts of two windows that heard some of the same speech, without lost or doubled words.

Letters and digits alone are compared: windows differ in case, punctuation and spaces at their
edges, and Korean is spaced freely.
"""

from __future__ import annotations

from collections.abc import Iterator

import regex

SLACK = 1.5
"""How many times the even share of a window's text the overlap may have: speech is not even."""
FEWEST = 3
"""Letters that must agree for two texts to be joined on them."""
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")


def one_text(texts: list[str]) -> str:
    """Return texts that follow each other as one, with spaces where the script has them."""
    whole = ""
    for text in texts:
        if whole and text:
            whole += "" if unspaced(whole[-1]) and unspaced(text[0]) else " "
        whole += text
    return whole


def cut_apart(before: str, after: str, before_share: float, after_share: float) -> tuple[str, str]:
    """Return both texts without what they have twice.

    They meet within the longest stretch of letters that both have, among those that the overlap
    can have; one that stands elsewhere in the overlap counts less, since phrases repeat. They are
    cut between two words where there are some, nearest to the middle of the stretch, since words
    at the edges of a window are heard worst. Where they have none in common, both stay whole: one
    of them did not write the overlap.

    Args:
        before_share: share of the first window that the second has heard as well.
        after_share: share of the second window that the first has heard.
    """
    left, right = _letters(before), _letters(after)
    tail = left[len(left) - _count(left, before_share * SLACK) :]
    head = right[: _count(right, after_share * SLACK)]
    spoken = max(1, _count(left, before_share)), max(1, _count(right, after_share))

    def weight(stretch: tuple[int, int, int]) -> float:
        a, b, size = stretch
        # Where its middle is in the overlap, for each text; both agree for even speech.
        of_left = 1 - (len(tail) - a - size / 2) / spoken[0]
        of_right = (b + size / 2) / spoken[1]
        return size * (1 - min(1.0, abs(of_left - of_right)))

    found = max(
        _in_common([before[i].casefold() for i in tail], [after[i].casefold() for i in head]),
        key=weight,
        default=(0, 0, 0),
    )
    if weight(found) <= 0:
        return before, after
    first, second, size = found
    both = [
        (tail[first + place], head[second + place], abs(place - size / 2)) for place in range(size)
    ]
    starts = [
        (not _starts(after, b), distance, a, b) for a, b, distance in both if _starts(before, a)
    ] or [(False, distance, a, b) for a, b, distance in both if _starts(after, b)]
    if starts:
        _, _, end, start = min(starts)
        return before[:end].rstrip(), after[start:].lstrip()
    end, start, _ = both[size // 2]
    rest = start + len(after[start:].split(maxsplit=1)[0])
    return before[:end] + after[start:rest], after[rest:].lstrip()


def _in_common(left: list[str], right: list[str]) -> Iterator[tuple[int, int, int]]:
    """Yield where each stretch of at least `FEWEST` common letters begins in both, and its size."""
    for shift in range(FEWEST - len(left), len(right) - FEWEST + 1):
        size = 0
        for place in range(max(0, -shift), min(len(left), len(right) - shift) + 1):
            inside = place < len(left) and place + shift < len(right)
            if inside and left[place] == right[place + shift]:
                size += 1
                continue
            if size >= FEWEST:
                yield place - size, place + shift - size, size
            size = 0


def unspaced(letter: str) -> bool:
    """Return whether a letter is of a script that has no spaces between words."""
    return _UNSPACED.match(letter) is not None


def _letters(text: str) -> list[int]:
    """Return the places of letters and digits."""
    return [place for place, letter in enumerate(text) if letter.isalnum()]


def _count(letters: list[int], share: float) -> int:
    return min(len(letters), round(len(letters) * share))


def _starts(text: str, place: int) -> bool:
    return place == 0 or text[place - 1].isspace() or unspaced(text[place])
