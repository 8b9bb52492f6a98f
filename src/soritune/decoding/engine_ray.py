"""Recordings spread over a cluster by Ray Data: `--engine ray`.

Each worker loads the model once and takes recordings in groups, which share its batches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from soritune.audio.stream import Source
from soritune.corpus.ray_cluster import connect
from soritune.decoding.records import Failure, Transcript
from soritune.decoding.transcriber import Options
from soritune.errors import UserError
from soritune.models.registry import family_of

GROUP = 16
"""Recordings that a worker takes at a time."""


class _Worker:
    """Loads a model once, on the machine where it works."""

    def __init__(self, model: str, base: str | None, options: Options) -> None:
        import soritune

        self._transcriber = soritune.load(model, base=base)
        self._options = options

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        sources = list(batch["source"])
        results = self._transcriber.try_transcribe(sources, **self._options)
        return {"number": batch["number"], "result": results}


class RayRun:
    """Recordings on a cluster: that of `RAY_ADDRESS`, else this machine.

    Its machines see the recordings and the model under the same paths; `workers` load the model.

    Raises:
        UserError: Ray is not installed, or there is no such model.
    """

    def __init__(self, model: str, base: str | None, workers: int) -> None:
        if find_spec("ray") is None:
            raise UserError(
                '--engine ray needs Ray, which is not installed: pip install "soritune[ray]"'
            )
        family_of(model)  # here, since a worker would say it in a traceback
        self._model, self._base, self._workers = model, base, workers

    def __call__(
        self, sources: Sequence[Source], options: Options, advance: Callable[[float], None]
    ) -> Iterator[tuple[int, Transcript | Failure]]:
        """See `Run`."""
        rows = [{"number": number, "source": source} for number, source in enumerate(sources)]
        blocks = max(1, -(-len(rows) // GROUP))
        with _cluster() as ray:
            # From one worker on, since a cluster may not have room for all of them.
            pool = ray.data.ActorPoolStrategy(min_size=1, max_size=min(self._workers, blocks))
            results = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
                _Worker,
                fn_constructor_args=(self._model, self._base, options),
                batch_size=None,  # a block each, of up to GROUP recordings
                compute=pool,
            )
            for row in results.iter_rows():
                yield int(row["number"]), row["result"]


@contextmanager
def _cluster() -> Iterator[Any]:
    """Connect to the cluster, or start one here, without Ray's reports.

    Raises:
        UserError: there is none at RAY_ADDRESS, or it lost the work.
    """
    import ray
    import ray.data

    ours = not ray.is_initialized()
    if ours:
        connect(ray, None, "Check RAY_ADDRESS; without it, one is started on this machine.")
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        yield ray
    except ray.exceptions.RayError as error:
        raise UserError(
            f"--engine ray: the cluster failed ({_reason(error)}). Run the same command again: "
            "with --out it goes on where it was"
        ) from error
    finally:
        if ours:
            ray.shutdown()


def _reason(error: Exception) -> str:
    """Return the last line of what Ray says, which is that of a worker's exception."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
