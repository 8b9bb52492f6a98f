"""Many clips with soritune's own engine and with vLLM on a CPU, one export, one run.

    python benchmarks/bulk_vllm.py MODEL --vllm-python .venv-vllm/bin/python --clips 200

MODEL is a folder that `soritune export --to merged` or `--to original --lora-weight 1` wrote. The
clips are demo sentences, Korean and English by turns. Both engines take the same threads (two, or
OMP_NUM_THREADS). soritune makes batches of as many tokens as 16 clips of 30 s; vLLM decodes up to
256 clips at a time, without torch.compile, as in the tests. Loading is left out, reading, features
and soritune's voice activity are counted. Padding is what rows of a batch are longer than clips.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import soundfile
import torch

import soritune
from soritune.decoding import engine
from soritune.decoding.engine import Piece
from soritune.models.phi4mm.prompts import instruction
from soritune.sources.corpora.demo.source import DemoSource, read
from soritune.tasks import Request, Task

OFFLINE = Path(__file__).parent.parent / "plugins/vllm/tests/offline.py"


def main() -> None:
    """Print both speeds, their ratio, and how many texts are equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--vllm-python", required=True)
    parser.add_argument("--clips", type=int, default=200)
    options = parser.parse_args()
    threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        files, audio_s = spoken(Path(folder), options.clips)
        model = soritune.load(options.model, device="cpu")
        model.transcribe(files[:16], batch_size=16)  # warm
        begin = time.perf_counter()
        with padding() as measured:
            local = [found.text for found in model.transcribe(files, batch_size=16)]
        local_s = time.perf_counter() - begin
        out = Path(folder) / "vllm.json"
        words = [options.model, str(out), "-", "1024", "256"]
        words.append(json.dumps([instruction(Request(Task.ASR))]))
        subprocess.run(
            [options.vllm_python, str(OFFLINE), *words, *files],
            env=os.environ | _vllm_variables(threads),
            check=True,
        )
        answer = json.loads(out.read_text(encoding="utf-8"))
    (theirs,), (vllm_s,) = answer["texts"], answer["seconds"]
    equal = sum(a == b for a, b in zip(local, theirs, strict=True))
    print(f"{len(files)} clips, {audio_s:.0f} s of speech, {threads} threads")
    for name, seconds in (("soritune", local_s), ("vLLM", vllm_s)):
        print(f"{name:10} {seconds:7.1f} s  {audio_s / seconds:6.1f} x real time")
    clips_s, rows_s = measured
    print(f"padding of soritune's batches: {100 * (rows_s / clips_s - 1):.1f} %")
    print(f"vLLM : soritune = {local_s / vllm_s:.2f} : 1; {equal} of {len(files)} texts are equal")


@contextmanager
def padding() -> Iterator[list[float]]:
    """Measure batches that are made in the block: seconds of clips, and of whole rows."""
    seconds = [0.0, 0.0]
    make = engine.token_batches

    def watched(*given: Any) -> Iterator[list[Piece]]:
        for batch in make(*given):
            seconds[0] += sum(piece.duration_s for piece in batch)
            seconds[1] += len(batch) * max(piece.duration_s for piece in batch)
            yield batch

    engine.token_batches = watched
    try:
        yield seconds
    finally:
        engine.token_batches = make


def spoken(folder: Path, clips: int) -> tuple[list[str], float]:
    """Write clips of both languages; their files and seconds."""
    files, seconds = [], 0.0
    sources = [
        read(DemoSource(source="demo", language=language, train=-(-clips // 2), dev=0, test=0))
        for language in ("ko", "en")
    ]
    for pair in zip(*sources, strict=True):
        for utterance in pair[: clips - len(files)]:
            samples, rate = utterance.audio.render()  # type: ignore[union-attr]
            files.append(str(folder / f"{utterance.id}.wav"))
            soundfile.write(files[-1], samples, rate)
            seconds += len(samples) / rate
    return files, seconds


def _vllm_variables(threads: int) -> dict[str, str]:
    return {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": "",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": f"0-{threads - 1}",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
    }


if __name__ == "__main__":
    main()
