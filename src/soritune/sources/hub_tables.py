"""Data sets on the Hugging Face hub: downloaded once into its cache."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from soritune.errors import UserError

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")


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


def is_hub_id(path: str) -> bool:
    """Whether `path`, which does not exist here, has the form of a hub id: `owner/name`."""
    return (
        not os.path.isabs(path)
        and not path.startswith((".", "~"))
        and path.count("/") == 1
        and all(path.split("/"))
        and not path.endswith(ARCHIVE_SUFFIXES)
    )


def download(repository: str, revision: str | None, patterns: Sequence[str], what: str) -> Path:
    """The local folder with the files of a data set that match `patterns` (fnmatch).

    What has been downloaded before is not loaded again. `what` begins the message (the source).
    Raises UserError: no network, no such data set or revision, no permission.
    """
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        folder = huggingface_hub.snapshot_download(
            repository, repo_type="dataset", revision=revision, allow_patterns=list(patterns)
        )
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{what}: {repository} could not be downloaded ({reason}); download "
            f"{' and '.join(patterns)} from https://huggingface.co/datasets/{repository} on a "
            f"machine with network and set path to the folder that holds them"
        ) from error
    return Path(folder)
