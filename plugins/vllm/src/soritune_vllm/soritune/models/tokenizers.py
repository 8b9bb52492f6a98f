# Copied from src/soritune/models/tokenizers.py by tools/copy_to_vllm.py: change it there.
"""Tokenizers of checkpoints: read from their own files, special tokens by name, text as text."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from transformers import PreTrainedTokenizerBase

from soritune_vllm.soritune.errors import UserError

TOKENIZER_FILE = "tokenizer.json"
Tokenizer = TypeVar("Tokenizer", bound=PreTrainedTokenizerBase)


def read_tokenizer(kind: type[Tokenizer], folder: Path) -> Tokenizer:
    """Return the tokenizer of a folder's tokenizer.json, as the class that the family wants.

    Raises UserError where there is none.
    """
    if not (folder / TOKENIZER_FILE).is_file():
        raise UserError(
            f"{folder}: no {TOKENIZER_FILE}. Copy the tokenizer's files from the base model's "
            "folder"
        )
    tokenizer: Tokenizer = kind.from_pretrained(str(folder))
    return tokenizer


def special_ids(tokenizer: PreTrainedTokenizerBase, title: str, *tokens: str) -> list[int]:
    """Return the ids of special tokens. Raises UserError for the first one that is not there.

    Args:
        title: of the family, for the message.
    """
    vocabulary = tokenizer.get_vocab()
    for token in tokens:
        if token not in vocabulary:
            raise UserError(
                f"the tokenizer has no token {token}: it is not one of {title}. Take "
                f"{TOKENIZER_FILE} from the base model's folder"
            )
    return [vocabulary[token] for token in tokens]


def text_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Return the ids of plain text; what looks like a special token stays plain text."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    return ids
