"""Teach a speech language model a new language, with figures that can be believed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soritune.decoding.transcriber import Transcriber

__version__ = "0.1.0"


def load(
    model: str | Path,
    *,
    device: str | None = None,
    base: str | None = None,
) -> Transcriber:
    """Load a trained or original model (folder or hub id) for transcription and translation.

    `device` is a torch device name; None takes the first GPU where there is one, else the CPU.
    `base` is the base of a trained model or adapter, in place of the one that it names.
    Raises UserError where there is no such model.
    """
    # torch and transformers take seconds to import, and `import soritune` must not.
    from soritune.decoding.transcriber import Transcriber
    from soritune.models import load as load_model

    return Transcriber(load_model(model, device=device, merge=True, base=base))
