"""Auxiliary CTC on the audio encoder, without which a small encoder does not start to learn.

Units are letters and jamo (Unicode NFD). Fast speech has more letters than 12.5 a second, so each
80 ms token carries three sub-frames. The head is dropped after pre-training.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import torch
from torch import nn
from torch.nn import functional

SUBFRAMES = 3
BLANK = 0


def units_of(text: str) -> str:
    """Return the CTC units of a text: NFD, so that Hangul syllables become jamo."""
    return unicodedata.normalize("NFD", text)


class CtcHead(nn.Module):
    """Linear layer from encoder states to units, three sub-frames a token."""

    def __init__(self, hidden: int, texts: Iterable[str]) -> None:
        super().__init__()
        self.alphabet = "".join(sorted({unit for text in texts for unit in units_of(text)}))
        self.linear = nn.Linear(hidden, SUBFRAMES * (len(self.alphabet) + 1))
        self._index = {unit: i + 1 for i, unit in enumerate(self.alphabet)}

    def ids(self, text: str) -> torch.Tensor:
        """Return unit ids (1-based; 0 is the blank), shape (units,)."""
        return torch.tensor([self._index[unit] for unit in units_of(text)])

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, tokens × 3, units + 1) of states (batch, tokens, hidden)."""
        batch, tokens, _ = states.shape
        logits: torch.Tensor = self.linear(states)
        return logits.reshape(batch, tokens * SUBFRAMES, -1)

    def loss(
        self, states: torch.Tensor, tokens: torch.Tensor, texts: Sequence[str], flat: float = 0.0
    ) -> torch.Tensor:
        """Return the CTC loss per unit; `flat` weights the flat-start cross-entropy added to it.

        Flat start: the units spread evenly over the clip as frame labels. It breaks the plateau
        of blanks on which CTC alone stays for hundreds of steps.

        Args:
            states: encoder output (batch, tokens, hidden).
            tokens: real tokens of each row (batch,).
        """
        logits = self(states).float()
        targets = [self.ids(text) for text in texts]
        lengths = tokens * SUBFRAMES
        loss = functional.ctc_loss(
            logits.log_softmax(-1).transpose(0, 1),
            torch.cat(targets),
            lengths,
            torch.tensor([len(t) for t in targets]),
            blank=BLANK,
            reduction="sum",
            zero_infinity=True,
        ) / sum(len(t) for t in targets)
        if flat > 0:
            frame_labels = torch.full(logits.shape[:2], -100)
            for row, (target, length) in enumerate(zip(targets, lengths.tolist(), strict=True)):
                places = torch.arange(length) * len(target) // length
                frame_labels[row, :length] = target[places]
            loss = loss + flat * functional.cross_entropy(
                logits.flatten(0, 1), frame_labels.flatten()
            )
        return loss
