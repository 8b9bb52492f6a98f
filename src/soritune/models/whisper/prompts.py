"""Tokens that ask Whisper for something, and the text that answers.

`<|startoftranscript|><|ko|><|transcribe|><|notimestamps|>`, then the text and `<|endoftext|>`.
Training and inference use the same prompt.
"""

from __future__ import annotations

from soritune.errors import UserError
from soritune.languages import names
from soritune.models.whisper import constants as c
from soritune.tasks import Answer, Request, Task


def check_request(request: Request) -> None:
    """Raise UserError where no Whisper can do what is asked."""
    if request.task is Task.AST_COT:
        raise UserError(
            "Whisper has no chain of thought (ast-cot): it writes either a transcript or an "
            "English translation. Ask for asr or ast"
        )
    target = request.target_language
    if request.task is Task.AST and (target is None or language_code(target) != "en"):
        raise UserError(
            f'Whisper translates into English only, not into "{target}". Ask for '
            "asr, or for ast with the target language en"
        )
    source = request.source_language
    if source is not None and language_code(source) not in c.LANGUAGES:
        raise UserError(
            f'Whisper has no language token for "{source}". Take the code of a related language '
            f"that it knows: {', '.join(sorted(c.LANGUAGES))}"
        )


def language_code(language: str) -> str:
    """Return the code of a language (a code, a tag or a name) as Whisper's tokens have it."""
    code = names.language_code(language)
    return c.CODES.get(code, code)


def target_text(request: Request, answer: Answer) -> str:
    """Return the text that is trained, with the space that Whisper begins with.

    The model was trained on texts that begin with a space where the language has spaces. Without
    it the first token is one that it never writes: over 12 Korean recordings, the loss of
    whisper-base is 204 nats instead of 108.

    Raises ValueError where the answer lacks what the task asks for.
    """
    text = answer.transcript if request.task is Task.ASR else answer.translation
    if text is None:
        raise ValueError(f"task {request.task.value}: the answer is incomplete: {answer}")
    written = request.source_language if request.task is Task.ASR else request.target_language
    spaced = written is None or language_code(written) not in c.UNSPACED
    return f" {text.strip()}" if spaced else text.strip()


def parse(request: Request, text: str) -> Answer:
    """Return generated text as the answer to a request."""
    if request.task is Task.ASR:
        return Answer(transcript=text.strip())
    return Answer(translation=text.strip())
