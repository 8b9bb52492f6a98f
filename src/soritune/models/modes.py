"""The `mode` of a case: a sum of words that the family knows, such as "lora+audio"."""

from __future__ import annotations

from soritune.errors import nearest
from soritune.models.family import LORA, Family


def written_mode(family: Family, mode: str) -> str:
    """Return a mode with its words in the family's order, whatever order it is given in.

    Raises ValueError, with what is wrong, for a word that the family does not know, one that is
    there twice, and one that stands alone in a sum.
    """
    words = [word.strip() for word in mode.split("+")]
    for word in words:
        if word not in family.modes:
            raise ValueError(
                f'mode "{mode}" is not a sum of {", ".join(family.modes)}, the modes of '
                f'{family.title} ("{word}"{nearest(word, family.modes)})'
            )
        if words.count(word) > 1:
            raise ValueError(f'mode "{mode}" names "{word}" twice')
        if family.modes[word].alone and len(words) > 1:
            raise ValueError(f'mode "{mode}": "{word}" stands alone, it trains everything')
    return "+".join(word for word in family.modes if word in words)


def parts_of_mode(family: Family, mode: str) -> frozenset[str]:
    """Return the parts that train in a mode. Raises ValueError as `written_mode` does."""
    words = written_mode(family, mode).split("+")
    return frozenset().union(*(family.modes[word].parts for word in words))


def lora_layers(family: Family, mode: str) -> str:
    """Return the pattern of the layers that a fresh LoRA of a mode is put on."""
    words = [family.modes[word] for word in written_mode(family, mode).split("+")]
    patterns = [word.lora_layers or family.lora.layers for word in words if LORA in word.parts]
    if len(patterns) > 1:
        return "|".join(f"(?:{pattern})" for pattern in patterns)
    return patterns[0] if patterns else family.lora.layers
