#!/usr/bin/env python3
"""The server under load, beside one request at a time: texts, throughput, latency, memory.

    python benchmarks/serve.py MODEL [--clips 64] [--clients 1 8 32 128] [--peer URL NAME]

Clips are English sentences of the demo's voices (2 to 3 s). One run starts the server, asks with
each number of clients, and compares every text with `soritune transcribe`. A peer is another
OpenAI-compatible server (vLLM, `transformers serve`), asked in the same run. Some peers take no
language and find it out; with `--language ""` all do.
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import soundfile

import soritune
from soritune.sources.corpora.demo.source import DemoSource, read
from soritune.utterance import RenderedAudio


def make_clips(count: int) -> list[bytes]:
    """Return FLAC files."""
    source = DemoSource(source="demo", language="en", train=0, dev=0, test=count, seed=7)
    clips = []
    for utterance in read(source):
        assert isinstance(utterance.audio, RenderedAudio)
        samples, rate_hz = utterance.audio.render()
        file = io.BytesIO()
        soundfile.write(file, samples, rate_hz, format="FLAC")
        clips.append(file.getvalue())
    return clips


def memory_mb(pid: int) -> float:
    """Resident memory of a process (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def ask(
    client: httpx2.Client, url: str, name: str, clip: bytes, language: str
) -> tuple[str, float]:
    """Return the text and the seconds until it came."""
    started = time.perf_counter()
    answer = client.post(
        f"{url}/audio/transcriptions",
        files={"file": ("a.flac", clip)},
        data={"model": name} | ({"language": language} if language else {}),
    )
    answer.raise_for_status()
    return answer.json()["text"].strip(), time.perf_counter() - started


def first_delta_s(client: httpx2.Client, url: str, clip: bytes) -> float:
    """Return the seconds until the first piece of a stream."""
    started = time.perf_counter()
    with client.stream(
        "POST",
        f"{url}/audio/transcriptions",
        files={"file": ("a.flac", clip)},
        data={"stream": "true", "language": "en"},
    ) as answer:
        next(answer.iter_lines())
        return time.perf_counter() - started


def load(
    url: str, name: str, clips: list[bytes], clients: int, requests: int, language: str = "en"
) -> dict[str, object]:
    """Ask `requests` times with so many clients at once."""
    jobs = [clips[index % len(clips)] for index in range(requests)]
    with (
        httpx2.Client(timeout=600, limits=httpx2.Limits(max_connections=clients)) as client,
        ThreadPoolExecutor(clients) as pool,
    ):
        started = time.perf_counter()
        found = list(pool.map(lambda clip: ask(client, url, name, clip, language), jobs))
        wall_s = time.perf_counter() - started
    seconds = sorted(each for _, each in found)
    return {
        "texts": [text for text, _ in found],
        "rate": requests / wall_s,
        "p50": statistics.median(seconds),
        "p95": seconds[int(0.95 * (len(seconds) - 1))],
    }


def shortened(clip: bytes, seconds: float) -> bytes:
    """Return the middle of a FLAC file."""
    samples, rate_hz = soundfile.read(io.BytesIO(clip))
    first = max(0, (len(samples) - int(seconds * rate_hz)) // 2)
    file = io.BytesIO()
    part = samples[first : first + int(seconds * rate_hz)]
    soundfile.write(file, part, rate_hz, format="FLAC")
    return file.getvalue()


def soak(pid: int, url: str, clips: list[bytes], requests: int) -> None:
    """Ask often and print the memory on the way."""
    found = [memory_mb(pid)]
    for _ in range(10):
        load(url, "whisper-1", clips, 32, requests // 10)
        found.append(memory_mb(pid))
        print(f"{len(found) - 1}0 %: {found[-1]:.0f} MB", file=sys.stderr, flush=True)
    print(f"memory in {requests:,} requests, MB: " + ", ".join(f"{each:.0f}" for each in found))


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument(
        "--requests", type=int, default=128, help="for each number of clients, at least one each"
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--language", default="en", help="of the clips; empty to have it found out")
    parser.add_argument("--soak", type=int, default=0, help="further requests, for memory")
    parser.add_argument("--soak-s", type=float, default=0.8, help="seconds of the soak's clips")
    parser.add_argument("--peer", nargs=2, metavar=("URL", "NAME"), action="append", default=[])
    parser.add_argument("--port", type=int, default=8123)
    options = parser.parse_args()
    clips = make_clips(options.clips)
    local = soritune.load(options.model)
    language = options.language
    expected = [
        local.transcribe(io.BytesIO(clip), language=language or None)[0].text.strip()
        for clip in clips
    ]
    started = time.perf_counter()
    command = [sys.executable, "-m", "soritune.cli", "serve", options.model]
    command += ["--port", str(options.port), "--max-requests", "512"]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{options.port}/v1"
    try:
        with httpx2.Client(timeout=60) as client:
            while True:
                try:
                    ask(client, url, "whisper-1", clips[0], language)
                    break
                except httpx2.HTTPError:
                    time.sleep(0.1)
            print(f"first request answered {time.perf_counter() - started:.1f} s after the start")
            delta_s = statistics.median(first_delta_s(client, url, clip) for clip in clips[:16])
            print(f"first delta of a stream after {1000 * delta_s:.0f} ms (median of 16)")
        print("| server | clients | requests/s | times 1 client | p50 ms | p95 ms | texts equal |")
        print("|---|---|---|---|---|---|---|")
        servers = [(url, "whisper-1", "soritune"), *((u, n, u) for u, n in options.peer)]
        for address, name, title in servers:
            load(address, name, clips, 1, 1, language)  # not counted
            alone = 0.0
            for clients in options.clients:
                requests = max(options.requests, clients)
                found = load(address, name, clips, clients, requests, language)
                alone = alone or found["rate"]
                wanted = [expected[i % len(expected)] for i in range(requests)]
                equal = sum(a == b for a, b in zip(found["texts"], wanted, strict=True))
                print(
                    f"| {title} | {clients} | {found['rate']:.2f} | {found['rate'] / alone:.2f} | "
                    f"{1000 * found['p50']:.0f} | {1000 * found['p95']:.0f} | "
                    f"{equal}/{requests} |",
                    flush=True,
                )
        if options.soak:
            soak(server.pid, url, [shortened(clip, options.soak_s) for clip in clips], options.soak)
    finally:
        server.terminate()
        server.wait(60)


if __name__ == "__main__":
    main()
