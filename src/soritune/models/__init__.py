"""Speech models: one folder per family behind one protocol, and the opening of checkpoints."""

from soritune.models.open import describe, load, resolve

__all__ = ["describe", "load", "resolve"]
