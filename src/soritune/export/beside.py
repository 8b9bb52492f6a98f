"""The files that lie beside a base's weights: tokenizer, configurations, code for other programs.

They are copied byte for byte and never run.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from transformers import Phi4MultimodalConfig

from soritune.errors import UserError
from soritune.models.record import BUILTIN_PREFIX

# What an export writes itself, and what is no part of a model.
_OURS = {"soritune.json", "soritune-export.json", "checksums.sha256"}
_WEIGHT_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".pkl", ".ckpt", ".gguf", ".onnx"}
_BASE_CARD = "README.base.md"
_GENERATION_FILE = "generation_config.json"
# What the native layout takes over from an original folder: nothing that names its code.
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    _GENERATION_FILE,
    "LICENSE",
)
# Hidden files, and pickles, which would be run to be read.
_IGNORED = shutil.ignore_patterns(".*", "*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


def copy_all(base: Path, to: Path, *, leave_out: tuple[str, ...] = ()) -> None:
    """Copy all that lies beside the weights, folders too; the card as README.base.md.

    `leave_out` names files and folders of the top level.
    """
    for path in sorted(base.iterdir()):
        if path.name.startswith(".") or path.name in _OURS or path.name in leave_out:
            continue
        if path.is_dir():
            shutil.copytree(path, to / path.name, ignore=_IGNORED)
        elif path.name == "README.md":
            shutil.copyfile(path, to / _BASE_CARD)
        elif path.suffix not in _WEIGHT_SUFFIXES and not path.name.endswith(".index.json"):
            shutil.copyfile(path, to / path.name)


def copied(base: Path, to: Path, name: str) -> bool:
    """Copy a folder that lies beside the weights; False where there is none."""
    if not (base / name).is_dir():
        return False
    shutil.copytree(base / name, to / name, ignore=_IGNORED)
    return True


def copy_tokenizer(base: Path, to: Path) -> None:
    """Copy what the native layout needs and no more."""
    for name in _TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, to / name)


def complete_generation(config: Phi4MultimodalConfig, to: Path) -> None:
    """Write generation_config.json where the base has none.

    It names both end tokens, of which an original config.json names only one: without it vLLM
    goes on where an answer has ended.
    """
    path = to / _GENERATION_FILE
    if path.is_file():
        return
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    record = {"_from_model_config": True, **{name: getattr(config, name) for name in names}}
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def fetch_code(base_name: str, revision: str | None) -> None:
    """Have the hub's *.py files of a base beside its weights, to be handed on, never run.

    Raises UserError where the base is of the hub and they are not to be had.
    """
    if base_name.startswith(BUILTIN_PREFIX) or Path(base_name).is_dir():
        return
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot_download(base_name, revision=revision, allow_patterns=["*.py"])
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip().splitlines() or ["no answer"])[0]
        raise UserError(
            f"{base_name}: its *.py files, which vLLM wants beside the weights, cannot be "
            f"downloaded ({reason}); check the network, or export to native"
        ) from None
