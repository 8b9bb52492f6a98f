"""Languages: their names and codes, and what each brings to the rest of the project.

A language brings a module of its own here, named by its code (`en.py`, `ko/`), with a `Language`
called LANGUAGE. Every other language has what holds for its script.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from soritune.languages.language import Language
from soritune.languages.names import LANGUAGE_NAMES, language_code
from soritune.languages.scripts import SCRIPTS

__all__ = ["Language", "find_language", "languages_with_modules"]


def find_language(language: str) -> Language:
    """Return what a language brings; `language` is a code (ko), a tag (ko-KR) or a name."""
    return _by_code(language_code(language))


def languages_with_modules() -> list[Language]:
    """Return the languages that have a module of their own, by code."""
    return [_by_code(code) for code in sorted(_codes_with_modules())]


@cache
def _by_code(code: str) -> Language:
    if code not in _codes_with_modules():
        return Language(code, scripts=SCRIPTS.get(code, ()))
    language = import_module(f"{__name__}.{code}").LANGUAGE
    assert isinstance(language, Language)
    return language


@cache
def _codes_with_modules() -> frozenset[str]:
    return frozenset(m.name for m in pkgutil.iter_modules(__path__)) & LANGUAGE_NAMES.keys()
