"""Which entries of a source a corpus takes: caps of its training split, and no leakage.

Both need to know all entries before the first is taken, so the source is read once more for each
that is asked for. Hashes are held in the meantime: about 70 bytes for each sentence and speaker
of dev and test, about 150 for each utterance that a cap lets through.
"""

from __future__ import annotations

import heapq
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from soritune.audio.views import View
from soritune.corpus.leakage import HeldOut
from soritune.corpus.subset import MAX_RANK, rank
from soritune.errors import UserError
from soritune.sources.exclude import leave_out, read_ids
from soritune.sources.options import SourceOptions
from soritune.utterance import Excerpt, Rejected, Utterance

NoteKind = Literal[
    "beyond-cap", "shared-sentence-kept", "shared-speaker-kept", "excluded-not-there"
]

NOTE_TEXTS: dict[str, str] = {
    "beyond-cap": "of train not taken, beyond max_hours or max_utterances",
    "shared-sentence-kept": "have a sentence that is also in dev or test (kept as asked)",
    "shared-speaker-kept": "have a speaker who is also in dev or test",
    "excluded-not-there": "ids of exclude are not in the source",
}
"""What the numbers of notes mean, for people."""


@dataclass(frozen=True)
class Note:
    """Something to count in the card; `beyond-cap` takes the place of an entry."""

    kind: NoteKind

    @property
    def stands_for_an_entry(self) -> bool:
        """Whether the entry itself does not come."""
        return self.kind == "beyond-cap"


Entry = Utterance | Rejected
Read = Callable[[], Iterable[Entry]]


def select(read: Read, options: SourceOptions, *, disjoint: bool = False) -> Iterator[Entry | Note]:
    """Yield the entries of a source; those that are not taken become `Rejected` or `Note`.

    Args:
        read: gives the same entries each time it is called.
        options: what the recipe says of the corpus.
        disjoint: the splits share nothing by the way they were made, which saves a pass.
    """
    ids = {} if options.exclude is None else read_ids(options.exclude)
    missing: list[str] = []

    def included() -> Iterable[Entry]:
        return leave_out(read(), ids, missing) if ids else read()

    held_out = HeldOut() if disjoint else find_held_out(included())

    def without_leakage() -> Iterator[Entry | Note]:
        for entry in included():
            if isinstance(entry, Utterance):
                yield from _judge(entry, held_out, options)
            else:
                yield entry

    if options.max_hours is None and options.max_utterances is None:
        yield from without_leakage()
    else:
        yield from _capped(without_leakage, options)
    yield from (Note("excluded-not-there") for _ in missing)


def _capped(
    entries: Callable[[], Iterator[Entry | Note]], options: SourceOptions
) -> Iterator[Entry | Note]:
    threshold = find_threshold((e for e in entries() if isinstance(e, Utterance)), options)
    notes: list[Note] = []  # of the utterance that follows them
    for entry in entries():
        if isinstance(entry, Note):
            notes.append(entry)
            continue
        if isinstance(entry, Utterance) and entry.split == "train" and rank(entry.id) > threshold:
            yield Note("beyond-cap")
        else:
            yield from notes
            yield entry
        notes.clear()


def find_held_out(entries: Iterable[Entry]) -> HeldOut:
    """Return what dev and test have, from one pass over the entries."""
    found = HeldOut()
    for entry in entries:
        if isinstance(entry, Utterance) and entry.split != "train":
            found.add(entry)
    return found


def _judge(
    utterance: Utterance, held_out: HeldOut, options: SourceOptions
) -> Iterator[Entry | Note]:
    """Yield the utterance, after notes on what it shares, or why it is left out."""
    kept: list[Note] = []
    sentence_in = held_out.split_with_sentence(utterance)
    speaker_in = held_out.split_with_speaker(utterance)
    if sentence_in is not None:
        if options.shared_sentences != "keep":
            yield _rejected(utterance, "sentence", sentence_in)
            return
        kept.append(Note("shared-sentence-kept"))
    if speaker_in is not None:
        if options.shared_speakers != "keep":
            yield _rejected(utterance, "speaker", speaker_in)
            return
        kept.append(Note("shared-speaker-kept"))
    yield from kept
    yield utterance


def _rejected(utterance: Utterance, noun: str, split: str) -> Rejected:
    detail = f"its {noun} is also in {split} (shared_{noun}s: keep takes it)"
    return Rejected(utterance.id, f"shared-{noun}", detail, f"split {utterance.split}")


def find_threshold(utterances: Iterable[Utterance], options: SourceOptions) -> int:
    """Return the highest rank that the caps let through: the train utterances up to it fit.

    Lengths are those that the headers of the files claim; a file whose header cannot be read
    counts as nothing, because it will not be taken.
    """
    room_s = None if options.max_hours is None else options.max_hours * 3600
    # A heap of negative ranks: its first is the one that goes when there are too many.
    chosen: list[tuple[int, float]] = []
    seen: set[int] = set()
    total_s = 0.0
    threshold = MAX_RANK
    for utterance in utterances:
        if utterance.split != "train":
            continue
        place = rank(utterance.id)
        if place > threshold or place in seen:
            continue
        seen.add(place)
        length_s = 0.0 if room_s is None else claimed_duration_s(utterance)
        heapq.heappush(chosen, (-place, length_s))
        total_s += length_s
        while chosen and (
            (options.max_utterances is not None and len(chosen) > options.max_utterances)
            or (room_s is not None and total_s > room_s)
        ):
            highest, length_s = heapq.heappop(chosen)
            total_s -= length_s
            threshold = -highest - 1
    return threshold


def claimed_duration_s(utterance: Utterance) -> float:
    """Return the length of the audio as its header claims it, 0 where it cannot be read."""
    import soundfile

    audio = utterance.audio
    try:
        if isinstance(audio, bytes):
            return float(soundfile.info(View(io.BytesIO(audio), [(0, len(audio))])).duration)
        if isinstance(audio, Path):
            return _duration_s(audio)
        if isinstance(audio, Excerpt):
            if audio.duration_s is not None:
                return audio.duration_s
            return max(0.0, _duration_s(audio.path) - audio.start_s)
        samples, rate_hz = audio.render()
        return len(samples) / rate_hz
    except (UserError, soundfile.SoundFileError, OSError, ValueError, TypeError, ZeroDivisionError):
        return 0.0


def _duration_s(path: Path) -> float:
    import soundfile

    # A pipe would never end; a folder is not audio.
    return float(soundfile.info(str(path)).duration) if path.is_file() else 0.0
