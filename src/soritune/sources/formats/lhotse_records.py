"""The content of a line of a Lhotse manifest, checked (lhotse 1.x: audio, supervision, cut).

Times are in seconds. A supervision's start counts from its cut's, a cut's from the recording's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soritune.audio import SAMPLE_RATE_HZ
from soritune.languages.names import language_code
from soritune.sources.folders import find_file
from soritune.sources.formats.lines import number_of
from soritune.utterance import Excerpt

CUTS = ("MonoCut", "MultiCut", "Cut")
"""The last is what MonoCut was called before Lhotse 0.8."""
HARMLESS = "Resample"
"""A transform that `prepare` does itself; below its rate it would take sound away."""
LONGEST_ADDRESS = 80


class Fault(Exception):  # noqa: N818 - it is kept, not only raised
    """Why a record cannot be used: what `Rejected` needs, without the place."""

    def __init__(self, of: str, reason: str, detail: str) -> None:
        super().__init__(of, reason, detail)
        self.id = of
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Recording:
    """A recording: its files, or why there is none, with the numbers of the channels in each."""

    id: str
    files: tuple[tuple[str | Fault, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Supervision:
    """A transcript with its span in the recording."""

    id: str
    recording_id: str
    start_s: float
    duration_s: float
    channels: tuple[int, ...]
    text: str | None
    language: str | None
    speaker: str | None


@dataclass(frozen=True)
class Cut:
    """A part of a recording with the records of what is said in it."""

    id: str
    start_s: float
    channels: tuple[int, ...]
    recording: Recording
    supervisions: tuple[object, ...]


def recording_of(value: object) -> Recording:
    """Raises Fault: no recording, a source that is not a file, transforms."""
    record = _record(value, "a recording", ("id", "sources"))
    of = record["id"]
    if _is_changed(record.get("transforms")):
        raise Fault(
            of,
            "transformed",
            "is to be heard through transforms (another speed, loudness or lower rate), which are "
            "not done here; use the manifest from before them",
        )
    files: list[tuple[str | Fault, tuple[int, ...]]] = []
    for source in record["sources"] if isinstance(record["sources"], list) else [None]:
        if not isinstance(source, dict) or not isinstance(source.get("source"), str):
            raise Fault(of, "bad-line", "its sources are not as Lhotse writes them")
        kind, address = source.get("type"), source["source"][:LONGEST_ADDRESS]
        if kind != "file":
            remedy = "commands are never run" if kind == "command" else "it is not fetched"
            reason = "command" if kind == "command" else "no-file"
            detail = f"its audio is a {kind} ({address}), {remedy}; save it as a file"
            file: str | Fault = Fault(of, reason, detail)
        else:
            file = source["source"]
        files.append((file, _channels(source.get("channels", [0]), of)))
    if not files:
        raise Fault(of, "bad-line", "has no sources")
    if all(isinstance(file, Fault) for file, _ in files):
        raise next(file for file, _ in files if isinstance(file, Fault))
    return Recording(of, tuple(files))


def supervision_of(value: object, cut: Cut | None = None) -> Supervision:
    """Return a supervision, alone or of a cut. Raises Fault: not a supervision, or bad times."""
    record = _record(value, "a supervision", ("id", "recording_id", "start", "duration"))
    of = record["id"]
    start_s, duration_s = number_of(record["start"]), number_of(record["duration"])
    if start_s is None or duration_s is None:
        raise Fault(of, "bad-line", "its start and duration are not seconds")
    texts: dict[str, str | None] = {}
    for name in ("text", "language", "speaker"):
        text = record.get(name)
        if text is not None and not isinstance(text, str):
            raise Fault(of, "bad-line", f"its {name} is not text")
        texts[name] = text
    language = texts["language"]
    own = [0] if cut is None else list(cut.channels)
    return Supervision(
        id=of,
        recording_id=str(record["recording_id"]),
        start_s=start_s + (0.0 if cut is None else cut.start_s),
        duration_s=duration_s,
        channels=_channels(record.get("channel", own), of),
        text=texts["text"],
        language=None if language is None else language_code(language),
        speaker=texts["speaker"],
    )


def cut_of(value: object) -> Cut:
    """Raises Fault: no cut of one recording (mixed, padded), one without audio."""
    record = _record(value, "a cut", ("id",))
    of = record["id"]
    kind = record.get("type", CUTS[0])
    if kind not in CUTS:
        raise Fault(
            of, "transformed", f"is a {kind}, which is made while it is heard; use the cuts before"
        )
    if not isinstance(record.get("recording"), dict):
        raise Fault(of, "missing", "the cut has no recording (features alone are not audio)")
    start_s, supervisions = number_of(record.get("start")), record.get("supervisions", [])
    if start_s is None or not isinstance(supervisions, list):
        raise Fault(of, "bad-line", "its start or its supervisions are not as Lhotse writes them")
    try:
        recording = recording_of(record["recording"])
    except Fault as fault:
        raise Fault(of, fault.reason, fault.detail) from fault
    channels = _channels(record.get("channel", 0), of)
    return Cut(of, start_s, channels, recording, tuple(supervisions))


def locate(supervision: Supervision, recording: Recording, folder: Path) -> Excerpt:
    """Return the part of a file that a supervision spans; relative paths count from `folder`.

    Raises Fault: a channel that no file has, channels of several files, or some of one.
    """
    wanted = set(supervision.channels)
    holds = next((file for file in recording.files if wanted <= set(file[1])), None)
    if holds is None:
        listed = ", ".join(map(str, supervision.channels))
        raise Fault(supervision.id, "outside", f"no file of the recording has channel {listed}")
    name, channels = holds
    if isinstance(name, Fault):
        raise Fault(supervision.id, name.reason, name.detail)
    if len(wanted) == 1 and len(channels) > 1:
        channel = channels.index(supervision.channels[0])
    elif wanted == set(channels):
        channel = None
    else:
        raise Fault(supervision.id, "bad-line", "is of some channels of a file; give one, or all")
    return Excerpt(find_file(folder / name), supervision.start_s, supervision.duration_s, channel)


def _is_changed(transforms: object) -> bool:
    """Return whether transforms change a recording, apart from its sample rate."""
    if not transforms:
        return False
    if not isinstance(transforms, list):
        return True
    for transform in transforms:
        if not isinstance(transform, dict) or transform.get("name") != HARMLESS:
            return True
        kwargs = transform.get("kwargs")
        rate_hz = (
            number_of(kwargs.get("target_sampling_rate")) if isinstance(kwargs, dict) else None
        )
        if rate_hz is None or rate_hz < SAMPLE_RATE_HZ:
            return True
    return False


def _record(value: object, what: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Fault("", "bad-line", value if isinstance(value, str) else f"is not a {what}")
    of = value.get("id")
    if not isinstance(of, str) or not of:
        raise Fault("", "bad-line", f"is not {what}: it has no id")
    lacking = [key for key in keys if key not in value]
    if lacking:
        raise Fault(of, "bad-line", f"is not {what}: it has no {', '.join(lacking)}")
    return value


def _channels(value: object, of: str) -> tuple[int, ...]:
    channels = value if isinstance(value, list) else [value]
    if not channels or not all(
        isinstance(channel, int) and not isinstance(channel, bool) and channel >= 0
        for channel in channels
    ):
        raise Fault(of, "bad-line", f"{value!r} is not a channel")
    return tuple(channels)
