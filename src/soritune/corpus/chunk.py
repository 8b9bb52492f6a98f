"""One chunk of a source: check its utterances, write its shard and its result.

A chunk is the unit that is done again after an interruption. Its result depends on its utterances
alone, so neither the number of workers nor an interruption changes a byte.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from soritune.corpus.card import ChunkResult, QuarantineLine, Shard, TakenGroup
from soritune.corpus.check import check_utterance
from soritune.corpus.folder import CorpusFolder
from soritune.corpus.shard import ShardWriter, Taken
from soritune.languages.form import TextForm
from soritune.sources.sound import AS_IT_IS, SoundForm
from soritune.utterance import Rejected, Utterance


@dataclass(frozen=True)
class Chunk:
    """Consecutive entries of a source with their positions there, from 0.

    `notes` counts what the selection observed among them (`selection.NOTE_TEXTS`); `form` is how
    their texts are to be written, `sound` how their clips are to be stored.
    """

    index: int
    positions: tuple[int, ...]
    entries: tuple[Utterance | Rejected, ...]
    folder: CorpusFolder
    notes: Mapping[str, int] = field(default_factory=dict)
    form: TextForm | None = None
    sound: SoundForm = AS_IT_IS


def prepare_chunk(chunk: Chunk) -> ChunkResult:
    """Write the shard and the result of `chunk`; runs in any process."""
    with chunk.folder.open_shard(chunk.index) as file:
        result = _make(chunk, file)
    chunk.folder.write_result(result)
    return result


def make_chunk(chunk: Chunk) -> tuple[ChunkResult, bytes]:
    """Return the result of `chunk` and the bytes of its shard; writes nothing.

    For a machine that does not have the folder: `store_chunk` writes them where it is.
    """
    buffer = io.BytesIO()
    result = _make(chunk, buffer)
    return result, buffer.getvalue()


def store_chunk(result: ChunkResult, content: bytes, folder: CorpusFolder) -> None:
    """Write what `make_chunk` returned: the shard, then the result."""
    if result.shard is not None:
        with folder.open_shard(result.index) as file:
            file.write(content)
    folder.write_result(result)


def _make(chunk: Chunk, file: BinaryIO) -> ChunkResult:
    """Write the shard into `file`, a group of rows at a time; nothing where nothing is taken."""
    with_sources = any(getattr(entry, "source", None) is not None for entry in chunk.entries)
    writer = ShardWriter(file, with_sources=with_sources)
    contents: dict[str, list[str]] = {}
    groups: dict[tuple[str, str, str | None], list[int]] = {}
    rejected: list[Rejected] = []
    for position, entry in zip(chunk.positions, chunk.entries, strict=True):
        outcome: Taken | Rejected
        if isinstance(entry, Rejected):
            outcome = entry
        else:
            outcome = check_utterance(entry, position, chunk.form, chunk.sound)
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
            continue
        writer.add(outcome)
        utterance = outcome.utterance
        contents.setdefault(utterance.split, []).append(outcome.checksum)
        key = (utterance.split, utterance.language, utterance.speaker)
        group = groups.setdefault(key, [0, 0])
        group[0] += 1
        group[1] += outcome.num_samples
    writer.close()
    shard = None
    if writer.num_rows:
        shard = Shard(
            file=chunk.folder.shard_name(chunk.index),
            utterances=writer.num_rows,
            num_bytes=writer.num_bytes,
            sha256=writer.sha256,
        )
    return ChunkResult(
        index=chunk.index,
        read=len(chunk.entries),
        taken=[
            TakenGroup(split=split, language=language, speaker=speaker, utterances=n, num_samples=s)
            for (split, language, speaker), (n, s) in groups.items()
        ],
        quarantined=[
            QuarantineLine(
                id=_printable(each.id),
                reason=each.reason,
                detail=_printable(each.detail),
                where=_printable(each.where),
            )
            for each in rejected
        ],
        shard=shard,
        notes=dict(sorted(chunk.notes.items())),
        contents=contents,
    )


def _printable(text: str) -> str:
    """Return `text` with bytes that are not UTF-8 as escapes, so that the line itself is valid."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
