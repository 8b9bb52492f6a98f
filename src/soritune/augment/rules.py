"""What may be said of a transform in a recipe, and when it leaves a transcript true."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "number", "whole number", "true or false", "text", "path", "mapping", "list of numbers"
]
Values = Mapping[str, Any]
"""Parameters of one transform, those that the recipe leaves out filled with their defaults."""

Rule = Callable[[Values], str | None]
"""Why the transcript may change with these values; None where it stays true."""


@dataclass(frozen=True)
class Parameter:
    """One parameter: `default` None without `needed` means that it may be left out."""

    name: str
    kind: Kind
    default: Any = None
    choices: tuple[str, ...] = ()
    needed: bool = False
    floor: float | None = None

    def problem(self, value: object) -> str | None:
        """What is wrong with a value from a recipe, None where it fits."""
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        if self._fits(value):
            low = self.floor is not None and isinstance(value, int | float) and value < self.floor
            return f"must be at least {self.floor:g}" if low else None
        if self.kind == "path":
            return "must be a path or a list of paths"
        article = "" if self.kind in ("true or false", "text") else "a "
        return f"must be {article}{self.kind}"

    def _fits(self, value: object) -> bool:
        if value is None:
            return not self.needed and self.default is None
        if isinstance(value, bool):
            return self.kind == "true or false"
        if self.kind == "number":
            return isinstance(value, int | float)
        if self.kind == "whole number":
            return isinstance(value, int)
        if self.kind == "mapping":
            return isinstance(value, dict)
        if self.kind == "list of numbers":
            return isinstance(value, list | tuple) and all(
                isinstance(each, int | float) and not isinstance(each, bool) for each in value
            )
        if self.kind == "path" and isinstance(value, list | tuple):
            return bool(value) and all(isinstance(each, str) and each for each in value)
        return self.kind in ("text", "path") and isinstance(value, str) and bool(value)


def number(name: str, default: float | None = None, floor: float | None = None) -> Parameter:
    return Parameter(name, "number", default, floor=floor)


def whole(name: str, default: int | None = None, floor: float | None = None) -> Parameter:
    return Parameter(name, "whole number", default, floor=floor)


def flag(name: str, default: bool) -> Parameter:
    return Parameter(name, "true or false", default)


def choice(name: str, *choices: str) -> Parameter:
    """The first of the choices is the default."""
    return Parameter(name, "text", choices[0], choices)


def span(
    name: str, low: float, high: float, floor: float | None = None
) -> tuple[Parameter, Parameter]:
    """`min_<name>` and `max_<name>`, between which a number is drawn."""
    return number(f"min_{name}", low, floor), number(f"max_{name}", high, floor)


def whole_span(name: str, low: int, high: int) -> tuple[Parameter, Parameter]:
    return whole(f"min_{name}", low), whole(f"max_{name}", high)


@dataclass(frozen=True)
class Transform:
    """One transform.

    `keeps` tells when a transcript may change, `repeats` when draws come from somewhere else than
    the key, so that no run could be repeated. `functions` are parameters that take a function,
    which no recipe has. `needs` is a module that its package does not bring along. `group` is
    one that takes other transforms.
    """

    name: str
    parameters: tuple[Parameter, ...] = ()
    keeps: Rule = lambda values: None
    repeats: Rule = lambda values: None
    p: float = 0.5
    own: bool = False
    functions: tuple[str, ...] = ()
    needs: str = ""
    group: bool = False

    def values(self, given: Values) -> dict[str, Any]:
        """`given` with the defaults of all other parameters."""
        return {each.name: each.default for each in self.parameters} | dict(given)


def never(reason: str) -> Rule:
    """Always changes it."""
    return lambda values: reason


def at_least(name: str, floor: float, reason: str) -> Rule:
    return lambda values: reason if values[name] < floor else None


def at_most(name: str, ceiling: float, reason: str) -> Rule:
    return lambda values: reason if values[name] > ceiling else None


def all_of(*rules: Rule) -> Rule:
    """The first reason of several."""

    def first(values: Values) -> str | None:
        return next((reason for rule in rules if (reason := rule(values)) is not None), None)

    return first
