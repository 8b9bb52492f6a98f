"""What servers of models accept, whatever the family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from soritune.tasks import Answer, Request

# MaxLoRARanks of vllm/config/lora.py, vLLM 0.33.0: the values of --max-lora-rank. An adapter of
# any rank up to it is accepted.
VLLM_MAX_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True)
class Chat:
    """How vLLM's chat is asked about a clip, and what its answers mean.

    Attributes:
        instruction: the text beside the clip, with which the prompt is that of training.
        decode: the text of token ids, without special tokens.
        parse: splits that text into transcript and translation.
    """

    instruction: Callable[[Request], str]
    decode: Callable[[Sequence[int]], str]
    parse: Callable[[Request, str], Answer]


def vllm_max_rank(r: int) -> int | None:
    """Return the smallest `--max-lora-rank` that accepts rank r; None above them all."""
    return next((rank for rank in VLLM_MAX_RANKS if rank >= r), None)
