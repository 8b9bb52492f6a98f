"""The model families: one line each, imported when they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from soritune import hub
from soritune.errors import UserError, nearest
from soritune.models.checkpoint import ADAPTER_CONFIG_FILE, CONFIG_FILE, read_json
from soritune.models.family import Family
from soritune.models.guard import check_files, model_errors
from soritune.models.record import BUILTIN_PREFIX, RECORD_FILE

# Module of each family; it has the family as FAMILY and does not import torch.
_MODULES = {
    "phi4mm": "soritune.models.phi4mm.family",
    "qwen3_asr": "soritune.models.qwen3_asr.family",
    "whisper": "soritune.models.whisper.family",
}
_loaded: dict[str, Family] = {}


def register(family: Family) -> None:
    """Add a family of another package or of a test.

    Raises ValueError where its name or one of its model types is taken.
    """
    for other in families():
        if other is family:
            return
        if other.name == family.name:
            raise ValueError(f"there is a model family {family.name} already")
        if shared := set(other.model_types) & set(family.model_types):
            raise ValueError(f"{other.name} opens model type {min(shared)} already")
    _loaded[family.name] = family


def families() -> list[Family]:
    """Return all families."""
    for name, module in _MODULES.items():
        if name not in _loaded:
            _loaded[name] = import_module(module).FAMILY
    return list(_loaded.values())


def family_named(name: object, where: str) -> Family:
    """Return the family of a name. Raises UserError, which begins with `where`, if none has it."""
    for family in families():
        if family.name == name:
            return family
    known = ", ".join(family.name for family in families())
    raise UserError(f"{where}: unknown model family {name!r}; this version knows {known}")


def family_of_config(config: Mapping[str, Any], where: str) -> Family:
    """Return the family that opens a config.json.

    Raises UserError, which begins with `where`, if none does.
    """
    model_type = config.get("model_type")
    for family in families():
        if model_type in family.model_types:
            return family
    known = "; ".join(f"{', '.join(f.model_types)} ({f.title})" for f in families())
    raise UserError(f"{where}: unknown model type {model_type!r}; soritune opens {known}")


def family_of(base: str, revision: str | None = None) -> Family | None:
    """Return the family of a base, trained model or adapter without downloading anything.

    None for a repository of the hub that was not downloaded yet and is not a published base.

    Args:
        base: folder, `builtin:NAME` or hub id.
        revision: of a hub id.

    Raises UserError where there is no such model or its family is unknown.
    """
    with model_errors(base):
        return _family_of(base, revision)


def _family_of(base: str, revision: str | None) -> Family | None:
    from soritune.models.open import adapter_base, adapter_folder

    if base.startswith(BUILTIN_PREFIX):
        return _builtin(base)[0]
    folder = Path(base).expanduser()
    if folder.is_dir():
        check_files(folder)
        if (folder / RECORD_FILE).is_file():
            record = read_json(folder / RECORD_FILE)
            return family_named(record.get("family"), str(folder / RECORD_FILE))
        adapter = adapter_folder(folder)
        if adapter is not None:
            name, of_base = adapter_base(adapter)
            return None if Path(name).resolve() == folder.resolve() else family_of(name, of_base)
        return family_of_config(read_json(folder / CONFIG_FILE), str(folder / CONFIG_FILE))
    if not hub.is_hub_id(base):
        raise UserError(f"model {base}: no such folder, and not a hub id of the form owner/name")
    if (config := hub.cached_file(base, CONFIG_FILE, revision)) is not None:
        return family_of_config(read_json(config), str(config))
    adapter_config = hub.cached_file(base, ADAPTER_CONFIG_FILE, revision)
    if adapter_config is not None:
        return family_of(*adapter_base(adapter_config.parent))
    return next((family for family in families() if base in family.published_bases), None)


def builtin_folder(name: str) -> Path:
    """Return the folder of a base that comes with the package.

    Args:
        name: "builtin:NAME".

    Raises UserError for an unknown one, with those that there are.
    """
    return _builtin(name)[1]


def loadable_name(name: str) -> str:
    """Return the name of a base as other programs load it: a hub id, or a folder."""
    return str(builtin_folder(name)) if name.startswith(BUILTIN_PREFIX) else name


def builtin_names() -> tuple[str, ...]:
    """Return the names of all bases that come with the package: "builtin:NAME"."""
    return tuple(_builtin_bases())


def _builtin(name: str) -> tuple[Family, Path]:
    known = _builtin_bases()
    if name not in known:
        raise UserError(
            f"no built-in model {name}{nearest(name, known)}; there are: "
            f"{', '.join(known) or 'none'}"
        )
    return known[name]


def _builtin_bases() -> dict[str, tuple[Family, Path]]:
    return {
        f"{BUILTIN_PREFIX}{name}": (family, folder)
        for family in families()
        for name, folder in family.builtin_bases.items()
    }
