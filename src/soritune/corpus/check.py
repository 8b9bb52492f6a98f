"""The checks of one utterance: clean text and 16 kHz FLAC, or the reason why it is left out."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from soritune.audio import DEFAULT_LIMITS, SAMPLE_RATE_HZ, AudioError, Limits, load_mono_16k
from soritune.corpus.flac import bare_flac, encode_flac, is_exact
from soritune.corpus.shard import Taken
from soritune.languages.form import TextForm
from soritune.languages.names import is_language, language_code, unknown_language
from soritune.sources.sound import AS_IT_IS, SoundForm
from soritune.utterance import Excerpt, Rejected, Utterance

MAX_CHARACTERS_PER_S = 40.0
MAX_CHARACTERS_BESIDES = 40
"""More than this and 40 a second is not a transcript of the clip: the fastest Korean speech has
about 10 syllables a second, English at 300 words a minute 30 characters."""
MAX_ID_CHARACTERS = 1000
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CONTROL_BUT_SPACE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
"""Control characters that are not white space; `clean_text` turns white space into one space."""
INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u2060"))
"""Byte order mark, zero-width space and word joiner: they come with copied text, unseen."""


def check_utterance(
    utterance: Utterance,
    position: int,
    form: TextForm | None = None,
    sound: SoundForm = AS_IT_IS,
) -> Taken | Rejected:
    """Return the utterance with clean text and 16 kHz FLAC, or why it cannot be used.

    Args:
        utterance: an entry of a source.
        position: its place in the source, from 0.
        form: how its texts are to be written.
        sound: how its clip is to be stored.
    """
    where = (
        str(utterance.audio)
        if isinstance(utterance.audio, Path | Excerpt)
        else f"entry {position + 1} of the source"
    )
    fault = _fault_of_text(utterance)
    if fault:
        return Rejected(utterance.id[:MAX_ID_CHARACTERS], *fault, where)
    language = language_code(utterance.language)
    target = language_code(utterance.translation_language or "") or None
    text = clean_text(utterance.text)
    translation = clean_text(utterance.translation or "")
    if form is not None:
        text = form.apply(text, language)
        translation = form.apply(translation, target)
    if not text and utterance.speech:
        return Rejected(utterance.id, "empty-text", "the transcript is empty", where)
    limits = DEFAULT_LIMITS if utterance.speech else Limits(silence_peak=None)
    bare = bare_flac(utterance.audio, limits)
    try:
        samples = load_mono_16k(utterance.audio if bare is None else bare, limits)
    except AudioError as error:
        return Rejected(utterance.id, error.reason, error.detail, error.where or where)
    duration_s = len(samples) / SAMPLE_RATE_HZ
    longest = max(len(text), len(utterance.translation or ""))
    if longest > MAX_CHARACTERS_BESIDES + MAX_CHARACTERS_PER_S * duration_s:
        detail = f"{longest:,} characters for {duration_s:.1f} s of audio; nobody speaks that fast"
        return Rejected(utterance.id, "text-too-long", detail, where)
    samples = sound.apply(samples)
    clean = Utterance(
        id=utterance.id,
        audio=b"",
        text=text,
        language=language,
        split=utterance.split,
        speaker=utterance.speaker,
        translation=translation or None,
        translation_language=target,
        source=_name(utterance.source),
    )
    exact = bare is not None and is_exact(bare, samples)
    return Taken(clean, len(samples), bare if bare and exact else encode_flac(samples))


def clean_text(text: str) -> str:
    """Return Unicode NFC with single spaces and nothing invisible; the words stay as they are."""
    return " ".join(unicodedata.normalize("NFC", text).translate(INVISIBLE).split())


def _name(text: str | None) -> str | None:
    """Return a name that is only shown, cut and without what no text has."""
    shown = clean_text(text or "")[:MAX_ID_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
    return CONTROL.sub(" ", shown) or None


def _fault_of_text(utterance: Utterance) -> tuple[str, str] | None:
    """Return reason and detail where a field cannot be what somebody wrote."""
    texts = (utterance.text, utterance.translation or "")
    languages = (utterance.language, utterance.translation_language or "")
    speaker = utterance.speaker or ""
    for field in (utterance.id, *texts, *languages, speaker):
        try:
            field.encode("utf-8")
        except UnicodeEncodeError:
            if field is utterance.id:
                return (
                    "bad-text",
                    "the name is not UTF-8: rename the file, or save the list as UTF-8",
                )
            what = "speaker" if field is speaker else "language" if field in languages else "text"
            return "bad-text", f"{what} that is not valid UTF-8"
    if not utterance.id.strip() or len(utterance.id) > MAX_ID_CHARACTERS:
        return "bad-id", f"an id has 1 to {MAX_ID_CHARACTERS} characters"
    if CONTROL.search(utterance.id):
        return "bad-id", "the id contains a control character (a line break, a tab)"
    if len(speaker) > MAX_ID_CHARACTERS or CONTROL.search(speaker):
        detail = f"a speaker has up to {MAX_ID_CHARACTERS} characters, none of them a line break"
        return "bad-speaker", detail
    for language in languages:
        if language and not is_language(language_code(language)):
            return "bad-language", str(unknown_language(language[:40]))
    for text in texts:
        control = CONTROL_BUT_SPACE.search(text)
        if control:
            return "bad-text", f"text with the control character U+{ord(control[0]):04X}"
        if "\ufffd" in text:
            return "bad-text", "text with U+FFFD: it was read in a wrong encoding before"
    return None
