"""Slow, broken and many clients, a server that stops, a start that fails: without a model."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("fastapi", reason="the server needs soritune[serve]")

from serving_server import WAIT_S, HeldEngine, started, wait_for, wav
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from soritune.audio import AudioError
from soritune.audio.stream import Sound
from soritune.cli import app
from soritune.decoding.guard import Guard
from soritune.decoding.listening import Listening, hear
from soritune.errors import UserError
from soritune.interrupts import Terminated
from soritune.serving import connections, running, transcriptions
from soritune.serving.batcher import Batcher
from soritune.serving.served import ServedModel, remote_model
from soritune.serving.settings import ServerSettings, read_keys
from soritune.serving.start import run_server
from soritune.tasks import Request, Task

NOISE = 0.3 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> HeldEngine:
    """An engine that is asked about everything: noise is speech here."""
    monkeypatch.setattr(Guard, "heard", lambda *_: None)
    return HeldEngine()


@pytest.fixture
def serve(engine: HeldEngine) -> Iterator[Callable[..., Any]]:
    """Start servers with settings; returns address, server, thread."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Any:
            stack.callback(engine.go.set)
            models = [remote_model("m", engine)]
            return stack.enter_context(started(ServerSettings(**settings), lambda _: models))

        yield start


def post(
    address: str, client: Any = httpx2, sound: npt.NDArray[np.float32] = NOISE
) -> httpx2.Response:
    files = {"file": ("a.wav", wav(sound))}
    answer: httpx2.Response = client.post(
        f"{address}/v1/audio/transcriptions", files=files, timeout=WAIT_S
    )
    return answer


def state_of(server: Any) -> Any:
    return server.config.app.state


def opened(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=WAIT_S)


def test_a_stopping_server_finishes_what_it_began_and_refuses_more(
    serve: Any, engine: HeldEngine
) -> None:
    address, server, thread = serve()
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(post, address)
        wait_for(lambda: state_of(server).workers.busy == 1)
        assert "soritune_requests_busy 1.0" in httpx2.get(f"{address}/metrics").text
        server.should_exit = True  # what uvicorn makes of SIGTERM
        wait_for(state_of(server).stopping.is_set)
        assert httpx2.get(f"{address}/ready").status_code == 503
        refused = post(address)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert "stopping" in refused.json()["error"]["message"]
        assert refused.headers["retry-after"]
        assert httpx2.get(f"{address}/health").status_code == 200
        engine.go.set()
        assert begun.result().json()["text"] == "heard"
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert server.outcome == "stopped: 1 were finished, 0 dropped"
    with pytest.raises(OSError, match="refused"):
        opened(address)


def test_a_server_that_cannot_finish_stops_when_its_time_is_over(serve: Any) -> None:
    address, server, thread = serve(drain_s=0.2)
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(post, address)
        wait_for(lambda: state_of(server).workers.busy == 1)
        server.should_exit = True
        thread.join(WAIT_S)
        assert not thread.is_alive()
        assert begun.result().status_code == 503
    assert server.outcome == "stopped: 0 were finished, 1 dropped"


