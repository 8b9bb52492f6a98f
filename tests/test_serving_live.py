"""Live transcription: turns, partial results that do not flicker, and OpenAI's own client."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from serving_server import english_clips, running, tiny

openai = pytest.importorskip("openai", reason="the server needs soritune[serve]")

from openai.types.realtime import RealtimeServerEvent  # noqa: E402
from openai.types.realtime.realtime_translation_server_event import (  # noqa: E402
    RealtimeTranslationServerEvent,
)
from pydantic import TypeAdapter  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from soritune.serving.agreement import Agreement  # noqa: E402
from soritune.serving.settings import ServerSettings  # noqa: E402
from soritune.serving.turns import (  # noqa: E402
    PcmDecoder,
    Started,
    Stopped,
    TurnDetection,
    TurnDetector,
)

CHUNK_S = 0.1


@pytest.fixture(scope="module")
def transcriber() -> Any:
    return tiny()


@pytest.fixture(scope="module")
def address(transcriber: Any) -> Iterator[str]:
    with running(ServerSettings(api_keys=("k",)), transcriber) as address:
        yield address


@pytest.fixture(scope="module")
def clip() -> Any:
    return english_clips(1)[0][0]


def pcm(samples: Any, rate_hz: int = 16_000) -> Iterator[str]:
    import soxr

    resampled = soxr.resample(samples, 16_000, rate_hz)
    content = (np.clip(resampled, -1, 1) * 32767).astype("<i2").tobytes()
    size = int(CHUNK_S * rate_hz) * 2 + 1  # chunks that end in the middle of a sample
    for start in range(0, len(content), size):
        yield base64.b64encode(content[start : start + size]).decode()


def silence(seconds: float) -> Any:
    return np.zeros(int(seconds * 16_000), np.float32)


def turns(chunks: Iterable[str], rate_hz: int) -> list[Started | Stopped]:
    decoder, detector = PcmDecoder(rate_hz), TurnDetector(TurnDetection(), 30.0)
    return [event for chunk in chunks for event in detector.feed(decoder.decode(chunk))]


def test_shown_text_only_grows() -> None:
    agreement = Agreement()
    passes = ["the", "the cat sad", "the cat sat on", "the cat sat on a mad", "the cat sat on a"]
    shown = [agreement.add(text) for text in passes]
    assert shown == ["", "the", " cat", " sat on", " a"]
    assert agreement.finish("the cat sat on a mat.") == " mat."
    assert agreement.shown == "the cat sat on a mat."


def test_what_was_shown_stands_where_the_last_pass_differs() -> None:
    agreement = Agreement()
    agreement.add("one two")
    agreement.add("one two")
    assert agreement.finish("won two three") == " three"


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 48_000])
def test_turns_are_found_at_every_rate(clip: Any, rate_hz: int) -> None:
    sound = np.concatenate([silence(1), clip, silence(1.5), clip, silence(1.5)])
    events = turns(pcm(sound, rate_hz), rate_hz)
    assert [type(event) for event in events] == [Started, Stopped] * 2
    assert events[0].at_ms == pytest.approx(1000 - 300, abs=200)
    second = 1000 + 1000 * len(clip) / 16_000 + 1500
    assert events[2].at_ms == pytest.approx(second - 300, abs=200)
    assert isinstance(events[1], Stopped)
    assert len(events[1].samples) / 16_000 == pytest.approx(len(clip) / 16_000 + 0.5, abs=0.5)


def test_the_silence_that_ends_a_turn_is_not_heard(clip: Any) -> None:
    sound = np.concatenate([silence(0.6), clip, silence(1.5)])
    short, long = (
        next(event for event in detector.feed(sound) if isinstance(event, Stopped))
        for ms in (500, 1000)
        for detector in [TurnDetector(TurnDetection(silence_duration_ms=ms), 30.0)]
    )
    assert np.array_equal(short.samples, long.samples)


def test_speech_without_pause_is_cut_and_nothing_is_lost(clip: Any) -> None:
    detector = TurnDetector(None, longest_s=3.0)
    sound = np.tile(clip, 4)
    stopped = [event for event in detector.feed(sound) if isinstance(event, Stopped)]
    last = detector.commit()
    assert last is not None
    assert all(len(event.samples) <= 3 * 16_000 for event in stopped)
    pieces = [event.samples for event in (*stopped, last)]
    np.testing.assert_array_equal(np.concatenate(pieces), sound)


def test_openais_client_hears_a_turn_while_it_is_spoken(
    address: str, transcriber: Any, clip: Any
) -> None:
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="k")
    with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        sound = {"format": {"type": "audio/pcm", "rate": 24_000}}
        sound["transcription"] = {"model": "tiny", "language": "en"}
        connection.send(
            {
                "type": "session.update",
                "session": {"type": "transcription", "audio": {"input": sound}},
            }
        )
        chunks = list(pcm(np.concatenate([silence(0.6), clip, silence(1)]), 24_000))
        for chunk in chunks:
            connection.send({"type": "input_audio_buffer.append", "audio": chunk})
        events = []
        for event in connection:
            events.append(event)
            if event.type == "conversation.item.input_audio_transcription.completed":
                break
    kinds = [event.type for event in events]
    assert kinds[:2] == ["session.created", "session.updated"]
    for before, after in [
        ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"),
        ("input_audio_buffer.speech_stopped", "input_audio_buffer.committed"),
        ("input_audio_buffer.committed", "conversation.item.added"),
    ]:
        assert kinds.index(before) < kinds.index(after)
    deltas = [event.delta for event in events if event.type.endswith("transcription.delta")]
    turn = next(event for event in turns(chunks, 24_000) if isinstance(event, Stopped))
    text = transcriber.transcribe(turn.samples, sampling_rate=16_000)[0].text
    assert events[-1].transcript == text
    assert text
    assert "".join(deltas) == text
    assert len({event.item_id for event in events if hasattr(event, "item_id")}) == 1


def exchange(address: str, path: str, events: list[dict[str, Any]], last: str) -> list[Any]:
    """Send events as a browser does, and return the answers up to one of kind `last`."""
    import json

    protocols = ["realtime", "openai-insecure-api-key.k"]
    url = address.replace("http", "ws") + path
    with connect(url, subprotocols=protocols) as socket:
        for event in events:
            socket.send(json.dumps(event))
        found = []
        while not found or found[-1]["type"] != last:
            found.append(json.loads(socket.recv(timeout=60)))
    return found


def test_the_older_form_and_commit_by_the_client(address: str, clip: Any) -> None:
    update = {"input_audio_format": "pcm16", "turn_detection": None}
    update["input_audio_transcription"] = {"model": "whisper-1"}
    append = [{"type": "input_audio_buffer.append", "audio": c} for c in pcm(clip, 24_000)]
    events = exchange(
        address,
        "/v1/realtime?intent=transcription",
        [
            {"type": "transcription_session.update", "session": update},
            *append,
            {"type": "input_audio_buffer.commit"},
        ],
        "conversation.item.input_audio_transcription.completed",
    )
    kinds = [event["type"] for event in events]
    assert "transcription_session.updated" in kinds
    assert "input_audio_buffer.speech_started" not in kinds
    assert events[-1]["transcript"]
    known = TypeAdapter(RealtimeServerEvent)
    for event in events:
        if event["type"] != "transcription_session.updated":  # no longer among the package's types
            known.validate_python(event)


def test_a_translation_session_streams_and_closes(address: str, clip: Any) -> None:
    # As Vercel's SDK has it.
    heard = {"transcription": {"model": "gpt-realtime-whisper"}, "noise_reduction": None}
    update = {"audio": {"output": {"language": "ko"}, "input": heard}}
    sound = np.concatenate([clip, silence(1)])
    append = [{"type": "session.input_audio_buffer.append", "audio": c} for c in pcm(sound, 24_000)]
    events = exchange(
        address,
        "/v1/realtime/translations?model=gpt-realtime-translate",
        [{"type": "session.update", "session": update}, *append, {"type": "session.close"}],
        "session.closed",
    )
    known = TypeAdapter(RealtimeTranslationServerEvent)
    for event in events:
        known.validate_python(event)
    said = "".join(e["delta"] for e in events if e["type"] == "session.input_transcript.delta")
    assert len(said) > 10
    assert events[1]["session"]["audio"]["output"]["language"] == "ko"


@pytest.mark.parametrize(
    ("event", "param"),
    [
        ({"type": "response.create"}, "type"),
        ({"type": "input_audio_buffer.append"}, "audio"),
        ({"type": "input_audio_buffer.append", "audio": "%%%"}, "audio"),
        ({"type": "input_audio_buffer.commit"}, "audio"),
        ({"type": "session.update"}, "session"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "session.type"),
        (
            {"type": "session.update", "session": {"audio": {"input": {"format": {"rate": 8000}}}}},
            "session.audio.input.format.rate",
        ),
        ([1, 2], None),
    ],
)
def test_a_bad_event_is_reported_and_the_session_goes_on(
    address: str, event: Any, param: str | None
) -> None:
    events = exchange(
        address,
        "/v1/realtime",
        [event, {"type": "input_audio_buffer.clear"}],
        "input_audio_buffer.cleared",
    )
    assert [each["type"] for each in events] == [
        "session.created",
        "error",
        "input_audio_buffer.cleared",
    ]
    assert events[1]["error"]["param"] == param


def test_a_live_session_needs_a_key(address: str) -> None:
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus) as refused:
        connect(address.replace("http", "ws") + "/v1/realtime").close()
    assert refused.value.response.status_code == 401
    assert b'"code":"invalid_api_key"' in refused.value.response.body
