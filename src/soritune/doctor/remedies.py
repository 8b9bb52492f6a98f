"""Where a remedy goes, and what it costs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from soritune.doctor.catalogue import CHECKS
from soritune.doctor.findings import CorpusFacts, Finding

_LEAVES_OUT = ("exclude", "shared_sentences", "shared_speakers")
"""Keys of a corpus that leave utterances out."""
_CHANGES = ("text", "trim_silence_s", "remove_offset")
"""Keys that change what is kept."""
RECIPE = "RECIPE"


def remedy(
    finding: Finding, corpora: Sequence[CorpusFacts], recipe: str = RECIPE
) -> tuple[str, str]:
    """Return what fixes a finding; and where that is written, with how many utterances it drops.

    The second is empty where nothing is written.

    Args:
        corpora: all that were audited.
        recipe: whose corpora they are, for the command that follows.
    """
    keys = re.findall(r"`(\w+)", CHECKS[finding.check].fix)
    text = finding.fix + list_hint(finding.check)
    if not keys:
        return text, ""
    dropped = finding.leave_out or {finding.corpus: finding.ids}
    places = " and ".join(f"`corpora.{name}`" for name in dropped)
    cost = _cost(finding, dropped, corpora, keys)
    return text, f"under {places} in the recipe, then `soritune prepare {recipe}`; {cost}"


def list_hint(check: str) -> str:
    """How the list for `exclude` is written, where that fixes a check; else ""."""
    return f" (`--exclude {check}` writes the list)" if CHECKS[check].can_be_left_out else ""


def _cost(
    finding: Finding,
    dropped: dict[str, list[str]],
    corpora: Sequence[CorpusFacts],
    keys: Sequence[str],
) -> str:
    if not set(keys) & set(_LEAVES_OUT):
        return f"drops none, changes up to {finding.utterances:,}"
    sizes = {facts.name: facts.utterances for facts in corpora}
    several = len(dropped) > 1
    words = [
        f"{len(ids):,} of {sizes[name]:,}" + (f" of {name}" if several else "")
        for name, ids in dropped.items()
    ]
    others = [f"`{key}`" for key in dict.fromkeys(keys) if key in _CHANGES]
    none = f", {' or '.join(others)} drops none" if others else ""
    which = "`exclude` drops" if others else "drops"
    return f"{which} {' and '.join(words)}{none}"
