"""Data sets on the Hugging Face hub: downloaded once into its cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
