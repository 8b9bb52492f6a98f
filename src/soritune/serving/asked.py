"""What a client asks of a recording, from form fields or session settings to a `Listening`."""

from __future__ import annotations

from collections.abc import Sequence

from soritune.decoding.listening import Listening
from soritune.errors import UserError
from soritune.languages import names
from soritune.serving.errors import ApiError
from soritune.tasks import Request, Task

TRANSLATED_TO = "en"
"""`/v1/audio/translations` goes to English unless `to_language` says otherwise."""


def language_code(text: str | None, param: str) -> str | None:
    """Return the code of a language given as a code, a tag or an English name.

    Raises:
        ApiError: it is unknown.
    """
    if text is None or not text.strip():
        return None
    code = names.language_code(text)
    try:
        names.known_language(code)
    except UserError as error:
        raise ApiError(400, str(error), param=param, code="invalid_value") from None
    return code


def asked(
    *,
    to: str | None = None,
    language: str | None = None,
    languages: Sequence[str] = (),
    chain_of_thought: bool = False,
    prompt: str | None = None,
    keywords: Sequence[str] = (),
) -> Listening:
    """Return what to ask of each window.

    Args:
        to: language to translate into; None transcribes.
        languages: candidates; the first is taken where `language` is not given, since a family
            is told one language or none.

    Raises:
        ApiError: a language is unknown.
    """
    source = language_code(language, "language")
    if source is None and languages:
        source = language_code(languages[0], "languages")
    target = language_code(to, "to_language")
    task = Task.ASR
    if target is not None:
        task = Task.AST_COT if chain_of_thought else Task.AST
    request = Request(
        task, source, target, prompt=prompt or None, keywords=tuple(filter(None, keywords))
    )
    return Listening(request)
