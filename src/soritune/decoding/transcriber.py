"""From audio files to text with a loaded model: `soritune.load(...).transcribe(...)`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soritune.audio import SAMPLE_RATE_HZ, AudioError, Limits, load_mono_16k
from soritune.models.family import ClipLimits, SpeechModel
from soritune.tasks import Request, Task


@dataclass(frozen=True)
class Transcript:
    """What is said in one file.

    With plain translation, `text` is the translation and `translation` None.
    """

    file: str
    text: str
    duration_s: float
    translation: str | None = None


@dataclass(frozen=True)
class Failure:
    """A file that could not be transcribed, and why in one line."""

    file: str
    error: str


@dataclass(frozen=True)
class Transcriber:
    """A loaded model that transcribes and translates files."""

    model: SpeechModel

    def transcribe(
        self,
        files: str | Path | Sequence[str | Path],
        *,
        task: Task | str = Task.ASR,
        to: str | None = None,
        language: str | None = None,
        batch_size: int = 8,
        beams: int = 1,
    ) -> list[Transcript]:
        """Transcribe files of any format that libsndfile reads; the order is kept.

        Args:
            task: "asr", "ast" or "ast-cot"; the last two need `to`.
            to: code of the language to translate into ("en").
            language: code of the language that is spoken; None where it is not known.

        Raises:
            AudioError (a UserError): the first file that is missing, empty, not audio, or too short
                or too long for the model.
        """
        results = self.try_transcribe(
            files, task=task, to=to, language=language, batch_size=batch_size, beams=beams
        )
        transcripts = []
        for result in results:
            if isinstance(result, Failure):
                raise AudioError("unusable", result.error)
            transcripts.append(result)
        return transcripts

    def try_transcribe(
        self,
        files: str | Path | Sequence[str | Path],
        *,
        task: Task | str = Task.ASR,
        to: str | None = None,
        language: str | None = None,
        batch_size: int = 8,
        beams: int = 1,
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[Transcript | Failure]:
        """As `transcribe`, but return a Failure in place of a bad file."""
        paths = [files] if isinstance(files, str | Path) else list(files)
        request = Request(Task(task), language, to)
        results: dict[int, Transcript | Failure] = {}
        for batch in _batches(paths, self.model.family.clip_limits, batch_size, results):
            inputs = [self.model.processor.encode(samples, request) for _, samples in batch]
            durations = [len(samples) / SAMPLE_RATE_HZ for _, samples in batch]
            limits = [self.model.processor.max_new_tokens(duration) for duration in durations]
            outputs = self.model.generate(inputs, limits, beams=beams)
            for (index, _), duration, output in zip(batch, durations, outputs, strict=True):
                answer = self.model.processor.parse(request, output.text)
                text, translation = answer.transcript, answer.translation
                if request.task is Task.AST:
                    text, translation = translation, None
                elif request.task is Task.AST_COT:
                    translation = translation or ""
                results[index] = Transcript(str(paths[index]), text or "", duration, translation)
            advance(len(batch))
        return [results[index] for index in range(len(paths))]


def _load(file: Path, limits: ClipLimits) -> npt.NDArray[np.float32]:
    """Read a clip that the model can take. Raises AudioError."""
    samples = load_mono_16k(file, Limits(max_duration_s=limits.max_duration_s))
    if len(samples) < limits.min_samples:
        needed_ms = 1000 * limits.min_samples / SAMPLE_RATE_HZ
        raise AudioError("too-short", f"is shorter than {needed_ms:.0f} ms", str(file))
    return samples


def _batches(
    paths: Sequence[str | Path],
    limits: ClipLimits,
    batch_size: int,
    failures: dict[int, Transcript | Failure],
) -> Iterator[list[tuple[int, npt.NDArray[np.float32]]]]:
    """Yield batches of readable clips with their index; a window of files is sorted by length."""
    window = 8 * batch_size
    for start in range(0, len(paths), window):
        clips: list[tuple[int, npt.NDArray[np.float32]]] = []
        for index in range(start, min(start + window, len(paths))):
            try:
                clips.append((index, _load(Path(paths[index]), limits)))
            except AudioError as error:
                failures[index] = Failure(str(paths[index]), str(error))
        clips.sort(key=lambda clip: -len(clip[1]))
        for first in range(0, len(clips), batch_size):
            yield clips[first : first + batch_size]
