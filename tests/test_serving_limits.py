"""What a server allows and what it passes on, seen from its clients: without a model."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the server needs soritune[serve]")

from serving_server import WAIT_S, HeldEngine, started, wait_for, wav
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from soritune.decoding.guard import Guard
from soritune.decoding.records import Segment
from soritune.serving import live, realtime, transcriptions
from soritune.serving.served import remote_model
from soritune.serving.settings import ServerSettings
from soritune.serving.streams import Growth, TextStream
from soritune.tasks import Request, Task

NOISE = 0.3 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
SOUND = base64.b64encode((NOISE * 3e4).astype("<i2").tobytes()).decode()
APPEND = {"type": "input_audio_buffer.append", "audio": SOUND}
COMMIT = {"type": "input_audio_buffer.commit"}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldEngine]:
    """Noise is speech here."""
    monkeypatch.setattr(Guard, "heard", lambda *_: None)
    found = HeldEngine()
    yield found
    found.go.set()


@contextmanager
def served(engine: HeldEngine, **settings: Any) -> Iterator[str]:
    with started(ServerSettings(**settings), lambda _: [remote_model("m", engine)]) as (
        address,
        *_,
    ):
        yield address
        engine.go.set()


def post(address: str, **form: Any) -> httpx2.Response:
    url, files = f"{address}/v1/audio/transcriptions", {"file": ("a.wav", wav(NOISE))}
    return httpx2.post(url, files=files, data=form, timeout=WAIT_S)


@contextmanager
def session(address: str) -> Iterator[ClientConnection]:
    """A live session without the server's turns, past its first two events."""
    sound = {"turn_detection": None, "format": {"type": "audio/pcm", "rate": 16_000}}
    update = {"type": "transcription", "audio": {"input": sound}}
    with connect(address.replace("http", "ws") + "/v1/realtime") as found:
        say(found, {"type": "session.update", "session": update})
        assert hear(found, "session.updated")
        yield found


def say(connection: ClientConnection, event: dict[str, Any]) -> None:
    connection.send(json.dumps(event))


def hear(connection: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next event of a kind."""
    while (event := json.loads(connection.recv(WAIT_S)))["type"] != kind:
        pass
    return dict(event)


def test_a_request_has_its_time(engine: HeldEngine) -> None:
    with served(engine, request_s=0.2) as address:
        answer = post(address)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "timeout")


def test_what_is_asked_reaches_the_model(engine: HeldEngine) -> None:
    engine.go.set()
    form = {"languages[]": ["korean", "en"], "prompt": "a talk", "keywords[]": ["Seoul", "Han"]}
    with served(engine) as address:
        assert post(address, **form).json()["text"] == "heard"
    assert engine.asked == [
        Request(Task.ASR, "ko", prompt="a talk", keywords=("Seoul", "Han")),
    ]


def test_an_error_in_the_middle_of_a_stream_is_its_last_event(
    engine: HeldEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> Iterator[Segment]:
        yield Segment(0.0, 1.0, "heard", None, 0.0)
        raise RuntimeError("insides")

    monkeypatch.setattr(transcriptions, "hear", breaks)
    with served(engine) as address:
        answer = post(address, stream="true")
    *_, last = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line]
    assert (last["type"], last["error"]["code"]) == ("error", "internal")
    assert "heard" in answer.text
    assert "insides" not in answer.text


def test_half_a_letter_waits_for_its_other_half() -> None:
    stream = TextStream(token_by_token=True)
    sent = [list(stream.grow(Growth(0, text))) for text in ("\uac00\ufffd", "\uac00\ub098")]
    assert [json.loads(event[6:])["delta"] for events in sent for event in events] == ["가", "나"]


def test_a_segment_follows_its_text() -> None:
    stream = TextStream(token_by_token=False)
    segments = [Segment(0.0, 1.0, "one", None, 0.0), Segment(1.0, 2.0, "two", None, 0.0)]
    events = [json.loads(event[6:]) for each in segments for event in stream.add(each)]
    found = [
        (event["type"].removeprefix("transcript.text."), event.get("delta")) for event in events
    ]
    assert found == [("delta", "one"), ("segment", None), ("delta", " two"), ("segment", None)]


def test_live_sessions_are_counted_and_given_up(
    engine: HeldEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(engine, max_sessions=1) as address, session(address) as first:
        with connect(address.replace("http", "ws") + "/v1/realtime") as second:
            with pytest.raises(ConnectionClosed):
                second.recv(WAIT_S)
            assert second.close_code == 1013
        monkeypatch.setattr(realtime, "IDLE_S", 0.1)
        say(first, {"type": "input_audio_buffer.clear"})  # after it the time counts again
        assert hear(first, "input_audio_buffer.cleared")
        with pytest.raises(ConnectionClosed):
            first.recv(WAIT_S)
        assert first.close_code == 1008


def test_a_live_session_that_heard_nothing_closes(engine: HeldEngine) -> None:
    with served(engine) as address, session(address) as found:
        say(found, {"type": "session.close"})
        assert json.loads(found.recv(10))["type"] == "session.closed"


def test_live_turns_count_as_requests_at_work(engine: HeldEngine) -> None:
    with served(engine, max_requests=1) as address, session(address) as one:
        with session(address) as two:
            say(one, APPEND)
            say(one, COMMIT)
            busy = "soritune_requests_busy 1.0"
            wait_for(lambda: busy in httpx2.get(f"{address}/metrics").text)
            say(two, APPEND)
            say(two, COMMIT)
            failed = hear(two, "conversation.item.input_audio_transcription.failed")
            assert failed["error"]["code"] == "overloaded"
        engine.go.set()


def test_a_turn_that_fails_is_reported_and_the_next_is_heard(engine: HeldEngine) -> None:
    engine.go.set()
    decode = engine.decode

    def fails(_: object) -> Any:
        raise RuntimeError("insides")

    with served(engine) as address, session(address) as found:
        engine.decode = fails  # type: ignore[method-assign]
        say(found, APPEND)
        say(found, COMMIT)
        failed = hear(found, "conversation.item.input_audio_transcription.failed")
        assert failed["error"]["code"] == "internal"
        assert "insides" not in str(failed)
        engine.decode = decode  # type: ignore[method-assign]
        say(found, APPEND)
        say(found, COMMIT)
        done = hear(found, "conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == "heard"
        assert done["usage"]["seconds"] == 1.0  # at the rate that the client has named
        assert done["item_id"] != failed["item_id"]


def test_a_session_that_is_too_far_ahead_or_changes_its_rate_is_told(
    engine: HeldEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_AHEAD_S", 0.5)
    with served(engine) as address, session(address) as found:
        say(found, APPEND)
        other = {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 48_000}}}}
        say(found, {"type": "session.update", "event_id": "mine", "session": other})
        error = hear(found, "error")["error"]
        assert error["param"] == "session.audio.input.format.rate"
        assert error["event_id"] == "mine"
        say(found, COMMIT)
        say(found, APPEND)
        assert hear(found, "error")["error"]["code"] == "overloaded"
        engine.go.set()
