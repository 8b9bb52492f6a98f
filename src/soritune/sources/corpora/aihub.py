"""Speech corpora of AI-Hub (aihub.or.kr) with labels in JSON, unpacked as they are downloaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from soritune.audio import SAMPLE_RATE_HZ
from soritune.errors import UserError
from soritune.files import read_regular
from soritune.languages.ko.encoding import decode_korean
from soritune.languages.ko.transcription import Policy, TranscriptionError, Unclear, plain_words
from soritune.sources.corpora.aihub_files import (
    AUDIO,
    TEXT,
    Finder,
    describe,
    label_files,
    part_of,
)
from soritune.sources.corpora.aihub_labels import FORMS, Form, Label, LabelError, read_labels
from soritune.sources.formats.division import DividedSource, Unusable, divide
from soritune.sources.pcm import PcmFile
from soritune.utterance import Excerpt, Rejected, Split, Utterance

HEADERLESS = frozenset({".pcm", ".raw"})


class AihubSource(DividedSource):
    """`path` is the folder of a corpus, with its labels and recordings anywhere below.

    `text_key`, `audio_key` and `speaker_key` are needed for labels that are in none of the known
    forms: paths such as `발화정보.stt` or, one for each entry of a list, `dialogs[].speakerText`.
    A label that names no recording belongs to the one of the same name.

    Folders Training, Validation and Test give the splits; `validation` is what Validation counts
    as. Where no folder does, `split_by`, test_share and dev_share divide.
    """

    source: Literal["aihub"]
    path: Path
    text_key: str | None = Field(None, min_length=1)
    audio_key: str | None = Field(None, min_length=1)
    speaker_key: str | None = Field(None, min_length=1)
    validation: Literal["dev", "test"] = "test"
    policy: Policy = "spelling"
    unclear: Unclear = "drop"
    pcm_rate_hz: PositiveInt = SAMPLE_RATE_HZ


def read(source: AihubSource) -> Iterator[Utterance | Rejected]:
    """Yield utterances in the order of their labels' paths.

    Where folders give the splits, no more than one label is held at a time. Raises UserError: no
    such folder, no label in it, keys that do not fit together, entries that cannot be divided.
    """
    forms = _forms(source)
    finder = _finder(source)
    labels = _labels(source, forms, finder)
    if finder.has_parts:
        for path, entry in labels:
            yield _placed(path, entry, source)
        return
    entries = [entry for _, entry in labels]
    utterances = [entry for entry in entries if isinstance(entry, Utterance)]
    spoken = ((utterance.speaker, utterance.text) for utterance in utterances)
    splits = iter(divide(spoken, source, f"aihub: {source.path}"))
    for entry in entries:
        yield entry if isinstance(entry, Rejected) else _divided(entry, next(splits))


def identity(source: AihubSource) -> str:
    """Return a digest of size and time of labels and texts, and of when recordings came or went."""
    _finder(source)
    return describe(source.path)


def _forms(source: AihubSource) -> tuple[Form, ...]:
    if source.text_key is None:
        if source.audio_key is not None or source.speaker_key is not None:
            raise UserError(
                "aihub: audio_key and speaker_key need text_key, the key of the transcript"
            )
        return FORMS
    return (Form(source.text_key, source.audio_key, source.speaker_key),)


def _finder(source: AihubSource) -> Finder:
    if not source.path.is_dir():
        raise UserError(
            f"aihub: there is no folder {source.path}; unpack labels and recordings of the corpus "
            f"(https://aihub.or.kr) into one folder and set path to it"
        )
    if next(label_files(source.path), None) is None:
        raise UserError(
            f"aihub: {source.path} holds no labels (*.json); unpack 라벨링데이터 there as well"
        )
    return Finder(source.path)


def _labels(
    source: AihubSource, forms: tuple[Form, ...], finder: Finder
) -> Iterator[tuple[Path, Utterance | Rejected]]:
    """Yield what each label file holds, all as if it were to be trained on."""
    for path in label_files(source.path):
        name = path.relative_to(source.path).with_suffix("").as_posix()
        try:
            labels = read_labels(read_regular(path), forms)
        except LabelError as error:
            yield path, Rejected(name, error.reason, str(error), str(path))
            continue
        except OSError as error:
            yield path, Rejected(name, "unreadable", f"cannot be read ({error})", str(path))
            continue
        for number, label in enumerate(labels, start=1):
            alone = len(labels) == 1
            where = str(path) if alone else f"{path} entry {number}"
            own_id = name if alone else f"{name}/{number:04d}"
            if label is None:
                yield path, Rejected(own_id, "bad-line", "the entry has no transcript", where)
            else:
                yield path, _entry(label, own_id, where, path, source, finder, alone)


def _entry(
    label: Label,
    own_id: str,
    where: str,
    path: Path,
    source: AihubSource,
    finder: Finder,
    alone: bool,
) -> Utterance | Rejected:
    audio = _audio(label, path, finder, alone)
    if isinstance(audio, str):
        reason = "missing" if audio.startswith("no ") else "bad-line"
        return Rejected(own_id, reason, audio, where)
    utterance_id = audio.relative_to(source.path).with_suffix("").as_posix()
    if label.span is not None:
        utterance_id = own_id
    text = _text(label, path, finder)
    if isinstance(text, Rejected):
        return replace(text, id=utterance_id, where=where)
    try:
        words = plain_words(text, source.policy, source.unclear)
    except TranscriptionError as error:
        return Rejected(utterance_id, error.reason, error.detail, where)
    heard = _heard(audio, label, source)
    if heard is None:
        detail = f"a part of {audio.name} that cannot be cut out (start and end {label.span})"
        return Rejected(utterance_id, "bad-line", detail, where)
    return Utterance(
        id=utterance_id,
        audio=heard,
        text=words,
        language="ko",
        split="train",
        speaker=label.speaker,
    )


def _audio(label: Label, path: Path, finder: Finder, alone: bool) -> Path | str:
    """Return the recording of a label, or why there is none."""
    names = [label.audio] if label.audio else []
    if alone or label.span is not None:
        names.append(path.stem)  # fileNm is now and then misspelt; the label's own name is not
    if not names:
        return "the entry names no recording"
    for name in names:
        found = finder.find(name, path, AUDIO)
        if len(found) > 1:
            places = ", ".join(str(place.relative_to(finder.root)) for place in found[:3])
            return f"several recordings are called {name} ({places})"
        if found:
            return found[0]
    return f"no recording {' or '.join(dict.fromkeys(names))}"


def _text(label: Label, path: Path, finder: Finder) -> str | Rejected:
    """Return the transcript, read from its file where the label names one (textPath)."""
    if not label.text.strip().lower().endswith(".txt"):
        return label.text
    found = finder.find(label.text, path, TEXT)
    if len(found) != 1:
        return Rejected("", "missing", f"no transcript {label.text}", "")
    try:
        text = decode_korean(read_regular(found[0]))
    except OSError as error:
        return Rejected("", "unreadable", f"{found[0].name} cannot be read ({error})", "")
    if text is None:
        return Rejected("", "bad-text", f"{found[0].name} is neither UTF-8 nor CP949", "")
    return text


def _heard(audio: Path, label: Label, source: AihubSource) -> Path | PcmFile | Excerpt | None:
    headerless = audio.suffix.lower() in HEADERLESS
    if label.span is None:
        return PcmFile(audio, source.pcm_rate_hz) if headerless else audio
    start_s, end_s = label.span
    if headerless or not 0 <= start_s < end_s < math.inf:
        return None
    return Excerpt(audio, start_s, end_s - start_s)


def _placed(path: Path, entry: Utterance | Rejected, source: AihubSource) -> Utterance | Rejected:
    if isinstance(entry, Rejected):
        return entry
    part = part_of(path.parent.relative_to(source.path))
    if part is None:
        detail = "no folder above it is called Training, Validation or Test, as others are"
        return Rejected(entry.id, "no-split", detail, str(path))
    splits: dict[str, Split] = {"train": "train", "validation": source.validation, "test": "test"}
    return replace(entry, split=splits[part])


def _divided(utterance: Utterance, split: Split | Unusable) -> Utterance | Rejected:
    if isinstance(split, Unusable):
        return Rejected(utterance.id, split.reason, split.detail, str(utterance.audio))
    return replace(utterance, split=split)
