"""Teach a speech language model a new language, with figures that can be believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    references: Iterable[str],
    hypotheses: Iterable[str],
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
    where there is nothing to score, texts do not fit together or a name is unknown.
    """
    import warnings
    from dataclasses import replace

    from soritune.errors import UserError
    from soritune.languages.names import known_language, language_code
    from soritune.scoring.evaluate import checked_texts, default_variants, evaluate_hypotheses
    from soritune.scoring.normalised import SIGNATURE, signs

    said = checked_texts("references", references)
    written = checked_texts("hypotheses", hypotheses)
    if len(said) != len(written):
        raise UserError(
            f"{len(said):,} references and {len(written):,} hypotheses do not fit together. "
            "Give each reference one hypothesis."
        )
    if speakers is not None and len(speakers) != len(said):
        raise UserError(
            f"{len(speakers):,} speakers and {len(said):,} references do not fit together. "
            "Give each reference its speaker, or None."
        )
    if said and not any(map(str.strip, said)):
        raise UserError("all references are empty, so there is nothing to compare with")
    known_language(language)
    code = language_code(language)
    chosen = default_variants(code) if variants is None else variants
    names = (metrics,) if isinstance(metrics, str) else metrics
    chosen = (chosen,) if isinstance(chosen, str) else chosen
    scores = evaluate_hypotheses(names, code, said, written, chosen, speakers=speakers)
    if normalised:
        return [replace(each, signature=f"{each.signature}|{SIGNATURE}") for each in scores]
    for sign in signs(said, written):
        warnings.warn(f"{sign}, or pass normalised=True.", stacklevel=2)
    return scores
