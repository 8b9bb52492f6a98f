"""The typed experiment: model, corpora, cases and evaluations.

Defaults of the optimizer are those of the published reference recipe for fine-tuning a speech LLM
on Korean (AdamW betas 0.9 and 0.95, eps 1e-7, learning rate 4e-5, weight decay 0.01, clipping at
1.0, linear schedule with 50 warm-up steps). Modes and the size of a LoRA depend on the model family
and are completed when the family is known (`soritune.experiment.loading`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PositiveInt,
    field_validator,
    model_validator,
)

# Each source's settings are in the module of its reader, and those of augmentation in the module of
# its effects: a new one is one new file, without a change here.
from soritune.augment.config import Augmentation
from soritune.errors import RecipeProblem, UserError, nearest
from soritune.languages.names import known_language
from soritune.languages.setting import LanguageCode
from soritune.settings import Settings
from soritune.sources import SourceConfig
from soritune.sources.corpora.non_speech import NonSpeechSource
from soritune.sources.options import SharedPolicy, options_of
from soritune.tasks import Task
from soritune.utterance import Split

ORIGINAL = "original"

# Names become names of folders and of columns.
# The names of files in them have at most 255 bytes, and some get an ending.
_MAX_NAME_BYTES = 200
_MAX_PART_BYTES = 255
_MAX_OUTPUT_BYTES = 3000  # Linux takes paths of 4095


def _is_short(name: str) -> str:
    if len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
        raise RecipeProblem(
            f"a name of {len(name)} characters is too long for a folder; "
            f"take one of at most {_MAX_NAME_BYTES} bytes"
        )
    return name


Name = Annotated[str, Field(pattern=r"^\w[\w.+-]*$"), AfterValidator(_is_short)]
ErrorMetric = Literal["cer", "wer", "jamo", "spacing", "invented"]
Metric = ErrorMetric | Literal["bleu", "chrf", "bleu/char", "bleu/13a", "bleu/flores200"]
Variant = Literal["raw", "seed", "no-spaces", "no-punctuation", "reading"]
PositiveNumber = Annotated[float, Field(gt=0)]


def _has_name(code: str) -> str:
    try:
        known_language(code)
    except UserError as error:
        raise RecipeProblem(str(error)) from None
    return code


# A prompt may contain its name, so it must have one.
TargetLanguage = Annotated[LanguageCode, AfterValidator(_has_name)]


class LoraConfig(Settings):
    """Low-rank adapters of the model's layers.

    Attributes:
        start: what becomes of the LoRA that the base brings, if it brings one: "base" continues to
            train it (r and alpha must be its own), "merge" adds it to the weights and adds a new
            one, "fresh" leaves it out.
        r, alpha, dropout: None: those of the model family.
    """

    start: Literal["base", "merge", "fresh"] = "base"
    r: PositiveInt | None = None
    alpha: PositiveInt | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None


class ModelConfig(Settings):
    """The base that every case starts from: hub id, folder, or `builtin:NAME`.

    One on a server (`openai:http://127.0.0.1:8000/v1#model`) is only evaluated.
    """

    base: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    lora: LoraConfig = LoraConfig()
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"


class TrainPart(Settings):
    """What a case takes from one corpus; a bare name in a recipe means all of its training split.

    Attributes:
        share, max_hours, max_utterances: limits; the same utterances are taken in every epoch.
        replay: as many examples as that fraction of all other parts, drawn in every epoch.
        weight: parts with weights are mixed in proportion to them, in as many examples as they have
            utterances together.
        tasks: weights, normalised to sum to 1.
        to: language of translations; None: the one that the corpus has.
        augment: None: what the corpus says.
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
    augment: Augmentation | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"corpus": value} if isinstance(value, str) else value

    @field_validator("tasks")
    @classmethod
    def _weights_sum_to_one(cls, tasks: dict[Task, float]) -> dict[Task, float]:
        if not tasks:
            raise RecipeProblem('"tasks" is empty; give at least one, such as {asr: 1}')
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


class DevScoring(Settings):
    """When a training is scored on a fixed sample of the dev splits that it does not train on.

    Attributes:
        every: optimizer steps.
        utterances: of the sample, the same ones each time.
    """

    every: PositiveInt
    utterances: PositiveInt = 50


