"""KsponSpeech (AI-Hub 한국어 음성): 969 h of spontaneous Korean, 16 kHz, marked transcripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from soritune.errors import UserError
from soritune.languages.ko.transcription import Policy, TranscriptionError, Unclear, plain_words
from soritune.sources.corpora.kspon_release import (
    LISTS,
    ListName,
    Recording,
    Release,
    count_list,
    describe_release,
    has_list,
    open_release,
    read_list,
)
from soritune.sources.options import SourceOptions
from soritune.sources.pcm import PcmFile
from soritune.utterance import Rejected, Split, Utterance

SPLIT_OF: dict[ListName, Split] = {
    "train": "train",
    "dev": "dev",
    "eval_clean": "test",
    "eval_other": "test",
}


class KsponSource(SourceOptions):
    """`path` is the folder of the release, unpacked; `splits` are the lists to take.

    `policy` chooses the side of `(70%)/(칠 십 퍼센트)`; utterances with a part that nobody
    understood (`u/`) are left out, or with `unclear: keep` lose the mark.
    """

    source: Literal["ksponspeech"]
    path: Path
    splits: list[ListName] = Field(["train", "dev", "eval_clean", "eval_other"], min_length=1)
    policy: Policy = "spelling"
    unclear: Unclear = "drop"


def read(source: KsponSource) -> Iterator[Utterance | Rejected]:
    """Yield utterances of the evaluations, then of dev, then of train, in the order of their lists.

    The corpus names no speakers. Raises UserError: no such folder, nothing of KsponSpeech in it,
    a list that is asked for and not there.
    """
    release = open_release(source.path)
    for name in _wanted(release, source):
        for clip in read_list(release, name):
            yield clip if isinstance(clip, Rejected) else _entry(clip, name, source)


def count(source: KsponSource) -> int | None:
    """Return lines of the lists, or clips where there are none."""
    release = open_release(source.path)
    return sum(count_list(release, name) for name in _wanted(release, source))


def identity(source: KsponSource) -> str:
    """Return a digest of the lists, the transcripts that are read, and when clips came or went."""
    return describe_release(open_release(source.path))


def _wanted(release: Release, source: KsponSource) -> list[ListName]:
    if "splits" in source.model_fields_set:
        for name in source.splits:
            if not has_list(release, name):
                raise UserError(
                    f"ksponspeech: {source.path} holds no {name}.trn and no clips of {name}; "
                    f"unpack the scripts beside the clips, or take {name} out of splits"
                )
    return [name for name in LISTS if name in source.splits]


def _entry(clip: Recording, name: ListName, source: KsponSource) -> Utterance | Rejected:
    try:
        text = plain_words(clip.transcript, source.policy, source.unclear)
    except TranscriptionError as error:
        return Rejected(clip.id, error.reason, error.detail, clip.where)
    # Many files of the evaluations have a byte too many at their end, as released:
    # github.com/openspeech-team/openspeech/issues/124, github.com/sooftware/kospeech/issues/110.
    evaluation = SPLIT_OF[name] == "test"
    return Utterance(
        id=clip.id,
        audio=PcmFile(clip.audio, extra_byte="drop" if evaluation else "refuse"),
        text=text,
        language="ko",
        split=SPLIT_OF[name],
    )
