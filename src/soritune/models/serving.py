"""What servers of models accept, whatever the family."""

from __future__ import annotations

# MaxLoRARanks of vllm/config/lora.py, vLLM 0.33.0: the values of --max-lora-rank. An adapter of
# any rank up to it is accepted.
VLLM_MAX_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def vllm_max_rank(r: int) -> int | None:
    """Return the smallest `--max-lora-rank` that accepts rank r; None above them all."""
    return next((rank for rank in VLLM_MAX_RANKS if rank >= r), None)
