"""Dynamic batches: clips of all requests wait in one line, and one thread feeds the model.

The oldest clip goes first; others join it while a budget of tokens lasts. What each clip is
answered does not depend on its batch (`SpeechModel.generate`). No paged caches, no preemption:
whoever needs more puts vLLM behind `--engine`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from soritune.audio import SAMPLE_RATE_HZ
from soritune.decoding.engine import Decoded, Piece, decode_batch
from soritune.models.memory import trim_heap
from soritune.models.speech_model import SpeechModel
from soritune.tasks import Request, Task

log = logging.getLogger("soritune.serving")

TRIM_EVERY_S = 5.0
TRY_EVERY_S = 5.0
"""Between two trials of a model that fails and is asked nothing."""
TRIAL = Piece((0, 0), np.zeros(SAMPLE_RATE_HZ, np.float32), Request(Task.ASR))
"""A second that every model can take: what fails on it is not the clip."""
LASTING = ("CUDA error", "HIP error")
"""Of such errors of a GPU a process does not recover: each later call fails as well."""


class LineFullError(Exception):
    """Too many clips wait."""


class ClosedError(Exception):
    """The server stops and takes nothing more."""


@dataclass(frozen=True)
class Job:
    """One clip in the line.

    Attributes:
        on_text: called in the model's thread with the text so far, after each token.
        cost: tokens of the prompt and the longest answer.
    """

    piece: Piece
    on_text: Callable[[str], None] | None
    cost: int
    future: Future[Decoded] = field(default_factory=Future)
    unwanted: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Say that nobody waits for the answer any more; it ends at the next token."""
        self.unwanted.set()


class Batcher:
    """Runs a model on batches of waiting clips.

    Args:
        batch_size: clips of the longest kind in one batch.
        wait_s: how long the first clip waits for others while the line is short.
        max_waiting: clips in the line.
        on_batch: called with each batch's number of clips and its seconds.
    """

    def __init__(
        self,
        model: SpeechModel,
        *,
        batch_size: int = 8,
        wait_s: float = 0.01,
        max_waiting: int = 1024,
        on_batch: Callable[[int, float], None] = lambda *_: None,
    ) -> None:
        self.model = model
        self._longest_s = model.family.clip_limits.max_duration_s
        self._batch_size = batch_size
        self._wait_s = wait_s
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._line: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="soritune-model", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of clips in the line."""
        return len(self._line)

    @property
    def alive(self) -> bool:
        """Whether the model's thread works."""
        return self._thread.is_alive()

    @property
    def answers(self) -> bool:
        """Whether the model answers: after a clip that failed it is tried on one that cannot."""
        return self.alive and self._failure is None

    @property
    def problem(self) -> str | None:
        """Why only a new process can help; None while this one can go on."""
        text = str(self._failure or "")
        if not any(mark in text for mark in LASTING):
            return None
        return f"the GPU failed ({text.splitlines()[0]}). Start the server again."

    def submit(self, piece: Piece, on_text: Callable[[str], None] | None = None) -> Job:
        """Put a clip at the end of the line.

        Raises:
            LineFullError: the line is full.
            ClosedError: `close` was called.
        """
        job = Job(piece, on_text, self._cost(piece, piece.duration_s))
        with self._changed:
            if self._closed or not self.alive:
                raise ClosedError
            if len(self._line) >= self._max_waiting:
                raise LineFullError
            self._line.append(job)
            self._changed.notify()
        return job

    def close(self, timeout_s: float | None = None) -> None:
        """Finish what is in the line, take nothing more and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _cost(self, piece: Piece, duration_s: float) -> int:
        processor = self.model.processor
        tokens = processor.num_tokens(duration_s, piece.request)
        return tokens + processor.max_new_tokens(duration_s)

    def _work(self) -> None:
        try:
            self._run()
        finally:  # whatever ended the thread, nobody waits for it
            with self._changed:
                self._closed = True
                left, self._line = self._line, deque()
            for job in left:
                if job.future.set_running_or_notify_cancel():
                    job.future.set_exception(ClosedError())

    def _run(self) -> None:
        trimmed = time.monotonic()
        while (batch := self._next_batch()) is not None:
            if batch:
                started = time.monotonic()
                self._decode(batch)
                ended = time.monotonic()
                self._on_batch(len(batch), ended - started)
                if ended - trimmed > TRIM_EVERY_S:
                    trim_heap()
                    trimmed = ended
            elif self._failure is not None:
                self._try_out()

    def _next_batch(self) -> list[Job] | None:
        """Return the next jobs (none: a model that fails is to be tried), or None at the end."""
        with self._changed:
            while not self._line:
                if self._closed:
                    return None
                if not self._changed.wait(None if self._failure is None else TRY_EVERY_S):
                    return []
            budget = self._batch_size * self._cost(self._line[0].piece, self._longest_s)
            deadline = time.monotonic() + self._wait_s
            while len(self._line) * self._line[0].cost < budget and not self._closed:
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not self._changed.wait(left_s):
                    break
            return self._take(budget)

    def _take(self, budget: int) -> list[Job]:
        """Take jobs from the line: the oldest, and those behind it that still fit."""
        batch: list[Job] = []
        passed: list[Job] = []
        longest = 0
        while self._line:
            job = self._line.popleft()
            if job.unwanted.is_set():
                job.future.cancel()
                continue
            grown = max(longest, job.cost)
            # Families may want prompts of one length in a batch.
            fits = not batch or (
                job.piece.request == batch[0].piece.request and (len(batch) + 1) * grown <= budget
            )
            if not fits:
                passed.append(job)
            elif job.future.set_running_or_notify_cancel():
                batch.append(job)
                longest = grown
        self._line.extend(passed)
        return batch

    def _decode(self, batch: Sequence[Job]) -> None:
        def watch(texts: Sequence[str]) -> list[bool]:
            for job, text in zip(batch, texts, strict=True):
                if job.on_text is not None:
                    job.on_text(text)
            return [job.unwanted.is_set() for job in batch]

        try:
            answers = decode_batch(self.model, [job.piece for job in batch], watch=watch)
        except Exception as error:
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                self._try_out()
                return
            # One bad clip, or too little memory for all of them: each gets its own try.
            log.warning("a batch of %d failed; its clips are tried one by one", len(batch))
            for job in batch:
                self._decode([job])
            return
        self._failure = None
        for job, answer in zip(batch, answers, strict=True):
            job.future.set_result(answer)

    def _try_out(self) -> None:
        """See whether it was the clip or the model that failed."""
        failed_before = self._failure is not None
        try:
            decode_batch(self.model, [TRIAL])
        except Exception as error:
            self._failure = error
            if not failed_before:
                log.error("%s fails on every clip", self.model.family.name, exc_info=error)
        else:
            self._failure = None
            if failed_before:
                log.info("%s answers again", self.model.family.name)
