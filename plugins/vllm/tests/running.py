"""Starts vLLM in its own environment, offline, and asks its server."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_S = 600  # on two busy cores
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GB
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}


class Refused(Exception):  # noqa: N818 - what a server answered
    """A request that was answered with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status


@dataclass(frozen=True)
class Server:
    """A running server and the name of the model it serves."""

    url: str
    model: str

    def audio(self, kind: str, file: Path, **fields: str) -> str:
        """The answer of /v1/audio/transcriptions or /translations."""
        return str(json.loads(self._post_file(kind, file, fields))["text"])

    def audio_stream(self, kind: str, file: Path, **fields: str) -> str:
        """The same in pieces, put together."""
        lines = self._post_file(kind, file, fields | {"stream": "true"}).decode().splitlines()
        found = [line[6:] for line in lines if line.startswith("data: {")]
        deltas = [json.loads(line)["choices"][0]["delta"].get("content") for line in found]
        return "".join(delta or "" for delta in deltas)

    def chat(self, text: str, file: Path, **fields: Any) -> str:
        """The answer of /v1/chat/completions to a text beside a clip."""
        data = b64encode(file.read_bytes()).decode()
        content = [
            {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
            {"type": "text", "text": text},
        ]
        body = {
            "model": self.model,
            "temperature": 0,
            "max_tokens": 600,
            "messages": [{"role": "user", "content": content}],
        }
        answer = self._post(
            "/v1/chat/completions", json.dumps(body | fields).encode(), "application/json"
        )
        return str(json.loads(answer)["choices"][0]["message"]["content"])

    def get(self, path: str) -> Any:
        """A parsed answer to GET."""
        with urllib.request.urlopen(self.url + path, timeout=60) as response:
            return json.loads(response.read())

    def _post_file(self, kind: str, file: Path, fields: Mapping[str, str]) -> bytes:
        edge = uuid.uuid4().hex
        body = io.BytesIO()
        for name, value in ({"model": self.model, "temperature": "0"} | dict(fields)).items():
            head = f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            body.write(f"{head}{value}\r\n".encode())
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"'
        body.write(f"{head}\r\nContent-Type: audio/wav\r\n\r\n".encode())
        body.write(file.read_bytes() + f"\r\n--{edge}--\r\n".encode())
        return self._post(
            f"/v1/audio/{kind}", body.getvalue(), f"multipart/form-data; boundary={edge}"
        )

    def _post(self, path: str, body: bytes, kind: str) -> bytes:
        request = urllib.request.Request(self.url + path, body, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=600) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")) from None


@contextmanager
def start(model: Path, *options: str) -> Iterator[Server]:
    """Serve a folder until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [python(), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    words += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    words += ["--enforce-eager", "--max-num-seqs", "8", *options]
    server = Server(f"http://127.0.0.1:{port}", str(model))
    # Its processes form a group of their own, so that all of them can be stopped.
    process = subprocess.Popen(words, env=environment(), start_new_session=True)
    try:
        _wait(server, process)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"vLLM ended with {process.returncode}; its own words are above")
        try:
            urllib.request.urlopen(f"{server.url}/health", timeout=5).close()
        except OSError:
            time.sleep(1)
        else:
            return
    raise TimeoutError(f"vLLM was not ready after {START_S} s")


def run(script: Path, *words: str, **variables: str) -> None:
    """Run a script with vLLM's Python. Raises CalledProcessError where it fails."""
    command = [python(), str(script), *words]
    subprocess.run(command, env=environment() | variables, check=True, stdout=sys.stderr)


def environment() -> dict[str, str]:
    """This process's variables without its Python, and vLLM's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | ENVIRONMENT


def python() -> str:
    """The Python of vLLM's environment. Raises RuntimeError where none is named."""
    found = os.environ.get("SORITUNE_VLLM_PYTHON")
    if not found:
        raise RuntimeError("SORITUNE_VLLM_PYTHON names no Python: run `make test-vllm`")
    return found
