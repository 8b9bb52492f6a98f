"""Transcripts of spontaneous Korean speech with their marks, to the words alone.

The conventions of KsponSpeech (Bang et al. 2020, Applied Sciences 10(19):6936, section 2.2), which
other corpora of AI-Hub took over:

    (70%)/(칠 십 퍼센트)   dual transcription: how it is written, and how it was said
    아/                    a filler word          모+    a word that is repeated or broken off
    캐서*                  said unclearly         u/     not to be understood at all
    b/ l/ o/ n/            breath, laughter, speech of another, noise

and the labels of AI-Hub's free conversations, `(FP:음)`, `(SP:…)`, `(SN:)`, `(NO:)`, which lose
their label and keep their words. What is wrongly marked is refused, never half cleaned. Repairs
(`w1 +w2` is `w1+ w2`) and refusals (`w1+w2`) follow the authors' own script in ESPnet
(egs2/ksponspeech/asr1/local/get_transcriptions.py), except that it deletes every `/`.
"""

from __future__ import annotations

import re
from typing import Literal

Policy = Literal["spelling", "pronunciation"]
Unclear = Literal["drop", "keep"]

NOISE = re.compile(r"(?<![A-Za-z0-9])(?:[blonu]/)+(?![A-Za-z0-9])")
"""One or more noise tags; `club/` is a word, `b/w` an abbreviation."""
LABEL = re.compile(r"\([A-Z]{2}:([^()]*)\)")
DUAL = re.compile(r"\(([^()]+)\) ?/ ?\(([^()]+)\)")
PLUS_BEFORE_WORD = re.compile(r"(?<=\S) \+")
STAR = re.compile(r"(?<!\d)\*|\*(?!\d)")
"""Not that of `7*7`."""
UNKNOWN_TAG = re.compile(r"(?<!\S)[A-Za-z]/(?![A-Za-z0-9])")
MARKS_AT_END = re.compile(r"(?<=[^\s+/])[+/]+(?=[\s.,?!~…\"'”’]|$)")
LEFT_OVER = re.compile(r"[()+{}<>\[\]]|&[^\s&]+&|(?<![A-Za-z0-9])/|/(?![A-Za-z0-9])")
"""A `/` between Latin letters or digits (A/S, 24/7) is part of a word. Braces, brackets and
`&name&` are marks of other conventions ({laughing}, &이름1&)."""
PUNCTUATION_ALONE = re.compile(r"(?:^| )([.,?!]+)(?= |$)")
# What looks like a mark and belongs to a word, while the marks around it are taken off.
HIDDEN = {"/": "\ue000", "+": "\ue001"}
SHOWN = str.maketrans({hidden: mark for mark, hidden in HIDDEN.items()})


class TranscriptionError(ValueError):
    """A transcript that gives no words to learn from.

    `reason` is one word for programs: empty-text, unclear (holds u/), no-speech (marks alone),
    bad-markup.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


def plain_words(transcript: str, policy: Policy = "spelling", unclear: Unclear = "drop") -> str:
    """Return the words of a marked transcript, separated by single spaces.

    `policy` chooses the side of dual transcriptions. Words of which only the way they were said
    is marked (fillers, repetitions, `*`) stay. `unclear` says what becomes of an utterance with a
    part that nobody understood: drop refuses it, keep takes the rest of its words. Punctuation
    that a mark leaves alone goes to the word before it. Raises TranscriptionError.
    """
    text = " ".join(transcript.split())
    if not text:
        raise TranscriptionError("empty-text", "the transcript is empty")
    if set(text) & set(HIDDEN.values()):
        raise TranscriptionError("bad-markup", "holds characters that are not text")
    if unclear == "drop" and any("u" in match[0] for match in NOISE.finditer(text)):
        raise TranscriptionError("unclear", "a part of it was not understood (u/)")
    text = " ".join(LABEL.sub(r"\1", NOISE.sub(" ", text)).split())
    text = DUAL.sub(lambda match: _side(match[1], match[2], policy), text)
    unknown = UNKNOWN_TAG.search(text)
    text = _without_marks(text)
    wrong = unknown or LEFT_OVER.search(text)
    if wrong:
        raise TranscriptionError("bad-markup", f"is not marked by the rules at {wrong[0]!r}")
    text = " ".join(text.translate(SHOWN).split())
    text = PUNCTUATION_ALONE.sub(r"\1", text).lstrip(".,?! ")
    if not any(character.isalnum() for character in text):
        raise TranscriptionError("no-speech", "holds marks and no word")
    return text


def _side(spelling: str, pronunciation: str, policy: Policy) -> str:
    """Return one side of a dual transcription without its marks.

    `A/S`, `1+1` and `A+` are how things are written: `/` and `+` there are no marks unless the
    other side also has them.
    """
    if not spelling.strip() or not pronunciation.strip():
        raise TranscriptionError("bad-markup", "a side of a dual transcription is empty")
    if policy == "pronunciation":
        return _without_marks(pronunciation)
    if "+" not in pronunciation:
        spelling = re.sub(r"(?<=[A-Za-z0-9])\+", HIDDEN["+"], spelling)
    if "/" not in pronunciation:
        spelling = re.sub(r"(?<=\S)/(?=\S)", HIDDEN["/"], spelling)
    return _without_marks(spelling)


def _without_marks(text: str) -> str:
    return MARKS_AT_END.sub("", STAR.sub("", PLUS_BEFORE_WORD.sub("+ ", text)))
