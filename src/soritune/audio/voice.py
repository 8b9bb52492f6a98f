"""Where somebody speaks: Silero VAD, computed for many frames at once.

Here is only the probability of speech of each frame of 32 ms; what counts as a pause belongs to
whoever cuts. Architecture and weights are those of the wheel silero-vad 6.2.3 (MIT), which computes
one frame at a time; its `silero_vad.jit` gives the same numbers to 1e-6.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from soritune.audio.levels import Samples

if TYPE_CHECKING:
    import torch

FRAME_SAMPLES = 512  # 32 ms at 16 kHz
FRAME_S = FRAME_SAMPLES / 16_000
_CONTEXT_SAMPLES = 64  # of the frame before, which each frame sees
_HOP_SAMPLES = 128  # of the 256 samples of a window of the spectrum
_REFLECTED_SAMPLES = 64
_WEIGHTS = Path(__file__).parent / "silero" / "silero_vad_16k.safetensors"
_STRIDES = {"conv1": 1, "conv2": 2, "conv3": 2, "conv4": 1}
_MOST_FRAMES = 1_024  # computed together: half a minute, some 20 MB


class VoiceDetector:
    """Gives the probability of speech of the frames of one recording, block after block."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._state: tuple[torch.Tensor, torch.Tensor] | None = None

    def feed(self, samples: Samples) -> npt.NDArray[np.float32]:
        """Take the next samples (16 kHz mono) and return the probabilities of whole frames.

        What does not fill a frame is kept for the next call.
        """
        waiting = np.concatenate([self._rest, samples])
        num_frames = len(waiting) // FRAME_SAMPLES
        self._rest = waiting[num_frames * FRAME_SAMPLES :]
        found = [np.zeros(0, np.float32)]
        for first in range(0, num_frames, _MOST_FRAMES):
            last = min(first + _MOST_FRAMES, num_frames)
            found.append(self._frames(waiting[first * FRAME_SAMPLES : last * FRAME_SAMPLES]))
        return np.concatenate(found)

    def finish(self) -> npt.NDArray[np.float32]:
        """Return the probability of the last frame, filled with silence; empty if there is none."""
        missing = -len(self._rest) % FRAME_SAMPLES
        return self.feed(np.zeros(missing, np.float32))

    def _frames(self, samples: Samples) -> npt.NDArray[np.float32]:
        import torch
        from torch.nn import functional

        weights, lstm = _network()
        with torch.inference_mode():
            whole = torch.from_numpy(np.concatenate([self._context, samples]))
            self._context = samples[-_CONTEXT_SAMPLES:]
            frames = whole.unfold(0, _CONTEXT_SAMPLES + FRAME_SAMPLES, FRAME_SAMPLES)[:, None]
            frames = functional.pad(frames, (0, _REFLECTED_SAMPLES), "reflect")
            spectrum = functional.conv1d(frames, weights["stft.weight"], stride=_HOP_SAMPLES)
            real, imaginary = spectrum.chunk(2, dim=1)
            hidden = (real.square() + imaginary.square()).sqrt()
            for name, stride in _STRIDES.items():
                weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
                hidden = functional.conv1d(hidden, weight, bias, stride=stride, padding=1).relu()
            hidden, self._state = lstm(hidden[:, :, 0], self._state)
            last = functional.conv1d(
                hidden.relu()[:, :, None],
                weights["final.weight"],
                weights["final.bias"],
            )
            found: npt.NDArray[np.float32] = last[:, 0, 0].sigmoid().numpy()
        return found


@lru_cache(maxsize=1)
def _network() -> tuple[dict[str, torch.Tensor], torch.nn.LSTM]:
    import torch
    from safetensors.torch import load_file

    weights = load_file(_WEIGHTS)
    lstm = torch.nn.LSTM(128, 128)
    prefix = "lstm."
    cell = {
        name.removeprefix(prefix): weights.pop(name)
        for name in list(weights)
        if name.startswith(prefix)
    }
    lstm.load_state_dict(cell)
    return weights, lstm.eval()
