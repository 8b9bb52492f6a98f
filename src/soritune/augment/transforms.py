"""Transforms by name: their parameters, read from the signatures of the classes that apply them.

Ours are the effects of this folder; all others are the classes of the installed audiomentations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from soritune.augment import effects
from soritune.augment.groups import Compose, Group, OneOf, SomeOf
from soritune.augment.masks import SpecAugment
from soritune.augment.risks import Values
from soritune.augment.sets import SETS
from soritune.errors import RecipeProblem, UserError, nearest

PATHS = frozenset({"impulse_responses", "ir_path", "sounds_path"})
"""Parameters that name files or folders."""


def _no_parameters() -> None:
    """Stands for a ready set, which is replaced by its steps."""


OWN: Mapping[str, tuple[Callable[..., Any], float]] = {
    "fast-slow": (effects.FastSlow, 0.8),
    "telephone": (effects.Telephone, 0.5),
    "room": (effects.Room, 0.5),
    "babble": (effects.Babble, 0.5),
    "specaugment": (SpecAugment, 1.0),
    "Compose": (Compose, 1.0),
    "OneOf": (OneOf, 1.0),
    "SomeOf": (SomeOf, 1.0),
    **{name: (_no_parameters, made["p"]) for name, made in SETS.items()},
}
"""Class and default probability of each transform that can be checked without audiomentations."""
_STRICT = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
_MUST_BE = {
    "float_type": "a number",
    "finite_number": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "dict_type": "a mapping",
}


@dataclass(frozen=True)
class Transform:
    """A transform: the class that applies it, its parameters, and its default probability."""

    name: str
    made_by: Callable[..., Any]
    parameters: Mapping[str, inspect.Parameter]
    p: float

    @property
    def is_group(self) -> bool:
        return self.made_by in (Compose, OneOf, SomeOf)

    def group(self, given: Values) -> Group:
        """Return the group with the parameters of a recipe."""
        made: Group = self.made_by(**given)
        return made

    def values(self, given: Values) -> dict[str, Any]:
        """Return `given` with the defaults of all other parameters."""
        defaults = {name: parameter.default for name, parameter in self.parameters.items()}
        return defaults | dict(given)

    def check(self, given: Values) -> None:
        """Raise RecipeProblem where a recipe's parameters do not fit the signature."""
        for name, value in given.items():
            if name not in self.parameters:
                hint = nearest(name, [*self.parameters, "p", "transform"])
                raise RecipeProblem(f'{self.name} has no parameter "{name}"{hint}', name)
            if _is_function(self.parameters[name]):
                raise RecipeProblem(
                    f"{name} of {self.name} is a function, which a recipe cannot hold", name
                )
            problem = _problem(self.parameters[name], value)
            if problem:
                raise RecipeProblem(f"{name} of {self.name} {problem}", name)
        for name, parameter in self.parameters.items():
            if parameter.default is inspect.Parameter.empty and name not in given:
                if _is_function(parameter):
                    raise RecipeProblem(
                        f"{self.name} applies a function, which a recipe cannot hold", "transform"
                    )
                raise RecipeProblem(f'{self.name} needs "{name}"', "transform")
        values = self.values(given)
        for name, low in values.items():
            other = name.replace("min_", "max_", 1)
            if name.startswith("min_") and low > values.get(other, low):
                raise RecipeProblem(f"{name} of {self.name} is above {other}", name)


def find_transform(name: str) -> Transform:
    """Return the transform `name`.

    Raises:
        RecipeProblem: there is none, or audiomentations, which may have it, is not installed.
    """
    if name in OWN:
        return _described(name, *OWN[name])
    try:
        package = effects.load_audiomentations()
    except UserError:
        near = nearest(name, OWN) or (
            ": transforms of audiomentations can only be checked where it is installed; "
            "run: pip install 'soritune[augment]'"
        )
        raise RecipeProblem(
            f'there is no transform "{name}" of ours{near}; there are: {", ".join(OWN)}',
            "transform",
        ) from None
    classes: dict[str, Any] = {
        each: made for each, made in vars(package).items() if inspect.isclass(made)
    }
    if name not in classes:
        known = [*OWN, *classes]
        by_case = {each.lower(): each for each in known}.get(name.lower())
        hint = f': did you mean "{by_case}"?' if by_case else nearest(name, known)
        others = sorted(each for each in classes if each not in OWN and each != "Lambda")
        raise RecipeProblem(
            f'there is no transform "{name}"{hint}; there are: {", ".join(OWN)}, and of '
            f"audiomentations {', '.join(others)}",
            "transform",
        )
    return _described(name, classes[name], None)


@lru_cache(maxsize=128)
def _described(name: str, made_by: Any, p: float | None) -> Transform:
    signature = inspect.signature(made_by, eval_str=True)
    parameters = {
        parameter.name: parameter
        for parameter in signature.parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    default_p = parameters.pop("p").default if p is None else p
    return Transform(name, made_by, parameters, default_p)


def _is_function(parameter: inspect.Parameter) -> bool:
    return "Callable" in str(parameter.annotation)


def _problem(parameter: inspect.Parameter, value: object) -> str | None:
    """Return what is wrong with a value for a parameter, None where it fits."""
    kind = parameter.annotation
    if kind is inspect.Parameter.empty:  # `p=0.5`
        kind = type(parameter.default)
    if value is None and parameter.default is None:  # `gain_db: float = None`
        return None
    is_path = parameter.name in PATHS
    try:
        TypeAdapter(kind, config=_STRICT).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        if is_path:
            return "must be a path or a list of paths"
        if first["type"] == "literal_error":
            choices = first["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            return f"must be one of {choices}{nearest(str(value), choices.split(', '))}"
        if first["type"] == "greater_than_equal":
            return f"must be at least {first['ctx']['ge']:g}"
        what = _MUST_BE.get(first["type"])
        return f"must be {what}" if what else f"does not fit: {first['msg'].lower()}"
    return "must be a path or a list of paths" if is_path and not value else None
