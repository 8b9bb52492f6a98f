"""The official tokenizer's form: o200k vocabulary, chat tokens at their published ids.

The vocabulary comes from the package litellm, of which nothing else is used (`make test` puts
it beside the packages of .venv); without it these tests are skipped.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter

from soritune.models.phi4mm.processor import Phi4mmProcessor
from soritune.models.phi4mm.prompts import instruction
from soritune.models.tokenizers import read_tokenizer
from soritune.tasks import Answer, Request, Task

O200K_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
# tiktoken's own name for a cached file: the SHA-1 of the address it comes from.
O200K_FILE = "litellm_core_utils/tokenizers/fb374d419588a4632f3f557e76b4b70aebbca790"
# tiktoken_ext/openai_public.py
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K_PATTERN = "|".join(
    [
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
VOCABULARY = 200_064
FIRST_ADDED = 199_998
SPECIAL = {
    "<|endoftext|>": 199_999,
    "<|endoftext10|>": 200_010,
    "<|endoftext11|>": 200_011,
    "<|endofprompt|>": 200_018,
    "<|assistant|>": 200_019,
    "<|end|>": 200_020,
    "<|user|>": 200_021,
    "<|system|>": 200_022,
}


class Converter(TikTokenConverter):  # type: ignore[misc]
    """transformers' own, reading the file without the package tiktoken."""

    @staticmethod
    def load_tiktoken_bpe(tiktoken_url: str) -> dict[bytes, int]:
        lines = (line.split() for line in Path(tiktoken_url).read_bytes().splitlines() if line)
        return {base64.b64decode(token): int(rank) for token, rank in lines}


def o200k_file() -> Path | None:
    path = Path(sys.prefix) / "vocabulary" / "litellm" / O200K_FILE
    if not path.is_file():
        return None
    assert hashlib.sha256(path.read_bytes()).hexdigest() == O200K_SHA256
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokenizer as a model folder has it."""
    path = o200k_file()
    if path is None:
        pytest.skip("no o200k vocabulary; make test gets it from the package litellm")
    by_id = {index: token for token, index in SPECIAL.items()}
    added = [by_id.get(i, f"<|dummy_{i}|>") for i in range(FIRST_ADDED, VOCABULARY)]
    tokenizer = Converter(str(path), pattern=O200K_PATTERN, extra_special_tokens=added).converted()
    folder = tmp_path_factory.mktemp("official")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    ).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def processor(folder: Path) -> Phi4mmProcessor:
    return Phi4mmProcessor(read_tokenizer(PreTrainedTokenizerFast, folder))


def test_every_token_has_its_published_id(processor: Phi4mmProcessor) -> None:
    assert len(processor.tokenizer) == VOCABULARY
    for token, index in SPECIAL.items():
        assert processor.tokenizer.convert_tokens_to_ids(token) == index
    # As tiktoken's o200k_base has it.
    assert processor.text_ids("hello world") == [24_912, 2_375]


def test_a_prompt_is_user_sound_instruction_end_assistant(processor: Phi4mmProcessor) -> None:
    item = processor.encode(
        np.zeros(16_000, np.float32) + 1e-3, Request(Task.ASR, "ko"), Answer("안녕하세요")
    )
    # 98 frames of 10 ms, eight to a token
    assert item.prompt_ids[0] == 200_021
    assert item.prompt_ids[1:14] == [200_011] * 13
    assert item.prompt_ids[-2:] == [200_020, 200_019]
    words = item.prompt_ids[14:-2]
    assert processor.tokenizer.decode(words) == "Transcribe the audio clip into text."
    assert max(words) < FIRST_ADDED
    assert item.target_ids is not None
    assert item.target_ids[-2:] == [200_020, 199_999]
    assert processor.decode(item.target_ids) == "안녕하세요"


def test_the_ids_are_those_of_the_prompt_as_text(processor: Phi4mmProcessor) -> None:
    text = f"<|user|><|endoftext11|>{instruction(Request(Task.ASR))}<|end|><|assistant|>"
    assert processor.tokenizer.encode(text, add_special_tokens=False) == processor.prompt_ids(
        instruction(Request(Task.ASR)), 1
    )


def test_both_end_tokens_end_an_answer(processor: Phi4mmProcessor) -> None:
    assert processor.ids.ends == (200_020, 199_999)
    words = processor.text_ids("좋은 아침")
    assert processor.decode([*words, 200_020, *words]) == "좋은 아침"
    assert processor.decode([*words, 199_999, *words]) == "좋은 아침"


def test_korean_goes_there_and_back_and_is_short(processor: Phi4mmProcessor) -> None:
    text = "그는 괜찮은 척하려고 애쓰는 것 같았다. 100% & <|end|>"
    ids = processor.text_ids(text)
    assert processor.tokenizer.decode(ids) == text
    assert max(ids) < FIRST_ADDED  # words that look like special tokens stay words
    assert len(processor.text_ids("안녕하세요")) < len("안녕하세요")
