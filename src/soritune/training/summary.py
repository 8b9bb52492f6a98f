"""The record of one training; light to import, for what only reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSummary:
    """What was trained, its proof and its cost; `training.json` holds it."""

    mode: str
    trained: dict[str, int]  # parameters that train, by part
    parameters: int  # of the whole model
    trained_tensors: int
    moved_tensors: int
    steps: int
    utterances: int  # presented, all epochs together
    audio_s: float  # presented
    seconds: float  # of training, those before an interruption included
    audio_s_per_s: float
    peak_memory_bytes: int
    final_loss: float | None  # mean of the last logged steps
    excluded: dict[str, int]  # utterances by corpus, whose sentences other corpora test
