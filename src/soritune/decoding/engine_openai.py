"""Any server with OpenAI's `/v1/audio/transcriptions` as an engine: `--engine openai:URL`.

A few requests at a time; a server that is busy or failing for a moment is asked again. vLLM is
asked by chat where it is known how: so it answers with chain of thought and log-probabilities.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import os
import random
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from statistics import fmean
from threading import Event
from typing import Any

import httpx2
import numpy as np
import soundfile

from soritune.audio import SAMPLE_RATE_HZ
from soritune.decoding.connections import Connections
from soritune.decoding.engine import Decoded, Piece, Refused
from soritune.decoding.records import Token
from soritune.errors import UserError
from soritune.models.family import ClipLimits, Family
from soritune.models.serving import Chat
from soritune.models.speech_model import longest_answer
from soritune.tasks import Answer, Request, Task

KEY_VARIABLE = "OPENAI_API_KEY"
TRIES = 6
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
TIMEOUT_S = 300.0  # a server that decodes on a CPU answers late
CONNECT_S = 10.0
LOOK_S = 0.2
"""How often a request that is waited for looks whether somebody still wants it."""
READY_S = 5.0  # one that works lists its models at once
PIECE_S = 30.0
"""What such servers take without cutting again."""
AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Of these answers, and of no or a garbled one, a later try may be better."""


