"""Models and files of the hub: names, downloads, and what the cache already has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from soritune.errors import UserError

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")
# Pickles are never downloaded, whatever their name: reading one can run code.
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


def is_hub_id(name: str) -> bool:
    """Return whether a name has the form owner/name of a repository on the hub.

    A path of one folder has it as well, so what exists here is looked for first; the name of an
    archive is always a path.
    """
    return (
        name.count("/") == 1
        and all(name.split("/"))
        and not name.startswith((".", "~"))
        and not name.endswith(ARCHIVE_SUFFIXES)
    )


def is_local_path(name: str, *folders: Path) -> bool:
    """Return whether somebody who gives this name means a path, though it may look like a hub id.

    It begins with . / or ~, or its first folder is in the current directory or in `folders`:
    runs/model, where runs/ is here, is not a repository of somebody called runs.
    """
    return name.startswith((".", "/", "~")) or _begins_in_a_folder(name, folders)


def _begins_in_a_folder(name: str, folders: Sequence[Path]) -> bool:
    first, found, _ = name.partition("/")
    return bool(found) and any(os.path.isdir(folder / first) for folder in (Path(), *folders))


def require_folder(name: str, what: str, *folders: Path) -> None:
    """Raise UserError, which begins with `what`, for a path of a folder that is not there."""
    if not is_local_path(name, *folders) or os.path.isdir(os.path.expanduser(name)):
        return
    why = ""
    if not name.startswith((".", "/", "~")):
        why = f" (it is a path, because {name.partition('/')[0]}/ is here)"
    raise UserError(
        f"{what}: no such folder{why}; fix the path, or give a hub id of the form owner/name"
    )


def download(
    source: str,
    revision: str | None = None,
    *,
    allow: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    kind: Literal["model", "dataset"] = "model",
    remedy: str = "check the name and the network, or give the folder of a downloaded copy",
) -> Path:
    """Return the folder of a model or data set on the hub, downloading what is missing.

    Offline, or with HF_HUB_OFFLINE=1, what is in the cache is taken. Pickles are left out.

    Args:
        source: hub id, owner/name.
        revision: branch, tag or commit; None is the main branch.
        allow: patterns of the files to download; None is all of them.
        ignore: patterns of files that are left out.
        kind: what the repository holds.
        remedy: what to do where it cannot be downloaded.

    Raises:
        UserError: not there, no access, or no network and not in the cache.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        return Path(
            snapshot_download(
                source,
                repo_type=kind,
                revision=revision,
                allow_patterns=None if allow is None else list(allow),
                ignore_patterns=[*PICKLES, *ignore],
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{kind} {source} cannot be downloaded ({reason}); {remedy}") from None


def cached_folder(source: str, revision: str | None = None) -> Path | None:
    """Return the folder of a repository that was downloaded before, None where it was not."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def cached_file(source: str, name: str, revision: str | None = None) -> Path | None:
    """Return a file of a repository from the cache, None where it is not there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source, name, revision=revision)
    return Path(found) if isinstance(found, str) else None
