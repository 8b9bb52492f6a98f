"""Data sets on the Hugging Face hub: what may name one, and their download into its cache."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from soritune import hub


@dataclass(frozen=True)
class Published:
    """What is known of a data set on the hub before it is there; None where nothing is.

    `splits` and `languages` are numbers of utterances. `by_hand` names a file that is not there and
    that a person has to get; then nothing is downloaded.
    """

    splits: Mapping[str, int] | None = None
    languages: Mapping[str, int] | None = None
    duration_s: float | None = None
    num_bytes: int | None = None
    by_hand: str = ""


@dataclass(frozen=True)
class HubOr:
    """What a setting may name besides a hub id, as an annotation of its type: always a folder.

    Attributes:
        file: which files it may be as well; an archive need not be there yet.
    """

    file: Literal["archive", "any"] | None = None

    def problem(self, name: str) -> str | None:
        """Return what is wrong with a name; None where it may be one."""
        path = os.path.expanduser(name)
        forms = {None: "a folder", "archive": "a folder or a tar archive", "any": "a file"}
        wanted = f"{forms[self.file]} or a hub id of the form owner/name"
        if os.path.isdir(path):
            return None
        if os.path.exists(path):
            if os.path.isfile(path) and (self.file == "any" or self._is_archive(path)):
                return None
            kind = "a file" if os.path.isfile(path) else "a pipe or a device"
            return f"{name} is {kind}; it must be {wanted}"
        if hub.is_hub_id(name) or (self.file == "archive" and name.endswith(hub.ARCHIVE_SUFFIXES)):
            return None
        return f"{name} is not here, and is not a hub id; it must be {wanted}"

    def _is_archive(self, path: str) -> bool:
        try:
            return self.file == "archive" and tarfile.is_tarfile(path)
        except (OSError, EOFError):
            return False


def download(repository: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Return the local folder with the files of a data set that match `patterns` (fnmatch).

    Raises:
        UserError: no network, no such data set or revision, no permission.
    """
    remedy = (
        f"download {' and '.join(patterns)} from https://huggingface.co/datasets/{repository} on "
        f"a machine with network and set path to the folder that holds them"
    )
    return hub.download(repository, revision, allow=patterns, kind="dataset", remedy=remedy)
