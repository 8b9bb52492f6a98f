"""The type of a language in the settings of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from soritune.errors import RecipeProblem, UserError
from soritune.languages.names import language_code, read_language


def _read(text: str) -> str:
    try:
        return read_language(text)
    except UserError as error:
        raise RecipeProblem(str(error)) from None


LanguageCode = Annotated[str, AfterValidator(_read)]
"""Given as a code, a tag or a name; kept as a code."""


def written_as(names: Mapping[str, str]) -> BeforeValidator:
    """Return a validator that writes a language as a data set does, where that is known.

    Args:
        names: those of the data set, by code.
    """

    def written(given: object) -> object:
        return names.get(language_code(given), given) if isinstance(given, str) else given

    return BeforeValidator(written)
