"""Chinese."""

from __future__ import annotations

from soritune.languages.language import Language

LANGUAGE = Language("zh", scripts=("CJK", "LATIN"), full_width=True, bleu_tokenizer="zh")
