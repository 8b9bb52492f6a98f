"""Words for what pydantic finds: one line that says what is wrong and what would be right."""

from __future__ import annotations

import re
import typing
import unicodedata
from collections.abc import Iterable
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from soritune.errors import RecipeProblem, nearest
from soritune.recipe.schema import Case, Recipe
from soritune.recipe.slips import missing_colon

Loc = tuple[str | int, ...]

MAX_CHARACTERS = 1000  # of a message; the longest lists all transforms
_MAX_VALUE = 300  # of a value in it
_LANGUAGE_PATTERNS = {
    r"^[a-z]{2,3}(_[a-z0-9]+)+$": "ko_kr",
    r"^[a-z]{2}-[A-Z]{2}$": "ko-KR",
    r"^[A-Za-z-]{2,10}$": "ko",
}
_OWNERS = {"cases": "case", "corpora": "corpus", "evaluate": "evaluation"}
# What a value of the wrong type must be, by pydantic's type of error.
_MUST_BE = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
}
_NUMBERS = frozenset(kind for kind in _MUST_BE if kind.startswith(("int_", "float_")))
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_WORDS_OF_BOOL = {
    **dict.fromkeys(("true", "yes", "on"), "true"),
    **dict.fromkeys(("false", "no", "off"), "false"),
}
_LISTS = frozenset({"list_type", "tuple_type"})
_MAPPINGS = frozenset({"dict_type", "model_type", "model_attributes_type"})
_LACKING = frozenset({"missing", "extra_forbidden", "union_tag_not_found", "union_tag_invalid"})
# What people call a source by.
_SOURCES = {
    **dict.fromkeys(("csv", "tsv", "json", "jsonl", "ndjson", "parquet", "nemo"), "manifest"),
    **dict.fromkeys(("list", "file", "table", "excel", "xlsx", "spreadsheet"), "manifest"),
    **dict.fromkeys(("wav", "audio", "dir", "directory", "audiofolder", "files"), "folder"),
    **dict.fromkeys(("hf", "huggingface", "datasets", "dataset"), "hub"),
    **dict.fromkeys(("srt", "vtt", "captions"), "subtitles"),
    **dict.fromkeys(("tar", "tars", "wds"), "webdataset"),
}
# What people call a key by.
_KEYS = {"lr": "learning_rate", "batch": "batch_size", "bs": "batch_size", "num_epochs": "epochs"}
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def describe_problem(loc: Loc, message: str) -> str:
    """Return the message of one of our own checks, with what holds the key at `loc`."""
    return _one_line(_above(loc) + message)


def full_loc(error: ErrorDetails) -> Loc:
    """Return the keys that lead to the value to fix, with what our own checks add."""
    if is_misplaced(error):
        return error["loc"][:2]
    if error["type"] in _MAPPINGS and isinstance(error["input"], list):
        return (*error["loc"], 0)  # the first dash
    problem = error.get("ctx", {}).get("error")
    return error["loc"] + (problem.loc if isinstance(problem, RecipeProblem) else ())


def describe(error: ErrorDetails) -> str:
    """Return what is wrong, in one line without file and line number."""
    kind, loc, ctx = error["type"], error["loc"], error.get("ctx", {})
    given = error["input"]
    if is_misplaced(error) and loc[1] in Recipe.model_fields:
        return (
            f'"{loc[1]}" stands in "{loc[0]}", but it is a key of the recipe itself; write it '
            "without indentation"
        )
    if kind == "value_error":
        return describe_problem(full_loc(error), str(ctx["error"]))
    if kind == "extra_forbidden":
        return _unknown_key(loc)
    if kind == "missing" and isinstance(loc[-1], int):
        return f"{_place(loc[:-1])} has too few items"
    if kind == "missing" and loc == ("language",):
        return 'missing key "language": the language being learnt, such as language: ko'
    if kind == "missing":
        return f'missing key "{loc[-1]}"{_owner(loc[:-1])}'
    if kind in ("union_tag_invalid", "union_tag_not_found") or _is_source(kind, loc):
        return _unknown_source(error)
    where = _place(loc)
    if kind in _MUST_BE:
        return f"{where} must be {_MUST_BE[kind]}, not {_shown(given)}{_remedy(kind, loc, given)}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{where} must be {words} {_shown(ctx[name])}, not {_shown(given)}"
    if kind in ("literal_error", "enum"):
        right = [word.strip("'") for word in ctx["expected"].replace(" or ", ", ").split(", ")]
        hint = nearest(given, right) if isinstance(given, str) else ""
        if isinstance(given, str) and "\uff0c" in given:
            hint = '; the comma is a full-width one (\uff0c), write ","'
        return f"{where} must be one of {', '.join(right)}, not {_shown(given)}{hint}"
    if kind in ("too_short", "string_too_short"):
        return f"{where} is empty"
    if kind == "too_long":
        return f"{where} has {ctx['actual_length']} items, at most {ctx['max_length']} are allowed"
    if kind == "string_pattern_mismatch":
        if ctx["pattern"] in _LANGUAGE_PATTERNS:
            example = _LANGUAGE_PATTERNS[ctx["pattern"]]
            names = f"a language as the data set names it, such as {example}"
            return f"{where} must be {names}, not {_shown(given)}"
        return f"{where}: {_shown(given)} is not a name; use letters, digits, - _ + and ."
    return _one_line(f"{where}: {error['msg'][0].lower()}{error['msg'][1:]}, not {_shown(given)}")


