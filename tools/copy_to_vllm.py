"""Copies into the vLLM plug-in what it has in common with soritune.

The plug-in (`plugins/vllm/`) is installed beside vLLM, whose requirements exclude soritune's, so it
cannot import soritune. Features, prompts, names of tensors, configurations and the reading of
LoRAs stand once, in `src/soritune/`; this script writes their copies:

    python tools/copy_to_vllm.py
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src/soritune"
COPY = ROOT / "plugins/vllm/src/soritune_vllm/soritune"
MODULES = (
    "errors.py",
    "tasks.py",
    "languages/names.py",
    "models/checkpoint.py",
    "models/lora.py",
    "models/tensors.py",
    "models/tokenizers.py",
    "models/phi4mm/configuration.py",
    "models/phi4mm/constants.py",
    "models/phi4mm/features.py",
    "models/phi4mm/layout.py",
    "models/phi4mm/prompts.py",
)
_IMPORT = re.compile(r"^(\s*(?:from|import) )soritune(?=[.\s])", re.MULTILINE)


def copies() -> dict[Path, str]:
    """Return the text of every file of the copy.

    Raises ValueError where a module needs one that is not copied.
    """
    made = {COPY / module: _copied(module) for module in MODULES}
    folders = {
        COPY,
        *(folder for file in made for folder in file.parents if COPY in folder.parents),
    }
    note = '"""Parts of soritune, copied by tools/copy_to_vllm.py: change them there."""\n'
    return made | {folder / "__init__.py": note for folder in folders}


def differences() -> list[Path]:
    """Return the files of the copy that are missing, outdated or too many."""
    wanted = copies()
    there = {path: path.read_text(encoding="utf-8") for path in COPY.rglob("*.py")}
    return sorted(path for path in wanted | there if wanted.get(path) != there.get(path))


def write() -> None:
    """Write the copy, and remove what no longer belongs to it."""
    wanted = copies()
    for path in differences():
        if path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()


def _copied(module: str) -> str:
    text = (SOURCE / module).read_text(encoding="utf-8")
    for needed in re.findall(r"^\s*from soritune\.([\w.]+) import", text, re.MULTILINE):
        _check_copied(module, needed)
    for package, names in re.findall(r"^\s*from soritune\.([\w.]+) import ([\w, ]+)$", text, re.M):
        if not (SOURCE / (package.replace(".", "/") + ".py")).is_file():
            for name in names.split(", "):
                _check_copied(module, f"{package}.{name}")
    header = f"# Copied from src/soritune/{module} by tools/copy_to_vllm.py: change it there.\n"
    return header + _IMPORT.sub(r"\1soritune_vllm.soritune", text)


def _check_copied(module: str, needed: str) -> None:
    file = needed.replace(".", "/") + ".py"
    if (SOURCE / file).is_file() and file not in MODULES:
        raise ValueError(f"{module} needs {file}, which MODULES of {Path(__file__).name} lacks")


if __name__ == "__main__":
    write()
