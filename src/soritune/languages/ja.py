"""Japanese."""

from __future__ import annotations

from soritune.languages.language import Language

LANGUAGE = Language(
    "ja",
    scripts=("HIRAGANA", "KATAKANA", "CJK", "LATIN"),
    full_width=True,
    bleu_tokenizer="ja-mecab",
)
