"""OpenAI's own client against a real server: texts as locally, errors in its form."""

from __future__ import annotations

import hmac
import io
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile
from serving_server import english_clips, running, serving, tiny, wait_for

openai = pytest.importorskip("openai", reason="the server needs soritune[serve]")

from soritune.decoding.engine_openai import OpenAIEngine  # noqa: E402
from soritune.serving import gate, transcriptions  # noqa: E402
from soritune.serving.served import remote_model  # noqa: E402
from soritune.serving.settings import ServerSettings  # noqa: E402

KEY = "secret-key"


def flac(samples: Any, rate_hz: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="FLAC")
    return file.getvalue()


@pytest.fixture(scope="module")
def transcriber() -> Any:
    return tiny()


@pytest.fixture(scope="module")
def clips() -> list[bytes]:
    return [flac(samples) for samples, _ in english_clips(6)]


@pytest.fixture(scope="module")
def expected(transcriber: Any, clips: list[bytes]) -> list[str]:
    """What `soritune transcribe` writes for each clip."""
    return [transcriber.transcribe(io.BytesIO(clip))[0].text for clip in clips]


@pytest.fixture(scope="module")
def address(transcriber: Any) -> Iterator[str]:
    settings = ServerSettings(api_keys=("another", KEY), max_upload_bytes=1 << 20, max_audio_s=60)
    with running(settings, transcriber) as address:
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Any:
    return openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0)


def post(address: str, path: str = "transcriptions", **form: Any) -> httpx2.Response:
    files = {"file": ("a.flac", form.pop("file"))} if "file" in form else None
    return httpx2.post(
        f"{address}/v1/audio/{path}",
        files=files,
        data=form,
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=60,
    )


def test_the_text_is_that_of_transcribe_at_every_concurrency(
    client: Any, clips: list[bytes], expected: list[str]
) -> None:
    assert len(set(expected)) == len(expected)
    found: dict[int, str] = {}

    def ask(index: int) -> None:
        clip = ("a.flac", clips[index % len(clips)])
        found[index] = client.audio.transcriptions.create(file=clip, model="tiny").text

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(18)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[index] for index in range(18)] == expected * 3


def test_every_format_is_what_the_package_expects(
    client: Any, clips: list[bytes], expected: list[str]
) -> None:
    def create(**options: Any) -> Any:
        clip = ("a.flac", clips[0])
        return client.audio.transcriptions.create(file=clip, model="whisper-1", **options)

    assert create(response_format="text").strip() == expected[0]
    verbose = create(response_format="verbose_json", language="english")
    assert verbose.text == expected[0]
    assert verbose.language == "english"
    segment = verbose.segments[0]
    assert 0 <= segment.start < segment.end <= verbose.duration
    assert -1 < segment.avg_logprob < 0
    assert 0 <= segment.no_speech_prob < 0.2
    assert segment.tokens
    assert create(response_format="srt").startswith("1\n00:00:0")
    assert create(response_format="vtt").startswith("WEBVTT\n\n")
    scored = create(include=["logprobs"])
    assert "".join(each.token for each in scored.logprobs).strip() == expected[0]
    mean = sum(each.logprob for each in scored.logprobs) / len(scored.logprobs)
    assert mean == pytest.approx(segment.avg_logprob, abs=0.2)


@pytest.mark.parametrize("form", ["json", "text", "srt", "vtt", "verbose_json"])
def test_silence_is_an_empty_answer_in_every_format(address: str, form: str) -> None:
    quiet = flac(1e-4 * np.random.default_rng(0).standard_normal(32_000))
    answer = post(address, file=quiet, response_format=form)
    assert answer.status_code == 200
    text = {"json": '{"text":""', "verbose_json": '"text":""', "vtt": "WEBVTT"}.get(form, "")
    assert text in answer.text
    assert not any(letter.isdigit() for letter in answer.text) or "json" in form


