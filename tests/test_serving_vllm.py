"""`soritune serve --engine vllm` with a stand-in for vLLM: its options, its end, and ours.

`make test-vllm` does it with vLLM itself.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import numpy as np
import pytest
import soundfile
from serving_server import WAIT_S, english_clips, wait_for, wav
from transformers import PreTrainedTokenizerFast
from typer.testing import CliRunner

from soritune.cli import app
from soritune.errors import UserError
from soritune.models.record import EXPORT_FILE
from soritune.models.registry import family_named
from soritune.models.speech_model import longest_answer
from soritune.serving import vllm
from soritune.serving.vllm import vllm_server
from soritune.tasks import Request, Task

STAND_IN = Path(__file__).with_name("stand_in_vllm.py")
LONGROPE = {
    "original_max_position_embeddings": 4096,
    "rope_parameters": {"rope_type": "longrope"},
}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-in, which is named as vLLM's Python."""
    python = tmp_path / "python"
    # Asked as `python -c CODE -m MODULE OPTIONS…`, where CODE ties vLLM to its parent.
    script = f'code="$2"; shift 4; exec {sys.executable} -c "$code" {STAND_IN} "$@"'
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv(vllm.PYTHON, str(python))
    monkeypatch.setenv("FAKE_VLLM", str(tmp_path))
    return tmp_path


@pytest.fixture
def model(small_base: Path, tmp_path: Path) -> Path:
    """A model with longrope, as the official one has it."""
    folder = tmp_path / "model"
    folder.mkdir()
    config = json.loads((small_base / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | LONGROPE))
    shutil.copy(small_base / "tokenizer.json", folder)
    return folder


def adapter(folder: Path, rank: int) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    return folder


def processes(folder: Path) -> list[int]:
    return [int(number) for number in (folder / "pid").read_text().split()]


