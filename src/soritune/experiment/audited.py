"""What `soritune doctor` is given (recipes, runs, recordings) as folders of prepared corpora."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soritune.corpus.card import read_card
from soritune.errors import UserError
from soritune.experiment.corpus_state import corpus_state
from soritune.experiment.plan import EXPERIMENT_FILE, Plan
from soritune.experiment.preparation import prepare_corpora
from soritune.files import locked
from soritune.languages.names import read_language
from soritune.recipe import Recipe, load_recipe
from soritune.sources.formats.lines import ending_of, not_a_list

RECIPE_SUFFIXES = (".yaml", ".yml")
SHARDS = "shards"

Say = Callable[[str], None]


@dataclass
class ToAudit:
    """Folders of prepared corpora.

    Attributes:
        outdated: those that are not what their recipe says now.
        recipe: the one that they are of, where it was given.
    """

    folders: list[Path] = field(default_factory=list)
    outdated: list[Path] = field(default_factory=list)
    recipe: str | None = None


def find_corpora(
    paths: Sequence[Path], language: str | None, say: Say, *, workers: int | None = None
) -> ToAudit:
    """Return the corpora that are meant; raw recordings are prepared into a cache first.

    Args:
        paths: recipes, folders of runs, of prepared corpora, or of recordings; lists.
        language: of raw recordings.
        say: is called with what is done, and with what is not audited.

    Raises:
        UserError: nothing there, nothing prepared, raw recordings that cannot be read.
    """
    found = ToAudit()
    for path in paths:
        if path.suffix in RECIPE_SUFFIXES:
            found.recipe = str(path)
            _add(found, Plan.of(load_recipe(path)), path, say)
        elif (path / EXPERIMENT_FILE).is_file():
            _add(found, Plan.read(path), path, say)
        elif path.is_file() and not ending_of(path):
            raise not_a_list(path)
        elif _is_raw(path):
            found.folders.append(_prepare_raw(path, language, say, workers))
        else:
            found.folders.append(path)
    return found


def _add(found: ToAudit, plan: Plan, path: Path, say: Say) -> None:
    folders = [plan.corpus_folder(name) for name in plan.recipe.corpora]
    prepared = [folder for folder in folders if read_card(folder) is not None]
    if not prepared:
        raise UserError(f"{path}: none of its corpora is prepared; run: soritune prepare {path}")
    lacking = [folder.name for folder in folders if folder not in prepared]
    if lacking:
        say(f"not prepared, not audited: {', '.join(lacking)}")
    found.folders += prepared
    found.outdated += [folder for folder in prepared if not _is_current(plan, folder)]


def _is_current(plan: Plan, folder: Path) -> bool:
    """Return whether a corpus is what preparing it again would give.

    One whose recordings are not here any more counts as current: nothing else could be made.
    """
    try:
        state = corpus_state(folder.name, plan.recipe.corpora[folder.name], folder)
    except UserError:
        return True
    return state.card is not None


def _is_raw(path: Path) -> bool:
    """Return whether a path is a list or a folder of recordings."""
    if path.is_file():
        return bool(ending_of(path))
    return path.is_dir() and read_card(path) is None and not (path / SHARDS).is_dir()


def _prepare_raw(path: Path, language: str | None, say: Say, workers: int | None) -> Path:
    if language is None:
        raise UserError(f"{path}: are recordings; name their language, such as --language ko")
    name = re.sub(r"[^\w.+-]", "-", path.resolve().name.partition(".")[0]).lstrip(".+-")
    place = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    settings: dict[str, Any] = {
        "name": "doctor",
        "output": str(_cache() / place),
        "language": read_language(language),
        "model": {"base": "builtin:tiny"},
        "corpora": {name or "recordings": _source(path)},
    }
    plan = Plan.of(Recipe.model_validate(settings))
    try:
        plan.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{_cache()}: the cache of raw recordings cannot be written ({error.strerror}). Set "
            "XDG_CACHE_HOME to a folder that can."
        ) from error
    with locked(plan.output):
        prepare_corpora(plan, (), say, workers=workers)
    return plan.corpus_folder(name or "recordings")


def _source(path: Path) -> dict[str, Any]:
    """Return the settings that read a path: all of it, undivided where it names no splits."""
    whole = {"path": path.resolve(), "test_share": 0, "dev_share": 0, "shared_sentences": "keep"}
    if path.is_file():
        return {"source": "manifest", **whole}
    if (path / "wav.scp").is_file():
        return {"source": "kaldi", **whole}
    return {"source": "folder", "speaker_from": "parent", **whole}


def _cache() -> Path:
    """Return where raw recordings are prepared (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "soritune" / "doctor"
