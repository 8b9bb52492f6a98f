"""Runs in vLLM's environment: cuts recordings as vLLM's server does. Usage: cut.py FOLDER WAV…

The pieces of FOLDER/a.wav are written as FOLDER/a/0.wav and so on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import soundfile
from vllm.config import SpeechToTextConfig
from vllm.multimodal.audio import split_audio


def main() -> None:
    folder, *recordings = map(Path, sys.argv[1:])
    settings = SpeechToTextConfig()
    for recording in recordings:
        samples, rate = soundfile.read(recording, dtype="float32")
        pieces = [samples]
        if len(samples) > settings.max_audio_clip_s * rate:
            pieces = split_audio(
                audio_data=samples,
                sample_rate=rate,
                max_clip_duration_s=settings.max_audio_clip_s,
                overlap_duration_s=settings.overlap_chunk_second,
                min_energy_window_size=settings.min_energy_split_window_size,
            )
        (folder / recording.stem).mkdir()
        for place, piece in enumerate(pieces):
            soundfile.write(folder / recording.stem / f"{place}.wav", piece, rate, subtype="FLOAT")


if __name__ == "__main__":
    main()