@dataclass(frozen=True)
class OpenAIEngine:
    """A server at `url` (up to and with `/v1`) that knows `model`.

    vLLM, which says in its list of models that it is one, is asked for `json` alone: its
    `verbose_json` lets Whisper write time marks, and drops what follows the last. It is told how
    long an answer may be, since it would go on to its limit where a model does not end.

    Attributes:
        concurrency: requests at a time.
        key: sent as a bearer token; None takes the environment's OPENAI_API_KEY, if there is one.
        family: of the model, where it is known and vLLM serves it: its translations then go
            wherever the family translates to.
        chat: how that vLLM is asked by chat; None asks its endpoints for sound.
        language: sent where a request names none.
        longest_trained_s: see `ClipLimits`; None where nothing is known of the model.
        gone: set by another thread when nobody waits for answers any more.
    """

    url: str
    model: str
    concurrency: int = 8
    key: str | None = None
    family: Family | None = None
    chat: Chat | None = None
    language: str | None = None
    longest_trained_s: float | None = None
    gone: Event = field(default_factory=Event, repr=False, compare=False)
    # What the server was found to be, once it is known.
    known: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    @property
    def clip_limits(self) -> ClipLimits:
        """See `Engine`: those of the family, so that recordings are cut as without vLLM."""
        if self.family is None:
            return ClipLimits(400, PIECE_S)
        limits = self.family.clip_limits
        return replace(
            limits,
            max_duration_s=min(limits.max_duration_s, PIECE_S),
            longest_trained_s=self.longest_trained_s,
        )

    def until(self, gone: Event) -> OpenAIEngine:
        """Return the same engine, which gives up when `gone` is set."""
        return replace(self, gone=gone)

    def works(self) -> bool:
        """Return whether the server answers now."""
        try:
            answer = httpx2.get(f"{self._url}/models", headers=self._headers, timeout=READY_S)
        except httpx2.HTTPError:
            return False
        return answer.status_code < 500

    def check(self, request: Request) -> None:
        """See `Engine`."""
        if request.task is Task.AST_COT and self.chat is None:
            raise UserError(
                "a server with OpenAI's interface has transcriptions and translations, no chain of "
                "thought. Ask for asr or ast"
            )
        if self.family is not None:
            self.family.check_request(request)
        elif request.task is Task.AST and request.target_language not in ("en", "english"):
            raise UserError(
                "a server with OpenAI's interface translates into English alone. Ask for en "
                "(--to en)"
            )
        if not self.url.startswith(("http://", "https://")):
            raise UserError(
                f'--engine openai:{self.url}: "{self.url}" is not an address. Give one like '
                "openai:http://127.0.0.1:8000/v1"
            )

    def decode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Decoded | Refused]]:
        """See `Engine`.

        Raises:
            UserError: the server cannot be reached, or refuses the key or the model.
        """
        connections = Connections()
        timeout = httpx2.Timeout(TIMEOUT_S, connect=CONNECT_S)
        hooks = {"request": [connections.watch]}
        with (
            httpx2.Client(headers=self._headers, timeout=timeout, event_hooks=hooks) as client,
            ThreadPoolExecutor(self.concurrency) as pool,
        ):
            asked: dict[Future[Decoded | Refused], Piece] = {}
            ended = Event()
            try:
                for piece in pieces:
                    asked[pool.submit(self._answer, client, piece, ended)] = piece
                    if len(asked) >= 2 * self.concurrency:
                        yield from self._finished(asked, connections)
                while asked:
                    yield from self._finished(asked, connections)
            finally:
                ended.set()  # nobody waits for a next try
                for future in asked:
                    future.cancel()
                connections.end()

    def _finished(
        self, asked: dict[Future[Decoded | Refused], Piece], connections: Connections
    ) -> Iterator[tuple[Piece, Decoded | Refused]]:
        """Yield what is answered next, or what ends where nobody waits any more."""
        while not (done := wait(asked, LOOK_S, return_when=FIRST_COMPLETED).done):
            if self.gone.is_set():
                connections.end()
        for future in done:
            yield asked.pop(future), future.result()

    def _answer(self, client: httpx2.Client, piece: Piece, ended: Event) -> Decoded | Refused:
        wait_s, problem, unreachable = FIRST_WAIT_S, "", False
        for number in range(TRIES):
            if number and _wait(wait_s * random.uniform(0.75, 1.25), ended, self.gone):
                break
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            unreachable = False
            try:
                response = self._ask(client, piece)
            except httpx2.ReadTimeout:  # it may be at work on it: asked again, it had twice as much
                return Refused(f"{self.url}: no answer within {TIMEOUT_S:g} s", failing=True)
            except httpx2.RequestError as error:
                problem = f"{self.url}: {type(error).__name__} ({error})"
                unreachable = isinstance(error, httpx2.ConnectError)
                continue
            if response.status_code == 200:
                try:
                    return self._decoded(piece, response.json())
                except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
                    problem = f"{self.url}: answered with what is not a transcript"
                    continue
            problem = f"{self.url}: {response.status_code} {_message(response)}"
            if response.status_code in (401, 403, 404):
                raise UserError(f"{problem}. Check the address, the model and {KEY_VARIABLE}")
            if response.status_code not in AGAIN:
                return Refused(problem)
            wait_s = max(wait_s, _asked_to_wait_s(response))
        if unreachable:
            raise UserError(f"{problem}. Start the server, and run the same command again")
        return Refused(f"{problem}; asked {TRIES} times", failing=True)

    def _ask(self, client: httpx2.Client, piece: Piece) -> httpx2.Response:
        """Ask with segments where the server has them. Raises RequestError."""
        if self.chat is not None:
            return client.post(f"{self._url}/chat/completions", json=self._chat(self.chat, piece))
        vllm = self._is_vllm(client)
        if not vllm and "verbose" not in self.known:
            response = self._post(client, piece, {"response_format": "verbose_json"})
            if response.status_code != 400 or "response_format" not in response.text:
                return response
            self.known["verbose"] = False
        fields = {"response_format": "json"}
        if vllm:
            fields["max_completion_tokens"] = str(longest_answer(piece.duration_s))
            if piece.request.task is Task.AST and self.family is not None:
                fields["to_language"] = str(piece.request.target_language)
        return self._post(client, piece, fields)

    def _is_vllm(self, client: httpx2.Client) -> bool:
        """Return whether the server's list of models says that vLLM owns them."""
        if "vllm" not in self.known:
            response = client.get(f"{self._url}/models")
            if response.status_code in AGAIN:
                return False  # a later answer may say
            try:
                self.known["vllm"] = response.json()["data"][0]["owned_by"] == "vllm"
            except (ValueError, TypeError, LookupError):
                self.known["vllm"] = False
        return self.known["vllm"]

    def _post(
        self, client: httpx2.Client, piece: Piece, form: Mapping[str, str]
    ) -> httpx2.Response:
        request = piece.request
        fields = {"model": self.model, "temperature": "0"} | dict(form)
        if (language := request.source_language or self.language) is not None:
            fields["language"] = language
        if request.context:
            fields["prompt"] = request.context
        route = "translations" if request.task is Task.AST else "transcriptions"
        return client.post(
            f"{self._url}/audio/{route}",
            data=fields,
            files={"file": ("audio.wav", _wav(piece), "audio/wav")},
        )

    def _chat(self, chat: Chat, piece: Piece) -> dict[str, Any]:
        """Return the body of a chat about a piece, with the prompt of training."""
        sound = {"data": b64encode(_wav(piece)).decode(), "format": "wav"}
        text = chat.instruction(piece.request)
        content = [{"type": "input_audio", "input_audio": sound}, {"type": "text", "text": text}]
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_completion_tokens": longest_answer(piece.duration_s),
            "logprobs": True,
            "return_token_ids": True,
        }

    def _decoded(self, piece: Piece, body: Any) -> Decoded:
        """Return an answer. Raises ValueError or what unknown types raise where it is not one."""
        if self.chat is None:
            return _of_transcript(piece, body)
        (choice,) = body["choices"]
        logprobs = [each["logprob"] for each in choice["logprobs"]["content"]]
        tokens = tuple(itertools.starmap(Token, zip(choice["token_ids"], logprobs, strict=True)))
        text = self.chat.decode([token.id for token in tokens])
        return Decoded(text, self.chat.parse(piece.request, text), fmean(logprobs), tokens)

    @property
    def _url(self) -> str:
        return self.url.rstrip("/")

    @property
    def _headers(self) -> dict[str, str]:
        key = self.key or os.environ.get(KEY_VARIABLE)
        return {"Authorization": f"Bearer {key}"} if key else {}


