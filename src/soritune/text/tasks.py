"""Tasks and their instructions: the one place where a prompt's words are written.

Instructions are those of the model card of microsoft/Phi-4-multimodal-instruct; the same words
are used for training and for inference.
"""

from __future__ import annotations

from enum import StrEnum

from soritune.text.languages import LANGUAGE_NAMES, known_language

SEPARATOR = "<sep>"


class Task(StrEnum):
    """What the model is asked to do with a clip."""

    ASR = "asr"
    AST = "ast"
    AST_COT = "ast-cot"


def language_name(code: str) -> str:
    """English name of a language code, for people; a code without a name as it is."""
    return LANGUAGE_NAMES.get(code, code)


def instruction(task: Task, to: str | None = None) -> str:
    """Words of the prompt for `task`; `to` is the language to translate into.

    Raises ValueError where a translation lacks its target language, UserError where that is no
    language.
    """
    if task is Task.ASR:
        return "Transcribe the audio clip into text."
    if to is None:
        raise ValueError(f"task {task.value} needs a target language")
    name = known_language(to)
    if task is Task.AST:
        return f"Translate the audio to {name}."
    return (
        f"Transcribe the audio to text, and then translate the audio to {name}. "
        f"Use {SEPARATOR} as a separator between the original transcript and the translation."
    )


def target(task: Task, text: str, translation: str | None) -> str:
    """The answer that is trained: transcript, translation, or both with the separator."""
    if task is Task.ASR:
        return text
    if translation is None:
        raise ValueError(f"task {task.value} needs a translation")
    if task is Task.AST:
        return translation
    return f"{text} {SEPARATOR} {translation}"


def answer(task: Task, output: str) -> str:
    """The part of a model's output that is scored for `task`.

    With chain of thought it is what stands behind the first separator. A model that wrote none
    gave no translation that can be told apart, so the whole output is taken (as the reference
    evaluation does); doubled separators and white space are tolerated.
    """
    if task is not Task.AST_COT:
        return output.strip()
    parts = [part.strip() for part in output.split(SEPARATOR)]
    behind = [part for part in parts[1:] if part]
    if len(parts) == 1:
        return parts[0]
    return behind[0] if behind else ""


def split_chain(output: str) -> tuple[str, str]:
    """Transcript and translation of a chain-of-thought output; a missing part is empty."""
    transcript, separator, _ = output.partition(SEPARATOR)
    return transcript.strip(), answer(Task.AST_COT, output) if separator else ""
