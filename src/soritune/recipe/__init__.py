"""The typed experiment, read from YAML; every mistake is named with its line."""

from soritune.recipe.load import load_recipe
from soritune.recipe.schema import (
    Case,
    Evaluation,
    LoraConfig,
    ModelConfig,
    Recipe,
    TrainPart,
)

__all__ = [
    "Case",
    "Evaluation",
    "LoraConfig",
    "ModelConfig",
    "Recipe",
    "TrainPart",
    "load_recipe",
]
