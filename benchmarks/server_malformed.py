#!/usr/bin/env python3
"""Requests that are wrong, by a seed, to a real server: no 5xx but 503, no traceback, no growth.

    python benchmarks/server_malformed.py [MODEL] [--requests 10000]

Ends with 1 where an answer is not as it should be or the server's log has an unexpected error.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx2
import numpy as np
import soundfile
from serve import make_clips, memory_mb
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

PORT = 8126
HOST = ("127.0.0.1", PORT)
URL = f"http://127.0.0.1:{PORT}"
KEY = "right"
PATHS = ("/v1/audio/transcriptions", "/v1/audio/translations")
RATE_HZ = 16_000
SOUND = np.random.default_rng(0).uniform(-0.3, 0.3, RATE_HZ).astype(np.float32)
WORDS = [
    "",
    "x",
    "NaN",
    "-1",
    "1e999",
    "maybe",
    "\x00",
    "../../etc/passwd",
    "한국어",
    "😀",
]
WORDS += ["ko" * 5_000, "<b>", "{}", "[]", "none", "verbose_json"]
FIELDS = ["model", "language", "languages", "languages[]", "to_language", "prompt", "keywords[]"]
FIELDS += ["response_format", "temperature", "timestamp_granularities[]", "include[]", "stream"]
FIELDS += ["chunking_strategy", "chain_of_thought", "file", "nothing"]

Client = httpx2.Client
Kind = Callable[[random.Random, Client], tuple[int, str]]


def encoded(samples: np.ndarray, format_: str) -> bytes:
    """Return a file, written second by second: libsndfile's Vorbis takes no long arrays."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", RATE_HZ, 1, format=format_) as sound:
        for start in range(0, len(samples), RATE_HZ):
            sound.write(samples[start : start + RATE_HZ])
    return file.getvalue()


FILES = {name: encoded(SOUND, name) for name in ("WAV", "FLAC", "OGG", "MP3", "AIFF")}
# Ten minutes of silence in a few kilobytes; the server takes five.
BOMBS = {name: encoded(np.zeros(600 * RATE_HZ, np.float32), name) for name in ("FLAC", "OGG")}


def post(rng: random.Random, client: Client, file: bytes, **form: Any) -> tuple[int, str]:
    """Send a form."""
    answer = client.post(
        rng.choice(PATHS), files={"file": (rng.choice(["a.wav", "", "a" * 500]), file)}, data=form
    )
    return answer.status_code, answer.text


def damaged(rng: random.Random, client: Client) -> tuple[int, str]:
    """Bytes of the head are changed, or the end is missing."""
    content = bytearray(rng.choice(list(FILES.values())))
    for _ in range(rng.randint(1, 20)):
        content[rng.randrange(min(100, len(content)))] = rng.randrange(256)
    return post(rng, client, bytes(content[: rng.randrange(len(content))]))


def not_sound(rng: random.Random, client: Client) -> tuple[int, str]:
    """Bytes of another kind."""
    kinds = [b"", rng.randbytes(rng.randint(1, 5_000)), b"PK\x03\x04" + bytes(99), b"<html>" * 50]
    return post(rng, client, rng.choice([*kinds, b"\x1f\x8b" + rng.randbytes(99), b"OggS" * 99]))


def bomb(rng: random.Random, client: Client) -> tuple[int, str]:
    """Little that becomes much."""
    return post(rng, client, rng.choice(list(BOMBS.values())))


