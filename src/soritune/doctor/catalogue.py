"""The checks: what each is called, how much it weighs, what it means and what fixes it.

Words in backticks in `fix` are keys of a recipe's corpora (`tests/test_doctor.py` looks
that they exist); where one is `exclude`, `--exclude CHECK` writes its list. Thresholds stand here
too, each with where it comes from; figures measured by us are in docs/doctor.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from soritune.doctor.findings import Severity

NARROW_BAND_DB = -60.0
"""Between what resamplers leave (-82 dB and less) and the narrowest wide-band (-31 dB)."""
GAP_DB = -28.0
"""At 4 kHz: upsampled without a filter -41 dB and less, wide-band -13 dB and more."""
MIN_FLAT_RUNS = 5
"""Cycles that end within 0.2 % of the same peak; unclipped speech has none (docs/doctor.md)."""
END_SILENCE_S = 1.0
"""12 audio tokens of 80 ms without a word."""
OFFSET = 0.02
"""Of full scale, -34 dBFS. Clips as they are have under 0.01 (docs/doctor.md)."""
NOISY_DB = 12.0
"""Of `Signal.snr_db`, loud speech over noise: a mean ratio of 6 dB (docs/doctor.md)."""
RATE_Z = 4.5
"""Robust standard deviations of the logarithm, with the spread that short sentences have."""
RATE_BOUNDS = {"syllables": (0.8, 12.0), "letters": (1.5, 35.0)}
"""A second. Speakers of 17 languages have means of 4.3 to 9.1 syllables a second (Coupé, Oh,
Dediu & Pellegrino 2019, Science Advances 5(9)); English has about 3 letters a syllable."""
MIN_FOR_STATISTICS = 20
"""Utterances of a language from which its spread is taken."""
MIXED_SHARE = 0.01
"""Of the utterances with numbers: below, the rarer form is an exception."""
LOSS_Z = 4.0
"""Robust standard deviations above the median."""


@dataclass(frozen=True)
class Check:
    """What a finding of a check means, for every corpus."""

    severity: Severity
    title: str
    meaning: str
    fix: str

    @property
    def can_be_left_out(self) -> bool:
        """Whether leaving utterances out fixes it."""
        return "`exclude`" in self.fix


_LISTEN = "listen; fix the transcript in the source, or `exclude` the clip"

CHECKS: dict[str, Check] = {
    "changed-shard": Check(
        "error",
        "shards are not those that were prepared",
        "The files differ from the checksums of the card, so nothing that was said of the corpus "
        "holds.",
        "remove the corpus's folder and run soritune prepare again",
    ),
    "unreadable": Check(
        "error",
        "audio cannot be decoded",
        "Training and decoding stop at such an utterance.",
        "remove the corpus's folder and run soritune prepare again",
    ),
    "shared-sentence": Check(
        "error",
        "sentences are trained on and tested with",
        "The model may have learnt these answers by heart: the figures flatter.",
        "`shared_sentences: drop-from-train` leaves them out of the training of one corpus; "
        "between corpora `exclude` does, with a list of what is trained on",
    ),
    "near-sentence": Check(
        "warning",
        "sentences are tested with, and nearly the same ones trained on",
        "One or two letters apart, they are no fair test either.",
        "`shared_sentences` compares letters and digits exactly; `exclude` takes a list of what "
        "is trained on and nearly the same",
    ),
    "shared-speaker": Check(
        "warning",
        "speakers are heard in training and in the test",
        "The figures are those of known voices, new ones will be worse.",
        "`shared_speakers: drop-from-train`; for lists of one's own without splits: "
        "`split_by: [speaker, sentence]`",
    ),
    "shared-audio": Check(
        "error",
        "recordings are trained on and tested with",
        "The same audio is in both: the figures are too good.",
        "`exclude`, with a list of those that are trained on",
    ),
    "other-text": Check(
        "error",
        "the same recording has different transcripts",
        "At least one of the two is wrong.",
        "listen, and fix the wrong one in the source; or `exclude` all of them",
    ),
    "duplicate-audio": Check(
        "warning",
        "recordings are there more than once",
        "They weigh more than others in training and in scores.",
        "`exclude` the repetitions: of each recording the first stays",
    ),
    "narrow-band": Check(
        "warning",
        "clips claim 16 kHz and hold 8 kHz",
        "Nothing is above 4 kHz, as on a telephone, or an image of what is below. Fine to train "
        "with among others; as a test it is another condition.",
        "look for the originals, or `exclude` them; real telephone speech is best kept in a "
        "corpus of its own",
    ),
    "clipping": Check(
        "warning",
        "clips are overdriven",
        "The waveform was cut at its peaks when it was recorded; what was cut is lost.",
        "record again at a lower level, or `exclude` them",
    ),
    "end-silence": Check(
        "info",
        f"clips have over {END_SILENCE_S:g} s without speech at an end",
        "Each second costs 12 audio tokens, and models learn to write words into silence.",
        "`trim_silence_s: 0.3` leaves so much at each end",
    ),
    "offset": Check(
        "info",
        "clips have a constant offset",
        "A fault of the recording device; it takes headroom and adds a hum at the lowest "
        "frequencies.",
        "`remove_offset: true`",
    ),
    "noise": Check(
        "warning",
        f"clips have speech less than {NOISY_DB:g} dB above the noise",
        "Also hard to hear for people; the transcript may be a guess.",
        "listen to some, and `exclude` them if they are not what is wanted",
    ),
    "too-much-text": Check(
        "warning",
        "transcripts are too long for their audio",
        "Nobody speaks so fast: the audio was cut, or the transcript is another one's.",
        _LISTEN,
    ),
    "too-little-text": Check(
        "warning",
        "transcripts are too short for their audio",
        "Something that is heard is not written, or most of the clip is not speech.",
        _LISTEN,
    ),
    "characters": Check(
        "warning",
        "transcripts hold characters that the language does not write",
        "Marks of annotators, another script, or damaged text: the model learns to write them.",
        "where the language has rules for `text`, any `text` unifies the forms of a letter, and "
        "`text: {punctuation: drop}` removes marks; fix the rest in the source, or leave it "
        "out by `exclude`",
    ),
    "numbers": Check(
        "info",
        "numbers are written in digits here and in words there",
        "The same speech has two spellings; each costs errors where the other is the reference.",
        "where the language has rules for `text`, `text: {numerals: words}` writes them in one "
        "way; otherwise write them so in the source",
    ),
    "high-loss": Check(
        "warning",
        "transcripts that the model finds unlikely for their audio",
        "Likely label errors, or recordings that are hard to hear; the most unlikely come first.",
        "listen from the top; fix the transcript in the source, or `exclude` the clip",
    ),
}
"""In the order in which they are shown within a severity."""
