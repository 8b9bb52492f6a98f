"""WebDataset: tar shards of one's own recordings, each sample its audio with `.txt` or `.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator

from soritune.errors import UserError
from soritune.languages.setting import LanguageCode
from soritune.sources.clips import too_large
from soritune.sources.formats.division import OwnRecordings, Unusable, divide
from soritune.sources.formats.fields import Columns, Meaning, Metadata, read_metadata
from soritune.sources.formats.webdataset_shards import (
    AUDIO_EXTENSIONS,
    Sample,
    find_shards,
    names_of,
    read_samples,
)
from soritune.sources.formats.written import load_json
from soritune.sources.limits import LIFTED_BY
from soritune.utterance import Rejected, Split, Utterance

ANY_SHARD = ("**/*.tar", "**/*.tar.gz", "**/*.tgz")
TRANSCRIPT = "txt"
FIELDS = "json"
SPLITS: tuple[Split, ...] = get_args(Split)
MEANINGS: tuple[Meaning, ...] = tuple(name for name in get_args(Meaning) if name != "audio")

Patterns = str | list[str]


class WebDatasetSource(OwnRecordings):
    """`path` is the folder of the shards; `shards` their names in it, by wildcards and braces.

    `splits` gives shards to splits instead; without it all samples are divided, for which the
    shards are read twice. `columns` names a field of the JSON, or the extension of a file of the
    sample (`audio: flac`, `text: txt`).
    """

    source: Literal["webdataset"]
    path: Path
    shards: Patterns = Field(list(ANY_SHARD), min_length=1)
    splits: dict[Split, Patterns] | None = Field(None, min_length=1)
    columns: Columns = Columns()
    translation_language: LanguageCode | None = "en"

    @model_validator(mode="after")
    def _one_way_to_name_shards(self) -> Self:
        if self.splits is not None and "shards" in self.model_fields_set:
            raise ValueError('"shards" and "splits" both name the shards; give one')
        named = [self.shards] if self.splits is None else list(self.splits.values())
        for pattern in (each for patterns in named for each in _listed(patterns)):
            try:
                names_of(pattern)
            except UserError as error:
                raise ValueError(str(error)) from None
        return self


def read(source: WebDatasetSource) -> Iterator[Utterance | Rejected]:
    """Yield samples in the order of the shards and in them, one in memory at a time.

    Raises UserError: no such shard, one that is cut or damaged or holds a path that leaves its
    folder, shards without samples, samples that cannot be divided as asked.
    """
    shards = _shards(source)
    division = None if source.splits is not None else iter(_divide(shards, source))
    num_samples = 0
    for shard, given in shards:
        for sample in read_samples(shard, _extensions(source, with_audio=True)):
            num_samples += 1
            where = f"{shard}: {sample.key}"
            metadata = _metadata(sample, shard, source)
            if isinstance(metadata, Rejected):
                yield metadata
                continue
            split = next(division) if division is not None else given
            assert split is not None
            if isinstance(split, Unusable):
                yield Rejected(metadata.id, split.reason, split.detail, where)
                continue
            content = sample.files[_audio_extension(sample, source)]
            if content is None:
                detail = f"the audio {too_large()}"
                yield Rejected(metadata.id, "too-long", detail, where)
            else:
                yield metadata.utterance(content, split)
    if not num_samples:
        raise UserError(
            f"{source.path}: the shards hold no samples; a sample is a file such as 0001.wav with "
            f"0001.txt or 0001.json beside it in the tar"
        )


def check(source: WebDatasetSource) -> None:
    """Find the shards. Raises UserError where one that the recipe names is not there."""
    _shards(source)


def identity(source: WebDatasetSource) -> str:
    """Return names, sizes and times of the shards."""
    digest = hashlib.sha256()
    for shard, split in _shards(source):
        stat = shard.stat()
        text = f"{_name(shard, source)} {split} {stat.st_size} {stat.st_mtime_ns}\n"
        digest.update(text.encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _shards(source: WebDatasetSource) -> list[tuple[Path, Split | None]]:
    """Return the shards in reading order, with the split that the recipe names."""
    if source.splits is None:
        return [(shard, None) for shard in _find(source, source.shards)]
    found: dict[Path, Split] = {}
    for split in SPLITS:
        for shard in _find(source, source.splits.get(split, [])):
            other = found.setdefault(shard, split)
            if other != split:
                raise UserError(
                    f"{shard}: is in splits as {other} and as {split}; what is tested must "
                    f"not be trained on, so give it to one"
                )
    return list(found.items())


def _find(source: WebDatasetSource, patterns: Patterns) -> list[Path]:
    if not source.path.exists():
        raise UserError(f"webdataset: there is no folder {source.path}; fix path in the recipe")
    listed = _listed(patterns)
    if source.splits is None and "shards" not in source.model_fields_set:
        # By default, any of the usual endings will do; only that there is none is a mistake.
        present = [pattern for pattern in listed if any(source.path.glob(pattern))]
        listed = present if source.path.is_dir() else listed
        if not listed:
            raise UserError(
                f"webdataset: {source.path} holds no {' and no '.join(ANY_SHARD)}; set path to "
                f"the folder of the shards"
            )
    return find_shards(source.path, listed)


def _listed(patterns: Patterns) -> list[str]:
    return [patterns] if isinstance(patterns, str) else patterns


def _divide(
    shards: list[tuple[Path, Split | None]], source: WebDatasetSource
) -> list[Split | Unusable]:
    """Return the split of each sample that can be used; audio is skipped."""

    def spoken() -> Iterator[tuple[str | None, str]]:
        for shard, _ in shards:
            for sample in read_samples(shard, _extensions(source, with_audio=False)):
                metadata = _metadata(sample, shard, source)
                if isinstance(metadata, Metadata):
                    yield metadata.speaker, metadata.text

    return divide(spoken(), source, str(source.path))


def _extensions(source: WebDatasetSource, *, with_audio: bool) -> set[str]:
    """Return extensions of the files that are read."""
    named = {name.lower() for name in source.columns.model_dump().values() if name}
    audio = {source.columns.audio.lower()} if source.columns.audio else set(AUDIO_EXTENSIONS)
    texts = ({TRANSCRIPT, FIELDS} | named) - audio
    return texts | audio if with_audio else texts


def _audio_extension(sample: Sample, source: WebDatasetSource) -> str:
    """Return the one that the sample has, "" where it has none or several."""
    named = source.columns.audio
    wanted = (named.lower(),) if named is not None else AUDIO_EXTENSIONS
    found = [extension for extension in sample.files if extension in wanted]
    return found[0] if len(found) == 1 else ""


def _metadata(sample: Sample, shard: Path, source: WebDatasetSource) -> Metadata | Rejected:
    """Return what a sample says, whether or not its audio was read."""
    where = f"{shard}: {sample.key}"
    own_id = f"{_name(shard, source)}/{sample.key}"
    extensions = ", ".join(sorted(sample.files))
    if sample.repeated:
        detail = f"has two files {', '.join(sample.repeated)}"
        return Rejected(own_id, "bad-line", detail, where)
    audio = _audio_extension(sample, source)
    if not audio:
        detail = (
            f"has no audio, or several files of it ({extensions}); all files of a sample stand "
            f"together in the tar and share the name up to its first dot"
        )
        return Rejected(own_id, "missing", detail, where)
    if None in [content for name, content in sample.files.items() if name != audio]:
        return Rejected(
            own_id, "bad-line", f"its text or .json is too large for one; {LIFTED_BY}", where
        )
    try:
        fields = load_json(sample.files[FIELDS] or b"") if FIELDS in sample.files else {}
    except (ValueError, RecursionError) as error:
        return Rejected(own_id, "bad-line", f"its .json is not JSON ({error})", where)
    if not isinstance(fields, dict):
        return Rejected(own_id, "bad-line", "its .json holds no object", where)
    values = _values(sample, fields, source.columns)
    return read_metadata(
        values, own_id, where, source.default_language, source.translation_language
    )


def _values(sample: Sample, fields: dict[str, Any], columns: Columns) -> dict[Meaning, Any]:
    """By meaning: a file of the sample where the recipe (or `.txt`) names one, or a JSON field."""
    lowered = {str(name).strip().lower(): value for name, value in fields.items()}
    values: dict[Meaning, Any] = {}
    for meaning in MEANINGS:
        named = columns.given(meaning)
        extension = (named or (TRANSCRIPT if meaning == "text" else FIELDS)).lower()
        if extension != FIELDS and extension in sample.files:
            # Bytes that are not UTF-8 come through as surrogates; prepare refuses them.
            values[meaning] = (sample.files[extension] or b"").decode(
                "utf-8-sig", "surrogateescape"
            )
            continue
        found = [name for name in columns.names(meaning) if name.lower() in lowered]
        if found:
            values[meaning] = lowered[found[0].lower()]
    return values


def _name(shard: Path, source: WebDatasetSource) -> str:
    """Return the shard's path in its folder without its ending: the prefix of its keys."""
    inside = shard.relative_to(source.path) if shard != source.path else Path(shard.name)
    name = inside.as_posix()
    for ending in (".tar.gz", ".tgz", ".tar"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
