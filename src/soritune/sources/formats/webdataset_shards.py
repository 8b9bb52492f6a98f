"""WebDataset's tar shards: which files they are, and the samples in them.

Files of one sample are together in a tar and share the path up to the first dot of the file's
name; what follows the dot, in small letters, names the part (`base_plus_ext` and
`group_by_keys` of webdataset/tariterators.py). Shards are streamed, never unpacked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path, PurePosixPath

from soritune.errors import UserError
from soritune.files import open_regular
from soritune.sources.clips import GZIP_MAGIC, MAX_CLIP_BYTES, archive_errors, read_archive
from soritune.sources.limits import LIFTED_BY, lifted
from soritune.utterance import same_id

AUDIO_EXTENSIONS = ("wav", "flac", "mp3", "ogg", "opus")
MAX_TEXT_BYTES = 2**20
"""Of a transcript or a JSON; an utterance has some hundred bytes."""
MAX_SHARDS = 100_000
"""Names that braces may stand for; a slip such as {0..999999999} ends here."""
MAX_NAME_BYTES = 255
BLOCK_BYTES = 512
END_BLOCKS = 2
"""A tar ends with two blocks of zeros (POSIX.1-1988, pax); one without them was cut."""
COMPRESSED_MAGIC = (GZIP_MAGIC, b"BZ", b"\xfd7")

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_NAME = re.compile(r"((?:.*/)?[^./][^.]*)\.([^/]*)", re.DOTALL)


@dataclass(frozen=True)
class Sample:
    """Files of one key by extension; None is one that is too large, b"" one that is not wanted.

    `repeated` are extensions that occur twice.
    """

    key: str
    files: Mapping[str, bytes | None]
    repeated: tuple[str, ...] = ()


@dataclass
class _Open:
    """A sample whose files are being read."""

    key: str
    files: dict[str, bytes | None] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)


def find_shards(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Return files below `folder` that the patterns name, each once, in the order of the patterns.

    A pattern has braces (`{000..012}`, `{a,b}`) or wildcards (`*`, `?`, `[…]`, `**`); what
    wildcards find is sorted. `folder` may be one shard itself. Raises UserError for a pattern
    without a file, and for one that leaves the folder.
    """
    if folder.is_file():
        return [folder]
    found: dict[Path, None] = {}
    for pattern in patterns:
        for name in names_of(pattern):
            wild = any(character in name for character in "*?[")
            files = sorted(p for p in folder.glob(name) if p.is_file()) if wild else [folder / name]
            if not files or not files[0].is_file():
                raise UserError(
                    f"webdataset: {folder} holds no {name}"
                    + (f" (of {pattern})" if name != pattern else "")
                    + "; fix the name in the recipe, or get the shard that is missing"
                )
            found.update(dict.fromkeys(files))
    return list(found)


def names_of(pattern: str) -> list[str]:
    """Return the names, with wildcards, that a pattern stands for.

    Raises UserError for a pattern that cannot name files of the folder, whatever is in it.
    """
    parts = PurePosixPath(pattern).parts
    if not parts or parts[0] == "/" or ".." in parts or "://" in pattern or "\0" in pattern:
        raise UserError(
            f"webdataset: {pattern[:100]!r} is not a name of files in a folder; download the "
            "shards into one folder, set path to it and shards to their names in it"
        )
    names = expand_braces(pattern)
    for name in names:
        _check_name(name, pattern)
    return names


def _check_name(name: str, pattern: str) -> None:
    """Raise UserError for what cannot be the name of files."""
    parts = PurePosixPath(name).parts
    fault = ""
    if any("**" in part and part != "**" for part in parts):
        fault = "** stands for folders and is a part of its own, such as **/*.tar"
    elif any(len(part.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES for part in parts):
        fault = f"a name has at most {MAX_NAME_BYTES} bytes"
    if fault:
        raise UserError(f"webdataset: {pattern[:100]!r}: {fault}; fix it in the recipe")


def expand_braces(pattern: str) -> list[str]:
    """Return the names that `{000..012}` (leading zeros stay) and `{a,b}` stand for, in their
    order.
    """
    pieces: list[list[str]] = []
    end = 0
    total = 1
    for match in _BRACES.finditer(pattern):
        of_range = _RANGE.fullmatch(match[1])
        if of_range is not None:
            first, last = (int(number) for number in of_range.groups())
            count, width = abs(last - first) + 1, len(of_range[1])
            _check_count(total * count, pattern)
            step = 1 if first <= last else -1
            padded = of_range[1].startswith("0") and width > 1
            choices = [
                f"{number:0{width}d}" if padded else str(number)
                for number in range(first, last + step, step)
            ]
        elif "," in match[1]:
            choices = match[1].split(",")
        else:
            continue
        total *= len(choices)
        _check_count(total, pattern)
        pieces += [[pattern[end : match.start()]], choices]
        end = match.end()
    pieces.append([pattern[end:]])
    return ["".join(chosen) for chosen in product(*pieces)]


def _check_count(count: int, pattern: str) -> None:
    if count > lifted(MAX_SHARDS):
        raise UserError(
            f"webdataset: {pattern} stands for more than {lifted(MAX_SHARDS):,} shards; fix the "
            f"braces ({LIFTED_BY})"
        )


def read_samples(shard: Path, wanted: Collection[str]) -> Iterator[Sample]:
    """Yield samples of a shard in their order; files with other extensions than `wanted` stay
    unread.

    Holds one sample at a time. Raises UserError: no tar, a cut or damaged one, a path that leaves
    the folder.
    """
    current: _Open | None = None
    with archive_errors(shard):
        _check_end(shard)
        for path, num_bytes, file in read_archive(shard):
            match = _NAME.fullmatch(path.as_posix())
            if match is None or (path.name.startswith("__") and path.name.endswith("__")):
                continue  # a README, a hidden file, meta data: part of no sample
            key, extension = same_id(match[1]), match[2].lower()
            if current is None or current.key != key:
                if current is not None:
                    yield _sample(current)
                current = _Open(key)
            if extension in current.files:
                current.repeated.append(extension)
            elif extension not in wanted:
                current.files[extension] = b""
            else:
                limit = MAX_CLIP_BYTES if extension in AUDIO_EXTENSIONS else MAX_TEXT_BYTES
                current.files[extension] = file.read() if num_bytes <= lifted(limit) else None
    if current is not None:
        yield _sample(current)


def _sample(opened: _Open) -> Sample:
    return Sample(opened.key, opened.files, tuple(opened.repeated))


def _check_end(shard: Path) -> None:
    """tarfile takes a tar that was cut between two files for a whole one."""
    with open_regular(shard) as file:
        if file.read(2) in COMPRESSED_MAGIC:
            return  # the compression has its own checksum
        end = file.seek(0, 2)
        file.seek(max(0, end - END_BLOCKS * BLOCK_BYTES))
        tail = file.read()
    if len(tail) < END_BLOCKS * BLOCK_BYTES or any(tail):
        raise UserError(
            f"{shard}: is not a tar archive, or breaks off before its end; get it again, or pack "
            f"it again with tar --sort=name"
        )
