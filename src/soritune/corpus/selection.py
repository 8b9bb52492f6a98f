"""Which entries of a source a corpus takes: caps of its training split, and no shared sentence.

Both need to know all entries before the first is taken, so the source is passed once more for
each that is asked for. What is held meanwhile is digests: 14 to 27 bytes for each sentence and
speaker of dev and test, about 100 for each utterance that a cap lets through.
"""

from __future__ import annotations

import heapq
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from soritune.corpus.hashes import DigestSet, digest64
from soritune.errors import UserError
from soritune.sources.exclude import leave_out, read_ids
from soritune.sources.options import SourceOptions
from soritune.sources.split import sentence_key
from soritune.utterance import Excerpt, Rejected, Split, Utterance

NoteKind = Literal[
    "beyond-cap", "shared-sentence-kept", "shared-speaker-kept", "excluded-not-there"
]

NOTE_TEXTS: dict[str, str] = {
    "beyond-cap": "of train not taken, beyond max_hours or max_utterances",
    "shared-sentence-kept": "have a sentence that dev or test has, too (kept as asked)",
    "shared-speaker-kept": "have a speaker that dev or test has, too",
    "excluded-not-there": "ids of exclude are not in the source",
}
"""What the numbers of notes mean, for people."""

HIGHER: dict[Split, tuple[Split, ...]] = {"train": ("test", "dev"), "dev": ("test",), "test": ()}
"""Which splits go before: what they have is taken from the others, never the other way round."""


@dataclass(frozen=True)
class Note:
    """Something to count for the card; `beyond-cap` stands in the place of an entry."""

    kind: NoteKind

    @property
    def stands_for_an_entry(self) -> bool:
        """Whether the entry itself does not come."""
        return self.kind == "beyond-cap"


Entry = Utterance | Rejected
Read = Callable[[], Iterable[Entry]]


def select(read: Read, options: SourceOptions, *, disjoint: bool = False) -> Iterator[Entry | Note]:
    """The entries of a source, those that are not to be taken as `Rejected` or `Note`.

    `read` gives the same entries each time it is called. `disjoint` tells that the splits share
    nothing by the way they were made, which saves a pass.
    """
    ids = {} if options.exclude is None else read_ids(options.exclude)
    missing: list[str] = []

    def asked_for() -> Iterable[Entry]:
        return leave_out(read(), ids, missing) if ids else read()

    held_out = HeldOut() if disjoint else find_held_out(asked_for())

    def guarded() -> Iterator[Entry | Note]:
        for entry in asked_for():
            if isinstance(entry, Utterance):
                yield from held_out.judge(entry, options)
            else:
                yield entry

    if options.max_hours is None and options.max_utterances is None:
        yield from guarded()
        yield from (Note("excluded-not-there") for _ in missing)
        return
    threshold = find_threshold((each for each in guarded() if isinstance(each, Utterance)), options)
    notes: list[Note] = []  # of the utterance that comes after them
    for each in guarded():
        if isinstance(each, Note):
            notes.append(each)
            continue
        if isinstance(each, Utterance) and each.split == "train" and _rank(each) > threshold:
            yield Note("beyond-cap")
        else:
            yield from notes
            yield each
        notes.clear()
    yield from (Note("excluded-not-there") for _ in missing)


@dataclass
class HeldOut:
    """Digests of what is said, and by whom, in dev and in test."""

    sentences: dict[Split, DigestSet] = field(
        default_factory=lambda: {"dev": DigestSet(), "test": DigestSet()}
    )
    speakers: dict[Split, DigestSet] = field(
        default_factory=lambda: {"dev": DigestSet(), "test": DigestSet()}
    )

    def judge(self, utterance: Utterance, options: SourceOptions) -> Iterator[Entry | Note]:
        """The utterance, with notes on what it shares, or why it is left out."""
        kept: list[Note] = []
        for shared, policy, noun in (
            (
                self._where(utterance, _sentence, self.sentences),
                options.shared_sentences,
                "sentence",
            ),
            (self._where(utterance, _speaker, self.speakers), options.shared_speakers, "speaker"),
        ):
            if shared is None:
                continue
            if policy == "drop-from-train":
                yield Rejected(
                    utterance.id,
                    f"shared-{noun}",
                    f"its {noun} is in {shared}, too (shared_{noun}s: keep takes it all the same)",
                    f"split {utterance.split}",
                )
                return
            kept.append(
                Note("shared-sentence-kept" if noun == "sentence" else "shared-speaker-kept")
            )
        yield from kept
        yield utterance

    def _where(
        self,
        utterance: Utterance,
        key: Callable[[Utterance], int | None],
        held: dict[Split, DigestSet],
    ) -> Split | None:
        digest = key(utterance)
        if digest is None:
            return None
        return next((s for s in HIGHER[utterance.split] if digest in held[s]), None)


def find_held_out(entries: Iterable[Entry]) -> HeldOut:
    """What dev and test hold, from one pass over the entries."""
    found = HeldOut()
    for entry in entries:
        if isinstance(entry, Utterance) and entry.split != "train":
            for key, held in ((_sentence, found.sentences), (_speaker, found.speakers)):
                digest = key(entry)
                if digest is not None:
                    held[entry.split].add(digest)
    return found


def find_threshold(utterances: Iterable[Utterance], options: SourceOptions) -> int:
    """The highest rank that the caps let through: train utterances up to it fit into them.

    Lengths are those that the headers of the files claim; a file whose header cannot be read
    counts as nothing, for it is not taken.
    """
    room_s = None if options.max_hours is None else options.max_hours * 3600
    # Of a heap of negative ranks the first is the one that is out when there are too many.
    chosen: list[tuple[int, float]] = []
    seen = DigestSet()
    total_s = 0.0
    threshold = (1 << 64) - 1
    for utterance in utterances:
        if utterance.split != "train":
            continue
        rank = _rank(utterance)
        if rank > threshold or not seen.add(rank):
            continue
        length_s = 0.0 if room_s is None else claimed_duration_s(utterance)
        heapq.heappush(chosen, (-rank, length_s))
        total_s += length_s
        while chosen and (
            (options.max_utterances is not None and len(chosen) > options.max_utterances)
            or (room_s is not None and total_s > room_s)
        ):
            out, length_s = heapq.heappop(chosen)
            total_s -= length_s
            threshold = -out - 1
    return threshold


def claimed_duration_s(utterance: Utterance) -> float:
    """Length of the audio as its header claims it, 0 where it cannot be read."""
    import soundfile

    audio = utterance.audio
    try:
        if isinstance(audio, bytes):
            return float(soundfile.info(io.BytesIO(audio)).duration)
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

    # A pipe would never end; a folder is no audio.
    return float(soundfile.info(str(path)).duration) if path.is_file() else 0.0


def _rank(utterance: Utterance) -> int:
    """An order that has nothing to do with the source's and does not change with other entries."""
    return digest64("cap", utterance.id)


def _sentence(utterance: Utterance) -> int | None:
    key = sentence_key(utterance.text)
    return digest64(key) if key else None


def _speaker(utterance: Utterance) -> int | None:
    return None if utterance.speaker is None else digest64(utterance.speaker)
