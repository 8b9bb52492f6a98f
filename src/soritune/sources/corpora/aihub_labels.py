"""Transcripts out of the JSON labels of AI-Hub: one file a clip, or one a session.

A key is written as a path: `발화정보.stt`, or with `[]` for each entry of a list,
`dataSet.dialogs[].text`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from soritune.languages.ko.encoding import decode_korean

EACH = "[]"


@dataclass(frozen=True)
class Form:
    """Where a label holds the transcript, the name of the recording, and the speaker.

    `start` and `end` are where the times are (in seconds) of an utterance in a longer recording.
    """

    text: str
    audio: str | None = None
    speaker: str | None = None
    start: str | None = None
    end: str | None = None


FORMS = (
    # 자유대화 음성 (general, elderly, children): one file a clip
    Form("발화정보.stt", "발화정보.fileNm", "녹음자정보.recorderId"),
    # 명령어 음성
    Form("전사정보.LabelText", "파일정보.FileName", "화자정보.SpeakerName"),
    # 감성 및 발화 스타일별 음성합성
    Form("전사정보.TransLabelText", "파일정보.FileName", "화자정보.SpeakerName"),
    # 상담 음성 (KtelSpeech), 회의, 고객 응대: one file a session; text here or in a file each
    Form("dataSet.dialogs[].text", "dataSet.dialogs[].audioPath", "dataSet.dialogs[].speaker"),
    Form("dataSet.dialogs[].textPath", "dataSet.dialogs[].audioPath", "dataSet.dialogs[].speaker"),
    Form("dialogs[].speakerText", "dialogs[].audioPath", "dialogs[].speakerId"),
    # 한국어 방언 발화: one recording a session, as it was said and not as the standard has it
    Form(
        "utterance[].dialect_form",
        speaker="utterance[].speaker_id",
        start="utterance[].start",
        end="utterance[].end",
    ),
    # 문학작품 낭송·낭독
    Form("[].sentences[].voice_piece.tr", "[].sentences[].voice_piece.filename"),
)
"""Keys as published loaders of these corpora read them; the first that a label has counts."""


@dataclass(frozen=True)
class Label:
    """One transcript; `audio`, `speaker` and `span` None where the label does not name them.

    `span` is where the utterance begins and ends in its recording, in seconds; NaN where the
    label should say it and does not.
    """

    text: str
    audio: str | None
    speaker: str | None
    span: tuple[float, float] | None = None


class LabelError(ValueError):
    """A file that is not a label; `reason` is one word for programs, the message for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read_labels(content: bytes, forms: tuple[Form, ...]) -> list[Label | None]:
    """Return the labels of a file in their order; None for an entry of a list that has no
    transcript.

    Raises LabelError: no JSON, in no encoding of Korean, in none of the forms.
    """
    text = decode_korean(content)
    if text is None:
        raise LabelError("bad-text", "neither UTF-8 nor CP949")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LabelError("bad-line", f"no JSON ({error})") from error
    for form in forms:
        found = [_label(chain, form) for chain in _entries(document, form.text)]
        if any(label is not None for label in found):
            return found
    keys = " or ".join(dict.fromkeys(form.text for form in forms))
    raise LabelError("bad-line", f"has no transcript in {keys}; name its key (text_key)")


def _label(chain: dict[str, Any], form: Form) -> Label | None:
    text = _value(chain, form.text)
    if not isinstance(text, str):
        return None
    span = None
    if form.start is not None and form.end is not None:
        span = (_seconds(chain, form.start), _seconds(chain, form.end))
    return Label(text, _name(chain, form.audio), _name(chain, form.speaker), span)


def _name(chain: dict[str, Any], path: str | None) -> str | None:
    value = _value(chain, path) if path is not None else None
    return str(value).strip() or None if isinstance(value, str | int) else None


def _seconds(chain: dict[str, Any], path: str) -> float:
    value = _value(chain, path)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _entries(document: Any, path: str) -> list[dict[str, Any]]:
    """For each entry of the (innermost) list in `path` all that it lies in, by their paths."""
    chains: list[dict[str, Any]] = [{"": document}]
    prefix = ""
    for part in path.split(EACH)[:-1]:
        name = prefix + part + EACH
        chains = [
            {**chain, name: entry} for chain in chains for entry in _list(chain[prefix], part)
        ]
        prefix = name
    return chains


def _value(chain: dict[str, Any], path: str) -> Any:
    """Return what `path` leads to from the innermost object of the chain that it goes through."""
    prefix = max((prefix for prefix in chain if path.startswith(prefix)), key=len)
    return _walk(chain[prefix], path[len(prefix) :])


def _list(value: Any, path: str) -> Iterator[Any]:
    found = _walk(value, path)
    yield from found if isinstance(found, list) else ()


def _walk(value: Any, path: str) -> Any:
    for key in filter(None, path.split(".")):
        value = value.get(key) if isinstance(value, dict) else None
    return value
