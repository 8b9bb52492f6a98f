"""Scripts of languages that have no module of their own."""

from __future__ import annotations

SCRIPTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("ru", "uk", "be", "bg", "sr", "mk", "kk", "ky", "mn"), ("CYRILLIC", "LATIN")),
    **dict.fromkeys(("ar", "fa", "ur", "ps", "ckb"), ("ARABIC", "EXTENDED ARABIC", "LATIN")),
    **dict.fromkeys(("hi", "mr", "ne"), ("DEVANAGARI", "LATIN")),
    "el": ("GREEK", "LATIN"),
    "he": ("HEBREW", "LATIN"),
    "th": ("THAI", "LATIN"),
    "ta": ("TAMIL", "LATIN"),
    "bn": ("BENGALI", "LATIN"),
    "ka": ("GEORGIAN", "LATIN"),
    "hy": ("ARMENIAN", "LATIN"),
}
"""First words of the Unicode names of the letters that are usual in a language."""
