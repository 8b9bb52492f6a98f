"""Chunks in worker processes: few at a time, in any order; workers end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol, TypeVar

from soritune.corpus.card import ChunkResult
from soritune.corpus.chunk import Chunk
from soritune.errors import UserError

ChunkT = TypeVar("ChunkT")
ResultT = TypeVar("ResultT")


class Executor(Protocol):
    """Where chunks are decoded: processes of this machine (`run_chunks`), or a cluster."""

    def __call__(
        self,
        work: Callable[[Chunk], ChunkResult],
        chunks: Iterable[Chunk],
        workers: int,
        /,
        *,
        finished: Callable[[Chunk], ChunkResult | None],
        advance: Callable[[ChunkResult], None],
    ) -> Iterator[ChunkResult]: ...


def run_chunks(
    work: Callable[[ChunkT], ResultT],
    chunks: Iterable[ChunkT],
    workers: int,
    *,
    finished: Callable[[ChunkT], ResultT | None],
    advance: Callable[[ResultT], None],
) -> Iterator[ResultT]:
    """Yield `work(chunk)` of every chunk, in the order in which they end.

    No more than `workers` + 1 chunks are held at a time.

    Args:
        work: makes the result of a chunk; picklable where there are several workers.
        chunks: what to work on, picklable where there are several workers.
        workers: processes; with at most one everything happens in this process.
        finished: the result of a chunk that an earlier run has done, None otherwise.
        advance: called with each result.

    Raises:
        UserError: a worker was killed.
    """
    if workers <= 1:
        for chunk in chunks:
            result = finished(chunk)
            if result is None:
                result = work(chunk)
            advance(result)
            yield result
        return
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker
    )
    running: set[Future[ResultT]] = set()
    try:
        for chunk in chunks:
            result = finished(chunk)
            if result is not None:
                advance(result)
                yield result
                continue
            running.add(executor.submit(work, chunk))
            if len(running) > workers:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from _results(done, advance)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from _results(done, advance)
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed (out of memory?). Run the same command again with fewer "
            "workers; it continues where it stopped."
        ) from error
    except BaseException:
        # Ctrl-C, or an error: the next run does the unfinished chunks again.
        executor.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _results(
    done: Iterable[Future[ResultT]], advance: Callable[[ResultT], None]
) -> Iterator[ResultT]:
    for future in done:
        result = future.result()
        advance(result)
        yield result


def _start_worker() -> None:
    """Leave Ctrl-C and SIGHUP to the parent, and end when the parent does, even by kill -9.

    A terminal sends both to all processes of a command.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def end_with_parent() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=end_with_parent, daemon=True).start()