class Case(Settings):
    """One training run on the base.

    In a recipe, `like: other-case` takes every key that the case does not give itself from the
    other case; a loaded case has all of them.

    Attributes:
        mode: what trains, a sum of the family's modes ("lora+audio").
        audio_learning_rate: of the parts that hear (encoder, projector); None: `learning_rate`.
        shared_sentences: what becomes of utterances whose sentence is in dev or test of another
            evaluated corpus.
    """

    mode: str
    train: Annotated[tuple[TrainPart, ...], Field(min_length=1)]
    epochs: PositiveNumber = 1.0
    batch_size: PositiveInt = 16  # utterances of one optimizer step
    learning_rate: PositiveNumber = 4e-5
    audio_learning_rate: PositiveNumber | None = None
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.95,
    )
    eps: PositiveNumber = 1e-7
    max_grad_norm: PositiveNumber = 1.0
    warmup_steps: Annotated[int, Field(ge=0)] | None = None  # None: 50, or a tenth of few steps
    schedule: Literal["linear", "cosine"] = "linear"
    max_tokens: PositiveInt | None = None  # of one micro-batch; None: 8,192
    gradient_checkpointing: bool | None = None  # None: from a billion parameters on
    lora: LoraConfig | None = None  # None: the model's, which also completes keys left out
    shared_sentences: SharedPolicy = "drop-from-train"
    dev: DevScoring | None = None  # only watches: it changes no weight

    @field_validator("mode")
    @classmethod
    def _is_sum_of_words(cls, mode: str) -> str:
        """Check the syntax; which words there are depends on the base (`soritune.models.modes`)."""
        words = [word.strip() for word in mode.split("+")]
        if not all(words):
            raise RecipeProblem(f'mode "{mode}" is not a sum of words, such as lora+audio')
        return "+".join(words)

    @model_validator(mode="after")
    def _has_a_part_that_is_not_a_replay(self) -> Self:
        if all(part.replay is not None for part in self.train):
            raise RecipeProblem('every part of "train" is a replay; add one without', "train")
        return self


class Retention(Settings):
    """A skill of the untrained base that a case must not lose.

    Attributes:
        worse_by: points of the first metric by which a case may be worse, interval included.
    """

    worse_by: Annotated[float, Field(ge=0)]


class Evaluation(Settings):
    """One column of the table: a task on one split of a corpus.

    Attributes:
        suite: a built-in corpus in place of one of the recipe's; "non-speech" counts the words that
            are invented for sounds without speech.
        limit: utterances; None: all.
        variants: in which error rates are counted, the first for verdicts; None: those that are
            usual for the language.
    """

    corpus: Name = ""
    split: Split = "test"
    task: Task = Task.ASR
    suite: Literal["non-speech"] | None = None
    source_language: Annotated[
        LanguageCode | None, Field(validation_alias="from", serialization_alias="from")
    ] = None
    to: TargetLanguage | None = None
    limit: PositiveInt | None = None
    beams: PositiveInt = 1
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)] | None = None
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)] | None = None
    retain: Retention | None = None

    @property
    def metric_names(self) -> tuple[Metric, ...]:
        """`metrics`, or the usual ones of the task where none are given."""
        if self.metrics is not None:
            return self.metrics
        if self.suite is not None:
            return ("invented",)
        return ("cer", "wer") if self.task is Task.ASR else ("bleu", "chrf")

    @model_validator(mode="after")
    def _has_a_corpus_or_a_suite(self) -> Self:
        for key, of_suite in (("corpus", self.suite), ("task", Task.ASR), ("split", "test")):
            given = key in self.model_fields_set
            if self.suite is None and not given and key != "split":
                raise RecipeProblem(f'missing key "{key}" in an evaluation', key)
            if self.suite is not None and given and getattr(self, key) != of_suite:
                raise RecipeProblem(f'"{key}" does not go with "suite"; leave it out', key)
        return self

    @model_validator(mode="after")
    def _metrics_fit_the_corpus(self) -> Self:
        if self.suite is None and self.metrics is not None and "invented" in self.metrics:
            raise RecipeProblem('"invented" is for a suite without speech, see "suite"', "metrics")
        return self

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
    """An experiment: every case is trained from the same base and evaluated in every evaluation.

    Attributes:
        output: folder, relative to the current directory.
        language: ISO 639-1 code of the one being learnt, and that of corpora that name none.
        cases, evaluate: a recipe that only prepares has none.
    """

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    output: Path
    language: LanguageCode
    model: ModelConfig
    corpora: Annotated[dict[Name, SourceConfig], Field(min_length=1)]
    cases: dict[Name, Case] = Field(default_factory=dict)
    evaluate: dict[Name, Evaluation] = Field(default_factory=dict)

    @field_validator("output", mode="before")
    @classmethod
    def _is_a_folder(cls, output: object) -> object:
        """Expand `~`; refuse what cannot be the name of a folder."""
        if not isinstance(output, str):
            return output
        path = os.path.expanduser(output)
        if not path.strip():
            raise RecipeProblem('"output" is empty; name a folder, such as output: runs/mine')
        encoded = os.fsencode(path) if path.isprintable() else b""
        longest = max(map(len, encoded.split(b"/")))
        if not encoded or longest > _MAX_PART_BYTES or len(encoded) > _MAX_OUTPUT_BYTES:
            raise RecipeProblem(
                f'"output" cannot be the name of a folder ({len(output)} characters); '
                "take a shorter one without control characters"
            )
        return path

    @model_validator(mode="after")
    def _has_the_corpora_of_suites(self) -> Self:
        """Add the built-in corpora that evaluations name as suites."""
        for name, each in self.evaluate.items():
            if each.suite is not None:
                self.corpora.setdefault(each.suite, NonSpeechSource(source=each.suite))
                self.evaluate[name] = each.model_copy(update={"corpus": each.suite})
        return self

    @model_validator(mode="after")
    def _names_what_exists(self) -> Self:
        for name, case in self.cases.items():
            if name == ORIGINAL:
                raise RecipeProblem(
                    f'case "{ORIGINAL}" always exists (the untrained base); choose another name',
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
        """Take `augment` from the corpus where a part does not give it."""
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
        """Complete a case's `lora` by the keys of the model's."""
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
