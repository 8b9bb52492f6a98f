"""The forms of a KsponSpeech release: its lists, and its clips with a transcript beside each.

    KsponSpeech_01/KsponSpeech_0001/KsponSpeech_000001.pcm and .txt   … KsponSpeech_05
    KsponSpeech_eval/eval_clean/KsponSpeech_E00001.pcm                and eval_other
    scripts/train.trn, dev.trn, eval_clean.trn, eval_other.trn        `path :: text` a line

Releases differ in the folders above these, so clips are found by the name of the folder that
holds them (`KsponSpeech_0001`, `eval_clean`), wherever that is.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from soritune.errors import UserError
from soritune.files import open_regular, read_regular
from soritune.languages.ko.encoding import decode_korean
from soritune.sources.folders import walk
from soritune.utterance import Rejected

ListName = Literal["train", "dev", "eval_clean", "eval_other"]
LISTS: tuple[ListName, ...] = ("eval_clean", "eval_other", "dev", "train")
"""What is held back comes first, so that a clip of two lists is never trained on."""
SEPARATOR = "::"
CLIP = re.compile(r"(KsponSpeech_E?\d+)\.(pcm|txt)", re.IGNORECASE)
REMEDY = (
    "set path to the folder that holds KsponSpeech_01 to KsponSpeech_05, KsponSpeech_eval and "
    "scripts (https://aihub.or.kr, 한국어 음성)"
)


@dataclass(frozen=True)
class Recording:
    """A recording, and its transcript in a list or in the file beside it."""

    id: str
    where: str
    audio: Path
    transcript: str


@dataclass(frozen=True)
class Release:
    """Where the lists are (by name), and the folders with clips (by their own name)."""

    root: Path
    lists: dict[str, Path]
    folders: dict[str, Path]


def open_release(root: Path) -> Release:
    """Look through the folder once. Raises UserError where it holds nothing of KsponSpeech."""
    if not root.is_dir():
        raise UserError(f"ksponspeech: there is no folder {root}; {REMEDY}")
    lists: dict[str, Path] = {}
    recordings: dict[str, Path] = {}
    transcripts: dict[str, Path] = {}
    for path, files in walk(root):
        for name in files:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() == ".trn" and stem in LISTS:
                lists.setdefault(stem, path / name)
        kinds = {match[2].lower() for name in files if (match := CLIP.fullmatch(name))}
        if "pcm" in kinds:
            recordings.setdefault(path.name, path)
        elif kinds:
            transcripts.setdefault(path.name, path)
    folders = {**transcripts, **recordings}
    if not lists and not folders:
        raise UserError(f"ksponspeech: {root} holds no *.trn lists and no clips; {REMEDY}")
    return Release(root, lists, folders)


def has_list(release: Release, name: ListName) -> bool:
    """Return whether `name` can be read, from its list or as separate clips."""
    return name in release.lists or bool(_folders_of(release, name))


def read_list(release: Release, name: ListName) -> Iterator[Recording | Rejected]:
    """Yield what belongs to `name`: the lines of its list, or without one the clips of its folders.

    Without train.trn, clips that dev.trn names are left out of train.
    """
    if name in release.lists:
        for number, line in _lines(release.lists[name]):
            yield _listed(release, line, f"{release.lists[name]} line {number}")
        return
    held_back = _ids(release, "dev") if name == "train" else set()
    for folder in _folders_of(release, name):
        for stem in _stems(folder):
            if stem not in held_back:
                yield _beside(folder, stem)


def count_list(release: Release, name: ListName) -> int:
    """Return the number of entries of `read_list`, without reading transcripts."""
    if name in release.lists:
        return sum(1 for _ in _lines(release.lists[name]))
    held_back = _ids(release, "dev") if name == "train" else set()
    return sum(
        1 for folder in _folders_of(release, name) for s in _stems(folder) if s not in held_back
    )


def describe_release(release: Release) -> str:
    """Return text that changes with the lists, the transcripts beside clips, and the folders."""
    digest = hashlib.sha256()
    for name, path in sorted(release.lists.items()):
        digest.update(name.encode() + read_regular(path))
    for name, folder in sorted(release.folders.items()):
        digest.update(f"{name} {folder.stat().st_mtime_ns}".encode())
        if not any(name in _folder_names(release, item) for item in LISTS if item in release.lists):
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                if entry.name.lower().endswith(".txt"):
                    stat = entry.stat()
                    digest.update(f"{entry.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def _folder_names(release: Release, name: ListName) -> set[str]:
    evaluation = {folder for folder in release.folders if folder in ("eval_clean", "eval_other")}
    if name == "train":
        return set(release.folders) - evaluation
    return evaluation & {name}


def _folders_of(release: Release, name: ListName) -> list[Path]:
    return [release.folders[folder] for folder in sorted(_folder_names(release, name))]


def _stems(folder: Path) -> list[str]:
    return sorted({match[1] for entry in os.listdir(folder) if (match := CLIP.fullmatch(entry))})


def _ids(release: Release, name: ListName) -> set[str]:
    if name not in release.lists:
        return set()
    return {clip.id for clip in read_list(release, name)}


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with open_regular(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise UserError(f"ksponspeech: {path} cannot be read ({error})") from error


def _listed(release: Release, line: bytes, where: str) -> Recording | Rejected:
    text = decode_korean(line)
    if text is None:
        name = line.partition(SEPARATOR.encode())[0].decode("ascii", "replace")
        return Rejected(_stem(name), "bad-text", "the line is neither UTF-8 nor CP949", where)
    name, separator, transcript = text.partition(SEPARATOR)
    path = PurePosixPath(name.strip().replace("\\", "/"))
    name_of_clip = CLIP.fullmatch(path.name)
    if not separator or name_of_clip is None or name_of_clip[2].lower() != "pcm":
        return Rejected("", "bad-line", f"is not `KsponSpeech_….pcm {SEPARATOR} text`", where)
    if path.is_absolute() or ".." in path.parts:
        return Rejected(path.stem, "bad-line", "names a file outside the release", where)
    folder = release.folders.get(path.parent.name)
    audio = release.root / path if folder is None else folder / path.name
    return Recording(path.stem, where, audio, transcript.strip())


def _stem(name: str) -> str:
    return PurePosixPath(name.strip().replace("\\", "/")).stem


def _beside(folder: Path, stem: str) -> Recording | Rejected:
    path = _existing(folder, stem, ".txt")
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return Rejected(stem, "missing", f"no transcript {path.name} beside it", str(path))
    except OSError as error:
        return Rejected(stem, "unreadable", f"the transcript cannot be read ({error})", str(path))
    text = decode_korean(content)
    if text is None:
        return Rejected(stem, "bad-text", "neither UTF-8 nor CP949", str(path))
    return Recording(stem, str(path), _existing(folder, stem, ".pcm"), text.strip())


def _existing(folder: Path, stem: str, suffix: str) -> Path:
    upper = folder / (stem + suffix.upper())
    return upper if upper.exists() else folder / (stem + suffix)