def test_an_unexpected_error_is_a_503_and_the_connection_goes_on(
    address: str, clips: list[bytes], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with httpx2.Client(base_url=address, headers={"Authorization": f"Bearer {KEY}"}) as client:

        def ask() -> httpx2.Response:
            files = {"file": ("a.flac", clips[0])}
            return client.post("/v1/audio/transcriptions", files=files, timeout=60)

        with monkeypatch.context() as broken:
            broken.setattr(transcriptions, "body", lambda *_, **__: 1 / 0)
            answer = ask()
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "internal"
        assert "zero" not in answer.text
        assert ask().json()["text"] == expected[0]


def test_a_stream_is_the_same_text_in_pieces(
    client: Any, clips: list[bytes], expected: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    stream = client.audio.transcriptions.create(
        file=("a.flac", clips[1]), model="tiny", stream=True
    )
    events = list(stream)
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) > 3
    assert "".join(deltas) == expected[1]
    rest = [event.type for event in events[len(deltas) :]]
    assert rest == ["transcript.text.segment", "transcript.text.done"]
    assert events[-1].text == expected[1]
    assert events[-1].usage.seconds == events[-2].end > 1
    assert expected[1] not in caplog.text


def test_translations_go_to_english_or_where_one_says(client: Any, clips: list[bytes]) -> None:
    clip = ("a.flac", clips[0])
    record = client.audio.translations.create(
        file=clip, model="tiny", response_format="verbose_json"
    )
    assert record.language == "english"
    record = client.audio.translations.create(
        file=clip,
        model="tiny",
        response_format="verbose_json",
        extra_body={"to_language": "ko", "chain_of_thought": "true"},
    )
    assert record.language == "korean"


@pytest.mark.parametrize(
    ("form", "status", "param", "code"),
    [
        ({"model": "nobody"}, 404, "model", "model_not_found"),
        ({"response_format": "diarized_json"}, 400, "response_format", "unsupported_value"),
        ({"language": "klingonese"}, 400, "language", "invalid_value"),
        ({"temperature": "7"}, 400, "temperature", "invalid_value"),
        ({"include[]": "everything"}, 400, "include", "invalid_value"),
        ({"file": None}, 400, "file", "missing_parameter"),
        ({"file": b"not sound at all"}, 400, "file", "audio_unreadable"),
        ({"file": b""}, 400, "file", "audio_empty"),
        ({"file": bytes(2 << 20)}, 413, "file", "file_too_large"),
        ({"file": "five minutes"}, 413, "file", "audio_too_long"),
    ],
)
def test_errors_have_openais_form(
    address: str, clips: list[bytes], form: dict[str, Any], status: int, param: str, code: str
) -> None:
    sent = {"file": clips[0], **form}
    if sent["file"] is None:
        del sent["file"]
    elif sent["file"] == "five minutes":
        sent["file"] = flac(np.zeros(300 * 16_000, np.float32))
    response = post(address, **sent)
    assert response.status_code == status
    assert response.headers["x-request-id"]
    error = response.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"
    assert "\n" not in error["message"]


def test_a_key_is_needed_where_there_are_keys(address: str) -> None:
    assert httpx2.get(f"{address}/v1/models").status_code == 401
    wrong = openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError, match="not known"):
        wrong.models.list()
    for path in ("/health", "/ready", "/"):
        assert httpx2.get(address + path).status_code == 200


def test_every_key_is_compared_whichever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest
    monkeypatch.setattr(
        gate.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or compare(a, b)
    )
    keys = ("first", "second, which is longer", "third")
    for given, known in [("first", True), ("third", True), ("thir", False), ("\udcff", False)]:
        compared.clear()
        assert gate.is_known(given, keys) is known
        assert len(compared) == 3
        assert {len(each) for pair in compared for each in pair} == {32}


