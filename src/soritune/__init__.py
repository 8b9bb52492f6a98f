"""Teach a speech language model a new language, with figures that can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soritune.decoding.transcriber import Transcriber
    from soritune.scoring.score import Score

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


def score(
    references: Sequence[str],
    hypotheses: Sequence[str],
    *,
    language: str,
    metrics: Sequence[str] = ("cer", "wer"),
    variants: Sequence[str] | None = None,
    speakers: Sequence[str | None] | None = None,
    normalised: bool = False,
) -> list[Score]:
    """Score what a system wrote; each figure is a record with its interval and signature.

    `language` is that of the texts (a code or a name), `variants` of error rates default to those
    that are usual for it, and `speakers`, one an utterance, are drawn as wholes where they are six
    or more. Where one side alone looks normalised (no punctuation, capitals or digits), a
    `UserWarning` says so; `normalised` accepts that, and the signatures say it. Raises UserError
    where there is nothing to score or a name is unknown.
    """
    import warnings
    from dataclasses import replace

    from soritune.errors import UserError
    from soritune.languages.names import known_language, language_code
    from soritune.scoring.evaluate import default_variants, evaluate_hypotheses
    from soritune.scoring.normalised import SIGNATURE, signs

    if len(references) != len(hypotheses):
        raise UserError(
            f"{len(references):,} references and {len(hypotheses):,} hypotheses do not fit "
            "together. Give each reference one hypothesis."
        )
    known_language(language)
    code = language_code(language)
    chosen = default_variants(code) if variants is None else variants
    scores = evaluate_hypotheses(metrics, code, references, hypotheses, chosen, speakers=speakers)
    if normalised:
        return [replace(each, signature=f"{each.signature}|{SIGNATURE}") for each in scores]
    for sign in signs(references, hypotheses):
        warnings.warn(f"{sign}, or pass normalised=True.", stacklevel=2)
    return scores