def test_a_second_signal_ends_at_once_but_one_sent_twice_does_not(
    serve: Any,
    engine: HeldEngine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    address, server, thread = serve()
    live = address.replace("http", "ws") + "/v1/realtime"
    with ThreadPoolExecutor(1) as pool, connect(live):
        begun = pool.submit(post, address)
        wait_for(lambda: state_of(server).begun == 2)
        wait_for(lambda: state_of(server).workers.busy == 1)
        for _ in range(2):  # to a group, and to each of its processes
            server.handle_exit(signal.SIGTERM, None)
        assert not server.force_exit
        monkeypatch.setattr(running, "SAME_S", 0.0)
        server.handle_exit(signal.SIGTERM, None)
        thread.join(WAIT_S)
        assert not thread.is_alive()
        with suppress(httpx2.HTTPError):  # it may be cut off
            assert begun.result().status_code == 503
        engine.go.set()
    assert server.outcome.startswith("stopped: ")
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


@pytest.mark.parametrize(("kind", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_a_server_stopped_while_it_loads_says_so(
    monkeypatch: pytest.MonkeyPatch, kind: type[KeyboardInterrupt], code: int
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise kind

    monkeypatch.setattr("soritune.serving.start.run_server", stopped)
    result = CliRunner().invoke(app, ["serve", "nowhere"])
    assert result.exit_code == code
    assert result.output.strip() == "stopped before it served anything"


@dataclass
class Line:
    """Stands in for a `Batcher` of a model that works or does not."""

    answers: bool = True
    problem: str | None = None
    waiting: int = 0

    def close(self, timeout_s: float) -> None:
        pass


def test_a_model_that_fails_is_not_ready_and_a_broken_gpu_ends_the_server() -> None:
    line = Line()
    model = ServedModel("m", lambda _: HeldEngine(), cast(Batcher, line))
    with started(ServerSettings(), lambda _: [model]) as (address, server, thread):
        for answers, status in [(True, 200), (False, 503), (True, 200)]:
            line.answers = answers
            assert httpx2.get(f"{address}/ready").status_code == status
            assert httpx2.get(f"{address}/health").status_code == 200
        line.problem = "the GPU failed"
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert server.problem() == "the GPU failed"


def test_logs_have_a_line_a_request_and_nothing_of_its_content(
    serve: Any, engine: HeldEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.go.set()
    address, *_ = serve()
    for form in ({"prompt": "private"}, {"response_format": "private"}, {"language": "private"}):
        caplog.clear()
        httpx2.post(
            f"{address}/v1/audio/transcriptions?private=1",
            files={"file": ("private.wav", wav(NOISE))},
            data=form,
            headers={"X-Request-Id": "mine", "Authorization": "Bearer private"},
        )
        wait_for(lambda: "transcriptions" in caplog.text)  # a request is logged once it is answered
        (line,) = [each for each in caplog.messages if "transcriptions" in each]
        assert line.startswith("POST /v1/audio/transcriptions ")
        assert line.endswith(" s mine")
        assert "private" not in caplog.text
        assert "heard" not in caplog.text


def test_a_live_session_is_answered_before_the_server_stops(serve: Any, engine: HeldEngine) -> None:
    address, server, thread = serve()
    update = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
    sound = base64.b64encode((NOISE * 3e4).astype("<i2").tobytes()).decode()
    with connect(address.replace("http", "ws") + "/v1/realtime") as live:
        live.send(json.dumps({"type": "session.update", "session": update}))
        live.send(json.dumps({"type": "input_audio_buffer.append", "audio": sound}))
        live.send(json.dumps({"type": "nothing"}))  # its error says that the sound has come
        while json.loads(live.recv(WAIT_S))["type"] != "error":
            pass
        server.should_exit = True
        engine.go.set()
        found = []
        with suppress(ConnectionClosed):
            for event in live:
                found.append(json.loads(event))
        assert live.close_code == 1012
    assert found[-1]["type"] == "conversation.item.input_audio_transcription.completed"
    assert found[-1]["transcript"] == "heard"
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_more_clients_than_places_are_answered_or_refused(serve: Any, engine: HeldEngine) -> None:
    address, server, _ = serve(max_requests=40)
    limits = httpx2.Limits(max_connections=60)
    with httpx2.Client(limits=limits) as client, ThreadPoolExecutor(60) as pool:
        answers = [pool.submit(post, address, client) for _ in range(60)]
        wait_for(lambda: sum(each.done() for each in answers) == 20)
        engine.go.set()
        statuses = [each.result().status_code for each in answers]
    assert (statuses.count(200), statuses.count(503)) == (40, 20)
    wait_for(lambda: state_of(server).requests == state_of(server).workers.busy == 0)
    assert post(address).json()["text"] == "heard"


def test_headers_that_do_not_end_are_not_waited_for(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 1.0)  # a busy client may take long as well
    address, *_ = serve()
    with opened(address) as slow, connect(address.replace("http", "ws") + "/v1/realtime") as live:
        live.recv(WAIT_S)
        started_s = time.monotonic()
        with suppress(OSError):
            for letter in "GET / HTTP/1.1\r\nX-Long: " + "a" * 2000:
                slow.sendall(letter.encode())
                time.sleep(0.02)
        assert time.monotonic() - started_s < 15
        live.send(json.dumps({"type": "input_audio_buffer.clear"}))  # a session lives on
        assert json.loads(live.recv(WAIT_S))["type"] == "input_audio_buffer.cleared"


HEAD = (
    "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n"
    "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    '--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
)


def test_an_upload_that_drips_is_given_up(serve: Any) -> None:
    address, server, _ = serve(upload_pause_s=0.3)
    with opened(address) as slow:
        slow.sendall(HEAD.encode())
        slow.settimeout(0.02)
        answer = b""
        for _ in range(200):
            slow.sendall(b"a")
            try:
                answer += slow.recv(1000)
            except TimeoutError:
                continue
            break
    assert answer.startswith(b"HTTP/1.1 408")
    wait_for(lambda: state_of(server).requests == 0)


def test_an_upload_without_a_length_is_counted(serve: Any) -> None:
    address, *_ = serve(max_upload_bytes=1000)
    answer = httpx2.post(
        f"{address}/v1/audio/transcriptions",
        content=(HEAD.partition("\r\n\r\n")[2].encode(), bytes(600), bytes(600)),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
        timeout=WAIT_S,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_large")


def test_a_full_server_refuses_before_the_upload(serve: Any, engine: HeldEngine) -> None:
    address, server, _ = serve(max_requests=1)
    with ThreadPoolExecutor(1) as pool, opened(address) as late:
        pool.submit(post, address)
        wait_for(lambda: state_of(server).workers.busy == 1)
        late.sendall(HEAD.encode())
        assert late.recv(1000).startswith(b"HTTP/1.1 503")
        engine.go.set()


def test_an_upload_that_breaks_off_leaves_nothing(serve: Any, engine: HeldEngine) -> None:
    address, server, _ = serve(max_requests=1)
    with opened(address) as broken:
        broken.sendall(HEAD.encode() + bytes(50_000))
        wait_for(lambda: state_of(server).requests == 1)
    wait_for(lambda: state_of(server).requests == 0)
    engine.go.set()
    assert post(address).status_code == 200


@pytest.mark.parametrize("seconds", [10, 100])
def test_a_recording_is_counted_whatever_its_header_says(engine: HeldEngine, seconds: int) -> None:
    engine.go.set()
    asked = Listening(Request(Task.ASR), max_duration_s=seconds - 1)
    with pytest.raises(AudioError, match="lasts more than") as refused:
        list(hear(engine, Sound(np.tile(NOISE, seconds), 16_000), asked))
    assert refused.value.reason == "too-long"


def test_a_length_that_the_header_tells_costs_no_work(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcriptions, "hear", lambda *_: 1 / 0)
    address, *_ = serve(max_audio_s=99)
    answer = post(address, sound=np.tile(NOISE, 100))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "audio_too_long")


def start(port: int, model: str = "nowhere", host: str = "127.0.0.1") -> None:
    run_server(
        ServerSettings(), model, name=None, adapters={}, engine="local", host=host, port=port
    )


def test_a_port_in_use_is_said_before_a_model_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"127.0.0.1:{port}: cannot be listened on \(Address"):
            start(port)
    with pytest.raises(UserError, match="cannot be listened on"):
        start(0, host="no such host")


def test_a_missing_or_damaged_model_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        start(0)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError) as refused:
        start(0, str(tmp_path))
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "has no key"),
        (b"# only\n\n", "has no key"),
        (b"\xff\xfe", "is not a text file"),
    ],
)
def test_a_bad_key_file_is_reported(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_keys(path)


def test_keys_that_others_can_read_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys"
    path.write_text("# mine\nk1\n  k2  \n")
    os.chmod(path, 0o600)
    assert read_keys(path) == ("k1", "k2")
    assert not capsys.readouterr().err
    os.chmod(path, 0o644)
    read_keys(path)
    assert "chmod 600" in capsys.readouterr().err