def test_models_metrics_and_description(client: Any, address: str, clips: list[bytes]) -> None:
    assert post(address, file=clips[0]).status_code == 200
    assert [model.id for model in client.models.list()] == ["tiny", "other"]
    assert client.models.retrieve("other").id == "other"
    headers = {"Authorization": f"Bearer {KEY}", "X-Request-Id": "mine-1"}

    def counted() -> dict[str, float]:
        answer = httpx2.get(f"{address}/metrics", headers=headers)
        assert answer.headers["x-request-id"] == "mine-1"
        lines = [line for line in answer.text.splitlines() if line[0] != "#"]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    for name in (
        'requests_total{path="/v1/audio/transcriptions",status="200"}',
        'requests_total{path="/v1/models",status="200"}',
        'request_seconds_count{path="/v1/models"}',
        "batch_clips_count",
        "batch_seconds_sum",
        "audio_seconds_total",
    ):
        wait_for(lambda name=name: counted().get(f"soritune_{name}", 0) > 0)
    answer = httpx2.get(f"{address}/v1/nothing", headers=headers | {"X-Request-Id": "a b"})
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert re.fullmatch("req_[0-9a-f]{32}", answer.headers["x-request-id"])
    unknown = 'soritune_requests_total{path="unknown",status="404"}'
    wait_for(lambda: unknown in counted())
    assert "/v1/nothing" not in str(counted())
    description = httpx2.get(f"{address}/openapi.json", headers=headers).json()
    assert "/v1/audio/transcriptions" in description["paths"]
    form = description["components"]["schemas"]["Body_transcribe_v1_audio_transcriptions_post"]
    assert form["properties"]["language"] == {"type": "string", "title": "Language"}
    assert form["properties"]["include[]"]["items"]["enum"] == ["logprobs"]


def test_a_full_server_asks_to_try_again(transcriber: Any, clips: list[bytes]) -> None:
    settings = ServerSettings(max_requests=1)
    with running(settings, transcriber) as address:
        long = flac(np.tile(soundfile.read(io.BytesIO(clips[0]))[0], 20))
        answers: list[httpx2.Response] = []
        threads = [
            threading.Thread(target=lambda: answers.append(post(address, file=long)))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses[0] == 200
        assert statuses[-1] == 503
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert refused.headers["retry-after"]
        assert refused.json()["error"]["code"] == "overloaded"
        # Nothing is left over, once the server has closed the files of the one it answered.
        wait_for(lambda: post(address, file=clips[0]).status_code == 200)


def test_work_ends_when_the_client_leaves(transcriber: Any, clips: list[bytes]) -> None:
    with running(ServerSettings(max_requests=1), transcriber) as address:
        sound = np.tile(soundfile.read(io.BytesIO(clips[0]))[0], 200)
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(
                f"{address}/v1/audio/transcriptions",
                files={"file": ("a.flac", flac(sound))},
                timeout=httpx2.Timeout(60, read=0.5),
            )
        # The only place is free again long before the recording is through.
        wait_for(lambda: post(address, file=clips[0]).status_code == 200)
        metrics = httpx2.get(f"{address}/metrics").text
        heard = next(line for line in metrics.splitlines() if line.startswith("soritune_audio_s"))
        assert float(heard.split()[-1]) < 60, json.dumps(heard)


def test_another_server_can_stand_behind_this_one(
    address: str, clips: list[bytes], expected: list[str]
) -> None:
    known = remote_model("tiny", OpenAIEngine(f"{address}/v1", "tiny", key=KEY))
    unknown = remote_model("gone", OpenAIEngine(f"{address}/v1", "gone", key=KEY))
    with serving(ServerSettings(), lambda _: [known, unknown]) as front:
        assert post(front, file=clips[0]).json()["text"] == expected[0]
        answer = post(front, file=clips[0], model="gone")
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "upstream"
        assert KEY not in answer.text
        assert address not in answer.text
        assert answer.headers["retry-after"]
        assert httpx2.get(f"{front}/ready").json() == {"status": "ready"}
    away = remote_model("tiny", OpenAIEngine("http://127.0.0.1:9/v1", "tiny"))
    with serving(ServerSettings(), lambda _: [away]) as front:
        answer = httpx2.get(f"{front}/ready")
        assert (answer.status_code, answer.json()["models"]) == (503, ["tiny"])
