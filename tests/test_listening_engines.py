"""Engines: batches across recordings, and servers that are busy, broken or not there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from small_model import ASR, noise

from soritune.audio.stream import Sound
from soritune.decoding import engine_openai
from soritune.decoding.engine import Decoded, LocalEngine, Piece, Refused, token_batches
from soritune.decoding.engine_openai import OpenAIEngine
from soritune.decoding.engines import check_engine
from soritune.decoding.listening import Listening, listen
from soritune.decoding.records import Failure, Transcript
from soritune.errors import UserError
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.registry import builtin_folder, family_named
from soritune.tasks import Request, Task

LENGTHS = (3_000, 90_000, 16_000, 5_000, 40_000, 3_100, 15_000, 8_000)


def pieces() -> list[Piece]:
    return [Piece((0, n), noise(length, length), ASR) for n, length in enumerate(LENGTHS)]


def test_batches_keep_a_budget_of_tokens_and_every_piece(
    load_small: Callable[[], Phi4mm],
) -> None:
    model = load_small()
    budget = model.processor.num_tokens(30.0, ASR)
    batches = list(token_batches(model, pieces(), batch_size=1))
    assert sorted(piece.key for batch in batches for piece in batch) == [
        piece.key for piece in pieces()
    ]
    assert len(batches) < len(LENGTHS)
    for batch in batches:
        longest = max(model.processor.num_tokens(piece.duration_s, ASR) for piece in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget
    others = [Piece((1, 0), noise(3_000), Request(Task.AST, "ko", "en"))]
    assert len(list(token_batches(model, [*pieces(), *others], batch_size=64))) == 2


def test_texts_are_those_of_one_by_one(
    load_small: Callable[[], Phi4mm], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_small()
    monkeypatch.setattr(model.processor, "max_new_tokens", lambda _: 5, raising=False)
    together = {p.key: d.output for p, d in LocalEngine(model, 2).decode(pieces())}
    for piece in pieces():
        ((_, alone),) = LocalEngine(model, 1).decode([piece])
        assert together[piece.key] == alone.output
    assert len(set(together.values())) > 2


HANGS, CLOSES = -1, -2


class Server(BaseHTTPRequestHandler):
    """Answers what the test put into `answers`, then transcripts with the bytes that came."""

    answers: list[tuple[int, str]]
    requests: list[bytes]
    models = "[]"
    ended = threading.Event()
    busy = most_busy = 0
    lock = threading.Lock()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.models.encode())

    def do_POST(self) -> None:
        kind = type(self)
        with kind.lock:
            kind.busy += 1
            kind.most_busy = max(kind.busy, kind.most_busy)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kind.requests.append(self.path.encode() + b"\n" + body)
            code, answer = kind.answers.pop(0) if kind.answers else (200, "")
        if code == HANGS:
            kind.ended.wait(10)
        if not answer:
            parts = [{"start": 0.0, "end": 1.0, "avg_logprob": -0.25}]
            answer = json.dumps({"text": f" {len(body)}", "segments": parts})
        with kind.lock:
            kind.busy -= 1
        if code in (HANGS, CLOSES):
            self.close_connection = True
            return
        self.send_response(code)
        if answer == "not gzip":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[Server]]]:
    monkeypatch.setattr(engine_openai, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(engine_openai, "LONGEST_WAIT_S", 0.002)

    class One(Server):
        answers = []  # noqa: RUF012
        requests = []  # noqa: RUF012

    running = ThreadingHTTPServer(("127.0.0.1", 0), One)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}/v1", One
    running.shutdown()
    thread.join()
    running.server_close()


def answer(engine: OpenAIEngine, request: Request = ASR) -> Decoded | Refused:
    ((_, found),) = engine.decode([Piece((0, 0), noise(3_000), request)])
    return found


GARBAGE = (200, "<html>busy</html>")


@pytest.mark.parametrize(
    "answers",
    [
        [(429, '{"error": {"message": "slow down"}}')],
        [(500, "oops"), (503, "oops"), (502, "")],
        [
            GARBAGE,
            (200, "[1]"),
            (200, '{"text": null}'),
            (200, '{"text": "cut'),
            (200, "[" * 99_999),
        ],
        [(CLOSES, ""), (200, "not gzip"), (CLOSES, "")],
    ],
)
def test_a_busy_or_failing_server_is_asked_again(
    server: tuple[str, type[Server]], answers: list[tuple[int, str]]
) -> None:
    url, kind = server
    kind.answers = list(answers)
    found = answer(OpenAIEngine(url, "m"))
    assert isinstance(found, Decoded)
    assert found.mean_logprob == -0.25
    assert len(kind.requests) == len(answers) + 1


@pytest.mark.parametrize(
    "segments",
    ['{"a": 1}', "[1]", '[{"avg_logprob": -1}]', '[{"avg_logprob": NaN, "end": 1, "start": 0}]'],
)
def test_segments_of_another_form_are_left_alone(
    server: tuple[str, type[Server]], segments: str
) -> None:
    url, kind = server
    kind.answers = [(200, f'{{"text": "\\ud800말", "segments": {segments}}}')]
    found = answer(OpenAIEngine(url, "m"))
    assert isinstance(found, Decoded)
    assert (found.answer.transcript, found.mean_logprob) == ("?말", None)


def test_a_server_that_hangs_costs_the_recording_alone(
    server: tuple[str, type[Server]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind = server
    monkeypatch.setattr(engine_openai, "TIMEOUT_S", 0.2)
    kind.answers, kind.ended = [(HANGS, "")], threading.Event()
    pieces = [Piece((0, n), noise(3_000), ASR) for n in range(2)]
    found = [found for _, found in OpenAIEngine(url, "m", concurrency=1).decode(pieces)]
    kind.ended.set()
    assert found[0] == Refused(f"{url}: no answer within 0.2 s", failing=True)
    assert isinstance(found[1], Decoded)


@pytest.mark.parametrize("leaves", ["while it waits", "after the first answer"])
def test_who_leaves_does_not_wait_for_a_server_that_hangs(
    server: tuple[str, type[Server]], leaves: str
) -> None:
    url, kind = server
    kind.answers, kind.ended = [(HANGS, "")], threading.Event()
    gone = threading.Event()
    found = OpenAIEngine(url, "m").until(gone).decode(pieces()[:2])
    assert isinstance(next(found)[1], Decoded)
    started_s = time.monotonic()
    if leaves == "while it waits":
        gone.set()
        ((_, last),) = found
        assert isinstance(last, Refused)
        assert last.failing
    else:
        found.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started_s < 8
    kind.ended.set()


def test_what_the_server_never_answers_costs_its_recording_alone(
    server: tuple[str, type[Server]],
) -> None:
    url, kind = server
    kind.answers = [(500, "down")] * engine_openai.TRIES
    sounds = [Sound(noise(9_000, n), 16_000, f"{n}.wav") for n in range(3)]
    asked = Listening(ASR, keep_unsure=True)
    first, *others = listen(OpenAIEngine(url, "m", concurrency=1), sounds, asked)
    assert isinstance(first, Failure)
    assert first.error == f"0.wav: {url}: 500 down; asked 6 times"
    assert all(isinstance(each, Transcript) and each.text for each in others)


def test_a_request_that_is_wrong_is_not_repeated(server: tuple[str, type[Server]]) -> None:
    url, kind = server
    kind.answers = [(413, '{"error": {"message": "too\\nlarge"}}')]
    assert answer(OpenAIEngine(url, "m")) == Refused(f"{url}: 413 too large")
    kind.answers = [(401, '{"error": {"message": "no key"}}')]
    with pytest.raises(UserError, match="401 no key"):
        answer(OpenAIEngine(url, "m"))


def test_a_server_without_verbose_json_is_asked_for_json(server: tuple[str, type[Server]]) -> None:
    url, kind = server
    refusal = '{"error": {"message": "no verbose", "param": "response_format"}}'
    kind.answers = [(400, refusal), (200, '{"text": "말"}')]
    found = answer(OpenAIEngine(url, "m"), Request(Task.AST, "ko", "en", "산", ("한라",)))
    assert isinstance(found, Decoded)
    assert (found.answer.translation, found.mean_logprob) == ("말", None)
    first, second = kind.requests
    assert first.startswith(b"/v1/audio/translations")
    assert b"verbose_json" in first
    assert b"verbose_json" not in second
    for field in ("산 한라", "RIFF", 'name="language"\r\n\r\nko'):
        assert field.encode() in second


def test_vllm_is_asked_for_what_leaves_its_texts_right(server: tuple[str, type[Server]]) -> None:
    """Its `verbose_json` changes Whisper's prompt, and it ends no answer by itself."""
    url, kind = server
    kind.models = '{"data": [{"id": "m", "owned_by": "vllm"}]}'
    korean = Request(Task.AST, None, "ko")
    engine = OpenAIEngine(url, "m", family=family_named("phi4mm", ""))
    engine.check(korean)
    ((_, found),) = engine.decode([Piece((0, 0), noise(32_000), korean)])
    assert isinstance(found, Decoded)
    (asked,) = kind.requests
    assert b"verbose_json" not in asked
    for field in ("max_completion_tokens", "82"), ("to_language", "ko"):
        assert 'name="{}"\r\n\r\n{}\r\n'.format(*field).encode() in asked
    with pytest.raises(UserError, match="neither a prompt nor"):
        engine.check(Request(Task.ASR, None, None, "names"))
    answer(OpenAIEngine(url, "m"))  # of a server that runs already the family is not known
    assert b"to_language" not in kind.requests[-1]


