"""Titles of cases: in brackets, the settings in which the cases of a recipe differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from soritune.augment.config import Augmentation, Step
from soritune.errors import UserError
from soritune.progress import number_text
from soritune.recipe import Case, Recipe, TrainPart
from soritune.recipe.schema import ORIGINAL

_USUAL = ("mode", "epochs")
"""What is said of a case that has nothing to differ from."""
_MINOR = (
    "schedule",
    "warmup_steps",
    "weight_decay",
    "max_grad_norm",
    "betas",
    "eps",
    "max_tokens",
    "gradient_checkpointing",
)
"""Named only where cases would read the same without them."""


def case_title(name: str, recipe: Recipe) -> str:
    """Return `lora-4 (4 epochs)` where the cases differ in that; for the untrained base its name.

    Where they differ in nothing else, rarer settings are named as well. A recipe of one case
    names its mode and its epochs.
    """
    if name == ORIGINAL:
        return name
    cases = {case: dict(_described(settings, recipe)) for case, settings in recipe.cases.items()}
    shown = [key for key in cases[name] if len({each[key] for each in cases.values()}) > 1]
    major = [key for key in shown if key not in _MINOR]
    if len({tuple(each[key] for key in major) for each in cases.values()}) == len(cases):
        shown = major if len(cases) > 1 else list(_USUAL)
    words = [cases[name][key] for key in shown if cases[name][key]]
    return f"{name} ({', '.join(words)})" if words else name


def augmentation_words(case: Case) -> str:
    """Return what is done to the clips of a case while training; "" for nothing."""
    of_parts = {part.corpus: _augmentation(part.augment) for part in case.train}
    if len(set(of_parts.values())) == 1:
        return next(iter(of_parts.values()))
    return "; ".join(f"{corpus}: {words or 'none'}" for corpus, words in of_parts.items())


def _described(case: Case, recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield every setting in words for people; "" for what is not worth a word."""
    parts = case.train
    yield "mode", " + ".join(_mode_title(word, recipe) for word in case.mode.split("+"))
    yield "epochs", f"{case.epochs:g} epoch{'' if case.epochs == 1 else 's'}"
    yield "corpora", " + ".join(dict.fromkeys(map(_source, parts)))
    yield "limits", _joined(map(_limits, parts))
    yield "mixture", _joined(map(_mixture, parts))
    yield "tasks", _joined(map(_tasks, parts))
    words = augmentation_words(case)
    yield "augment", f"augmented: {words}" if words else "not augmented"
    yield "learning_rate", f"learning rate {number_text(case.learning_rate)}"
    audio = case.audio_learning_rate
    yield "audio_learning_rate", "" if audio is None else f"audio {number_text(audio)}"
    yield "batch_size", f"batch size {case.batch_size}"
    yield "lora", _lora(case, recipe)
    keeps = case.shared_sentences == "keep"
    yield "shared_sentences", "shared sentences kept" if keeps else ""
    for key in _MINOR:
        value = getattr(case, key)
        yield key, "" if value is None else f"{key} {_value(value)}"


def _source(part: TrainPart) -> str:
    return part.corpus if part.split == "train" else f"{part.corpus} {part.split}"


def _limits(part: TrainPart) -> str:
    limits = [
        "" if part.share == 1 else f"{100 * part.share:g} %",
        "" if part.max_hours is None else f"{part.max_hours:g} h",
        "" if part.max_utterances is None else f"{part.max_utterances:,} utterances",
    ]
    words = " and at most ".join(filter(None, limits))
    return f"{words} of {part.corpus}" if words else ""


def _mixture(part: TrainPart) -> str:
    if part.replay is not None:
        return f"replay {part.replay:g} of {part.corpus}"
    return "" if part.weight is None else f"weight {part.weight:g} of {part.corpus}"


def _tasks(part: TrainPart) -> str:
    to = "" if part.to is None else f" to {part.to}"
    return " + ".join(f"{task.value} {share:.2g}" for task, share in part.tasks.items()) + to


def _lora(case: Case, recipe: Recipe) -> str:
    lora = case.lora or recipe.model.lora
    given = {key: value for key, value in lora.model_dump().items() if value is not None}
    return "LoRA " + " ".join(f"{key} {_value(value)}" for key, value in given.items())


def _augmentation(augmentation: Augmentation | None) -> str:
    if augmentation is None or not augmentation.use:
        return ""
    seed = f" (seed {augmentation.seed})" if augmentation.seed else ""
    return " + ".join(map(_step, augmentation.use)) + seed


def _step(step: Step) -> str:
    given = [] if step.p is None else [f"p {step.p:g}"]
    given += [f"{key} {_value(value)}" for key, value in step.parameters.items()]
    inner = " | ".join(map(_step, step.transforms))
    return (
        step.transform
        + (f" [{inner}]" if inner else "")
        + (f" ({', '.join(given)})" if given else "")
    )


def _value(value: object) -> str:
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, list | tuple):
        return "–".join(map(_value, value))
    return str(value)


def _joined(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, words)))


def _mode_title(word: str, recipe: Recipe) -> str:
    """Return a mode in words for people, those of the family where it is known."""
    from soritune.models.registry import family_of

    try:
        family = family_of(recipe.model.base, recipe.model.revision)
    except UserError:  # the report of a run whose base is not here any more
        family = None
    title = "" if family is None or word not in family.modes else family.modes[word].title
    return title or word
