"""What answers behind the server: the local model, or any OpenAI-compatible server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Protocol

from soritune.decoding.engine import Decoded, Engine, Piece, Refused
from soritune.errors import UserError
from soritune.models.family import ClipLimits
from soritune.serving.batcher import Batcher, Job
from soritune.tasks import Request

PIECES_AHEAD = 8
"""Clips of one recording that wait at once: a long one leaves room for others."""


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class UpstreamError(Exception):
    """The server behind this one fails; its words are for whoever runs them both."""


class RemoteEngine(Engine, Protocol):
    """An engine that asks another server."""

    def until(self, gone: threading.Event) -> Engine:
        """Return it for one request: it gives up when `gone` is set."""
        ...

    def works(self) -> bool:
        """Return whether the other server answers now."""
        ...


@dataclass(frozen=True)
class Caller:
    """The request that an engine works for.

    Attributes:
        gone: set when the client has left.
        on_text: called with the text of a clip that grows, by its number in the recording.
    """

    gone: threading.Event = field(default_factory=threading.Event)
    on_text: Callable[[int, str], None] | None = None


@dataclass(frozen=True)
class SharedEngine:
    """An `Engine` for one request, whose clips share batches with those of all others."""

    batcher: Batcher
    caller: Caller

    @property
    def clip_limits(self) -> ClipLimits:
        """See `Engine`."""
        return self.batcher.model.clip_limits

    def check(self, request: Request) -> None:
        """See `Engine`."""
        self.batcher.model.family.check_request(request)

    def decode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Decoded]]:
        """See `Engine`; raises `ClientGoneError` when the client has left."""
        waiting: dict[Future[Decoded], Job] = {}
        try:
            for piece in pieces:
                job = self.batcher.submit(piece, self._on_text(piece))
                waiting[job.future] = job
                yield from self._finished(waiting, PIECES_AHEAD - 1)
            yield from self._finished(waiting, 0)
        finally:
            for job in waiting.values():
                job.cancel()

    def _finished(
        self, waiting: dict[Future[Decoded], Job], most: int
    ) -> Iterator[tuple[Piece, Decoded]]:
        """Yield what is done, and wait while more than `most` clips are not."""
        while waiting:
            done, _ = wait(waiting, 0 if len(waiting) <= most else 0.2, return_when=FIRST_COMPLETED)
            if self.caller.gone.is_set():
                raise ClientGoneError
            for future in done:
                yield waiting.pop(future).piece, future.result()
            if not done and len(waiting) <= most:
                return

    def _on_text(self, piece: Piece) -> Callable[[str], None] | None:
        on_text = self.caller.on_text
        if on_text is None:
            return None
        parse = self.batcher.model.processor.parse
        return lambda text: on_text(piece.key[1], parse(piece.request, text).scored)


@dataclass(frozen=True)
class WatchedEngine:
    """Another server's engine for one request: it ends when the client has left."""

    engine: Engine
    caller: Caller

    @property
    def clip_limits(self) -> ClipLimits:
        """See `Engine`."""
        return self.engine.clip_limits

    def check(self, request: Request) -> None:
        """See `Engine`."""
        self.engine.check(request)

    def decode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Decoded | Refused]]:
        """See `Engine`; raises `ClientGoneError` when the client has left, and `UpstreamError`."""
        try:
            for piece, answer in self.engine.decode(self._while_wanted(pieces)):
                self._check_wanted()
                if isinstance(answer, Refused) and answer.failing:
                    raise UpstreamError(answer.error)
                yield piece, answer
        except UserError as error:  # the mistake of whoever started the server, not of the client
            self._check_wanted()
            raise UpstreamError(str(error)) from error

    def _while_wanted(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            self._check_wanted()
            yield piece

    def _check_wanted(self) -> None:
        if self.caller.gone.is_set():
            raise ClientGoneError
