"""Runs in vLLM's environment: cuts a recording as vLLM's server does. Usage: cut.py WAV FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import soundfile
from vllm.config import SpeechToTextConfig
from vllm.multimodal.audio import split_audio


def main() -> None:
    recording, folder = map(Path, sys.argv[1:])
    samples, rate = soundfile.read(recording, dtype="float32")
    settings = SpeechToTextConfig()
    pieces = [samples]
    if len(samples) > settings.max_audio_clip_s * rate:
        pieces = split_audio(
            audio_data=samples,
            sample_rate=rate,
            max_clip_duration_s=settings.max_audio_clip_s,
            overlap_duration_s=settings.overlap_chunk_second,
            min_energy_window_size=settings.min_energy_split_window_size,
        )
    for place, piece in enumerate(pieces):
        soundfile.write(folder / f"{place}.wav", piece, rate, subtype="FLOAT")


if __name__ == "__main__":
    main()
