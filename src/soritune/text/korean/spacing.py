"""Spacing of Korean words, by Kiwi (kiwipiepy, Apache-2.0; the extra `korean`).

Spacing follows from morphemes, so no rule of ours could do it; measured in docs/korean-text.md.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from soritune.errors import UserError

if TYPE_CHECKING:
    from kiwipiepy import Kiwi


_REMEDY = "correcting Korean spacing needs Kiwi: pip install soritune[korean]"


def correct_spacing(text: str) -> str:
    """`text` with its words parted as 한글 맞춤법 has it; no other letter changes.

    Raises UserError where the extra is not installed.
    """
    corrected: str = _kiwi().space(text, reset_whitespace=False)
    # Kiwi parts words; should it ever change one, the text stays as it was.
    return corrected if corrected.replace(" ", "") == text.replace(" ", "") else text


def spacing_version() -> str:
    """Which Kiwi and model decide about spaces. Raises UserError where they are not installed."""
    try:
        return f"kiwipiepy {version('kiwipiepy')}, model {version('kiwipiepy_model')}"
    except PackageNotFoundError:
        raise UserError(_REMEDY) from None


@lru_cache(maxsize=1)
def _kiwi() -> Kiwi:
    try:
        from kiwipiepy import Kiwi
    except ImportError:
        raise UserError(_REMEDY) from None
    return Kiwi(num_workers=1)