def lie(rng: random.Random, client: Client) -> tuple[int, str]:
    """A header that names six hours, or sizes that are not there."""
    if rng.random() < 0.5:
        content = bytearray(FILES["WAV"])
        for place in (4, 40):
            content[place : place + 4] = rng.randbytes(4)
    else:
        content = bytearray(FILES["FLAC"])
        samples = rng.choice([6 * 3600 * RATE_HZ, (1 << 36) - 1, 1])
        content[21] = content[21] & 0xF0 | samples >> 32
        content[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    return post(rng, client, bytes(content))


def fields(rng: random.Random, client: Client) -> tuple[int, str]:
    """Wrong values, many fields, large ones."""
    form: dict[str, Any] = {rng.choice(FIELDS[:-2]): rng.choice(WORDS) for _ in range(3)}
    form["response_format"] = "wrong"  # so that the model is not asked
    if rng.random() < 0.02:
        form["prompt"] = "a" * (2 << 20)
    if rng.random() < 0.02:
        form |= {f"f{number}": "1" for number in range(1_500)}
    return post(rng, client, FILES["WAV"], **form)


def bodies(rng: random.Random, client: Client) -> tuple[int, str]:
    """Bodies that are not the form they should be."""
    types = ["multipart/form-data", "multipart/form-data; boundary=x", "application/json", "", "\t"]
    types += ["application/x-www-form-urlencoded", "multipart/form-data; boundary=" + "y" * 300]
    begun = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    content = [b"", b"--x--\r\n", begun, begun + b"\r\n--x--\r\n", b"{}", rng.randbytes(300)]
    content.append(b'--x\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\na\r\n--x--\r\n')
    headers = {"Content-Type": rng.choice(types), "X-Request-Id": rng.choice(["a b", "\x7f", "ok"])}
    method = rng.choice(["POST", "POST", "PUT", "GET", "DELETE", "OPTIONS"])
    path = rng.choice([*PATHS, "/v1/models/" + "%00%ff", "/v1/realtime", "/page/..%2f..%2fapp.py"])
    answer = client.request(method, path, content=rng.choice(content), headers=headers)
    return answer.status_code, answer.text


def keys(rng: random.Random, client: Client) -> tuple[int, str]:
    """Keys that are not known."""
    wrong = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic cmlnaHQ=",
        f"bearer{KEY}",
        "Bearer " * 99,
    ]
    answer = client.get("/v1/models", headers={"Authorization": rng.choice(wrong)})
    return answer.status_code if answer.status_code == 401 else 599, answer.text


def raw(rng: random.Random, _: Client) -> tuple[int, str]:
    """What is not HTTP, and uploads that break off."""
    head = f"POST {PATHS[0]} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n"
    sent = rng.choice(
        [
            rng.randbytes(200),
            b"GET / HTTP/9.9\r\n\r\n",
            f"{head}Content-Length: -5\r\n\r\n".encode(),
            f"{head}Content-Length: 99999999999\r\n\r\nabc".encode(),
            f"{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode(),
            f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n".encode(),
            f"{head}X: {'a' * 100_000}\r\n\r\n".encode(),
            f"{head}Content-Length: 5000\r\n\r\n{'a' * 100}".encode(),
        ]
    )
    with socket.create_connection(HOST, timeout=10) as connection, suppress(OSError):
        connection.sendall(sent)
        connection.settimeout(0.05)
        answer = connection.recv(4_000).decode("latin-1")
        return (int(answer.split(" ")[1]) if answer.startswith("HTTP/") else 0), answer
    return 0, ""


def frames(rng: random.Random, _: Client) -> tuple[int, str]:
    """Live sessions with frames and events that are wrong."""
    events: list[Any] = [b"\x00\xff", "", "[" * 5_000, "null", '{"type": 5}', '{"type": "x"}']
    kinds = ["session.update", "transcription_session.update", "input_audio_buffer.append"]
    kinds += ["input_audio_buffer.commit", "session.input_audio_buffer.append"]
    values: list[Any] = [
        None,
        5,
        "x",
        [],
        {},
        {"type": "realtime"},
        "A" * 9,
        {"audio": {"input": 7}},
    ]
    values += [{"audio": {"input": {"turn_detection": {"threshold": 9}}}}, {"type": []}]
    for _ in range(6):
        event = {"type": rng.choice(kinds), "session": rng.choice(values), "event_id": {}}
        events.append(json.dumps(event | {"audio": rng.choice(values)}))
    if rng.random() < 0.1:
        events = ["a" * (2 << 20)]
    path = rng.choice(["/v1/realtime", "/v1/realtime/translations", "/v1/realtime?model=none"])
    found = []
    with suppress(WebSocketException, TimeoutError):
        headers = {"Authorization": f"Bearer {KEY}"}
        with connect(f"ws://127.0.0.1:{PORT}{path}", additional_headers=headers) as live:
            for event in rng.sample(events, min(4, len(events))):
                live.send(event)
                found.append(str(live.recv(2)))
    text = " ".join(found)
    return (599 if '"internal"' in text else 0), text


