"""Rows of a data set through `datasets`: nothing decoded, tried again where the network fails.

What `datasets` 5 does otherwise than one would think, and what is done about it here:

- It decodes, and for loose files even encodes, audio with torchcodec, which needs FFmpeg. The
  column is cast to a type that hands through bytes and paths, and columns that are not wanted
  are taken off first, because they would be decoded.
- After a failure, a stream can continue from its `state_dict`, but that has lost its position or
  rows in several releases (huggingface/datasets#8145, #8308). A new stream skips the rows that
  were read: slower, but always right.
- Of lists it makes numbers, truth values and gaps: 007 → 7, NA → nothing (`hub_lists.py`).
- Without streaming, one split asked for still downloads and converts all of its configuration.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from soritune.errors import UserError
from soritune.sources.formats.hub_lists import label_names, read_as_text

TRIES = 4
FIRST_WAIT_S = 2.0
"""Doubled each time: 14 s in all. `datasets` itself tries a read 20 times, 5 s apart, first."""
PASSING = {
    "ConnectionError",
    "TimeoutError",
    "TransportError",  # httpx
    "ClientConnectionError",  # aiohttp
    "ClientPayloadError",
    "IncompleteRead",
}
"""Names of errors (or of what they derive from) that may be gone when one tries again."""
PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """A data set: an id on the hub (`owner/name`) or a local folder."""

    path: str
    config: str | None
    revision: str | None
    streaming: bool

    @property
    def is_local(self) -> bool:
        return Path(self.path).is_dir()


def split_columns(dataset: Dataset) -> dict[str, list[str]]:
    """Return the splits of a data set with the columns of each; downloads no rows.

    Raises UserError: `datasets` is not installed, no network, no such data set, configuration or
    revision, a data set that needs its own code.
    """

    def look() -> dict[str, list[str]]:
        found = {}
        for split, rows in _load(dataset, None, streaming=True).items():
            # Files without a schema (CSV, loose files) show their columns in the first row.
            found[str(split)] = rows.column_names or list(next(iter(rows), {}))
        return found

    return _persist(look, dataset)


def read_rows(
    dataset: Dataset, split: str, columns: Sequence[str], audio: str | None
) -> Iterator[dict[str, Any]]:
    """Yield rows of a split in their order, with these columns; `audio` names that of the audio.

    Raises UserError like `split_columns`, and for files that are damaged.
    """
    failure_types = _failures()
    num_read = 0
    failures = 0
    while True:
        rows = _persist(lambda: _undecoded(dataset, split, columns, audio), dataset)
        try:
            names = label_names(rows)
            for row in rows.skip(num_read) if num_read else rows:
                num_read += 1
                failures = 0
                yield row | {column: name(row[column]) for column, name in names.items()}
            return
        except failure_types as error:
            failures += 1
            if failures == TRIES or not is_temporary(error):
                raise _user_error(error, dataset) from error
            _wait(error, dataset, failures)


def read_file(url: str, dataset: Dataset, max_bytes: int) -> bytes | None:
    """Return a file of a data set on the hub (`hf://…`, also in a zip there); None if larger."""
    from datasets.utils.file_utils import xopen  # type: ignore[import-untyped]

    def fetch() -> bytes | None:
        with xopen(url, "rb") as file:
            content: bytes = file.read(max_bytes + 1)
        return content if len(content) <= max_bytes else None

    return _persist(fetch, dataset)


def cache_folders() -> list[Path]:
    """Return where `datasets` and the hub's client keep what they downloaded."""
    import datasets  # type: ignore[import-untyped]
    from huggingface_hub.constants import HF_HUB_CACHE

    return [Path(datasets.config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE)]


