"""When the tokens of an answer are spoken, from what the model attends to while it writes them.

As openai/whisper (`timing.py`): the attention of each step over the frames of the sound is
normalised, smoothed, averaged over heads, and the cheapest path through it that never goes back
(dynamic time warping) gives each token its frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from soritune.models.attention import watched

SMOOTHED_FRAMES = 7
"""Width of the median filter over frames."""
NUM_HEADS = 8
"""Heads that are averaged where the checkpoint does not name its own; Whisper base names eight."""
Span = tuple[float, float]
Floats = npt.NDArray[np.float64]


class Looks:
    """Keeps the attention of one forward pass: from the steps that write to the frames of sound.

    Args:
        layers: cross-attention modules, in the order of the model.
        rows: positions of the queries of each clip.
    """

    def __init__(self, layers: Sequence[nn.Module], rows: Sequence[Sequence[int]]) -> None:
        self._places = {id(layer): place for place, layer in enumerate(layers)}
        self._rows = rows
        self._found: list[dict[int, torch.Tensor]] = [{} for _ in rows]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what is attended to meanwhile, in this thread."""
        with watched(self._take):
            yield

    def weights(self, clip: int) -> torch.Tensor:
        """Return the attention of a clip, float32 of shape (layers, heads, tokens, frames)."""
        found = self._found[clip]
        return torch.stack([found[place] for place in range(len(self._places))])

    def _take(
        self, layer: nn.Module, query: torch.Tensor, key: torch.Tensor, scaling: float | None
    ) -> None:
        """Take query (batch, heads, queries, size) and key (batch, heads, keys, size)."""
        place = self._places.get(id(layer))
        if place is None:
            return
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        for clip, rows in enumerate(self._rows):
            keys = key[clip].float().transpose(1, 2)
            scores = query[clip][:, list(rows)].float() @ keys * scale
            self._found[clip][place] = scores.softmax(dim=-1).cpu()


def token_spans(
    weights: torch.Tensor, frame_s: float, heads: Sequence[tuple[int, int]] = ()
) -> list[Span]:
    """Return when each token is spoken, in seconds; the end token is what follows the last.

    Args:
        weights: (layers, heads, tokens, frames); no gradient.
        frame_s: length of a frame.
        heads: layers and heads that align; without any, those that go forward most clearly.
    """
    if heads:
        used = torch.stack([weights[layer, head] for layer, head in heads])
    else:
        used = _chosen(weights)
    deviation, mean = torch.std_mean(used, dim=-2, keepdim=True, unbiased=False)
    shown = _smoothed((used - mean) / deviation.clamp(min=1e-8)).mean(dim=0)
    tokens, frames = cheapest_path(-shown.double().numpy())
    starts = [int(frames[np.searchsorted(tokens, token)]) for token in range(len(shown))]
    ends = [*starts[1:], shown.shape[1]]
    return [(a * frame_s, b * frame_s) for a, b in zip(starts, ends, strict=True)]


def _chosen(weights: torch.Tensor) -> torch.Tensor:
    """Return the heads whose looks go forward most clearly, (heads, tokens, frames).

    A head's mark is how well the place it looks at agrees with the number of the token
    (correlation), times the mean of its highest weights: a head that always looks at one frame is
    sharp and useless, one that looks everywhere is right and blunt.
    """
    flat = weights.flatten(0, 1)
    peaks, places = flat.max(dim=-1)
    order = torch.arange(flat.shape[1], dtype=torch.float32)
    order = order - order.mean()
    where = places.float()
    where = where - where.mean(dim=-1, keepdim=True)
    size = (where.norm(dim=-1) * order.norm()).clamp(min=1e-8)
    marks = (where @ order / size).clamp(min=0) * peaks.mean(dim=-1)
    return flat[marks.topk(min(NUM_HEADS, len(flat))).indices]


def _smoothed(weights: torch.Tensor) -> torch.Tensor:
    """Return the median over `SMOOTHED_FRAMES` frames around each, edges mirrored."""
    half = SMOOTHED_FRAMES // 2
    if weights.shape[-1] <= half:
        return weights
    padded = functional.pad(weights, (half, half), mode="reflect")
    return padded.unfold(-1, SMOOTHED_FRAMES, 1).median(dim=-1).values


def cheapest_path(costs: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows and columns of the cheapest path from the first cell to the last.

    Each step goes one row down, one column on, or both (dynamic time warping).

    Args:
        costs: (rows, columns).
    """
    total = np.empty_like(costs)
    total[0] = np.cumsum(costs[0])
    for row in range(1, len(costs)):
        above = total[row - 1]
        entered = np.minimum(above, np.concatenate([[np.inf], above[:-1]]))
        # Entered at column k, a row costs so much until column j: sums[j] - sums[k - 1].
        sums = np.cumsum(costs[row])
        total[row] = sums + np.minimum.accumulate(entered - sums + costs[row])
    row, column = costs.shape[0] - 1, costs.shape[1] - 1
    path = [(row, column)]
    while row or column:
        steps = [(row - 1, column - 1), (row - 1, column), (row, column - 1)]
        row, column = min((step for step in steps if min(step) >= 0), key=lambda step: total[step])
        path.append((row, column))
    rows, columns = np.array(path[::-1], np.int64).T
    return rows, columns
