"""`soritune serve` in front of vLLM gives the texts of `soritune serve` alone."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import openai
import pytest
import soundfile
from conftest import RANK, Made
from running import START_S, Server

import soritune

OPTIONS = "--max-model-len 2048 --max-num-seqs 8"


@contextmanager
def front(*words: str) -> Iterator[tuple[openai.OpenAI, subprocess.Popen[str]]]:
    """Run `soritune serve` until the block ends; yield a client of it."""
    command = [sys.executable, "-m", "soritune.cli", "serve", *words, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = []
        while not (said and "listening on" in said[-1]):
            said.append(process.stderr.readline())
            assert said[-1], "".join(said)
        url = said[-1].split()[-1]
        yield openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=START_S), process
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, 143)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def behind(made: Made) -> Iterator[openai.OpenAI]:
    """`soritune serve --engine vllm` of the base with the adapter beside it; all of it ends."""
    base = made.exported("base", "builtin:tiny", "original")
    adapter = made.exported("adapter", made.trained, "adapter")
    assert json.loads((adapter / "adapter_config.json").read_text())["r"] == RANK
    words = ["--engine", "vllm", "--vllm-options", OPTIONS, "--adapter", f"speech={adapter}"]
    with front(str(base), *words) as (client, process):
        yield client
        theirs = _children(process.pid)
        assert theirs
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in theirs) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [pid for pid in theirs if Path(f"/proc/{pid}").exists()]


def _children(pid: int) -> list[int]:
    """All processes below one (Linux)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return [*found, *(deeper for child in found for deeper in _children(child))]


def transcribed(client: openai.OpenAI, file: Path, model: str = "whisper-1") -> str:
    return client.audio.transcriptions.create(file=file, model=model).text


@pytest.mark.parametrize("name", ["whisper-1", "speech"])
def test_texts_are_those_of_the_local_engine(
    behind: openai.OpenAI, made: Made, clips: list[Path], name: str
) -> None:
    model = "builtin:tiny" if name == "whisper-1" else str(made.trained)
    local = soritune.load(model, device="cpu").transcribe(clips)
    assert [transcribed(behind, clip, name) for clip in clips] == [found.text for found in local]


def test_translations_go_where_the_model_translates_to(
    behind: openai.OpenAI, clips: list[Path]
) -> None:
    """Into Korean, which `to_language` of the request says; the endpoint's own is English."""
    local = soritune.load("builtin:tiny", device="cpu").transcribe(clips, task="ast", to="ko")
    found = [
        behind.audio.translations.create(
            file=clip, model="whisper-1", extra_body={"to_language": "ko"}
        ).text
        for clip in clips
    ]
    assert found == [each.text for each in local]
    assert sum(map(bool, found)) > len(clips) // 2


def test_long_recordings_are_cut_at_pauses_as_without_vllm(
    behind: openai.OpenAI, clips: list[Path], tmp_path: Path
) -> None:
    """Sentences with a second between them, of which vLLM alone would cut one in two."""
    pieces = [soundfile.read(clip, dtype="float32")[0] for clip in clips]
    pause = np.zeros(16_000, np.float32)
    talk = tmp_path / "talk.wav"
    soundfile.write(talk, np.concatenate([x for piece in pieces for x in (piece, pause)]), 16_000)
    (wanted,) = soritune.load("builtin:tiny", device="cpu").transcribe(talk)
    assert wanted.duration_s > 60
    assert transcribed(behind, talk) == wanted.text
    verbose = behind.audio.transcriptions.create(
        file=talk, model="whisper-1", response_format="verbose_json"
    )
    assert [segment.text for segment in verbose.segments or []] == [
        segment.text for segment in wanted.segments
    ]
    stream = behind.audio.transcriptions.create(file=talk, model="whisper-1", stream=True)
    events = list(stream)
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == wanted.text
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) > 2
    assert "".join(deltas) == wanted.text


def test_a_live_session_writes_the_same(behind: openai.OpenAI, clips: list[Path]) -> None:
    samples, rate = soundfile.read(clips[0], dtype="int16")
    with behind.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        sound = {"format": {"type": "audio/pcm", "rate": rate}, "turn_detection": None}
        sound["transcription"] = {"model": "whisper-1", "language": "en"}
        session = {"type": "transcription", "audio": {"input": sound}}
        connection.send({"type": "session.update", "session": session})  # type: ignore[misc,arg-type]
        data = b64encode(samples.tobytes()).decode()
        connection.send({"type": "input_audio_buffer.append", "audio": data})
        connection.send({"type": "input_audio_buffer.commit"})
        for event in connection:
            if event.type == "conversation.item.input_audio_transcription.completed":
                break
            assert not event.type.endswith("failed")
    (wanted,) = soritune.load("builtin:tiny", device="cpu").transcribe(clips[0])
    assert event.transcript == wanted.text  # type: ignore[union-attr]


def test_a_server_stands_in_front_of_a_vllm_that_runs(
    served: Server, made: Made, clips: list[Path]
) -> None:
    local = soritune.load(str(made.trained), device="cpu").transcribe(clips[:8])
    words = ["--engine", f"openai:{served.url}/v1", "--adapter", "speech=beside"]
    with front(served.model, *words) as (client, _):
        found = [transcribed(client, clip, "speech") for clip in clips[:8]]
    assert found == [each.text for each in local]


def test_the_command_line_asks_vllm(served: Server, clips: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "texts.jsonl"
    command = [sys.executable, "-m", "soritune.cli", "transcribe", *map(str, clips), "--out"]
    command += [str(out), "--engine", f"openai:{served.url}/v1", "--model", served.model]
    subprocess.run(command, check=True, env=os.environ | {"OPENAI_API_KEY": "none"})
    local = soritune.load("builtin:tiny", device="cpu").transcribe(clips)
    _, *lines = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    found = {Path(line["transcript"]["file"]).name: line["transcript"]["text"] for line in lines}
    assert found == {clip.name: each.text for clip, each in zip(clips, local, strict=True)}


def test_a_vllm_that_cannot_start_is_one_line(made: Made) -> None:
    base = made.exported("base", "builtin:tiny", "original")
    words = ["--engine", "vllm", "--vllm-options", "--no-such-option"]
    command = [sys.executable, "-m", "soritune.cli", "serve", str(base), *words, "--port", "0"]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 2
    assert io.StringIO(ended.stderr).readlines()[-1].startswith("error: --engine vllm: vLLM ended")