def is_temporary(error: BaseException) -> bool:
    """Return whether a failure, or what caused it, may be gone when one tries again."""
    seen: BaseException | None = error
    while seen is not None:
        names = {cls.__name__ for cls in type(seen).__mro__}
        if "OfflineModeIsEnabled" in names:
            return False
        status = getattr(getattr(seen, "response", None), "status_code", None)
        if status in PASSING_STATUS or (status is None and names & PASSING):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _persist(action: Callable[[], Result], dataset: Dataset) -> Result:
    """Return the action's result, tried `TRIES` times where what fails is the network."""
    failure_types = _failures()
    failures = 0
    while True:
        try:
            return action()
        except failure_types as error:
            failures += 1
            if failures == TRIES or not is_temporary(error):
                raise _user_error(error, dataset) from error
            _wait(error, dataset, failures)


def _wait(error: BaseException, dataset: Dataset, failures: int) -> None:
    wait_s = FIRST_WAIT_S * 2 ** (failures - 1)
    _log.warning("%s: %s; again in %g s", dataset.path, _first_line(error), wait_s)
    time.sleep(wait_s)


def _failures() -> tuple[type[Exception], ...]:
    """Return what `datasets` raises. Raises UserError where it is not installed."""
    try:
        from datasets.exceptions import DatasetsError  # type: ignore[import-untyped]
    except ImportError as error:
        raise UserError(
            "source hub reads through datasets, which is not installed: pip install soritune[hub]"
        ) from error
    return (OSError, ValueError, RuntimeError, ImportError, DatasetsError)


def _load(dataset: Dataset, split: str | None, *, streaming: bool) -> Any:
    import datasets

    folder = Path(dataset.path)
    if any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        saved = datasets.load_from_disk(dataset.path)
        of_split = saved if isinstance(saved, dict) else {str(saved.split or "train"): saved}
        return of_split if split is None else of_split[split]
    revision = None if dataset.is_local else dataset.revision
    builder = datasets.load_dataset_builder(dataset.path, dataset.config, revision=revision)
    if read_as_text(builder) or streaming:
        return builder.as_streaming_dataset(split=split)
    builder.download_and_prepare()
    return builder.as_dataset(split=split)


def _undecoded(dataset: Dataset, split: str, columns: Sequence[str], audio: str | None) -> Any:
    import datasets

    class Undecoded(datasets.Audio):  # type: ignore[misc]
        def encode_example(self, value: Any) -> dict[str, Any]:
            if isinstance(value, dict):
                return {"bytes": value.get("bytes"), "path": value.get("path")}
            if isinstance(value, bytes | bytearray):
                return {"bytes": bytes(value), "path": None}
            return {"bytes": None, "path": None if value is None else str(value)}

    rows = _load(dataset, split, streaming=dataset.streaming)
    rows = rows.select_columns(list(columns))
    kind = (rows.features or {}).get(audio)
    return rows.cast_column(audio, Undecoded(decode=False)) if _is_audio(kind) else rows


def _is_audio(kind: Any) -> bool:
    return type(kind).__name__ == "Audio"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _user_error(error: BaseException, dataset: Dataset) -> UserError:
    """Return the failure in a user's words."""
    reason = _first_line(error)
    chain: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        chain.append(str(seen))
        seen = seen.__cause__ or seen.__context__
    if any("scripts are no longer supported" in text for text in chain):
        return UserError(
            f"hub: {dataset.path} is loaded by its own script, and foreign code is never run; "
            f"use a copy in Parquet (many have one under revision: refs/convert/parquet)"
        )
    if any("torchcodec" in text for text in chain):
        return UserError(
            f"hub: {dataset.path} keeps its audio as files that datasets converts with torchcodec "
            f"only; set streaming: true, then they are read as they are"
        )
    if is_temporary(error):
        return UserError(
            f"hub: {dataset.path} could not be reached {TRIES} times ({reason}); start again when "
            f"the network is back, what is prepared is kept, or download the data set on another "
            f"machine and set path to its folder"
        )
    if dataset.is_local:
        return UserError(
            f"hub: {dataset.path} cannot be read by datasets ({reason}); fix the folder, or set "
            f"config and splits to what it holds"
        )
    return UserError(
        f"hub: {dataset.path} cannot be loaded ({reason}); look at "
        f"https://huggingface.co/datasets/{dataset.path} for its configs and revisions, and log in "
        f"(hf auth login) if it is gated"
    )
