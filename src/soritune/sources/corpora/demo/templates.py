"""The demo's templates, read from `words.yaml` and `templates.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from soritune.languages.ko.numerals import native, sino
from soritune.sources.corpora.demo.grammar import Phrase, Template, counted
from soritune.sources.corpora.demo.numerals import english, ordinal

Words = Mapping[str, tuple[Phrase, ...]]
_FORMS: Mapping[str, Callable[[int], str]] = {
    "native": native,
    "sino": sino,
    "english": english,
    "ordinal": ordinal,
}


class _Number:
    """A number for `str.format_map`, in each form of `_FORMS`."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __getitem__(self, form: str) -> str:
        return _FORMS[form](self._value)


@cache
def templates() -> tuple[Template, ...]:
    """Return all templates, in the order of the file."""
    words: dict[str, tuple[Phrase, ...]] = {}
    for name, entry in _read("words.yaml").items():
        words[name] = _phrases(entry, words)
    document = _read("templates.yaml")
    return tuple(_template(entry, words, document["routes"]) for entry in document["templates"])


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((files(__package__) / name).read_text("utf-8"))
    return content


def _template(
    entry: Mapping[str, Any], words: Words, routes: Mapping[str, Sequence[str]]
) -> Template:
    def is_allowed(chosen: Mapping[str, Phrase]) -> bool:
        if "different" in entry:
            first, second = entry["different"]
            return chosen[first] != chosen[second]
        if "route_by" in entry:
            vehicle = chosen[entry["route_by"]].english
            cities = next(cities for word, cities in routes.items() if word in vehicle)
            return chosen["city"].english in cities
        return True

    slots = {name: _phrases(slot, words) for name, slot in entry["slots"].items()}
    return Template(entry["korean"], entry["english"], slots, is_allowed)


def _phrases(entry: Any, words: Words) -> tuple[Phrase, ...]:
    """Return the phrases of an entry; words.yaml describes its forms."""
    if isinstance(entry, str):
        return words[entry]
    if isinstance(entry, list):
        return tuple(phrase for part in entry for phrase in _phrases(part, words))
    if "from" in entry:
        found = words[entry["from"]]
        if "only" in entry:
            found = tuple(p for p in found if p.korean in entry["only"])
        found = tuple(p for p in found if p.korean not in entry.get("without", ()))
        return tuple(
            Phrase(
                entry.get("korean", "{korean}").format_map(vars(phrase)),
                entry.get("english", "{english}").format_map(vars(phrase)),
                phrase.other,
                phrase.counter,
            )
            for phrase in found
        )
    if "values" in entry:
        return tuple(
            Phrase(
                entry["korean"].format_map(_Number(value)),
                entry["english"].format_map(_Number(value)),
                entry.get("other", ""),
            )
            for value in entry["values"]
        )
    if "count" in entry:
        return counted(_phrases(entry["count"], words), entry["amounts"], entry.get("particle"))
    return tuple(
        Phrase(korean, *([meaning] if isinstance(meaning, str) else meaning))
        for korean, meaning in entry.items()
    )
