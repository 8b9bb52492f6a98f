"""Tokenizers of checkpoints: read from their own files, special tokens by name, text as text."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import regex
from transformers import PreTrainedTokenizerBase

from soritune.errors import UserError

TOKENIZER_FILE = "tokenizer.json"
TEMPLATE_TIMEOUT_S = 5.0  # a usual one takes a millisecond
PATTERN_TIMEOUT_S = 10.0  # a good one takes milliseconds, but a busy machine may pause meanwhile
Tokenizer = TypeVar("Tokenizer", bound=PreTrainedTokenizerBase)

# On some of these, each of 60 characters, a pattern that backtracks takes years.
_TRIALS = tuple(f"{unit * (60 // len(unit))}{end}" for unit in "ax 1.가" for end in "\0!")


def read_tokenizer(kind: type[Tokenizer], folder: Path) -> Tokenizer:
    """Return the tokenizer of a folder's tokenizer.json, as the class that the family wants.

    Raises UserError where there is none, and for patterns that could take years over a text.
    """
    if not (folder / TOKENIZER_FILE).is_file():
        raise UserError(
            f"{folder}: no {TOKENIZER_FILE}. Copy the tokenizer's files from the base model's "
            "folder"
        )
    tokenizer: Tokenizer = kind.from_pretrained(str(folder))
    backend = getattr(tokenizer, "backend_tokenizer", None)
    for part in (getattr(backend, "normalizer", None), getattr(backend, "pre_tokenizer", None)):
        for pattern in _patterns(json.loads(part.__getstate__())) if part is not None else ():
            _check_pattern(pattern, folder / TOKENIZER_FILE)
    return tokenizer


def _patterns(part: object) -> Iterator[str]:
    """Yield the regular expressions in a part of a tokenizer, as its file has it."""
    if isinstance(part, dict):
        if isinstance(part.get("Regex"), str):
            yield part["Regex"]
        part = list(part.values())
    for inner in part if isinstance(part, list) else ():
        yield from _patterns(inner)


def _check_pattern(pattern: str, where: Path) -> None:
    deadline_s = time.monotonic() + PATTERN_TIMEOUT_S
    try:
        for text in _TRIALS:
            left_s = max(deadline_s - time.monotonic(), 1e-3)
            list(regex.finditer(pattern, text, timeout=left_s))
    except regex.error:
        return  # of another dialect, which the tokenizer's own engine has read
    except TimeoutError:
        raise UserError(
            f"{where}: its pattern {pattern[:40]!r} takes too long over short texts; take the file "
            "from the base model's folder"
        ) from None


def rendered(tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, Any]]) -> str:
    """Return the text that a checkpoint's chat template makes of a conversation.

    A template is a program, which transformers runs in a sandbox; here its time is limited.

    Raises UserError for one that fails or does not end.
    """
    try:
        with _limited(TEMPLATE_TIMEOUT_S):
            return str(
                tokenizer.apply_chat_template(
                    list(messages), tokenize=False, add_generation_prompt=True
                )
            )
    except Exception as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(
            f"{tokenizer.name_or_path}: its chat template cannot be used ({reason}). Take "
            "chat_template.jinja from the base model's folder"
        ) from error


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in Python code of the block that runs longer."""
    deadline_s = time.thread_time() + seconds

    def look(frame: FrameType, event: str, argument: object) -> Any:
        if time.thread_time() > deadline_s:
            raise TimeoutError("it does not end")
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        yield
    finally:
        sys.settrace(before)


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