def _wait(seconds: float, *events: Event) -> bool:
    """Wait so long, or until one of some events is set; return whether one is."""
    end = time.monotonic() + seconds
    while not any(event.is_set() for event in events):
        if (left_s := end - time.monotonic()) <= 0:
            return False
        events[0].wait(min(left_s, LOOK_S))
    return True


def _wav(piece: Piece) -> bytes:
    # Rounded here, since soundfile scales by 32,767: so 16-bit recordings stay what they are.
    samples = np.clip(np.rint(piece.samples * 32_768), -32_768, 32_767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _of_transcript(piece: Piece, body: Any) -> Decoded:
    """Return an answer. Raises ValueError where it is not one."""
    text = body["text"] if isinstance(body, dict) and "text" in body else None
    if not isinstance(text, str):
        raise ValueError("no text")
    text = text.encode("utf-8", "replace").decode().strip()  # half a character is in no file
    of_ast = piece.request.task is Task.AST
    answer = Answer(translation=text) if of_ast else Answer(text)
    return Decoded(text, answer, _mean_logprob(body.get("segments")))


def _mean_logprob(segments: Any) -> float | None:
    """Return the mean of segments by their length; None where they do not have it."""
    try:
        parts = [
            (float(part["avg_logprob"]), max(float(part["end"]) - float(part["start"]), 0.0))
            for part in segments or []
            if part.get("avg_logprob") is not None
        ]
    except (ValueError, TypeError, AttributeError, LookupError):
        return None
    weight = sum(seconds for _, seconds in parts)
    mean = sum(value * seconds for value, seconds in parts) / weight if weight else math.nan
    return mean if math.isfinite(mean) else None


def _message(response: httpx2.Response) -> str:
    """Return what a server says is wrong, in one short line."""
    try:
        error = response.json()["error"]
        text = error["message"] if isinstance(error, dict) else error
    except (json.JSONDecodeError, KeyError, TypeError, ValueError):
        text = response.text
    return " ".join(str(text).split())[:200]


def _asked_to_wait_s(response: httpx2.Response) -> float:
    try:
        return min(float(response.headers.get("retry-after", 0)), LONGEST_WAIT_S)
    except ValueError:
        return 0.0
