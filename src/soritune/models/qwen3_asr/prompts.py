"""The text that asks Qwen3-ASR for a transcript, and the text that answers.

The assistant's turn is `language Korean<asr_text>` and the transcript. Where the request names a
language, that beginning is part of the prompt; where it names none, the model writes it itself.
Training and inference use the same prompt.
"""

from __future__ import annotations

from soritune.errors import UserError
from soritune.languages.names import known_language
from soritune.models.qwen3_asr import constants as c
from soritune.tasks import Answer, Request, Task


def check_request(request: Request) -> None:
    """Raise UserError where the family cannot do what is asked."""
    if request.task is not Task.ASR:
        raise UserError(
            f"Qwen3-ASR transcribes only: it has no task {request.task.value}. Ask for asr"
        )
    if request.source_language is not None:
        known_language(request.source_language)


def prefill(request: Request) -> str:
    """Return the beginning of the answer that a request fixes.

    Languages go by their English names, those that the model was not trained for as well: they can
    be trained. Raises UserError for a code that no language has.
    """
    if request.source_language is None:
        return ""
    return f"language {known_language(request.source_language)}{c.TEXT_TOKEN}"


def target_text(request: Request, answer: Answer) -> str:
    """Return the text that is trained after the prompt.

    Raises UserError for a request without a language, ValueError for an answer without transcript.
    """
    if request.source_language is None:
        raise UserError(
            "an example without a language cannot be trained on: the prompt of Qwen3-ASR names it. "
            "Give the corpus a language"
        )
    if answer.transcript is None:
        raise ValueError(f"task {request.task.value}: the answer is incomplete: {answer}")
    return answer.transcript.strip()


def parse(text: str) -> Answer:
    """Return generated text as an answer, without the language that the model wrote before it."""
    before, marker, after = text.partition(c.TEXT_TOKEN)
    return Answer(transcript=(after if marker else before).strip())
