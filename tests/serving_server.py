"""A real server in a thread, and English speech that the small base knows."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import soundfile

import soritune
from soritune.decoding.engine import Decoded, Piece
from soritune.models.family import ClipLimits
from soritune.serving.app import make_app
from soritune.serving.batcher import Batcher
from soritune.serving.metrics import Metrics
from soritune.serving.running import Server, make_server
from soritune.serving.served import ServedModel, local_model
from soritune.serving.settings import ServerSettings
from soritune.sources.corpora.demo.source import DemoSource, read
from soritune.tasks import Answer, Request
from soritune.utterance import RenderedAudio

WAIT_S = 60.0
"""For what comes soon on an idle machine, and late on a busy one."""


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds: a server goes on after its client has the answer."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass
class HeldEngine:
    """Answers "heard" once it is let go, and keeps what it was asked."""

    go: threading.Event = field(default_factory=threading.Event)
    asked: list[Request] = field(default_factory=list)
    clip_limits: ClipLimits = field(default_factory=lambda: ClipLimits(1600, 30.0))

    def check(self, request: Request) -> None:
        pass

    def until(self, gone: threading.Event) -> HeldEngine:
        return self

    def works(self) -> bool:
        return True

    def decode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Decoded]]:
        for piece in pieces:
            assert self.go.wait(WAIT_S)
            self.asked.append(piece.request)
            yield piece, Decoded("heard", Answer("heard", "heard"), None)


def english_clips(count: int, seed: int = 5) -> list[tuple[npt.NDArray[np.float32], str]]:
    """16 kHz clips and their sentences."""
    source = DemoSource(source="demo", language="en", train=0, dev=0, test=count, seed=seed)
    clips = []
    for utterance in read(source):
        assert isinstance(utterance.audio, RenderedAudio)
        samples, rate_hz = utterance.audio.render()
        assert rate_hz == 16_000
        clips.append((samples, utterance.text))
    return clips


def wav(samples: npt.NDArray[np.float32]) -> bytes:
    """16 kHz samples as a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="WAV")
    return file.getvalue()


@contextmanager
def running(
    settings: ServerSettings, transcriber: object, names: tuple[str, ...] = ("tiny", "other")
) -> Iterator[str]:
    """Serve one loaded model under several names; yield the address."""
    model = transcriber.model  # type: ignore[attr-defined]

    def make_models(metrics: Metrics) -> list[ServedModel]:
        options = {"batch_size": settings.batch_size, "max_waiting": settings.max_waiting}
        return [
            local_model(name, Batcher(model, on_batch=metrics.on_batch, **options))
            for name in names
        ]

    with serving(settings, make_models) as address:
        yield address


@contextmanager
def serving(
    settings: ServerSettings, make_models: Callable[[Metrics], Sequence[ServedModel]]
) -> Iterator[str]:
    """Serve in a thread; yield the address."""
    with started(settings, make_models) as (address, _, _):
        yield address


@contextmanager
def started(
    settings: ServerSettings, make_models: Callable[[Metrics], Sequence[ServedModel]]
) -> Iterator[tuple[str, Server, threading.Thread]]:
    """As `serving`, with the server and its thread, which ends when `should_exit` is set."""
    server = make_server(make_app(settings, make_models))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve([listening])), daemon=True
        )
        thread.start()
        while not server.started:
            assert thread.is_alive()
            thread.join(0.02)
        host, port = listening.getsockname()
        try:
            yield f"http://{host}:{port}", server, thread
        finally:
            server.should_exit = True
            thread.join(WAIT_S)


def tiny() -> object:
    return soritune.load("builtin:tiny", device="cpu")
