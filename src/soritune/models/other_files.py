"""The files beside a base's weights: tokenizer, configurations, code for other programs.

They are copied byte for byte and never run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from soritune.errors import UserError
from soritune.models.record import EXPORT_FILE, RECORD_FILE

GENERATION_FILE = "generation_config.json"
# What every layout of transformers takes over from another: nothing that names code.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    GENERATION_FILE,
    "LICENSE",
)
# What makes features of sound, in the older and the newer form of transformers.
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
# What an export writes itself, and what does not belong to a model.
_OURS = {RECORD_FILE, EXPORT_FILE, "checksums.sha256", "recipe.yaml", "results.json"}
_WEIGHT_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".pkl", ".ckpt", ".gguf", ".onnx"}
_BASE_CARD = "README.base.md"
# They would be run to be read.
_PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def copy_all(base: Path, to: Path, *, leave_out: Iterable[str] = ()) -> None:
    """Copy all files and folders but the weights; the card as README.base.md.

    `leave_out` names files and folders of the top level.
    """
    left_out = {*_OURS, *leave_out}
    check_links(base)
    for path in sorted(base.iterdir()):
        if path.name.startswith(".") or path.name in left_out:
            continue
        if path.is_dir():
            _copy_tree(path, to / path.name)
        elif path.name == "README.md":
            shutil.copyfile(path, to / _BASE_CARD)
        elif path.suffix not in _WEIGHT_SUFFIXES and not path.name.endswith(".index.json"):
            shutil.copyfile(path, to / path.name)


def copy_folder(base: Path, to: Path, name: str) -> bool:
    """Copy a folder beside the weights; returns False where there is none."""
    if not (base / name).is_dir():
        return False
    check_links(base / name, base)
    _copy_tree(base / name, to / name)
    return True


def copy_files(base: Path, to: Path, names: Iterable[str] = TOKENIZER_FILES) -> None:
    """Copy the files of these names that are there."""
    for name in names:
        if (base / name).is_file():
            _check_link(base / name, base)
            shutil.copyfile(base / name, to / name)


def _copy_tree(folder: Path, to: Path) -> None:
    """Copy a folder without hidden files and pickles; new files have the modes of the umask."""
    to.mkdir()
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith(_PICKLE_SUFFIXES):
            continue
        if path.is_dir():
            _copy_tree(path, to / path.name)
        else:
            shutil.copyfile(path, to / path.name)


def check_links(folder: Path, base: Path | None = None) -> None:
    """Raise UserError for a link out of a model folder, weights and settings included.

    Args:
        base: the model folder, where `folder` is a part of it.
    """
    for path in sorted(folder.rglob("*")):
        _check_link(path, base or folder)


def _check_link(path: Path, base: Path) -> None:
    """Raise UserError for a link out of a model folder: it would copy a foreign file.

    In the cache of the hub, files are links to the blobs of the same repository.
    """
    allowed = [base.resolve()]
    if base.resolve().parent.name == "snapshots":
        allowed.append(base.resolve().parents[1] / "blobs")
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise UserError(
            f"{path}: is a link that leads nowhere; take the model from where it came from"
        ) from None
    if not any(target == folder or folder in target.parents for folder in allowed):
        raise UserError(
            f"{path}: leads to {target}, outside the model; put the file itself there, or remove "
            "the link"
        )
    if path.is_symlink() and path.is_dir():  # it may lead around in a circle
        raise UserError(f"{path}: is a link to a folder; put the folder itself there")