def ended(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z"  # ended, and not yet asked after by whoever adopted it
    return True


def test_vllm_gets_the_options_that_keep_its_texts_right_and_ours_come_last(
    there: Path, model: Path, tmp_path: Path
) -> None:
    adapters = {"a": str(adapter(tmp_path / "a", 4)), "b": str(adapter(tmp_path / "b", 20))}
    with vllm_server(str(model), "m", adapters, ["--seed", "1"]) as running:
        words = " ".join(json.loads((there / "words").read_text()))
        assert f"--model {model} --served-model-name m --host 127.0.0.1 --port " in words
        assert "--max-model-len 4096" in words
        assert "--enable-lora --max-lora-rank 32 --lora-modules a=" in words
        assert words.endswith("--seed 1")
        assert running.problem() is None
        assert running.family.name == "phi4mm"
        kept = processes(there)
        os.kill(kept[0], signal.SIGKILL)
        wait_for(lambda: running.problem() is not None)
        assert "vLLM ended (-9)" in str(running.problem())
    wait_for(lambda: all(map(ended, kept)))


def test_a_folder_that_vllm_cannot_read_costs_no_start(there: Path, tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    trained.mkdir()
    for folder, said in ((tmp_path / "none", "not a folder"), (trained, "no config.json")):
        with pytest.raises(UserError, match=said), vllm_server(str(folder), "m", {}):
            pass
    assert not (there / "words").exists()


@pytest.mark.parametrize(("rank", "said"), [(640, "ranks up to 512"), (None, "--to adapter")])
def test_an_adapter_that_vllm_cannot_read_is_named(
    there: Path, model: Path, tmp_path: Path, rank: int | None, said: str
) -> None:
    folder = tmp_path / "one" if rank is None else adapter(tmp_path / "one", rank)
    with pytest.raises(UserError, match=said), vllm_server(str(model), "m", {"x": str(folder)}):
        pass
    assert not (there / "words").exists()


def test_a_vllm_that_is_missing_or_ends_at_once_is_one_line(
    there: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (there / "refuse").touch()
    result = CliRunner().invoke(app, ["serve", str(model), "--engine", "vllm", "--port", "0"])
    assert result.exit_code == 2
    assert "error: --engine vllm: vLLM ended (3); its words are above" in result.stderr
    monkeypatch.setenv(vllm.PYTHON, str(there / "nowhere"))
    result = CliRunner().invoke(app, ["serve", str(model), "--engine", "vllm", "--port", "0"])
    assert result.exit_code == 2
    assert f"set {vllm.PYTHON} to the Python" in result.stderr


def test_a_taken_port_is_said_before_anything_is_loaded(there: Path, model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["serve", str(model), "--engine", "vllm", "--port", port])
    assert result.exit_code == 2
    assert "cannot be listened on (Address already in use)" in result.stderr
    assert not (there / "words").exists()


def test_options_of_vllm_that_are_wrong_cost_no_start(there: Path, model: Path) -> None:
    for words, said in (
        (["--vllm-options", "--seed 1"], "for --engine vllm"),
        (["--engine", "vllm", "--vllm-options", "'a"], "Close the quotes"),
        (["--engine", "vllm", "--vllm-options", "--port=1"], "--port is chosen by soritune"),
    ):
        result = CliRunner().invoke(app, ["serve", str(model), *words])
        assert (result.exit_code, said in result.stderr) == (2, True)
    assert not (there / "words").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a process that its parent ended")
def test_vllm_does_not_outlive_a_server_that_is_killed() -> None:
    code = """
import subprocess, sys
from soritune.serving.vllm import _TIED_TO_PARENT
sleep = "import time; print(1, flush=True); time.sleep(600)"
words = [sys.executable, "-c", _TIED_TO_PARENT, "-c", sleep]
child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
input()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as parent:  # type: ignore[call-overload]
        pid = int(parent.stdout.readline())
        assert not ended(pid)
        parent.kill()
    wait_for(lambda: ended(pid))


@contextmanager
def served(model: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "soritune.cli", "serve", str(model), "--engine", "vllm"]
    process = subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "listening on" in line)
        yield line.split()[-1], process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()  # type: ignore[union-attr]


@pytest.mark.skipif(not shutil.which("sleep"), reason="a POSIX system")
def test_sigterm_and_the_end_of_vllm_end_all_of_it(there: Path, model: Path) -> None:
    """One process after the other, since each takes seconds: asked, stopped, killed."""
    ((samples, _),) = english_clips(1)
    sound = wav(samples)
    twice = wav(np.concatenate([samples, samples]))
    trained = {"longest_trained_s": len(samples) / 16_000}
    (model / EXPORT_FILE).write_text(json.dumps({"trained": trained}))

    def ask(url: str, kind: str, sound: bytes = sound, **fields: str) -> httpx2.Response:
        file = {"file": ("a.wav", sound)}
        return httpx2.post(f"{url}/v1/audio/{kind}", files=file, data=fields, timeout=WAIT_S)

    chat = family_named("phi4mm", "").vllm_chat(model)
    assert chat is not None
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(model))
    ids = tokenizer.encode("three <sep> 셋<|end|>", add_special_tokens=False)
    logprobs = [{"logprob": -0.5 * (place + 1) / len(ids)} for place in range(len(ids))]
    choice = {"token_ids": ids, "logprobs": {"content": logprobs}}
    (there / "answer").write_text(json.dumps({"choices": [choice]}))
    with served(model) as (url, process):
        korean = {"to_language": "ko", "chain_of_thought": "true"}
        found = ask(url, "translations", **korean).json()
        assert found == {"text": "셋", "transcript": "three"}
        path, _, asked = (there / "asked").read_text().partition("\n")
        assert path == "/v1/chat/completions"
        request = json.loads(asked)
        clip, text = request["messages"][0]["content"]
        assert text["text"] == chat.instruction(Request(Task.AST_COT, target_language="ko"))
        heard, rate_hz = soundfile.read(io.BytesIO(b64decode(clip["input_audio"]["data"])))
        assert (rate_hz, len(heard)) == (16_000, len(samples))
        assert request["max_completion_tokens"] == longest_answer(len(samples) / 16_000)
        told = ask(url, "transcriptions", **{"include[]": "logprobs"}).json()
        assert told["text"] == "".join(each["token"] for each in told["logprobs"])
        assert [each["logprob"] for each in told["logprobs"]] == [
            each["logprob"] for each in logprobs
        ]
        ask(url, "transcriptions", twice)  # in pieces as long as the clips of the training
        *_, asked = (there / "asked").read_text().partition("\n")
        clip, _ = json.loads(asked)["messages"][0]["content"]
        last, _ = soundfile.read(io.BytesIO(b64decode(clip["input_audio"]["data"])))
        assert 0 < len(last) <= len(samples) + 0.4 * 16_000
        kept = processes(there)
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) in (0, 143)
        wait_for(lambda: all(map(ended, kept)))
    (there / "asked").unlink()
    (there / "slow").touch()
    with served(model) as (url, process), ThreadPoolExecutor(3) as pool:
        begun = [pool.submit(ask, url, "transcriptions") for _ in range(3)]
        wait_for((there / "asked").exists)
        kept = processes(there)
        os.kill(kept[0], signal.SIGKILL)
        for each in begun:
            answer = each.result()
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
            assert answer.headers["retry-after"]
        assert process.wait(WAIT_S) == 2
        assert "vLLM ended (-9)" in process.stderr.read()  # type: ignore[union-attr]
        wait_for(lambda: all(map(ended, kept)))
