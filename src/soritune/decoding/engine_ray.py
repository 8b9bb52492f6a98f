"""Recordings spread over a cluster by Ray Data: `--engine ray`.

Each worker loads the model once and takes recordings in groups, which share its batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
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


class RayRun:
    """Recordings on a cluster: that of `RAY_ADDRESS`, else this machine.

    Its machines see the recordings and the model under the same paths; `workers` load the model.

    Raises:
        UserError: Ray is not installed.
    """

    def __init__(self, model: str, base: str | None, workers: int) -> None:
        if find_spec("ray") is None:
            raise UserError(
                '--engine ray needs Ray, which is not installed: pip install "soritune[ray]"'
            )
        self._model, self._base, self._workers = model, base, workers

    def __call__(
        self, sources: Sequence[Source], options: Options, advance: Callable[[float], None]
    ) -> Iterator[tuple[int, Transcript | Failure]]:
        """See `Run`."""
        import ray.data

        rows = [{"number": number, "source": source} for number, source in enumerate(sources)]
        blocks = max(1, -(-len(rows) // GROUP))
        results = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            _Worker,
            fn_constructor_args=(self._model, self._base, options),
            batch_size=GROUP,
            concurrency=self._workers,
        )
        for row in results.iter_rows():
            yield int(row["number"]), row["result"]
