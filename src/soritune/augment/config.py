"""What a recipe may say under `augment`; every mistake is reported before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, PositiveInt, model_validator

from soritune.augment.risks import risk_of, why_not_repeatable
from soritune.augment.transforms import PATHS, Transform, find_transform
from soritune.errors import RecipeProblem
from soritune.settings import Settings

NONE = "none"
"""Switches off, for one part of a training, what its corpus says."""
FEATURES_ONLY = "specaugment"


class Step(Settings):
    """One transform with its probability and parameters; in a recipe its name alone is enough.

    `p` None: the transform's own default. `transforms` are those of a group (OneOf, SomeOf,
    Compose).
    """

    model_config = ConfigDict(extra="allow")
    transform: Annotated[str, Field(min_length=1)]
    p: Annotated[float, Field(ge=0, le=1)] | None = None
    transforms: tuple[Step, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return _with_tuple({"transform": value} if isinstance(value, str) else value, "transforms")

    @model_validator(mode="after")
    def _fits_its_transform(self) -> Self:
        kind = self.kind
        kind.check(self.parameters)
        reason = why_not_repeatable(kind.name, kind.values(self.parameters))
        if reason:
            raise RecipeProblem(f"{kind.name} {reason}: else no run could be repeated", "transform")
        if bool(self.transforms) != kind.is_group:
            words = "needs a list of" if kind.is_group else "takes no"
            raise RecipeProblem(
                f'{kind.name} {words} other transforms ("transforms")', "transforms"
            )
        if kind.is_group:
            problem = kind.group(self.parameters).problem(len(self.transforms))
            if problem:
                raise RecipeProblem(f"{kind.name}: {problem}", "transforms")
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that the recipe gives, without p."""
        return dict(self.model_extra or {})

    @property
    def kind(self) -> Transform:
        return find_transform(self.transform)

    @property
    def probability(self) -> float:
        return self.kind.p if self.p is None else self.p

    def tree(self) -> Iterator[tuple[tuple[str | int, ...], Step]]:
        """Yield this step and all inside it, each with the keys that lead to it."""
        yield (), self
        for index, inner in enumerate(self.transforms):
            for loc, step in inner.tree():
                yield ("transforms", index, *loc), step


class Augmentation(Settings):
    """What is done to the clips of a corpus, in this order, and when.

    `when` training: a new draw for each clip in each epoch. preparation: `copies` of each clip of
    the training split are stored with it. `transcript` may-change allows what cuts, rolls or
    reverses speech. `seed` gives other draws (while training, together with the recipe's seed).
    A name or a list alone stands for `use`.
    """

    use: tuple[Step, ...]
    when: Literal["training", "preparation"] = "training"
    copies: Annotated[PositiveInt, Field(le=20)] | None = None
    transcript: Literal["kept", "may-change"] = "kept"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="before")
    @classmethod
    def _steps_alone(cls, value: Any) -> Any:
        if value == NONE:
            return {"use": ()}
        if isinstance(value, str) or (isinstance(value, dict) and "transform" in value):
            return {"use": (value,)}
        if isinstance(value, list | tuple):
            return {"use": tuple(value)}
        if isinstance(value, dict) and isinstance(value.get("use"), str | dict):
            return value | {"use": (value["use"],)}
        return _with_tuple(value, "use")

    @model_validator(mode="after")
    def _keeps_what_was_said(self) -> Self:
        for index, step in enumerate(self.use):
            for inner_loc, inner in step.tree():
                loc = ("use", index, *inner_loc, "transform")
                if inner.transform == FEATURES_ONLY and (inner_loc or self.stored):
                    where = "inside a group" if inner_loc else "at preparation"
                    raise RecipeProblem(
                        f"specaugment masks features while training; it cannot stand {where}", *loc
                    )
                reason = risk_of(inner.transform, inner.kind.values(inner.parameters))
                if reason and self.transcript == "kept":
                    raise RecipeProblem(
                        f"{inner.transform} {reason}, so the transcript may be wrong; "
                        'change it, or write "transcript: may-change" next to "use"',
                        *loc,
                    )
        if self.copies is not None and self.when == "training":
            raise RecipeProblem('"copies" are stored: they need "when: preparation"', "copies")
        return self

    @property
    def stored(self) -> bool:
        """Whether the changed clips are part of the prepared corpus."""
        return self.when == "preparation"

    @property
    def num_copies(self) -> int:
        """Stored copies of each clip of a training split."""
        return (self.copies or 1) if self.stored and self.use else 0

    def steps(self) -> Iterator[Step]:
        """Yield all steps, those inside groups included."""
        for step in self.use:
            for _, inner in step.tree():
                yield inner

    def paths(self) -> list[str]:
        """Return the files and folders that the steps read."""
        given = [
            step.parameters[name]
            for step in self.steps()
            for name in step.parameters
            if name in PATHS
        ]
        return [each for value in given for each in ([value] if isinstance(value, str) else value)]


def _with_tuple(value: Any, key: str) -> Any:
    """Make the list under `key` a tuple: pydantic, strict, does not take one for the other."""
    if isinstance(value, dict) and isinstance(value.get(key), list):
        return value | {key: tuple(value[key])}
    return value
