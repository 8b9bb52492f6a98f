"""The fingerprint of a stage: one number that changes when anything its result depends on does."""

from __future__ import annotations

import hashlib
from collections.abc import Set
from pathlib import Path
from typing import Any

from soritune.corpus.card import CorpusCard
from soritune.files import json_sha256

# Raised by hand when the code of a stage changes so that old results must not stand beside new.
TRAINING_FORMAT = 1
DECODING_FORMAT = 3
SCORING_FORMAT = 4

# Up to this size a file of a model is read whole; of larger ones both ends and the size
# (a safetensors file has the names and shapes of all its tensors at its beginning).
WHOLE_FILE_BYTES = 64 * 2**20
END_BYTES = 2**20


def corpus_identity(card: CorpusCard) -> str:
    """Return the identity of a corpus: its utterances, wherever it is and whatever its name."""
    return json_sha256({"shards": [shard.sha256 for shard in card.shards]})


def split_identity(card: CorpusCard, splits: Set[str]) -> str:
    """Return the identity of some splits of a corpus: what else it holds does not change it.

    Of corpora of earlier versions, which do not say what their splits hold, that of the whole.
    """
    known = {name: summary.content for name, summary in card.splits.items()}
    if not all(known.values()):
        return corpus_identity(card)
    return json_sha256({name: known.get(name, "") for name in splits})


def base_identity(base: str, revision: str | None) -> str:
    """Return the identity of a base: the content of a folder, or name and revision on the hub.

    A model on a server counts by its address and its name there: nobody else knows what it is.
    A hub name without a revision counts as unchanged: name a revision in the recipe where that
    matters.
    """
    # Light: torch is imported there only by `load`.
    from soritune.models import resolve
    from soritune.models.record import BUILTIN_PREFIX

    folder = resolve(base) if base.startswith(BUILTIN_PREFIX) else Path(base).expanduser()
    if not folder.is_dir():
        return json_sha256({"hub": base, "revision": revision})
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return json_sha256(
        {str(path.relative_to(folder)): _content_identity(path) for path in files if _counts(path)}
    )


def _counts(path: Path) -> bool:
    """Return whether a file belongs to the model; descriptions for people do not."""
    return path.suffix != ".md" and not any(part.startswith(".") for part in path.parts[-2:])


def _content_identity(path: Path) -> list[Any]:
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if size <= WHOLE_FILE_BYTES:
            digest.update(file.read())
        else:
            digest.update(file.read(END_BYTES))
            file.seek(size - END_BYTES)
            digest.update(file.read(END_BYTES))
    return [size, digest.hexdigest()]