def _unknown_key(loc: Loc) -> str:
    key, known = str(loc[-1]), keys_at(loc[:-1])
    slip = missing_colon(key, known)
    if slip is not None:
        return f"{_above(loc)}{slip}"
    meant = _KEYS.get(key.lower())
    hint = f': did you mean "{meant}"?' if meant in known else nearest(key, known)
    sections = [("model",), *((name, "*") for name in _OWNERS)]
    homes = [section[0] for section in sections if key in keys_at(section)]
    if not hint and len(loc) == 1 and homes:
        places = " or ".join(f'"{name}"' for name in homes)
        hint = f": it is a key of {places}; is it indented too little?"
    return f'unknown key "{key}"{_owner(loc[:-1])}{hint}'


def _remedy(kind: str, loc: Loc, given: object) -> str:
    """Return how to write a value of the wrong type, as far as that can be guessed."""
    if kind == "string_type" and isinstance(given, int | float):
        return "; put it in quotes"
    if kind == "string_type" and loc[-1] == "mode" and isinstance(given, list):
        return f"; write {'+'.join(map(str, given))}"
    if kind.startswith("bool_") and given in (0, 1):
        return f"; write {str(bool(given)).lower()}"
    if kind in _MAPPINGS and isinstance(given, list) and not _is_misplaced(kind, loc):
        return "; write each entry as a name with a colon, without dashes or brackets"
    if kind in _LISTS and isinstance(given, dict):
        return "; put a dash before its first key"
    if isinstance(given, str):
        if kind in _NUMBERS:
            return _number_meant(given)
        if loc == ("model",) and kind in _MAPPINGS:
            return f"; write {{base: {given}}}"
        if kind.startswith("bool_") and given.lower() in _WORDS_OF_BOOL:
            return f"; write {_WORDS_OF_BOOL[given.lower()]}"
        if kind in _LISTS and given:
            return f"; write [{given}]"
        slip = missing_colon(given, all_keys()) if kind in _MAPPINGS else None
        if slip is not None:
            return f"; {slip}"
    if _is_misplaced(kind, loc):
        return f'; if "{loc[1]}" is a key of the {_OWNERS[str(loc[0])]} above it, indent it further'
    if kind in _MAPPINGS and given is None:
        return "; write its keys below it, each indented by two spaces more"
    return ""


def _number_meant(given: str) -> str:
    """Return how to write a number that YAML takes for text; "" where none can be seen in it."""
    text = unicodedata.normalize("NFKC", given).strip()
    bare = text.partition("#")[0].strip().rstrip(",;")
    if _NUMBER.fullmatch(given.strip()) and given.isascii():
        return "; remove the quotes"
    if _NUMBER.fullmatch(bare):
        if "#" in text:
            return "; put a space before #"
        return f"; write {bare}"
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+", bare):  # thousands, or a decimal comma
        whole = bare.replace(",", "")
        decimal = f" or {bare.replace(',', '.')}" if bare.count(",") == 1 else ""
        return f"; write {whole}{decimal}"
    if re.fullmatch(r"\d+,\d+(e[-+]?\d+)?", bare, re.IGNORECASE):
        return f"; write {bare.replace(',', '.')}"
    plain = bare.replace("_", "").replace(" ", "").replace("\u2212", "-")
    if _NUMBER.fullmatch(plain):
        return f"; write {plain}"
    percent = re.fullmatch(r"(\d+(?:\.\d+)?)%", plain)
    if percent:
        return f"; write {float(percent[1]) / 100:g}"
    power = re.fullmatch(r"(?:(\d+(?:\.\d+)?)[x\u00d7*])?10\^?([-+]\d+)", plain)
    return f"; write {power[1] or 1}e{power[2]}" if power else ""


def is_misplaced(error: ErrorDetails) -> bool:
    """Return whether a key stands where a case, corpus or evaluation should, by its indentation."""
    kind, loc = error["type"], error["loc"]
    if len(loc) < 2 or loc[0] not in _OWNERS:
        return False
    too_deep = loc[1] in Recipe.model_fields and kind in (*_MAPPINGS, *_LACKING)
    return too_deep or _is_misplaced(kind, loc)


def _is_misplaced(kind: str, loc: Loc) -> bool:
    return kind in _MAPPINGS and len(loc) == 2 and loc[0] in _OWNERS and loc[1] in all_keys()


