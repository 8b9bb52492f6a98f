"""Reads a recipe: YAML to the typed experiment, or one line that says what to fix and where."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from soritune.augment.files import SUFFIXES, has_sound_files
from soritune.augment.transforms import PATHS as AUGMENT_PATHS
from soritune.errors import RecipeProblem, UserError, nearest
from soritune.hub import is_local_path, require_folder
from soritune.recipe.document import Node, read_document
from soritune.recipe.messages import (
    all_keys,
    describe,
    describe_problem,
    full_loc,
    is_misplaced,
)
from soritune.recipe.schema import Recipe
from soritune.sources.hub_tables import HubOr
from soritune.sources.options import options_of

Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class RecipeFile:
    """A recipe with the lines of its values, for checks that need more than the recipe.

    Attributes:
        inherited: places that a case has from another one by `like`.
    """

    recipe: Recipe
    path: Path
    root: Node
    inherited: frozenset[Loc]

    def error(self, problems: Sequence[RecipeProblem]) -> UserError:
        """Return the problem that is first in the file as an error with its line."""
        own = [each for each in problems if each.loc[:3] not in self.inherited] or problems
        first = min(own, key=lambda each: self.root.line_of(each.loc))
        line = self.root.line_of(first.loc)
        return UserError(f"{self.path}:{line}: {describe_problem(first.loc, str(first))}")


def load_recipe(path: Path) -> Recipe:
    """Return the recipe in `path`, checked as far as that needs no model: see `read_recipe`."""
    return read_recipe(path).recipe


def read_recipe(path: Path) -> RecipeFile:
    """Read and check a recipe; `like` is resolved, files of corpora are found.

    Paths of corpora and a base given as a folder are relative to the recipe's folder if they
    exist there, else to the current directory.

    Raises:
        UserError: one line, `file:line: what`, for the first mistake in the file.
    """
    # 1. YAML with lines.
    root = read_document(path, all_keys())
    # 2. `like`: every key that a case does not give comes from the other case.
    cases = root.child("cases")
    inherited: set[Loc] = set()
    if cases is not None and cases.kind == "mapping":
        root, inherited = _resolve_likes(path, root, cases)
    # 3. Paths relative to the recipe.
    root = _with_paths(root, path.parent)
    # 4. Types, and what must fit together. JSON mode: text becomes a path or a task, but "4" is
    #    not a number and 1.5 not a whole one.
    try:
        recipe = Recipe.model_validate_json(json.dumps(root.value()), strict=True)
    except ValidationError as failure:
        raise UserError(_first_mistake(path, root, failure, inherited)) from None
    # 5. Files that must exist.
    _check_files(path, root, recipe)
    return RecipeFile(recipe, path, root, frozenset(inherited))


def _first_mistake(path: Path, root: Node, failure: ValidationError, inherited: set[Loc]) -> str:
    """Return the mistake that is first in the file; an inherited one where it was made."""
    errors = failure.errors(include_url=False)
    own = [error for error in errors if full_loc(error)[:3] not in inherited] or errors
    # A key that stands too far left is missing elsewhere, and a missing key next to an unknown one
    # is most likely that one misspelt.
    misspelt = {error["loc"][:-1] for error in own if error["type"] == "extra_forbidden"}

    def order(error: ErrorDetails) -> tuple[bool, bool, int]:
        missing = error["type"] == "missing" and error["loc"][:-1] in misspelt
        return not is_misplaced(error), missing, root.line_of(full_loc(error))

    first = min(own, key=order)
    return f"{path}:{root.line_of(full_loc(first))}: {describe(first)}"


def _resolve_likes(path: Path, root: Node, cases: Node) -> tuple[Node, set[Loc]]:
    """Return the document with each `like` replaced by its keys, and the places they fill."""
    done: dict[str, Node] = {}
    inherited: set[Loc] = set()

    def resolve(name: str, seen: tuple[str, ...]) -> Node:
        case = cases.entries[name]
        if name in done or case.kind != "mapping" or "like" not in case.entries:
            return done.setdefault(name, case)
        like = case.entries["like"]
        if name in seen:
            circle = " -> ".join((*seen[seen.index(name) :], name))
            raise UserError(f'{path}:{like.line}: "like" goes in a circle: {circle}')
        other = like.scalar
        if not isinstance(other, str):
            raise UserError(f'{path}:{like.line}: "like" in case "{name}" must name a case')
        if other not in cases.entries:
            raise UserError(
                f'{path}:{like.line}: case "{name}" is like "{other}", which is not a case'
                f"{nearest(other, cases.entries)}"
            )
        taken = resolve(other, (*seen, name)).entries
        own = {key: entry for key, entry in case.entries.items() if key != "like"}
        inherited.update(("cases", name, key) for key in taken if key not in own)
        done[name] = replace(case, entries={**taken, **own})
        return done[name]

    resolved = {name: resolve(name, ()) for name in cases.entries}
    return _put(root, "cases", replace(cases, entries=resolved)), inherited


def _with_paths(root: Node, folder: Path) -> Node:
    """Return the document with paths of corpora and of the base below `folder` where they exist."""
    corpora, model = root.child("corpora"), root.child("model")
    if corpora is not None:
        found = {
            name: _resolve_augment(_resolve_corpus(corpus, folder), folder)
            for name, corpus in corpora.entries.items()
        }
        root = _put(root, "corpora", replace(corpora, entries=found))
    cases = root.child("cases")
    if cases is not None:
        for name, case in cases.entries.items():
            train = case.child("train")
            if train is not None:
                parts = tuple(_resolve_augment(part, folder) for part in train.items)
                case = _put(case, "train", replace(train, items=parts))  # noqa: PLW2901
                cases = _put(cases, name, case)
        root = _put(root, "cases", cases)
    return _put(root, "model", _resolve_path(model, "base", folder)) if model is not None else root


def _resolve_corpus(corpus: Node, folder: Path) -> Node:
    for key in ("path", "ids", "exclude"):
        corpus = _resolve_path(corpus, key, folder)
    return corpus


def _resolve_path(node: Node, key: str, folder: Path) -> Node:
    entry = node.child(key)
    if entry is None or not isinstance(entry.scalar, str) or not entry.scalar:
        return node
    # os.path, not Path: it returns False where a name is too long or a ~user unknown.
    there = str(folder / os.path.expanduser(entry.scalar))
    return _put(node, key, replace(entry, scalar=there)) if os.path.exists(there) else node


def _resolve_augment(owner: Node, folder: Path) -> Node:
    """Resolve the files that the `augment` of a corpus or of a part of a training names."""

    def resolve(node: Node) -> Node:
        entries = {
            key: _resolve_paths(entry, folder) if key in AUGMENT_PATHS else resolve(entry)
            for key, entry in node.entries.items()
        }
        return replace(node, entries=entries, items=tuple(resolve(item) for item in node.items))

    augment = owner.child("augment")
    return owner if augment is None else _put(owner, "augment", resolve(augment))


def _resolve_paths(node: Node, folder: Path) -> Node:
    """Resolve a path, or each of a list of paths."""
    if node.kind == "list":
        return replace(node, items=tuple(_resolve_paths(item, folder) for item in node.items))
    return _resolve_path(Node(node.line, "mapping", entries={"": node}), "", folder).entries[""]


def _put(node: Node, key: str, entry: Node) -> Node:
    return replace(node, entries={**node.entries, key: entry})


def _check_files(path: Path, root: Node, recipe: Recipe) -> None:
    """Check that each `Path` in the settings of a source exists.

    What may be a hub id is typed as text and checked where it can only be meant as a path.
    """
    for name, source in recipe.corpora.items():
        settings: BaseModel = source
        for key, field in type(settings).model_fields.items():
            value = getattr(settings, key)
            is_local = isinstance(value, Path) or (
                key == "path" and is_local_path(value, path.parent)
            )
            if is_local and not os.path.exists(os.path.expanduser(value)):
                line = root.line_of(("corpora", name, key))
                raise UserError(
                    f'{path}:{line}: "{key}" in corpus "{name}": {_absence(str(value))}'
                )
            problem = _hub_problem(field, value)
            if problem is not None:
                line = root.line_of(("corpora", name, key))
                raise UserError(f'{path}:{line}: "{key}" in corpus "{name}": {problem}')
        augmentation = options_of(source).augment
        for given in augmentation.paths() if augmentation is not None else ():
            _check_augment_file(path, root.line_of(("corpora", name, "augment")), given)
    for name, case in recipe.cases.items():
        for index, part in enumerate(case.train):
            for given in part.augment.paths() if part.augment is not None else ():
                line = root.line_of(("cases", name, "train", index, "augment"))
                _check_augment_file(path, line, given)
    base = recipe.model.base
    line = root.line_of(("model", "base"))
    require_folder(base, f"{path}:{line}: base {base}", path.parent)


def _hub_problem(field: FieldInfo, value: object) -> str | None:
    """Return why a setting that may be a hub id can be none of what its type allows."""
    hub_or = next((each for each in field.metadata if isinstance(each, HubOr)), None)
    return None if hub_or is None or not isinstance(value, str) else hub_or.problem(value)


def _check_augment_file(path: Path, line: int, given: str) -> None:
    if not os.path.exists(os.path.expanduser(given)):
        raise UserError(f'{path}:{line}: "augment": {_absence(given)}')
    if not has_sound_files(given):
        raise UserError(
            f'{path}:{line}: "augment": {given} holds no sound files ({", ".join(SUFFIXES)}); '
            "fix the path"
        )


def _absence(given: str) -> str:
    """Return where a path was looked for in vain."""
    if given.startswith("~"):
        return f"{given} does not exist ({os.path.expanduser(given)}); fix the path"
    if os.path.isabs(given):
        return f"{given} does not exist; fix the path"
    return f"{given} does not exist, neither beside the recipe nor in the current directory"
