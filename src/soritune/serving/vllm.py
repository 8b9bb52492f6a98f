"""Starts vLLM beside the server, in an environment of its own, and stops it again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from soritune.errors import UserError

PYTHON = "SORITUNE_VLLM_PYTHON"
"""Names the Python of vLLM's environment, whose packages exclude ours."""
READY_S = 600.0


@contextmanager
def vllm_server(model: str, name: str, adapters: Mapping[str, str]) -> Iterator[str]:
    """Run vLLM's server on a model; yield its address.

    Raises:
        UserError: the environment is not set, or vLLM ends or is not ready in time.
    """
    python = os.environ.get(PYTHON)
    if not python or shutil.which(python) is None:
        raise UserError(
            f"--engine vllm: set {PYTHON} to the Python of an environment that has vLLM and "
            "soritune-vllm (docs/serving.md)"
        )
    if not Path(model).is_dir():
        raise UserError(f"--engine vllm: {model} is not a folder. Export a model first.")
    port = _free_port()
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    command += ["--served-model-name", name, "--host", "127.0.0.1", "--port", str(port)]
    if adapters:
        modules = [f"{each}={folder}" for each, folder in adapters.items()]
        command += ["--enable-lora", "--lora-modules", *modules]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        _wait(process, f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise UserError(
                f"--engine vllm: vLLM ended ({process.returncode}); its words are above"
            )
        try:
            urllib.request.urlopen(url, timeout=5).close()  # the address is ours
        except (urllib.error.URLError, OSError):
            time.sleep(1)
        else:
            return
    raise UserError(f"--engine vllm: vLLM was not ready after {READY_S:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