def test_sixteen_bits_travel_as_they_are(server: tuple[str, type[Server]]) -> None:
    url, kind = server
    values = np.arange(-32_768, 32_768, 7, dtype=np.int16)
    list(OpenAIEngine(url, "m").decode([Piece((0, 0), values / np.float32(32_768), ASR)]))
    assert values.tobytes() in kind.requests[0]


def test_requests_are_bounded_and_each_piece_is_answered_once(
    server: tuple[str, type[Server]],
) -> None:
    url, kind = server
    many = [Piece((0, n), np.zeros(800 + n, np.float32), ASR) for n in range(40)]
    found = list(OpenAIEngine(url, "m", concurrency=3).decode(many))
    assert sorted(piece.key for piece, _ in found) == [piece.key for piece in many]
    assert len(kind.requests) == 40
    assert kind.most_busy <= 3


def test_a_server_that_is_not_there_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_openai, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(engine_openai, "LONGEST_WAIT_S", 0.001)
    with pytest.raises(UserError, match="Start the server, and run the same command again"):
        answer(OpenAIEngine("http://127.0.0.1:9/v1", "m"))


@pytest.mark.parametrize("code", [500, 200])
def test_who_has_stopped_waiting_waits_for_no_further_try(
    server: tuple[str, type[Server]], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """By chat; an answer without its tokens is not one."""
    url, kind = server
    monkeypatch.setattr(engine_openai, "FIRST_WAIT_S", 60.0)
    monkeypatch.setattr(engine_openai, "LONGEST_WAIT_S", 60.0)
    gone = threading.Event()
    kind.answers = [(code, '{"choices": [{"token_ids": [1], "logprobs": {"content": []}}]}')]
    family = family_named("phi4mm", "")
    chat = family.vllm_chat(builtin_folder("builtin:tiny"))
    engine = OpenAIEngine(url, "m", family=family, chat=chat)
    threading.Timer(0.2, gone.set).start()
    found = answer(engine.until(gone))
    assert isinstance(found, Refused)
    assert found.failing
    assert [each.partition(b"\n")[0] for each in kind.requests] == [b"/v1/chat/completions"]


def test_a_family_is_cut_and_asked_as_without_a_server(server: tuple[str, type[Server]]) -> None:
    """Whisper's windows are long, since a short one costs as much, and its language is fixed."""
    url, kind = server
    whisper = family_named("whisper", "")
    engine = OpenAIEngine(url, "m", family=whisper, language="ko")
    assert engine.clip_limits == whisper.clip_limits
    answer(engine)
    assert b'name="language"\r\n\r\nko' in kind.requests[0]
    answer(engine, Request(Task.ASR, "en"))
    assert b'name="language"\r\n\r\nen' in kind.requests[1]
    assert engine.works()
    assert not OpenAIEngine("http://127.0.0.1:9/v1", "m").works()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(Task.AST_COT, "ko", "en"), "no chain of thought"),
        (Request(Task.AST, "en", "ko"), "--to en"),
    ],
)
def test_what_the_interface_cannot_do_is_said_at_once(request_: Request, said: str) -> None:
    with pytest.raises(UserError, match=said):
        OpenAIEngine("http://127.0.0.1:9/v1", "m").check(request_)


def test_an_unknown_engine_is_told() -> None:
    check_engine("openai:http://x/v1")
    with pytest.raises(UserError, match="Give local, ray, or a server"):
        check_engine("vlm")
    with pytest.raises(UserError, match="is not an address"):
        OpenAIEngine("localhost:8000", "m").check(ASR)
