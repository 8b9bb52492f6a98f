"""Which recordings have which subtitles: by their names in a folder, or by a list of pairs."""

from __future__ import annotations

import codecs
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from soritune.errors import UserError
from soritune.files import read_regular
from soritune.languages.names import language_code
from soritune.sources.folders import find_file, walk
from soritune.sources.formats.cues import Kind
from soritune.sources.formats.folder import FOREIGN, READABLE
from soritune.sources.formats.lines import LONGEST_S
from soritune.sources.formats.manifest import SPLITS
from soritune.utterance import Rejected, Split

AUDIO_SUFFIXES = frozenset(f".{ending}" for ending in READABLE.split())
FOREIGN_AUDIO = frozenset(f".{ending}" for ending in FOREIGN.split())
FOREIGN_SUBTITLES = frozenset([".smi", ".ass", ".ssa", ".ttml", ".dfxp", ".sbv", ".sub", ".lrc"])
KINDS: dict[str, Kind] = {".srt": "srt", ".vtt": "vtt"}

Seconds = Annotated[float, Field(ge=-LONGEST_S, le=LONGEST_S)]


class Pair(BaseModel):
    """A line of the list: paths are relative to its folder; `shift_s` is added to the recipe's.

    `channel` (from 0) is the only one that is heard.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    audio: Annotated[str, Field(min_length=1)]
    subtitles: Annotated[str, Field(min_length=1)]
    shift_s: Seconds = 0.0
    channel: NonNegativeInt | None = None
    speaker: Annotated[str, Field(min_length=1)] | None = None
    language: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Recording:
    """A recording and its subtitles; `id` begins the ids of its utterances."""

    id: str
    audio: Path
    subtitles: Path
    language: str
    shift_s: float = 0.0
    channel: int | None = None
    speaker: str | None = None
    split: Split | None = None


def find_recordings(path: Path, language: str) -> Iterator[Recording | Rejected]:
    """Yield recordings in the order of their names, or of the list; entries that name none.

    Raises UserError where `path` is neither a folder nor a list that can be read.
    """
    if path.is_dir():
        yield from _beside(path, language)
    elif path.suffix.lower() == ".jsonl":
        yield from _listed(path, language)
    else:
        raise UserError(f"subtitles: {path} is neither a folder nor a list (.jsonl); fix path")


def _beside(path: Path, language: str) -> Iterator[Recording | Rejected]:
    """Yield recordings of a folder with the subtitles of their names."""
    code = language_code(language)
    for folder, names in walk(path):
        audio: dict[str, list[str]] = {}
        subtitles: dict[str, list[str]] = {}
        foreign: dict[str, list[str]] = {}
        for name in names:
            file = Path(name)
            stem, suffix = unicodedata.normalize("NFC", file.stem), file.suffix.lower()
            if suffix in AUDIO_SUFFIXES:
                audio.setdefault(stem, []).append(name)
            elif suffix in KINDS:
                before, _, last = stem.rpartition(".")
                of_language = bool(before) and language_code(last) == code
                subtitles.setdefault(before if of_language else stem, []).append(name)
            elif suffix in FOREIGN_AUDIO | FOREIGN_SUBTITLES:
                foreign.setdefault(stem, []).append(name)
        for stem in sorted(audio.keys() | subtitles.keys() | foreign.keys()):
            recording_id = (folder / stem).relative_to(path).as_posix()
            sounds, texts = audio.get(stem, []), subtitles.get(stem, [])
            others = foreign.get(stem, [])
            where = str(folder / (sounds or texts or others)[0])
            if others and not (sounds and texts):
                yield Rejected(recording_id, "unreadable", _not_read(others), where)
            elif not sounds:
                if not any(other and stem.startswith(f"{other}.") for other in audio):
                    yield Rejected(recording_id, "missing", "has no recording beside it", where)
                # else: subtitles of another language
            elif not texts:
                yield Rejected(recording_id, "missing", "has no subtitles beside it", where)
            elif len(sounds) > 1 or len(texts) > 1:
                several = ", ".join(sounds if len(sounds) > 1 else texts)
                detail = f"which is meant: {several}; keep one, or list the pairs"
                yield Rejected(recording_id, "bad-line", detail, where)
            else:
                yield Recording(recording_id, folder / sounds[0], folder / texts[0], code)


def _not_read(names: list[str]) -> str:
    return (
        f"{', '.join(names)} cannot be read: convert recordings to one of "
        f"{' '.join(sorted(AUDIO_SUFFIXES))}, subtitles to {' or '.join(KINDS)}"
    )


def _listed(path: Path, language: str) -> Iterator[Recording | Rejected]:
    try:
        content = read_regular(path)
    except OSError as error:
        raise UserError(f"subtitles: {path} cannot be read ({error})") from error
    folder = path.parent
    seen: set[str] = set()
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        try:
            pair = Pair.model_validate(json.loads(line.decode("utf-8")))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            yield Rejected("", "bad-line", f"{key or 'the line'}: {first['msg']}", where)
            continue
        except (ValueError, RecursionError) as error:
            yield Rejected("", "bad-line", f"the line is not JSON ({error})", where)
            continue
        split = SPLITS.get((pair.split or "").lower())
        recording_id = Path(pair.audio).with_suffix("").as_posix()
        if pair.channel is not None:
            recording_id += f"/channel-{pair.channel}"
        if pair.split and split is None:
            known = ", ".join(SPLITS)
            detail = f"split {pair.split} is none of {known}"
            yield Rejected(recording_id, "bad-split", detail, where)
        elif recording_id in seen:
            detail = "an earlier line names the same recording and channel"
            yield Rejected(recording_id, "duplicate-id", detail, where)
        elif Path(pair.subtitles).suffix.lower() not in KINDS:
            detail = f"subtitles are .srt or .vtt, not {pair.subtitles}"
            yield Rejected(recording_id, "bad-line", detail, where)
        else:
            seen.add(recording_id)
            yield Recording(
                id=recording_id,
                audio=find_file(folder / pair.audio),
                subtitles=find_file(folder / pair.subtitles),
                language=language_code(pair.language or language),
                shift_s=pair.shift_s,
                channel=pair.channel,
                speaker=pair.speaker,
                split=split,
            )
