"""What a model wrote though nobody said it: texts for silence, music and noise are held back.

Each rule alone is enough. Thresholds of log-probability and compression are those of openai/whisper
(`transcribe.py`: logprob_threshold, compression_ratio_threshold, no_speech_threshold).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """When a text is held back.

    Attributes:
        least_speech_prob: of a window, over a quarter of a second, by voice activity.
        least_logprob: mean of a window's tokens, where voice activity is unsure
            (`sure_speech_prob`).
        never_logprob: as `least_logprob`, however sure voice activity is.
        most_compression: bytes of UTF-8 over bytes of zlib: a text that repeats itself.
        most_characters_s: for each second of speech. Korean is spoken with up to 10 syllables a
            second, English with up to 25 letters.
    """

    least_speech_prob: float = 0.5
    sure_speech_prob: float = 0.9
    least_logprob: float = -1.0
    never_logprob: float = -2.0
    most_compression: float = 2.4
    most_characters_s: float = 30.0

    def heard(self, speech_prob: float) -> str | None:
        """Return why a window need not be asked about, or None."""
        return "no speech" if speech_prob < self.least_speech_prob else None

    def repeats(self, text: str | None) -> bool:
        """Return whether a text repeats itself."""
        return text is not None and compression_ratio(text) > self.most_compression

    def unsure(
        self, text: str, mean_logprob: float | None, speech_s: float, speech_prob: float
    ) -> str | None:
        """Return why a text is held back in a few words, or None where it is good.

        Args:
            mean_logprob: see `Generated`; None where the engine does not give it.
            speech_s: seconds in which somebody speaks.
        """
        if not text:
            return None
        if (reason := self.heard(speech_prob)) is not None:
            return reason
        if mean_logprob is not None:
            unsure_voice = speech_prob < self.sure_speech_prob
            if mean_logprob < (self.least_logprob if unsure_voice else self.never_logprob):
                return f"mean log-probability {mean_logprob:.2f}"
        if self.repeats(text):
            return f"repeats itself (compression ratio {compression_ratio(text):.1f})"
        rate = len(text) / max(speech_s, 0.5)
        if rate > self.most_characters_s:
            return f"{rate:.0f} characters a second of speech"
        return None


def compression_ratio(text: str) -> float:
    """Return bytes of UTF-8 over bytes of zlib, as openai/whisper computes it."""
    content = text.encode("utf-8", "surrogatepass")
    return len(content) / len(zlib.compress(content)) if content else 0.0
