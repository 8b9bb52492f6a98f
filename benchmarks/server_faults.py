#!/usr/bin/env python3
"""Faults of a real server process: many and slow clients, signals, kill -9, starts that fail.

    python benchmarks/server_faults.py [MODEL]

Prints one line for each fault and ends with 1 where one of them was not as it should be.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
from serve import make_clips, memory_mb

MODEL = sys.argv[1] if len(sys.argv) > 1 else "builtin:tiny"
PORT = 8124
URL = f"http://127.0.0.1:{PORT}"
failed: list[str] = []


def report(what: str, right: bool, found: object) -> None:
    """Print a line."""
    print(f"{'as it should' if right else 'WRONG':12} {what}: {found}", flush=True)
    if not right:
        failed.append(what)


def start(*options: str, model: str = MODEL, folder: str | None = None) -> subprocess.Popen[str]:
    """Start a server, whose temporary files go to `folder`."""
    command = [sys.executable, "-m", "soritune.cli", "serve", model, "--port", str(PORT), *options]
    environment = None if folder is None else {**os.environ, "TMPDIR": folder}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def wait_until_ready(server: subprocess.Popen[str]) -> None:
    """Wait for the first answer."""
    while server.poll() is None:
        with suppress(httpx2.HTTPError):
            if httpx2.get(f"{URL}/ready").status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(server.stderr.read() if server.stderr else "")


@contextmanager
def ready(folder: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start a server that is killed at the end of the block."""
    server = start(folder=folder)
    try:
        wait_until_ready(server)
        yield server
    finally:
        server.kill()
        server.communicate()


def ask(client: httpx2.Client, clip: bytes) -> tuple[int, str]:
    """Return status and text, or 0 and the name of the error."""
    try:
        files = {"file": ("a.flac", clip)}
        answer = client.post(f"{URL}/v1/audio/transcriptions", files=files)
    except httpx2.HTTPError as error:
        return 0, type(error).__name__
    return answer.status_code, answer.json().get("text", "")


def end(server: subprocess.Popen[str]) -> tuple[int, str]:
    """Return exit status and the lines of standard error that are not of requests."""
    try:
        _, words = server.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        server.kill()
        _, words = server.communicate()
    lines = [line for line in words.splitlines() if " INFO " not in line]
    return server.returncode, " | ".join(lines)


def many_and_slow(clips: list[bytes]) -> None:
    """200 clients at once while 100 others never finish their headers."""
    with ready() as server:
        before = memory_mb(server.pid)
        slow = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(100)]
        for each in slow:
            each.sendall(b"POST /v1/audio/transcriptions HTTP/1.1\r\nX-Slow: ")
        opened_s = time.monotonic()
        limits = httpx2.Limits(max_connections=200)
        with httpx2.Client(limits=limits, timeout=300) as client, ThreadPoolExecutor(200) as pool:
            alone = {clip: ask(client, clip) for clip in clips}
            jobs = [clips[index % len(clips)] for index in range(200)]
            found = list(pool.map(lambda clip: ask(client, clip), jobs))
            right = all(answer == alone[clip] for clip, answer in zip(jobs, found, strict=True))
            seconds = time.monotonic() - opened_s
            words = f"{dict(Counter(status for status, _ in found))} in {seconds:.1f} s"
            report("200 clients at once, texts as alone", right, words)
        for each in slow:
            each.settimeout(40)
            with suppress(TimeoutError, ConnectionError):
                each.recv(1)
        waited_s = time.monotonic() - opened_s
        report("100 endless headers are given up", waited_s < 36, f"after {waited_s:.0f} s")
        grown = memory_mb(server.pid) - before
        report("memory", grown < 400, f"{before:.0f} MB, {grown:+.0f} MB")
        server.send_signal(signal.SIGTERM)
        report("SIGTERM without work", (status := end(server))[0] == 0, status)


def stopped_at_work(clips: list[bytes]) -> None:
    """SIGTERM, twice, while requests run."""
    with ready() as server, httpx2.Client(timeout=60) as client, ThreadPoolExecutor(40) as pool:
        begun = [pool.submit(ask, client, clips[index % len(clips)]) for index in range(40)]
        while f"busy {len(begun)}.0" not in httpx2.get(f"{URL}/metrics").text:
            time.sleep(0.02)
        server.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        server.send_signal(signal.SIGTERM)
        late = ask(client, clips[0])[0]
        health = httpx2.get(f"{URL}/ready").status_code
        statuses = Counter(each.result()[0] for each in begun)
        report("SIGTERM twice at work: 40 begun", statuses == {200: 40}, dict(statuses))
        report("a new request, /ready", (late, health) == (503, 503), (late, health))
        report("exit status", (status := end(server))[0] == 0, status)


def killed(clips: list[bytes]) -> None:
    """kill -9 at work: nothing half-written, and the port is free."""
    with tempfile.TemporaryDirectory() as folder:
        with ready(folder) as server, ThreadPoolExecutor(8) as pool, httpx2.Client() as client:
            begun = [pool.submit(ask, client, clips[0] + bytes(2 << 20)) for _ in range(8)]
            time.sleep(0.3)
            server.kill()
            errors = Counter(each.result()[0] for each in begun)
            report("kill -9 at work", server.wait() == -9, dict(errors))
        left = [str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()]
        report("files that are left", not left, left)
    with ready() as server, httpx2.Client(timeout=60) as client:
        report("the port is free again", ask(client, clips[0])[0] == 200, PORT)
        server.send_signal(signal.SIGINT)
        report("Ctrl-C", (status := end(server))[0] == 0, status)


def starts_that_fail() -> None:
    """Each ends with one line."""
    # A shell sees 130 for both: `python -m` ends itself by SIGINT if that came inside exec(text),
    # as in the making of a dataclass.
    ctrl_c = (130, -signal.SIGINT)
    for number, name, wanted in [
        (signal.SIGINT, "Ctrl-C", ctrl_c),
        (signal.SIGTERM, "SIGTERM", (143,)),
    ]:
        server = start()
        time.sleep(4)
        server.send_signal(number)
        report(f"{name} while it loads", (status := end(server))[0] in wanted, status)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text('{"model_type": "whisper"}')
        (folder / "model.safetensors").write_bytes(b"\xff" * 100)
        (folder / "keys").write_text("\n")
        with socket.create_server(("127.0.0.1", PORT)):
            report("port in use", (status := end(start()))[0] == 2, status)
        for what, options, model in [
            ("model folder missing", (), f"{name}/nowhere"),
            ("model folder damaged", (), name),
            ("key file missing", ("--api-key-file", f"{name}/none"), MODEL),
            ("key file empty", ("--api-key-file", f"{name}/keys"), MODEL),
            ("key file is a folder", ("--api-key-file", name), MODEL),
        ]:
            status, words = end(start(*options, model=model))
            report(what, status == 2 and words.count(" | ") == 0, words.replace(name, "FOLDER"))


if __name__ == "__main__":
    # A shell lets what it starts in the background ignore Ctrl-C, which servers would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    clips = make_clips(8)
    many_and_slow(clips)
    stopped_at_work(clips)
    killed(clips)
    starts_that_fail()
    sys.exit(bool(failed))
