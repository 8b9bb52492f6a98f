# Copied from src/soritune/tasks.py by tools/copy_to_vllm.py: change it there.
"""What a model can be asked to do with a clip, and what it answers. No prompt words: each model
family has its own (`soritune.models`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Task(StrEnum):
    """What the model is asked to do with a clip."""

    ASR = "asr"
    AST = "ast"
    AST_COT = "ast-cot"  # chain of thought: transcribe, then translate


@dataclass(frozen=True)
class Request:
    """One request for one clip.

    Attributes:
        task: what to do.
        source_language: language code of the speech; None where it is not known.
        target_language: language code of the translation; None for `Task.ASR`.
        prompt: text that came before, or what the recording is about; None for none.
        keywords: words and names that may occur.

    Raises ValueError where a translation has no target language.
    """

    task: Task
    source_language: str | None = None
    target_language: str | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] = ()

    @property
    def context(self) -> str:
        """Prompt and keywords in one line of text, "" where there are none."""
        return " ".join(filter(None, [(self.prompt or "").strip(), ", ".join(self.keywords)]))

    def __post_init__(self) -> None:
        if self.task is not Task.ASR and self.target_language is None:
            raise ValueError(f"task {self.task.value} needs a target language")


@dataclass(frozen=True)
class Answer:
    """What a model answers, or should answer.

    Attributes:
        transcript: what is said; None for `Task.AST`.
        translation: None for `Task.ASR`, and where a chain-of-thought output has no separator.
    """

    transcript: str | None = None
    translation: str | None = None

    @property
    def scored(self) -> str:
        """The text that the scores of the task compare: the translation where there is one.

        A chain-of-thought output without a separator counts as a whole, as in the reference
        evaluation.
        """
        return (self.transcript if self.translation is None else self.translation) or ""
