"""Preview of an augmentation of one recording: clips to hear, and a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from soritune.audio import SAMPLE_RATE_HZ, AudioError, Samples, load_mono_16k
from soritune.augment.babble import Background, Clip, Voice, Voices
from soritune.augment.chain import Applied, Augmenter
from soritune.augment.config import FEATURES_ONLY, Augmentation
from soritune.augment.files import sound_files
from soritune.files import storage_error, write_atomically

DRAWS_FOR_EACH = 20
"""Draws in which nothing happens are passed over, up to so many for each clip."""
MAX_VOICES = 50

MELS, WINDOW, HOP = 80, 400, 160
"""The picture's spectrogram: frames of 25 ms each 10 ms."""


@dataclass(frozen=True)
class Shown:
    """One changed clip: its file, its length, and what was drawn."""

    file: Path
    duration_s: float
    steps: tuple[Applied, ...]
    masked: bool
    draw: int


@dataclass(frozen=True)
class Preview:
    """The clip as it was (16 kHz), the changed ones, and the picture (None: no matplotlib)."""

    before: Path
    shown: tuple[Shown, ...]
    picture: Path | None


def preview(
    file: Path,
    augmentation: Augmentation,
    out: Path,
    *,
    count: int = 3,
    seed: int = 0,
    background: Background | None = None,
) -> Preview:
    """Write `<name>-before.wav`, `<name>-1.wav` … and `<name>.png` into `out`.

    Each clip is a draw as one epoch would make it; those in which nothing happens are passed
    over. `background` is where other voices come from; None: the sound files in the folder of
    `file`. Raises AudioError for a file that cannot be read, UserError for what the augmentation
    lacks or a folder that cannot be written.
    """
    samples = load_mono_16k(file)
    augmenter = Augmenter(augmentation)
    clip = Clip(file.name, background=background or _voices_near(file, augmentation))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, out) from error
    before = out / f"{file.stem}-before.wav"
    _write_wav(before, samples)
    panels = [("before", samples, _log_mel(samples))]
    shown: list[Shown] = []
    for draw in range(count * DRAWS_FOR_EACH):
        key = (augmentation.seed, seed, "preview", clip.id, draw)
        augmented = augmenter.samples(samples, clip, key)
        plain = _log_mel(augmented.samples)
        hidden = augmenter.features(plain, plain.mean(0), key)
        masked = not torch.equal(plain, hidden)
        if not augmented.changed and not masked and not augmented.steps:
            continue
        path = out / f"{file.stem}-{len(shown) + 1}.wav"
        _write_wav(path, augmented.samples)
        duration_s = len(augmented.samples) / SAMPLE_RATE_HZ
        shown.append(Shown(path, duration_s, augmented.steps, masked, draw))
        title = ", ".join(step.transform for step in augmented.steps if not step.skipped)
        panels.append((title or FEATURES_ONLY, augmented.samples, hidden))
        if len(shown) == count:
            break
    picture = _picture(panels)
    path = out / f"{file.stem}.png"
    if picture is not None:
        write_atomically(path, picture)
    return Preview(before, tuple(shown), path if picture is not None else None)


def _voices_near(file: Path, augmentation: Augmentation) -> Voices | None:
    if all(step.transform != "babble" for step in augmentation.steps()):
        return None
    readable = []
    for name in sound_files(str(file.parent))[: MAX_VOICES + 1]:
        try:
            load_mono_16k(Path(name))
        except AudioError:
            continue
        readable.append(Voice(Path(name).name, None, Path(name)))
    return Voices(tuple(readable))


def _log_mel(samples: Samples) -> torch.Tensor:
    """Return a log-mel spectrogram (frames, mels) of samples at 16 kHz."""
    from transformers.audio_utils import mel_filter_bank, spectrogram

    filters = mel_filter_bank(WINDOW // 2 + 1, MELS, 0.0, SAMPLE_RATE_HZ / 2, SAMPLE_RATE_HZ)
    power = spectrogram(
        samples, np.hanning(WINDOW), WINDOW, HOP, power=2.0, mel_filters=filters, log_mel="log"
    )
    return torch.from_numpy(power.T)


def _write_wav(path: Path, samples: Samples) -> None:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    write_atomically(path, buffer.getvalue())


def _picture(panels: Sequence[tuple[str, Samples, torch.Tensor]]) -> bytes | None:
    """Draw the waveform above the spectrogram, a column a clip, with one time scale, as PNG.

    Returns None where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    longest_s = max(len(samples) for _, samples, _ in panels) / SAMPLE_RATE_HZ
    low, high = float(panels[0][2].min()), float(panels[0][2].max())
    figure = Figure(figsize=(3.2 * len(panels), 4.2), dpi=110, layout="constrained")
    axes = figure.subplots(2, len(panels), squeeze=False)
    for column, (title, samples, mel) in enumerate(panels):
        duration_s = len(samples) / SAMPLE_RATE_HZ
        wave, image = axes[0][column], axes[1][column]
        # A point each millisecond is all that a picture shows.
        step = SAMPLE_RATE_HZ // 1000
        wave.plot(
            [i / SAMPLE_RATE_HZ for i in range(0, len(samples), step)], samples[::step], lw=0.5
        )
        wave.set(title=title, xlim=(0, longest_s), ylim=(-1, 1))
        image.imshow(
            mel.T.numpy(),
            origin="lower",
            aspect="auto",
            extent=(0, duration_s, 0, mel.shape[1]),
            vmin=low,
            vmax=high,
        )
        image.set(xlim=(0, longest_s), xlabel="s")
    axes[1][0].set(ylabel="mel channel")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
