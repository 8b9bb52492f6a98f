"""The typed experiment: model, corpora, cases and evaluations.

Defaults of training are those of the published reference recipe for Phi-4-multimodal (AdamW
betas 0.9 and 0.95, eps 1e-7, learning rate 4e-5, weight decay 0.01, clipping at 1.0, linear
schedule with 50 warm-up steps, LoRA r 320, alpha 640, dropout 0.01).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

# The imports from rooms further down: each source's settings stand beside its reader, and those of
# augmentation beside its transforms, so that a new one is one new file and this schema stays.
from soritune.augment.config import Augmentation
from soritune.errors import RecipeProblem, UserError, nearest
from soritune.languages.names import known_language
from soritune.settings import Settings
from soritune.sources import SourceConfig
from soritune.sources.options import SharedPolicy, options_of
from soritune.tasks import Task
from soritune.utterance import Split

ORIGINAL = "original"
BUILTIN = "builtin:"
BUILTIN_BASES = ("builtin:tiny",)
# In this order a mode is written: "lora+audio", whatever order the recipe has.
MODE_PARTS = ("lora", "audio", "projector", "full")

# Names become names of folders and of columns.
Name = Annotated[str, Field(pattern=r"^\w[\w.+-]*$")]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Metric = Literal["cer", "wer", "bleu", "chrf"]
PositiveNumber = Annotated[float, Field(gt=0)]


def _named(code: str) -> str:
    try:
        known_language(code)
    except UserError as error:
        raise RecipeProblem(str(error)) from None
    return code


# Its name stands in the prompt, so it must have one.
TargetLanguage = Annotated[LanguageCode, AfterValidator(_named)]


class LoraConfig(Settings):
    """Low-rank adapters of the language model's layers.

    `start` says what becomes of the speech LoRA that the base brings, if it brings one: base
    trains it on (r and alpha must be its own), merge adds it to the weights and puts a fresh one
    beside them, fresh leaves it out.
    """

    start: Literal["base", "merge", "fresh"] = "base"
    r: PositiveInt = 320
    alpha: PositiveInt = 640
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.01


class ModelConfig(Settings):
    """The base that every case starts from: hub id, folder, or `builtin:tiny`."""

    base: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    lora: LoraConfig = LoraConfig()
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    @field_validator("base")
    @classmethod
    def _is_known_builtin(cls, base: str) -> str:
        if base.startswith(BUILTIN) and base not in BUILTIN_BASES:
            hint = nearest(base, BUILTIN_BASES)
            raise RecipeProblem(f'base "{base}" does not come with this version{hint}')
        return base


class TrainPart(Settings):
    """What a case takes from one corpus; a bare name in a recipe means all of its training split.

    `share` is the part of the split that is used, `max_hours` and `max_utterances` its most;
    they keep the same utterances in every epoch. `replay` instead takes as many examples as that
    fraction of all other parts. Parts with a `weight` take turns in proportion to their weights,
    in as many examples as they have utterances together. `tasks` are weights that are made to sum
    to 1. `to` is the language of translations, by default the one that the corpus has.
    """

    corpus: Name
    split: Split = "train"
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    replay: PositiveNumber | None = None
    weight: PositiveNumber | None = None
    max_hours: PositiveNumber | None = None
    max_utterances: PositiveInt | None = None
    tasks: dict[Task, PositiveNumber] = Field(default={Task.ASR: 1.0})
    to: TargetLanguage | None = None
    augment: Augmentation | None = None  # None: what the corpus says

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """So that trainings of recipes from before these keys stay done."""
        written: dict[str, Any] = write(self)
        for key in ("weight", "max_hours", "max_utterances", "augment"):
            if written.get(key) is None:
                written.pop(key, None)
        return written

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"corpus": value} if isinstance(value, str) else value

    @field_validator("tasks")
    @classmethod
    def _weights_sum_to_one(cls, tasks: dict[Task, float]) -> dict[Task, float]:
        if not tasks:
            raise RecipeProblem('"tasks" is empty; name at least one, such as {asr: 1}')
        total = sum(tasks.values())
        return {task: weight / total for task, weight in tasks.items()}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.replay is not None and self.share != 1.0:
            raise RecipeProblem('"share" and "replay" exclude each other; give one', "share")
        if self.replay is not None and self.weight is not None:
            raise RecipeProblem('"weight" and "replay" exclude each other; give one', "weight")
        if self.augment is not None and self.augment.stored:
            raise RecipeProblem(
                'what is stored ("when: preparation") belongs to the corpus, not to a case',
                "augment",
                "when",
            )
        if self.to is not None and set(self.tasks) == {Task.ASR}:
            raise RecipeProblem('"to" is for translations, but the only task is asr', "to")
        return self


class Case(Settings):
    """One training run on the base.

    `mode` is a sum of lora (adapters of the language model), audio (encoder and projector) and
    projector, or full alone. In a recipe `like: other-case` takes over every key that the case
    does not give itself; a loaded case has all of them. `shared_sentences` says what becomes of
    utterances whose sentence stands in dev or test of another corpus of the evaluations.
    """

    mode: str
    train: Annotated[tuple[TrainPart, ...], Field(min_length=1)]
    epochs: PositiveNumber = 1.0
    batch_size: PositiveInt = 16  # utterances of one optimizer step
    learning_rate: PositiveNumber = 4e-5
    audio_learning_rate: PositiveNumber | None = None  # encoder, projector; None: learning_rate
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.95,
    )
    eps: PositiveNumber = 1e-7
    max_grad_norm: PositiveNumber = 1.0
    warmup_steps: Annotated[int, Field(ge=0)] = 50
    schedule: Literal["linear", "cosine"] = "linear"
    max_tokens: PositiveInt | None = None  # tokens of one micro-batch; None: 8,192
    gradient_checkpointing: bool | None = None  # None: from a billion parameters on
    lora: LoraConfig | None = None  # None: the model's; keys left out come from there, too
    shared_sentences: SharedPolicy = "drop-from-train"

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """So that what was written of cases from before this key stays the same."""
        written: dict[str, Any] = write(self)
        if self.shared_sentences == "drop-from-train":
            written.pop("shared_sentences", None)
        return written

    @field_validator("mode")
    @classmethod
    def _in_fixed_order(cls, mode: str) -> str:
        parts = [part.strip() for part in mode.split("+")]
        for part in parts:
            if part not in MODE_PARTS:
                hint = nearest(part, MODE_PARTS)
                raise RecipeProblem(
                    f'mode "{mode}" is not a sum of {", ".join(MODE_PARTS)}'
                    + (f' ("{part}"{hint})' if hint else "")
                )
            if parts.count(part) > 1:
                raise RecipeProblem(f'mode "{mode}" names "{part}" twice')
        if "full" in parts and len(parts) > 1:
            raise RecipeProblem(f'mode "{mode}": "full" stands alone, it trains everything')
        return "+".join(part for part in MODE_PARTS if part in parts)

    @model_validator(mode="after")
    def _replays_beside_something(self) -> Self:
        if all(part.replay is not None for part in self.train):
            raise RecipeProblem('every part of "train" is a replay; add one without', "train")
        return self


class Evaluation(Settings):
    """One column of the table: a task on one split of a corpus."""

    corpus: Name
    split: Split = "test"
    task: Task
    source_language: Annotated[
        LanguageCode | None, Field(validation_alias="from", serialization_alias="from")
    ] = None
    to: TargetLanguage | None = None
    limit: PositiveInt | None = None  # utterances; None: all
    beams: PositiveInt = 1
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)] | None = None

    @property
    def metric_names(self) -> tuple[Metric, ...]:
        """`metrics`, or where none are given those that are usual for the task."""
        if self.metrics is not None:
            return self.metrics
        return ("cer", "wer") if self.task is Task.ASR else ("bleu", "chrf")

    @model_validator(mode="after")
    def _languages_fit_the_task(self) -> Self:
        for key, value in (("from", self.source_language), ("to", self.to)):
            if self.task is Task.ASR and value is not None:
                raise RecipeProblem(f'"{key}" is for translations, but the task is asr', key)
            if self.task is not Task.ASR and value is None:
                raise RecipeProblem(f'task {self.task.value} needs "{key}", such as {key}: ko', key)
        if self.to is not None and self.to == self.source_language:
            raise RecipeProblem(f'"from" and "to" are both "{self.to}"', "to")
        return self


class Recipe(Settings):
    """An experiment: every case is trained from the same base and put through every evaluation.

    `output` is relative to the current directory. `language` (ISO 639-1) is the one being learnt,
    and that of corpora that name none.
    """

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    output: Path
    language: LanguageCode
    model: ModelConfig
    corpora: Annotated[dict[Name, SourceConfig], Field(min_length=1)]
    cases: Annotated[dict[Name, Case], Field(min_length=1)]
    evaluate: Annotated[dict[Name, Evaluation], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_what_exists(self) -> Self:
        for name, case in self.cases.items():
            if name == ORIGINAL:
                raise RecipeProblem(
                    f'case "{ORIGINAL}" is always there (the base as it is); choose another',
                    *("cases", name),
                )
            for index, part in enumerate(case.train):
                self._check_corpus(part.corpus, "cases", name, "train", index, "corpus")
        for name, evaluation in self.evaluate.items():
            self._check_corpus(evaluation.corpus, "evaluate", name, "corpus")
        return self

    @model_validator(mode="after")
    def _corpora_in_its_language(self) -> Self:
        """The recipe's language is that of corpora that name none."""
        for name, source in self.corpora.items():
            self.corpora[name] = source.in_language(self.language)
        return self

    @model_validator(mode="after")
    def _augment_as_the_corpora_say(self) -> Self:
        """A part that says nothing of it is augmented as its corpus is while training."""
        for name, case in self.cases.items():
            parts = tuple(self._augmented(part) for part in case.train)
            self.cases[name] = case.model_copy(update={"train": parts})
        return self

    def _augmented(self, part: TrainPart) -> TrainPart:
        of_corpus = options_of(self.corpora[part.corpus]).augment
        if part.augment is not None or of_corpus is None or of_corpus.stored:
            return part
        return part.model_copy(update={"augment": of_corpus})

    @model_validator(mode="after")
    def _complete_lora(self) -> Self:
        """A case's `lora` that gives some keys has the others from the model's."""
        completed = {
            name: case.model_copy(
                update={
                    "lora": self.model.lora.model_copy(
                        update={key: getattr(case.lora, key) for key in case.lora.model_fields_set}
                    )
                }
            )
            for name, case in self.cases.items()
            if case.lora is not None
        }
        self.cases.update(completed)
        return self

    def _check_corpus(self, corpus: str, *loc: str | int) -> None:
        if corpus not in self.corpora:
            raise RecipeProblem(
                f'corpus "{corpus}" is not in "corpora"{nearest(corpus, self.corpora)}', *loc
            )
