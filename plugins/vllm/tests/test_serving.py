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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
    variables = os.environ | {"VLLM_LOGGING_LEVEL": "ERROR"}  # nobody reads the pipe to its end
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=variables)
    assert process.stderr is not None
    try:
        said = []
        while not (said and "listening on" in said[-1]):
            said.append(process.stderr.readline())
            assert said[-1], "".join(said)
        url = said[-1].split()[-1]
        yield openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=START_S), process
        if process.poll() is None:
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
    assert within(10, lambda: not any(Path(f"/proc/{pid}").exists() for pid in theirs))


def _children(pid: int) -> list[int]:
    """All processes below one (Linux)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return [*found, *(deeper for child in found for deeper in _children(child))]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def within(seconds: float, what: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.1)
    return what()


def transcribed(client: openai.OpenAI, file: Path, model: str = "whisper-1", **more: str) -> str:
    return client.audio.transcriptions.create(file=file, model=model, extra_body=more).text


def joined(clips: list[Path], talk: Path) -> Path:
    """Write clips with a second between them as one recording."""
    pieces = [soundfile.read(clip, dtype="float32")[0] for clip in clips]
    pause = np.zeros(16_000, np.float32)
    soundfile.write(talk, np.concatenate([x for piece in pieces for x in (piece, pause)]), 16_000)
    return talk


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


def test_chain_of_thought_and_log_probabilities_come_through_chat(
    behind: openai.OpenAI, made: Made, clips: list[Path]
) -> None:
    """The page asks for both ways of translating; the guard needs the log-probabilities."""
    loaded = soritune.load(str(made.trained), device="cpu")
    korean = {"to_language": "ko", "chain_of_thought": "true"}
    for clip, wanted in zip(clips, loaded.transcribe(clips, task="ast-cot", to="ko"), strict=True):
        told = behind.audio.translations.create(file=clip, model="speech", extra_body=korean)
        both = told.model_dump()
        assert (both["transcript"], both["text"]) == (wanted.text, wanted.translation)
    for clip, wanted in zip(clips[:8], loaded.transcribe(clips[:8]), strict=True):
        found = behind.audio.transcriptions.create(file=clip, model="speech", include=["logprobs"])
        assert "".join(each.token or "" for each in found.logprobs or []) == found.text
        assert [each.logprob for each in found.logprobs or []] == pytest.approx(
            [token.logprob for segment in wanted.segments for token in segment.tokens], abs=1e-3
        )


def test_long_recordings_are_cut_at_pauses_as_without_vllm(
    behind: openai.OpenAI, clips: list[Path], tmp_path: Path
) -> None:
    """Sentences with a second between them, of which vLLM alone would cut one in two."""
    talk = joined(clips, tmp_path / "talk.wav")
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


def said_live(client: openai.OpenAI, clip: Path) -> str:
    """What a live session writes for one turn."""
    samples, rate = soundfile.read(clip, dtype="int16")
    with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
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
    return event.transcript  # type: ignore[union-attr]


def test_a_live_session_writes_the_same(behind: openai.OpenAI, clips: list[Path]) -> None:
    (wanted,) = soritune.load("builtin:tiny", device="cpu").transcribe(clips[0])
    assert said_live(behind, clips[0]) == wanted.text


def test_whisper_is_served_and_its_end_is_told(
    made: Made, clips: list[Path], tmp_path: Path
) -> None:
    """SORITUNE_WHISPER names a Whisper folder, since random weights transcribe nothing.

    At the end vLLM's engine is killed while requests are at work: each is answered, none as if it
    were the client's mistake, and the server ends.
    """
    folder = os.environ.get("SORITUNE_WHISPER")
    if not folder:
        pytest.skip("SORITUNE_WHISPER names no folder of a Whisper")
    model = made.exported("whisper", folder, "transformers")
    local = soritune.load(str(model), device="cpu")
    talk = joined(clips, tmp_path / "talk.wav")
    with front(str(model), "--engine", "vllm") as (client, process):
        some = clips[:4]
        english = [transcribed(client, clip, language="en") for clip in some]
        assert english == [each.text for each in local.transcribe(some, language="en")]
        assert transcribed(client, some[0]) == local.transcribe(some[0])[0].text
        assert said_live(client, some[0]) == english[0]
        (wanted,) = local.transcribe(talk, language="en")
        assert wanted.duration_s > 60
        assert transcribed(client, talk, language="en") == wanted.text
        with ThreadPoolExecutor(6) as pool:
            begun = [pool.submit(answered, client, clip) for clip in clips[:6]]
            time.sleep(0.5)
            theirs = _children(process.pid)
            engine = [pid for pid in theirs if b"EngineCore" in _command(pid)]
            os.kill(engine[0], signal.SIGKILL)
            assert {each.result() for each in begun} <= {200, 503}
        assert process.wait(60) == 2
    assert within(10, lambda: not any(Path(f"/proc/{pid}").exists() for pid in theirs))


def answered(client: openai.OpenAI, clip: Path) -> int:
    """The status of an answer."""
    try:
        transcribed(client.with_options(max_retries=0), clip, language="en")
    except openai.APIStatusError as error:
        return error.status_code
    return 200


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
