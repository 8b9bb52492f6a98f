"""Reads a recipe: YAML to the typed experiment, or one line that says what to mend and where."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from soritune.augment.transforms import PATHS as AUGMENT_PATHS
from soritune.errors import UserError, nearest
from soritune.recipe.document import Node, read_document
from soritune.recipe.messages import describe, full_loc
from soritune.recipe.schema import Recipe
from soritune.sources.options import options_of

Loc = tuple[str | int, ...]


def load_recipe(path: Path) -> Recipe:
    """Read and check the recipe in `path`; `like` is resolved, files of corpora are found.

    Paths of corpora and a base given as a folder are relative to the recipe's folder if they
    exist there, else to the current directory. Raises UserError with one line, `file:line: what`,
    for the first mistake in the file.
    """
    # 1. YAML with lines.
    root = read_document(path)
    # 2. `like`: every key that a case does not give comes from the other case.
    cases = root.child("cases")
    inherited: set[Loc] = set()
    if cases is not None and cases.kind == "mapping":
        root, inherited = _resolve_likes(path, root, cases)
    # 3. Paths beside the recipe.
    root = _with_paths(root, path.parent)
    # 4. Types, and what must fit together. JSON mode: text becomes a path or a task, but "4" is
    #    no number and 1.5 no whole one.
    try:
        recipe = Recipe.model_validate_json(json.dumps(root.value()), strict=True)
    except ValidationError as failure:
        raise UserError(_first_mistake(path, root, failure, inherited)) from None
    # 5. Files that must be there.
    _check_files(path, root, recipe)
    return recipe


def _first_mistake(path: Path, root: Node, failure: ValidationError, inherited: set[Loc]) -> str:
    """The mistake that stands first in the file; an inherited one is told where it was made."""
    errors = failure.errors(include_url=False)
    own = [error for error in errors if full_loc(error)[:3] not in inherited] or errors
    # A key that is lacking beside one that is unknown is most likely that one misspelt.
    misspelt = {error["loc"][:-1] for error in own if error["type"] == "extra_forbidden"}

    def order(error: ErrorDetails) -> tuple[bool, int]:
        lacking = error["type"] == "missing" and error["loc"][:-1] in misspelt
        return lacking, root.line_of(full_loc(error))

    first = min(own, key=order)
    return f"{path}:{root.line_of(full_loc(first))}: {describe(first)}"


def _resolve_likes(path: Path, root: Node, cases: Node) -> tuple[Node, set[Loc]]:
    """The document with `like` replaced by what it stands for, and the places it filled."""
    done: dict[str, Node] = {}
    inherited: set[Loc] = set()

    def resolve(name: str, way: tuple[str, ...]) -> Node:
        case = cases.entries[name]
        if name in done or case.kind != "mapping" or "like" not in case.entries:
            return done.setdefault(name, case)
        like = case.entries["like"]
        if name in way:
            circle = " -> ".join((*way[way.index(name) :], name))
            raise UserError(f'{path}:{like.line}: "like" goes in a circle: {circle}')
        other = like.scalar
        if not isinstance(other, str):
            raise UserError(f'{path}:{like.line}: "like" in case "{name}" must name a case')
        if other not in cases.entries:
            raise UserError(
                f'{path}:{like.line}: case "{name}" is like "{other}", which is no case'
                f"{nearest(other, cases.entries)}"
            )
        taken = resolve(other, (*way, name)).entries
        own = {key: entry for key, entry in case.entries.items() if key != "like"}
        inherited.update(("cases", name, key) for key in taken if key not in own)
        done[name] = replace(case, entries={**taken, **own})
        return done[name]

    resolved = {name: resolve(name, ()) for name in cases.entries}
    return _put(root, "cases", replace(cases, entries=resolved)), inherited


def _with_paths(root: Node, folder: Path) -> Node:
    """The document with files of corpora, and the base, made to start at `folder` if there."""
    corpora, model = root.child("corpora"), root.child("model")
    if corpora is not None:
        found = {
            name: _augment_beside(_files_of_corpus(corpus, folder), folder)
            for name, corpus in corpora.entries.items()
        }
        root = _put(root, "corpora", replace(corpora, entries=found))
    cases = root.child("cases")
    if cases is not None:
        for name, case in cases.entries.items():
            train = case.child("train")
            if train is not None:
                parts = tuple(_augment_beside(part, folder) for part in train.items)
                case = _put(case, "train", replace(train, items=parts))  # noqa: PLW2901
                cases = _put(cases, name, case)
        root = _put(root, "cases", cases)
    return _put(root, "model", _beside(model, "base", folder)) if model is not None else root


def _files_of_corpus(corpus: Node, folder: Path) -> Node:
    for key in ("path", "ids", "exclude"):
        corpus = _beside(corpus, key, folder)
    return corpus


def _beside(node: Node, key: str, folder: Path) -> Node:
    entry = node.child(key)
    if entry is None or not isinstance(entry.scalar, str) or not entry.scalar:
        return node
    # os.path, not Path: it answers False, too, where a name is too long or a ~user unknown.
    there = str(folder / os.path.expanduser(entry.scalar))
    return _put(node, key, replace(entry, scalar=there)) if os.path.exists(there) else node


def _augment_beside(owner: Node, folder: Path) -> Node:
    """A corpus or a part of a training with the files that its `augment` names."""

    def found(node: Node) -> Node:
        entries = {
            key: _files_beside(entry, folder) if key in AUGMENT_PATHS else found(entry)
            for key, entry in node.entries.items()
        }
        return replace(node, entries=entries, items=tuple(found(item) for item in node.items))

    augment = owner.child("augment")
    return owner if augment is None else _put(owner, "augment", found(augment))


def _files_beside(node: Node, folder: Path) -> Node:
    """A path, or each of a list of paths."""
    if node.kind == "list":
        return replace(node, items=tuple(_files_beside(item, folder) for item in node.items))
    return _beside(Node(node.line, "mapping", entries={"": node}), "", folder).entries[""]


def _put(node: Node, key: str, entry: Node) -> Node:
    return replace(node, entries={**node.entries, key: entry})


def _check_files(path: Path, root: Node, recipe: Recipe) -> None:
    """Whatever a source's settings type as a Path must exist.

    What may be a hub id is typed as text and checked where it can only be meant as a path.
    """
    for name, source in recipe.corpora.items():
        settings: BaseModel = source
        for key in type(settings).model_fields:
            value = getattr(settings, key)
            is_local = isinstance(value, Path) or (key == "path" and _is_path(value))
            if is_local and not os.path.exists(os.path.expanduser(value)):
                line = root.line_of(("corpora", name, key))
                raise UserError(
                    f'{path}:{line}: "{key}" in corpus "{name}": {value} does not exist, '
                    f"neither beside the recipe nor in the current directory"
                )
        augmentation = options_of(source).augment
        for given in augmentation.paths() if augmentation is not None else ():
            _check_augment_file(path, root.line_of(("corpora", name, "augment")), given)
    for name, case in recipe.cases.items():
        for index, part in enumerate(case.train):
            for given in part.augment.paths() if part.augment is not None else ():
                line = root.line_of(("cases", name, "train", index, "augment"))
                _check_augment_file(path, line, given)
    base = recipe.model.base
    if _is_path(base) and not os.path.isdir(os.path.expanduser(base)):
        line = root.line_of(("model", "base"))
        raise UserError(f"{path}:{line}: base {base} is no folder; give a folder or a hub id")


def _check_augment_file(path: Path, line: int, given: str) -> None:
    if not os.path.exists(os.path.expanduser(given)):
        raise UserError(
            f"{path}:{line}: {given}, named under augment, does not exist, neither beside the "
            "recipe nor in the current directory"
        )


def _is_path(value: str) -> bool:
    return value.startswith((".", "/", "~"))
