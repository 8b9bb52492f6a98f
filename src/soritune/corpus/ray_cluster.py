"""Chunks as tasks of a Ray cluster: decoded anywhere, written here.

Only this machine needs the corpus folder. Recordings that a source names by path must be there
under the same path on every node (a shared folder); archives and Parquet files are read here and
their clips travel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soritune.corpus.chunk import Chunk, ChunkResult, MadeChunk, make_chunk, store_chunk
from soritune.corpus.job import versions
from soritune.errors import UserError
from soritune.utterance import Excerpt, Utterance

SPARE_TASKS = 2
"""Chunks that wait beside those in work, so that no core does."""


@dataclass(frozen=True)
class RayExecutor:
    """An executor for `prepare`. `address` as in `ray.init`; None: RAY_ADDRESS, the cluster that
    runs on this machine, or a local one that is started for this work alone.
    """

    address: str | None = None

    def __call__(
        self,
        work: Callable[[Chunk], ChunkResult],
        chunks: Iterable[Chunk],
        workers: int,
        /,
        *,
        finished: Callable[[Chunk], ChunkResult | None],
        advance: Callable[[ChunkResult], None],
    ) -> Iterator[ChunkResult]:
        """Yield the results of all chunks in the order in which they end.

        `workers` is not asked: a task runs on every free core of the cluster. Raises UserError:
        no Ray, no cluster at the address, a node that lacks soritune, has other versions of the
        libraries or does not see the recordings.
        """
        ray = _ray()
        ours = not ray.is_initialized()
        if ours:
            _connect(ray, self.address)
        try:
            yield from _run(ray, chunks, finished, advance)
        finally:
            if ours:
                ray.shutdown()


def _run(
    ray: Any,
    chunks: Iterable[Chunk],
    finished: Callable[[Chunk], ChunkResult | None],
    advance: Callable[[ChunkResult], None],
) -> Iterator[ChunkResult]:
    task = ray.remote(num_cpus=1)(_make_on_node)
    here = versions()
    running: dict[Any, Chunk] = {}

    def collect() -> Iterator[ChunkResult]:
        (done, *_), _ = ray.wait(list(running), num_returns=1)
        chunk = running.pop(done)
        result = _store(_get(ray, done), chunk, here)
        advance(result)
        yield result

    for chunk in chunks:
        result = finished(chunk)
        if result is not None:
            advance(result)
            yield result
            continue
        running[task.remote(chunk)] = chunk
        while len(running) >= _cores(ray) + SPARE_TASKS:
            yield from collect()
    while running:
        yield from collect()


def _make_on_node(chunk: Chunk) -> tuple[MadeChunk, dict[str, str], str]:
    """Runs on a node: what came of the chunk, with what, and where."""
    import socket

    return make_chunk(chunk), versions(), socket.gethostname()


def _store(
    answer: tuple[MadeChunk, dict[str, str], str], chunk: Chunk, here: dict[str, str]
) -> ChunkResult:
    made, there, node = answer
    if there != here:
        other = ", ".join(f"{k} {v}, here {here.get(k)}" for k, v in there.items() if here[k] != v)
        raise UserError(f"Ray node {node} has {other}; install the same versions on all nodes")
    lost = {line.id for line in made.result.quarantined if line.reason == "missing"}
    for entry in chunk.entries if lost else ():
        if isinstance(entry, Utterance) and entry.id in lost:
            path = entry.audio.path if isinstance(entry.audio, Excerpt) else entry.audio
            if isinstance(path, Path) and path.is_file():
                raise UserError(
                    f"Ray node {node} does not see {path}; keep the recordings in a folder that "
                    f"all nodes share, under the same path"
                )
    return store_chunk(made, chunk.folder)


def _get(ray: Any, done: Any) -> tuple[MadeChunk, dict[str, str], str]:
    try:
        answer: tuple[MadeChunk, dict[str, str], str] = ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        if isinstance(error.cause, ModuleNotFoundError):
            raise UserError(
                f"a Ray node lacks {error.cause.name}; install the same soritune on all nodes"
            ) from error
        raise
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"the Ray cluster gave a chunk up ({reason}); run the same command again, it goes on "
            f"where it stopped"
        ) from error
    return answer


def _cores(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))  # a cluster may grow meanwhile


def _connect(ray: Any, address: str | None) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"no Ray cluster at {address or 'this machine'} ({reason}); start one with: ray start "
            f"--head, or leave --executor out"
        ) from error


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "--executor ray needs Ray; install it with: pip install soritune[ray]"
        ) from error
    return ray
