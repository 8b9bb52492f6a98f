"""Sentences that a case trains on and the recipe tests on, in different corpora."""

from __future__ import annotations

from collections.abc import Sequence

from soritune.corpus.overlap import Folders, LeftOut, Overlap, Part, find_left_out, find_overlaps
from soritune.recipe import Case, Recipe

HELD_OUT = ("dev", "test")


class SharedSentences:
    """What the cases of a recipe leave out; it is looked for once for the same corpora."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], LeftOut | None] = {}

    def left_out(self, recipe: Recipe, case: str, folders: Folders) -> tuple[LeftOut, ...]:
        """What `case` does not train on; `folders` has the corpora that are prepared."""
        found = []
        for part in parts_of(recipe.cases[case]):
            tested = tuple(held_against(recipe, recipe.cases[case], part))
            involved = [name for name, _ in (part, *tested) if name in folders]
            state = tuple(
                (name, tuple(shard.sha256 for shard in folders[name][1].shards))
                for name in dict.fromkeys(involved)
            )
            key = (part, tested, state)
            if key not in self._found:
                self._found[key] = find_left_out(folders, part, tested)
            left_out = self._found[key]
            if left_out is not None:
                found.append(left_out)
        return tuple(found)


def parts_of(case: Case) -> list[Part]:
    """Corpora and splits that a case trains on, each once."""
    return list(dict.fromkeys((part.corpus, part.split) for part in case.train))


def held_against(recipe: Recipe, case: Case, part: Part) -> list[Part]:
    """Where the sentences stand that a case leaves out of `part`: dev and test of other corpora
    that the recipe evaluates on.

    What a corpus itself shares between its splits is its own setting. A split that the case
    trains on is held out only where it is evaluated, too.
    """
    if case.shared_sentences == "keep":
        return []
    evaluated = {(each.corpus, each.split) for each in recipe.evaluate.values()}
    trained = set(parts_of(case))
    return [
        (corpus, split)
        for corpus in dict.fromkeys(each.corpus for each in recipe.evaluate.values())
        for split in HELD_OUT
        if corpus != part[0] and ((corpus, split) in evaluated or (corpus, split) not in trained)
    ]


def overlaps_of(recipe: Recipe, cases: Sequence[str], folders: Folders) -> list[Overlap]:
    """Sentences that the named cases train on although an evaluation has them.

    Corpora that are not in `folders` are passed over.
    """
    evaluated = list(dict.fromkeys((e.corpus, e.split) for e in recipe.evaluate.values()))
    wanted: dict[Part, list[Part]] = {}
    for case in (recipe.cases[name] for name in cases if name in recipe.cases):
        for part in parts_of(case):
            without = held_against(recipe, case, part)
            against = wanted.setdefault(part, [])
            against += [o for o in evaluated if o not in (part, *without, *against)]
    return find_overlaps(folders, wanted)
