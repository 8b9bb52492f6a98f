"""The output folder of a recipe: whose it is, and the recipe as it was written."""

from __future__ import annotations

import json
from pathlib import Path

from soritune.errors import UserError
from soritune.experiment.plan import EXPERIMENT_FILE
from soritune.files import read_regular, storage_error, write_atomically

RECIPE_FILE = "recipe.yaml"
# What a run writes, replaces and removes in its output folder.
_OURS = (
    RECIPE_FILE,
    "results.json",
    "report.md",
    "report.html",
    "report-audio",
    "corpora",
    "cases",
    "models",
    "doctor.json",
    "history.jsonl",
)


def check_output(folder: Path) -> None:
    """Raise UserError where a run would replace or remove files that no run has made.

    The first thing that a run writes is experiment.json; without it, nothing in the folder is ours.
    """
    record = folder / EXPERIMENT_FILE
    try:
        if _is_experiment(record):
            return
        foreign = [name for name in (EXPERIMENT_FILE, *_OURS) if (folder / name).exists()]
    except OSError as error:
        raise storage_error(error, folder) from error
    if foreign:
        raise UserError(
            f"{folder}: holds {foreign[0]}, which soritune has not written and would replace. "
            f"Give the recipe another output."
        )


def keep_recipe(source: Path, folder: Path) -> None:
    """Copy a recipe into the output folder, unless it is that copy itself."""
    kept = folder / RECIPE_FILE
    try:
        if not (kept.exists() and kept.samefile(source)):
            write_atomically(kept, read_regular(source))
    except OSError as error:
        raise storage_error(error, folder) from error


def _is_experiment(path: Path) -> bool:
    try:
        content = json.loads(read_regular(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (ValueError, RecursionError):
        # Ours, where a disk damaged it: the folders beside it tell.
        return (path.parent / "corpora").is_dir() and (path.parent / RECIPE_FILE).is_file()
    return isinstance(content, dict) and {"format", "recipe", "base"} <= content.keys()
