"""What a recipe may say under `augment`; every mistake is named before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from soritune.augment.catalog import TRANSFORMS
from soritune.augment.rules import Transform

NONE = "none"
"""Switches off, for one part of a training, what its corpus says."""
FEATURES_ONLY = "specaugment"
PATHS = frozenset(
    parameter.name
    for transform in TRANSFORMS.values()
    for parameter in transform.parameters
    if parameter.kind == "path"
)


class Step(BaseModel):
    """One transform with its probability and parameters; in a recipe its name alone is enough.

    `p` None: the transform's own default. `transforms` are those of a group (OneOf, SomeOf,
    Compose).
    """

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    transform: Annotated[str, Field(min_length=1)]
    p: Annotated[float, Field(ge=0, le=1)] | None = None
    transforms: tuple[Step, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return _with_tuple({"transform": value} if isinstance(value, str) else value, "transforms")

    @model_validator(mode="after")
    def _is_in_the_catalog(self) -> Self:
        kind = TRANSFORMS.get(self.transform)
        if kind is None:
            raise _mistake(
                f'there is no transform "{self.transform}"{_nearest(self.transform, TRANSFORMS)}',
                "transform",
            )
        self._check_parameters(kind)
        if bool(self.transforms) != kind.group:
            words = "needs a list of" if kind.group else "takes no"
            raise _mistake(f'{kind.name} {words} other transforms ("transforms")', "transforms")
        number = self.parameters.get("num_transforms")
        if number is not None and not 1 <= number <= len(self.transforms):
            raise _mistake(
                f"num_transforms is {number} of {len(self.transforms)} transforms", "num_transforms"
            )
        weights = self.parameters.get("weights")
        if weights is not None and (
            len(weights) != len(self.transforms) or min(weights) < 0 or sum(weights) <= 0
        ):
            raise _mistake("give one weight above 0 for each of the transforms", "weights")
        return self

    def _check_parameters(self, kind: Transform) -> None:
        known = {parameter.name: parameter for parameter in kind.parameters}
        for name, value in self.parameters.items():
            if name in kind.functions:
                raise _mistake(f"{name} of {kind.name} is a function, which no recipe has", name)
            if name not in known:
                raise _mistake(
                    f'{kind.name} has no parameter "{name}"'
                    f"{_nearest(name, [*known, 'p', 'transform'])}",
                    name,
                )
            problem = known[name].problem(value)
            if problem:
                raise _mistake(f"{name} of {kind.name} {problem}", name)
        lacking = [p.name for p in kind.parameters if p.needed and p.name not in self.parameters]
        if lacking:
            raise _mistake(f'{kind.name} needs "{lacking[0]}"', "transform")
        if kind.name == "Lambda":
            raise _mistake("Lambda applies a function, which no recipe has", "transform")
        values = kind.values(self.parameters)
        changing = kind.repeats(values)
        if changing:
            raise _mistake(f"{kind.name} {changing}: else no run could be repeated", "transform")
        for name, low in values.items():
            other = name.replace("min_", "max_", 1)
            if name.startswith("min_") and low > values[other]:
                raise _mistake(f"{name} of {kind.name} is above {other}", name)

    @property
    def parameters(self) -> dict[str, Any]:
        """What the recipe gives beside p."""
        return dict(self.model_extra or {})

    @property
    def kind(self) -> Transform:
        return TRANSFORMS[self.transform]

    @property
    def probability(self) -> float:
        return self.kind.p if self.p is None else self.p

    def tree(self) -> Iterator[tuple[tuple[str | int, ...], Step]]:
        """This step and all inside it, with the way to each."""
        yield (), self
        for index, inner in enumerate(self.transforms):
            for way, step in inner.tree():
                yield ("transforms", index, *way), step


class Augmentation(BaseModel):
    """What is done to the clips of a corpus, in this order, and when.

    `when` training: a new draw for each clip in each epoch. preparation: `copies` of each clip of
    the training split are stored beside it. `transcript` may-change allows what cuts, rolls or
    reverses speech. `seed` gives other draws (while training beside the recipe's seed). A name or
    a list alone stands for `use`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
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
            for way, inner in step.tree():
                loc = ("use", index, *way, "transform")
                if inner.transform == FEATURES_ONLY and (way or self.when == "preparation"):
                    where = "inside a group" if way else "at preparation"
                    raise _mistake(
                        f"specaugment masks features while training; it cannot stand {where}", *loc
                    )
                reason = inner.kind.keeps(inner.kind.values(inner.parameters))
                if reason and self.transcript == "kept":
                    raise _mistake(
                        f"{inner.transform} {reason}, so the transcript may be wrong; "
                        'change it, or write "transcript: may-change" beside "use"',
                        *loc,
                    )
        if self.copies is not None and self.when == "training":
            raise _mistake('"copies" are stored: they need "when: preparation"', "copies")
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
        """All steps, those inside groups included."""
        for step in self.use:
            for _, inner in step.tree():
                yield inner

    def paths(self) -> list[str]:
        """Files and folders that the steps read."""
        given = [
            step.parameters[name]
            for step in self.steps()
            for name in step.parameters
            if name in PATHS
        ]
        return [each for value in given for each in ([value] if isinstance(value, str) else value)]


def _with_tuple(value: Any, key: str) -> Any:
    """Lists of a recipe are tuples here; pydantic, strict, would not take one for the other."""
    if isinstance(value, dict) and isinstance(value.get(key), list):
        return value | {key: tuple(value[key])}
    return value


def _mistake(message: str, *loc: str | int) -> ValueError:
    # The recipe's room imports this one (through the corpora's settings) when it is loaded.
    from soritune.errors import RecipeProblem

    return RecipeProblem(message, *loc)


def _nearest(word: str, right: Any) -> str:
    from soritune.errors import nearest

    by_case = [each for each in right if each.lower() == word.lower()]
    return f': did you mean "{by_case[0]}"?' if by_case else nearest(word, right)
