"""One pass over the shards of a corpus: what each utterance says and what its audio measures.

Shards are independent, so they are read by several processes; a worker holds one shard, and what
it hands back is small (some hundred bytes an utterance), so memory does not grow with the hours.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.corpus.card import CorpusCard
from soritune.corpus.pool import run_chunks
from soritune.corpus.shard import ROWS_IN_GROUP, open_shard
from soritune.doctor.fingerprint import exact_hash, frame_bits, sample_frames
from soritune.doctor.signal import Signal, measure, power_spectra
from soritune.errors import UserError
from soritune.languages import find_language

COLUMNS = ["id", "text", "language", "speaker", "split", "duration_s", "audio"]


@dataclass(frozen=True)
class AuditedCorpus:
    """A corpus to audit: the name it goes by, its folder and its card.

    `outdated`: it is not what its recipe says now.
    """

    name: str
    folder: Path
    card: CorpusCard
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class ScannedUtterance:
    """What is known of one utterance after the pass.

    `corpus` is the place of its corpus among those audited; `shard` and `row` lead to its audio.
    `units` is the length of what is said (`Language.spoken_units`). `signal` is None where the
    audio cannot be decoded, `problem` then says why. `keys` and `places` are bits and frames of its
    sampled fingerprint, shape (samples,).
    """

    corpus: int
    shard: int
    row: int
    id: str
    text: str
    language: str
    speaker: str | None
    split: str
    duration_s: float
    units: int
    signal: Signal | None
    problem: str
    audio_hash: bytes
    keys: npt.NDArray[np.uint32]
    places: npt.NDArray[np.uint32]


@dataclass(frozen=True)
class ShardTask:
    """One shard to read."""

    corpus: int
    shard: int
    path: Path
    sha256: str


@dataclass(frozen=True)
class ShardResult:
    """What a shard holds; `changed` where it is not the file that the card describes."""

    corpus: int
    shard: int
    changed: bool
    utterances: tuple[ScannedUtterance, ...]


def scan(
    sources: Sequence[AuditedCorpus], workers: int, advance: Callable[[float], None]
) -> list[ShardResult]:
    """Read all shards, by `workers` processes; results in the order of the corpora.

    `advance` is called with the number of utterances done. Raises UserError for a shard that is
    missing or not a Parquet file.
    """
    tasks = (
        ShardTask(number, index, source.folder / shard.file, shard.sha256)
        for number, source in enumerate(sources)
        for index, shard in enumerate(source.card.shards)
    )
    results = run_chunks(
        scan_shard,
        tasks,
        workers,
        finished=lambda task: None,
        advance=lambda result: advance(len(result.utterances)),
    )
    return sorted(results, key=lambda result: (result.corpus, result.shard))


def scan_shard(task: ShardTask) -> ShardResult:
    """Measure every utterance of a shard; runs in any process."""
    try:
        content = task.path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{task.path}: cannot be read ({error}); prepare the corpus again with: "
            f"soritune prepare RECIPE"
        ) from error
    utterances = tuple(
        _examine(task, row, values) for row, values in enumerate(_rows(content, task.path))
    )
    changed = hashlib.sha256(content).hexdigest() != task.sha256
    return ShardResult(task.corpus, task.shard, changed, utterances)


def read_samples(path: Path, rows: Iterable[int]) -> dict[int, Samples]:
    """Samples of some rows of a shard at 16 kHz; rows that cannot be decoded are left out."""
    wanted = sorted(set(rows))
    found: dict[int, Samples] = {}
    with open_shard(path) as file:
        for group in sorted({row // ROWS_IN_GROUP for row in wanted}):
            table = file.read_row_group(group, columns=["audio"], use_threads=False)
            audio = table.column("audio").to_pylist()
            for row in wanted:
                if row // ROWS_IN_GROUP == group:
                    samples = decode(audio[row % ROWS_IN_GROUP])
                    if not isinstance(samples, str):
                        found[row] = samples
    return found


def decode(flac: bytes) -> Samples | str:
    """Samples of a clip of a shard, or why it is none."""
    import soundfile

    try:
        samples, rate_hz = soundfile.read(io.BytesIO(flac), dtype="float32")
    except (soundfile.SoundFileError, TypeError) as error:
        return f"cannot be decoded ({error})"
    if rate_hz != SAMPLE_RATE_HZ or samples.ndim != 1 or not len(samples):
        return f"is {rate_hz} Hz with shape {samples.shape}, not mono at {SAMPLE_RATE_HZ} Hz"
    return np.asarray(samples, np.float32)


def _rows(content: bytes, path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            for group in range(file.num_row_groups):
                yield from file.read_row_group(
                    group, columns=COLUMNS, use_threads=False
                ).to_pylist()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); remove it and run: soritune prepare RECIPE"
        ) from error


def _examine(task: ShardTask, row: int, values: dict[str, Any]) -> ScannedUtterance:
    samples = decode(values.pop("audio"))
    if isinstance(samples, str):
        signal, audio_hash, problem = None, b"", samples
        keys, places = np.zeros(0, np.uint32), np.zeros(0, np.uint32)
    else:
        spectra = power_spectra(samples)
        bits, loud = frame_bits(spectra)
        frames = sample_frames(bits, loud)
        signal, audio_hash, problem = measure(samples, spectra), exact_hash(samples), ""
        keys, places = bits[frames], frames.astype(np.uint32)
    return ScannedUtterance(
        corpus=task.corpus,
        shard=task.shard,
        row=row,
        units=find_language(values["language"]).spoken_units(values["text"]),
        signal=signal,
        problem=problem,
        audio_hash=audio_hash,
        keys=keys,
        places=places,
        **values,
    )
