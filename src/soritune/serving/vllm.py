"""Starts vLLM beside the server, in an environment of its own, and stops it again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from soritune.errors import UserError
from soritune.models.checkpoint import ADAPTER_CONFIG_FILE, CONFIG_FILE, read_json
from soritune.models.family import Family
from soritune.models.registry import family_of_config
from soritune.models.serving import VLLM_MAX_RANKS, vllm_max_rank

PYTHON = "SORITUNE_VLLM_PYTHON"
"""Names the Python of vLLM's environment, whose packages exclude ours."""
OURS = ("--model", "--served-model-name", "--host", "--port", "--uds", "--api-key")
"""Options of vLLM on which it depends that this process finds it."""
READY_S = 600.0
STOP_S = 30.0
# Linux ends vLLM with this process, however that ends; the words after it are the new command.
_TIED_TO_PARENT = (
    "import ctypes, os, sys; getattr(ctypes.CDLL(None), 'prctl', lambda *_: 0)(1, 15); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


@dataclass(frozen=True)
class RunningVllm:
    """vLLM's server at work.

    Attributes:
        url: up to and with `/v1`.
        family: of the model.
    """

    url: str
    family: Family
    process: subprocess.Popen[bytes]

    def problem(self) -> str | None:
        """Return why it no longer answers; None while it runs."""
        code = self.process.poll()
        return None if code is None else _ended(code)


@contextmanager
def vllm_server(
    model: str, name: str, adapters: Mapping[str, str], words: Sequence[str] = ()
) -> Iterator[RunningVllm]:
    """Run vLLM's server on an exported model until the block ends.

    Args:
        name: under which requests ask for the model.
        adapters: folders of exported adapters by the names under which requests ask for them.
        words: further options of vLLM's own command line; they win over ours.

    Raises:
        UserError: the environment is not set, a folder is not what vLLM reads, or vLLM ends or is
            not ready in time.
    """
    python = os.environ.get(PYTHON)
    if not python or shutil.which(python) is None:
        raise UserError(
            f"--engine vllm: set {PYTHON} to the Python of an environment that has vLLM and "
            "soritune-vllm (docs/serving.md)"
        )
    for word in words:
        if (option := word.partition("=")[0].replace("_", "-")) in OURS:
            raise UserError(
                f"--vllm-options: {option} is chosen by soritune serve. Leave it out; --host, "
                "--port, --name and --api-key-file are those of soritune serve itself"
            )
    config = _config(Path(model))
    family = family_of_config(config, model)
    port = _free_port()
    command = [python, "-c", _TIED_TO_PARENT, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", model, "--served-model-name", name]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += [*_precision(), *family.vllm_options(config), *_adapter_options(adapters), *words]
    # Its processes form a group of their own, so that all of them can be stopped.
    process = subprocess.Popen(command, env=_environment(), start_new_session=True)
    try:
        _wait(process, f"http://127.0.0.1:{port}/health")
        yield RunningVllm(f"http://127.0.0.1:{port}/v1", family, process)
    finally:
        _stop(process)


def _config(folder: Path) -> dict[str, object]:
    """Return a folder's config.json; raises UserError where it has none."""
    if not folder.is_dir():
        raise UserError(f"--engine vllm: {folder} is not a folder. Export a model first.")
    if not (folder / CONFIG_FILE).is_file():
        raise UserError(
            f"--engine vllm: {folder} has no {CONFIG_FILE}. vLLM reads exported models: "
            f"soritune inspect {folder} names the command"
        )
    return read_json(folder / CONFIG_FILE)


def _adapter_options(adapters: Mapping[str, str]) -> list[str]:
    """Return what serves adapters beside the model; raises UserError where vLLM takes none."""
    ranks = []
    for name, folder in adapters.items():
        settings = Path(folder) / ADAPTER_CONFIG_FILE
        if not settings.is_file():
            raise UserError(
                f"--adapter {name}={folder}: has no {ADAPTER_CONFIG_FILE}. vLLM reads exported "
                "adapters: soritune export … --to adapter"
            )
        rank = read_json(settings).get("r")
        room = vllm_max_rank(rank) if isinstance(rank, int) else None
        if room is None:
            raise UserError(
                f"--adapter {name}={folder}: has rank {rank}, and vLLM takes ranks up to "
                f"{VLLM_MAX_RANKS[-1]}. Export it with --rank {VLLM_MAX_RANKS[-1]}"
            )
        ranks.append(room)
    if not adapters:
        return []
    modules = [f"{name}={folder}" for name, folder in adapters.items()]
    return ["--enable-lora", "--max-lora-rank", str(max(ranks)), "--lora-modules", *modules]


def _precision() -> list[str]:
    """Return the options for the precision of the local engine, without compiling on a CPU."""
    import torch

    if torch.cuda.is_available():
        return ["--dtype", "bfloat16"]
    return ["--dtype", "float32", "--enforce-eager"]


def _environment() -> dict[str, str]:
    """Return this process's variables without its Python's, and what vLLM needs where unset.

    It reports to nobody, and on a CPU takes 2 GB for its cache instead of nearly all memory.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name != "VLLM_API_KEY"  # clients have ours
    }
    ours = {"NO_USAGE_STATS": "1", "HOST_IP": "127.0.0.1", "CPU_KVCACHE_SPACE": "2"}
    return {f"VLLM_{name}": value for name, value in ours.items()} | kept


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    # Not through a proxy that the environment names: the address is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if (code := process.poll()) is not None:
            raise UserError(_ended(code))
        try:
            opener.open(url, timeout=5).close()
        except OSError:
            time.sleep(1)
        else:
            return
    raise UserError(f"--engine vllm: vLLM was not ready after {READY_S:.0f} s")


def _ended(code: int) -> str:
    return f"--engine vllm: vLLM ended ({code}); its words are above"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End vLLM, then what it leaves of its processes."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