KINDS: list[tuple[Kind, int]] = [(damaged, 25), (not_sound, 12), (bomb, 1), (lie, 10), (fields, 15)]
KINDS += [(bodies, 22), (keys, 5), (raw, 6), (frames, 4)]


def main() -> None:
    """Send them and print what came back."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="builtin:tiny")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.NamedTemporaryFile("w+") as log, tempfile.NamedTemporaryFile("w") as known:
        known.write(KEY)
        known.flush()
        command = [sys.executable, "-m", "soritune.cli", "serve", options.model]
        command += ["--port", str(PORT), "--api-key-file", known.name, "--max-audio-minutes", "5"]
        server = subprocess.Popen(command, stderr=log)
        try:
            wrong = run(options.requests, options.seed, server)
        finally:
            server.terminate()
            server.wait(60)
        log.seek(0)
        # uvicorn's word for what it cut off because the client broke the protocol.
        cut_off = "ASGI callable returned without completing response"
        unexpected = [
            line for line in log if ("ERROR" in line or "Traceback" in line) and cut_off not in line
        ]
    print(f"unexpected errors in the log: {len(unexpected)} {unexpected[:3]}")
    sys.exit(bool(wrong or unexpected))


def run(count: int, seed: int, server: subprocess.Popen[bytes]) -> list[str]:
    """Return what is wrong."""
    wrong: list[str] = []
    chosen = random.Random(seed)
    kinds = chosen.choices([kind for kind, _ in KINDS], [share for _, share in KINDS], k=count)
    headers = {"Authorization": f"Bearer {KEY}"}
    with Client(base_url=URL, headers=headers, timeout=60) as client:
        while server.poll() is None:
            with suppress(httpx2.HTTPError):
                if client.get("/ready").status_code == 200:
                    break
            time.sleep(0.2)

        def ask(number: int) -> tuple[str, int]:
            kind = kinds[number]
            try:
                status, text = kind(random.Random(seed * count + number), client)
            except (httpx2.HTTPError, OSError) as error:
                status, text = 0, type(error).__name__
            internal = '"code":"internal"' in text or "Traceback" in text or 'File "' in text
            if (status >= 500 and status != 503) or internal:
                wrong.append(f"{kind.__name__} {number}: {status} {text[:300]}")
            return kind.__name__, status

        found: Counter[tuple[str, int]] = Counter()
        before = 0.0
        with ThreadPoolExecutor(16) as pool:
            for index, answer in enumerate(pool.map(ask, range(count))):
                found[answer] += 1
                if index == count // 5:
                    before = memory_mb(server.pid)
        clip = make_clips(1)[0]
        after = client.post(PATHS[0], files={"file": ("a.flac", clip)})
    for name in sorted({kind for kind, _ in found}):
        statuses = {status: n for (kind, status), n in sorted(found.items()) if kind == name}
        print(f"{name}: {statuses}")
    print(f"memory: {before:.0f} MB after a fifth, {memory_mb(server.pid):.0f} MB at the end")
    print(f"then a good request: {after.status_code} {after.text[:80]}")
    print(f"wrong: {len(wrong)}", *wrong[:10], sep="\n  ")
    return wrong + ([] if after.status_code == 200 else ["the last request"])


if __name__ == "__main__":
    main()
