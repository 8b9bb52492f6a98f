# Copied from src/soritune/models/phi4mm/prompts.py by tools/copy_to_vllm.py: change it there.
"""Instructions, targets and answers of Phi-4-multimodal as text.

The instructions are those of the model card of microsoft/Phi-4-multimodal-instruct; training and
inference use the same words.
"""

from __future__ import annotations

import re

from soritune_vllm.soritune.languages.names import known_language
from soritune_vllm.soritune.tasks import Answer, Request, Task

SEPARATOR = "<sep>"
_SEPARATORS = re.compile(
    r"[<＜\[]+\s*[/|]?\s*(?:sep|separator|구분자?|분리자?|구분\s?기호|分隔符?|区切り)\s*[/|]?\s*[>＞\]]+"
    r"|[<＜]\s*(?:s|se|sep)?\s*$",  # cut off by the limit of tokens
    re.IGNORECASE,
)
"""The separator as models also write it: in capitals, spaced, in other or doubled brackets,
translated, cut off."""


def instruction(request: Request) -> str:
    """Return the instruction of a request.

    Raises UserError where the target language is unknown.
    """
    if request.task is Task.ASR:
        return "Transcribe the audio clip into text."
    assert request.target_language is not None
    name = known_language(request.target_language)
    if request.task is Task.AST:
        return f"Translate the audio to {name}."
    return (
        f"Transcribe the audio to text, and then translate the audio to {name}. "
        f"Use {SEPARATOR} as a separator between the original transcript and the translation."
    )


def target_text(request: Request, answer: Answer) -> str:
    """Return the text that is trained: transcript, translation, or both with the separator.

    Raises ValueError where the answer lacks what the task asks for.
    """
    wanted = {
        Task.ASR: (answer.transcript,),
        Task.AST: (answer.translation,),
        Task.AST_COT: (answer.transcript, answer.translation),
    }[request.task]
    texts = [text for text in wanted if text is not None]
    if len(texts) < len(wanted):
        raise ValueError(f"task {request.task.value}: the answer is incomplete: {answer}")
    return f" {SEPARATOR} ".join(texts)


def parse(request: Request, output: str) -> Answer:
    """Split an output into transcript and translation.

    With chain of thought the translation is what follows the first separator; doubled, spaced,
    translated and cut off separators are tolerated, and without a separator there is no
    translation.
    """
    if request.task is Task.ASR:
        return Answer(transcript=output.strip())
    if request.task is Task.AST:
        return Answer(translation=output.strip())
    transcript, *others = [part.strip() for part in _SEPARATORS.split(output)]
    if not others:
        return Answer(transcript=transcript)
    return Answer(transcript, next((part for part in others if part), ""))
