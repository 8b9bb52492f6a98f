#!/usr/bin/env python3
"""Latency of live transcription: sentences are sent as fast as they are spoken.

    python benchmarks/live.py MODEL [--clips 16] [--sessions 1 4]

Final: from the last sound of a sentence (-40 dB) to its `completed` event, of which 500 ms are the
silence by which the server knows that a turn has ended. Partial: how far each delta that comes
before the end of the turn is behind its last word, whose time is estimated by its share of the
sentence's letters.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx2
import numpy as np
import soundfile
import soxr
from serve import make_clips
from websockets.sync.client import connect

RATE_HZ = 24_000
CHUNK_S = 0.1
PAUSE_S = 1.5


@dataclass
class Heard:
    """Seconds of one or more sentences."""

    finals: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    partials: list[float] = field(default_factory=list)
    early: int = 0  # sentences of which something was shown before they ended
    texts: list[str] = field(default_factory=list)


def speech_s(samples: np.ndarray) -> tuple[float, float]:
    """Return where speech begins and ends."""
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    return loud[0] / RATE_HZ, (loud[-1] + 1) / RATE_HZ


def hear(url: str, clips: list[np.ndarray]) -> Heard:
    """Speak all sentences in one session."""
    heard = Heard()
    with connect(url) as live:
        update = {
            "type": "transcription",
            "audio": {"input": {"transcription": {"language": "en"}}},
        }
        live.send(json.dumps({"type": "session.update", "session": update}))
        for clip in clips:
            _sentence(live, clip, heard)
    return heard


def _sentence(live: object, clip: np.ndarray, heard: Heard) -> None:
    begins_s, ends_s = speech_s(clip)
    sound = np.concatenate([clip, np.zeros(int(PAUSE_S * RATE_HZ), np.float32)])
    content = (sound * 32767).astype("<i2").tobytes()
    step = int(CHUNK_S * RATE_HZ) * 2
    started = time.perf_counter()
    events: list[tuple[float, dict[str, object]]] = []
    position = 0
    while not events or not events[-1][1]["type"].endswith(("completed", "failed")):
        if position < len(content):
            due = started + min(len(content), position + step) / 2 / RATE_HZ
        else:
            due = time.perf_counter() + 60
        while (left_s := due - time.perf_counter()) > 0:
            try:
                event = json.loads(live.recv(left_s))
            except TimeoutError:
                break
            events.append((time.perf_counter() - started, event))
            if event["type"].endswith(("completed", "failed")):
                break
        if position < len(content):
            audio = base64.b64encode(content[position : position + step]).decode()
            live.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            position += step
    final_s, final = events[-1]
    heard.texts.append(final["transcript"])
    heard.finals.append(final_s - ends_s)
    stopped_s = next(at for at, event in events if event["type"].endswith("speech_stopped"))
    heard.stops.append(final_s - stopped_s)
    shown = ""
    partials = []
    for at_s, event in events:
        if event["type"].endswith("transcription.delta") and at_s < stopped_s:
            shown += event["delta"]
            spoken_s = begins_s + (ends_s - begins_s) * len(shown) / len(final["transcript"])
            partials.append(at_s - spoken_s)
    heard.partials += partials
    heard.early += bool(partials)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--clips", type=int, default=16, help="sentences of each session")
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--port", type=int, default=8125)
    options = parser.parse_args()
    clips = []
    for content in make_clips(options.clips):
        samples, rate_hz = soundfile.read(io.BytesIO(content), dtype="float32")
        clips.append(soxr.resample(samples, rate_hz, RATE_HZ))
    command = [sys.executable, "-m", "soritune.cli", "serve", options.model]
    server = subprocess.Popen([*command, "--port", str(options.port)], stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                httpx2.get(f"http://127.0.0.1:{options.port}/ready").raise_for_status()
                break
            except httpx2.HTTPError:
                time.sleep(0.1)
        url = f"ws://127.0.0.1:{options.port}/v1/realtime?intent=transcription"
        hear(url, clips[:1])  # what is slow only once
        print("| sessions | final ms (p95) | after stop ms | partial ms (p95) | shown early |")
        print("|---|---|---|---|---|")
        for sessions in options.sessions:
            with ThreadPoolExecutor(sessions) as pool:
                found = list(pool.map(lambda _: hear(url, clips), range(sessions)))
            finals = [s for each in found for s in each.finals]
            stops = [s for each in found for s in each.stops]
            partials = [s for each in found for s in each.partials]
            early = sum(each.early for each in found)
            print(
                f"| {sessions} | {_ms(statistics.median(finals))} ({_ms(_p95(finals))}) | "
                f"{_ms(statistics.median(stops))} | {_ms(statistics.median(partials))} "
                f"({_ms(_p95(partials))}) | {early}/{len(finals)} |"
            )
    finally:
        server.terminate()
        server.wait(60)


def _p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f}"


if __name__ == "__main__":
    main()
