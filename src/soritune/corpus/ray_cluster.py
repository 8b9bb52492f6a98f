"""Chunks as tasks of a Ray cluster: decoded anywhere, written here.

Only this machine needs the corpus folder. Recordings that a source names by path must exist under
the same path on every node (a shared folder); archives and Parquet files are read here and their
clips are sent.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from soritune.corpus.card import ChunkResult
from soritune.corpus.chunk import Chunk, make_chunk, store_chunk
from soritune.corpus.job import versions
from soritune.errors import UserError
from soritune.utterance import Excerpt, Utterance

SPARE_TASKS = 2
"""Chunks that wait beside those being decoded, so that no core has to wait."""
CONNECT_S = 5.0
"""How long an address may take to answer at all."""


class NodeResult(NamedTuple):
    """What a node made of a chunk, with which libraries, and its host name."""

    result: ChunkResult
    content: bytes
    versions: dict[str, str]
    host: str


@dataclass(frozen=True)
class RayExecutor:
    """An executor for `prepare`.

    `address` as in `ray.init`; None: RAY_ADDRESS, the cluster that runs on this machine, or a
    local one that is started for this work alone.
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

        `workers` is ignored: a task runs on every free core of the cluster.

        Raises:
            UserError: no Ray, no cluster at the address, or a node that lacks soritune, has other
                versions of the libraries, or does not see the recordings.
        """
        ray = _ray()
        ours = not ray.is_initialized()
        if ours:
            connect(ray, self.address, "Start one with: ray start --head, or omit --executor.")
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


def _make_on_node(chunk: Chunk) -> NodeResult:
    import socket

    return NodeResult(*make_chunk(chunk), versions(), socket.gethostname())


def _store(made: NodeResult, chunk: Chunk, here: dict[str, str]) -> ChunkResult:
    if made.versions != here:
        other = ", ".join(
            f"{name} {version}, here {here.get(name)}"
            for name, version in made.versions.items()
            if here.get(name) != version
        )
        raise UserError(
            f"Ray node {made.host}: has {other}. Install the same versions on all nodes."
        )
    missing = {line.id for line in made.result.quarantined if line.reason == "missing"}
    for entry in chunk.entries if missing else ():
        if isinstance(entry, Utterance) and entry.id in missing:
            path = entry.audio.path if isinstance(entry.audio, Excerpt) else entry.audio
            if isinstance(path, Path) and path.is_file():
                raise UserError(
                    f"Ray node {made.host}: does not see {path}. Keep the recordings in a folder "
                    f"that all nodes share, under the same path."
                )
    store_chunk(made.result, made.content, chunk.folder)
    return made.result


def _get(ray: Any, done: Any) -> NodeResult:
    try:
        made: NodeResult = ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        if isinstance(error.cause, ModuleNotFoundError):
            raise UserError(
                f"a Ray node lacks {error.cause.name}. Install the same soritune on all nodes."
            ) from error
        raise
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"the Ray cluster lost a chunk ({reason}). Run the same command again; it continues "
            f"where it stopped."
        ) from error
    return made


def _cores(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))  # a cluster may grow


def connect(ray: Any, address: str | None, remedy: str) -> None:
    """Connect to a cluster, or start one on this machine.

    Args:
        address: as in `ray.init`; None takes RAY_ADDRESS.
        remedy: what to do where there is none, for the message.

    Raises:
        UserError: there is none. Ray would ask for minutes where nothing listens.
    """
    wanted = address or os.environ.get("RAY_ADDRESS")
    try:
        if wanted and (place := re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d+)", wanted)):
            socket.create_connection((place[1], int(place[2])), CONNECT_S).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        where = wanted or "this machine"
        raise UserError(f"no Ray cluster at {where} ({reason}). {remedy}") from error


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "--executor ray: Ray is not installed. Install it with: pip install soritune[ray]"
        ) from error
    return ray
