"""Recordings spread over a cluster by Ray Data: `--engine ray`.

Each worker loads the model once and takes recordings in groups, which share its batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from soritune.audio.stream import Source
from soritune.decoding.records import Failure, Transcript
from soritune.decoding.transcriber import Options
from soritune.errors import UserError

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


def transcribe_on_ray(
    model: str,
    base: str | None,
    sources: Sequence[Source],
    options: Options,
    *,
    workers: int = 1,
    gpus: float = 0.0,
) -> Iterator[tuple[int, Transcript | Failure]]:
    """Yield the place and the result of each recording, in any order.

    The cluster is the one of `RAY_ADDRESS`, else this machine. Its machines see the recordings and
    the model under the same paths.

    Args:
        workers: models that are loaded.
        gpus: of each.

    Raises:
        UserError: Ray is not installed.
    """
    try:
        import ray
    except ImportError:
        raise UserError(
            '--engine ray needs Ray, which is not installed: pip install "soritune[ray]"'
        ) from None
    rows = [{"number": number, "source": source} for number, source in enumerate(sources)]
    results = ray.data.from_items(rows, override_num_blocks=max(1, len(rows) // GROUP)).map_batches(
        _Worker,
        fn_constructor_args=(model, base, options),
        batch_size=GROUP,
        concurrency=workers,
        num_gpus=gpus,
    )
    for row in results.iter_rows():
        yield int(row["number"]), row["result"]