@cache
def all_keys() -> frozenset[str]:
    """Return the keys that stand anywhere in a recipe."""
    found: set[str] = {"like"}

    def collect(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, info in annotation.model_fields.items():
                key = str(info.validation_alias or name)
                if (annotation, key) not in seen:
                    seen.add((annotation, key))
                    found.add(key)
                    collect(info.annotation)
        for part in get_args(annotation):
            collect(part)

    seen: set[tuple[type, str]] = set()
    collect(Recipe)
    return frozenset(found)


def keys_at(loc: Loc) -> list[str]:
    """Return the keys that a recipe may have at `loc`, as they are written in YAML."""
    found = _model_at(Recipe, loc)
    if found is None:
        return []
    keys = [str(info.validation_alias or name) for name, info in found.model_fields.items()]
    return [*keys, "like"] if found is Case else keys


def source_names() -> list[str]:
    """Return the names of the sources that this version reads, sorted."""
    return sorted(_tags(Recipe.model_fields["corpora"].annotation))


def _model_at(annotation: Any, loc: Loc) -> type[BaseModel] | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _model_at(arguments[0], loc)
    if origin in (Union, UnionType):
        members = [member for member in arguments if member is not type(None)]
        if len(members) == 1:
            return _model_at(members[0], loc)
        for member in members:
            if loc and loc[0] in _tags(member):
                return _model_at(member, loc[1:])
        return None
    if origin is dict and loc:
        return _model_at(arguments[1], loc[1:])
    if origin in (list, tuple) and loc:
        return _model_at(arguments[0], loc[1:])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not loc:
            return annotation
        for name, info in annotation.model_fields.items():
            if loc[0] in (name, info.validation_alias):
                return _model_at(info.annotation, loc[1:])
    return None


def _tags(annotation: Any) -> set[str]:
    """Return all values of `source` of the models inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        source = annotation.model_fields.get("source")
        return set(typing.get_args(source.annotation)) if source else set()
    return {tag for part in get_args(annotation) for tag in _tags(part)}


def _is_source(kind: str, loc: Loc) -> bool:
    return kind == "literal_error" and loc[:1] == ("corpora",) and loc[-1] == "source"


def _unknown_source(error: ErrorDetails) -> str:
    available = source_names()
    given = error["input"]
    source = given.get("source") if isinstance(given, dict) else given
    if source is None:
        return f'missing key "source"{_owner(error["loc"])}; available: {", ".join(available)}'
    if not isinstance(source, str):
        return f'"source"{_owner(error["loc"])} must be one of {", ".join(available)}'
    meant = _SOURCES.get(source.lower().lstrip("."))
    hint = f"; use {meant}" if meant else nearest(source, available)
    return (
        f'source "{source}" is not available in this version; '
        f"available: {', '.join(available)}{hint}"
    )


def _owner(loc: Loc) -> str:
    """Return ` in case "x"` with the keys inside it, if any; empty for the recipe itself."""
    rest, owner = _split(loc)
    inside = f' in "{rest}"' if rest else ""
    return f"{inside}{' of' if inside and owner else ' in' if owner else ''}{owner}"


def _above(loc: Loc) -> str:
    """Return `case "x", train[0]: `, what holds the key at `loc`; empty for the recipe itself."""
    rest, owner = _split(loc[:-1])
    text = ", ".join(part for part in (owner.strip(), rest) if part and part not in _OWNERS)
    return f"{text}: " if text else ""


def _place(loc: Loc) -> str:
    """Return `"epochs" in case "x"`: the value at `loc`."""
    rest, owner = _split(loc)
    if not rest:
        return owner.strip() or "the recipe"
    return f'"{rest}"' + (f" in{owner}" if owner else "")


def _split(loc: Loc) -> tuple[str, str]:
    """Return the keys inside the owner, dotted, and the owner: (`train[0].tasks`, ` case "x"`)."""
    steps, owner = list(_without_tags(loc)), ""
    if len(steps) > 1 and steps[0] in _OWNERS:
        owner = f' {_OWNERS[str(steps[0])]} "{steps[1]}"'
        steps = steps[2:]
    return _dotted(steps), owner


def _without_tags(loc: Loc) -> Iterable[str | int]:
    """Drop what pydantic adds: the tag of a union, and [key] after a wrong key."""
    for index, step in enumerate(loc):
        is_tag = index == 2 and loc[0] == "corpora" and step in source_names()
        if not is_tag and step != "[key]":
            yield step


def _dotted(steps: Iterable[str | int]) -> str:
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _shown(value: object) -> str:
    """Return a value as the user would recognise it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if not isinstance(value, str):
        return str(value)
    line = " ".join(value.split())
    return f'"{line if len(line) <= _MAX_VALUE else line[: _MAX_VALUE - 1] + "…"}"'


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_CHARACTERS else line[: MAX_CHARACTERS - 1] + "…"
