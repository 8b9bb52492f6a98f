"""The paths of a run, and the fingerprint of each of its stages.

<output>/experiment.json        the recipe as it was understood, and the base's identity
<output>/recipe.yaml            the recipe as it was written
<output>/corpora/<name>/        prepared speech
<output>/cases/<case>/          model/, training.json, log.jsonl (curve), train.json (stamp),
                                hypotheses/<evaluation>.jsonl and .json (stamp),
                                scores/<evaluation>.jsonl and .json (stamp with the figures)
<output>/models/<name>/         models that are not of the recipe (`other_models`)
<output>/results.json, report.md, report.html, report-audio/ (its sound)
<output>/doctor.json            what `soritune doctor RECIPE` found in the corpora
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soritune.corpus.card import CorpusCard, read_card
from soritune.corpus.leakage import Folders, LeftOut, LeftOutFinder
from soritune.errors import UserError
from soritune.experiment import other_models
from soritune.experiment.fingerprint import (
    DECODING_FORMAT,
    SCORING_FORMAT,
    TRAINING_FORMAT,
    base_identity,
    split_identity,
)
from soritune.experiment.other_models import OtherModel
from soritune.experiment.outcomes import DecodingOutcome, ScoringOutcome
from soritune.experiment.stage import Stage
from soritune.files import json_sha256, read_regular, write_atomically
from soritune.models.checkpoint import ADAPTER_CONFIG_FILE, ADAPTER_FOLDER, ADAPTER_WEIGHTS_FILE
from soritune.models.record import RECORD_FILE, TRAINED_FILE
from soritune.recipe import Recipe
from soritune.recipe.schema import ORIGINAL
from soritune.training.checkpoints import checkpoint_files
from soritune.training.curve import CURVE_FILE
from soritune.training.summary import TrainingSummary

EXPERIMENT_FILE = "experiment.json"
EXPERIMENT_FORMAT = 1
# Identity of a corpus that is not prepared: no stage can have been done with it.
NOT_PREPARED = "not prepared"
# What an evaluation says about scores alone: other metrics need no other decoding.
NOT_DECODED = {"corpus", "metrics", "variants", "retain", "suite"}
# What a training leaves in the folder of a case beside its checkpoints.
_OF_TRAINING = (
    f"model/{RECORD_FILE}",
    f"model/{TRAINED_FILE}",
    f"model/{ADAPTER_FOLDER}/{ADAPTER_CONFIG_FILE}",
    f"model/{ADAPTER_FOLDER}/{ADAPTER_WEIGHTS_FILE}",
    CURVE_FILE,
)


@dataclass(frozen=True)
class Plan:
    """A recipe with the identity of its base; knows every path and every stage of a run.

    Attributes:
        stale: corpora that count as not prepared, whatever lies in their folders.
    """

    recipe: Recipe
    output: Path
    base: str
    stale: frozenset[str] = frozenset()
    _finder: LeftOutFinder = field(default_factory=LeftOutFinder, compare=False, repr=False)

    @classmethod
    def of(cls, recipe: Recipe) -> Plan:
        """Return the plan of a recipe. Raises UserError where its built-in base does not exist."""
        return cls(recipe, recipe.output, base_identity(recipe.model.base, recipe.model.revision))

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """Return the plan of what ran in `folder`, even if that was moved. Raises UserError."""
        path = folder / EXPERIMENT_FILE
        try:
            content = json.loads(read_regular(path))
            if content["format"] != EXPERIMENT_FORMAT:
                raise ValueError(f"format {content['format']}")
            recipe = Recipe.model_validate_json(json.dumps(content["recipe"]))
            return cls(recipe, folder, str(content["base"]))
        except FileNotFoundError:
            raise UserError(
                f"{folder}: no experiment ran here; give a recipe or a recipe's output folder"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{path}: cannot be read ({reason}); run the recipe again with this version"
            ) from None

    def write(self) -> None:
        """Record in the output folder what runs there."""
        content = {
            "format": EXPERIMENT_FORMAT,
            "recipe": self.recipe.model_dump(mode="json", by_alias=True),
            "base": self.base,
        }
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        write_atomically(self.output / EXPERIMENT_FILE, text.encode("utf-8"))

    @property
    def results_path(self) -> Path:
        return self.output / "results.json"

    @property
    def report_path(self) -> Path:
        return self.output / "report.md"

    @property
    def page_path(self) -> Path:
        return self.output / "report.html"

    @property
    def audit_path(self) -> Path:
        """What the doctor found in the corpora, for the page."""
        return self.output / "doctor.json"

    def corpus_folder(self, corpus: str) -> Path:
        return self.output / "corpora" / corpus

    def case_folder(self, case: str) -> Path:
        return self.output / "cases" / case

    def evaluated_folder(self, name: str) -> Path:
        """Return where the figures of a case, or of a model beside the recipe, are kept."""
        if name in (ORIGINAL, *self.recipe.cases):
            return self.case_folder(name)
        return self.output / other_models.FOLDER / name

    def other_models(self) -> dict[str, OtherModel]:
        """Return the models beside the recipe that were evaluated, by name."""
        own = (ORIGINAL, *self.recipe.cases)
        found = other_models.read_other_models(self.output)
        return {name: model for name, model in found.items() if name not in own}

    def model_folder(self, case: str) -> Path:
        return self.case_folder(case) / "model"

    def hypotheses_path(self, case: str, evaluation: str) -> Path:
        return self.evaluated_folder(case) / "hypotheses" / f"{evaluation}.jsonl"

    def utterances_path(self, case: str, evaluation: str) -> Path:
        """Return where the scores of single utterances are."""
        return self.evaluated_folder(case) / "scores" / f"{evaluation}.jsonl"

    def card(self, corpus: str) -> CorpusCard | None:
        """Return the card of a prepared corpus, None where it is not prepared."""
        if corpus in self.stale:
            return None
        return read_card(self.corpus_folder(corpus))

    def is_prepared(self, corpus: str) -> bool:
        """Return whether a corpus has a card that can be read."""
        try:
            return self.card(corpus) is not None
        except UserError:
            return False

    def folders(self, corpora: Iterable[str]) -> Folders:
        """Return those of `corpora` that are prepared, with their cards."""
        cards = {name: self.card(name) for name in dict.fromkeys(corpora)}
        return {
            name: (self.corpus_folder(name), card)
            for name, card in cards.items()
            if card is not None
        }

    def excluded(self, case: str) -> tuple[LeftOut, ...]:
        """Return the utterances that a case does not train on, as far as corpora are prepared.

        Other corpora are tested with their sentences. Reads the texts the first time.
        """
        trained = [part.corpus for part in self.recipe.cases[case].train]
        tested = [each.corpus for each in self.recipe.evaluate.values()]
        return self._finder.left_out(self.recipe, case, self.folders([*trained, *tested]))

    def train_stage(self, case: str) -> Stage[TrainingSummary]:
        """Return the training of a case.

        It depends on the case, the model's settings, the base, the seed, and the splits that it
        takes without what is excluded of them. The name is part of the fingerprint, but no random
        number depends on it: see `soritune.experiment.renamed`.
        """
        settings = self.recipe.cases[case]
        folder = self.case_folder(case)
        depends_on = {
            "format": TRAINING_FORMAT,
            "name": case,
            "case": settings.model_dump(mode="json", exclude={"shared_sentences", "dev"}),
            "model": self._model_settings(),
            "corpora": {
                name: self._content(name, {p.split for p in settings.train if p.corpus == name})
                for name in dict.fromkeys(part.corpus for part in settings.train)
            },
            "excluded": [[each.trained, each.ids] for each in self.excluded(case)],
            "seed": self.recipe.seed,
        }
        return Stage(
            stamp=folder / "train.json",
            fingerprint=json_sha256(depends_on),
            kind=TrainingSummary,
            outputs=(self.model_folder(case), folder / "training.json"),
            scratch=tuple(self._of_training(case)),
            inputs=self._training_inputs(case, depends_on),
        )

    def _of_training(self, case: str) -> Iterator[Path]:
        """Yield what a training and the evaluations of its model leave; nothing of a user's."""
        folder = self.case_folder(case)
        yield from (folder / name for name in _OF_TRAINING)
        yield from checkpoint_files(folder / "checkpoints")
        for evaluation in self.recipe.evaluate:
            yield from self.evaluation_files(case, evaluation)

    def evaluation_files(self, case: str, evaluation: str) -> tuple[Path, ...]:
        """Return what decoding and scoring of a case in an evaluation write."""
        scored = self.utterances_path(case, evaluation)
        decoded = self.hypotheses_path(case, evaluation)
        return tuple(each.with_suffix(s) for each in (scored, decoded) for s in (".json", ".jsonl"))

    def _training_inputs(self, case: str, depends_on: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a training depends on as people have written it, without long lists."""
        settings = dict(depends_on["case"])
        parts = {f"{part['corpus']} {part['split']}": part for part in settings.pop("train")}
        model = dict(depends_on["model"])
        excluded = {" ".join(part): len(ids) for part, ids in depends_on["excluded"]}
        return {
            **settings,
            "train": parts,
            **{f"corpus {name}": digest for name, digest in depends_on["corpora"].items()},
            "left out": excluded,
            "base": model.pop("base"),
            "model": model,
            "seed": depends_on["seed"],
        }

    def decode_stage(self, case: str, evaluation: str) -> Stage[DecodingOutcome]:
        """Return the decoding of an evaluation's utterances by a case's model."""
        settings = self.recipe.evaluate[evaluation]
        depends_on = {
            "format": DECODING_FORMAT,
            "evaluation": settings.model_dump(mode="json", exclude=NOT_DECODED),
            "corpus": self._content(settings.corpus, {settings.split}),
            "model": self._model_identity(case),
            "dtype": self.recipe.model.dtype,
        }
        path = self.hypotheses_path(case, evaluation)
        inputs = {
            **settings.model_dump(mode="json", exclude={"corpus", "metrics"}),
            f"corpus {settings.corpus}": depends_on["corpus"],
            "base" if case == ORIGINAL else "the model": depends_on["model"],
            "dtype": depends_on["dtype"],
        }
        stamp = path.with_suffix(".json")
        return Stage(
            stamp,
            json_sha256(depends_on),
            DecodingOutcome,
            outputs=(path,),
            checked=(path,),
            inputs=inputs,
        )

    def system(self, case: str, evaluation: str) -> str:
        """Return which model answers an evaluation, and how, for the record of a score.

        The decoding's checksum covers corpus, model, task, beams and the format of the prompts.
        """
        settings = self.recipe.evaluate[evaluation]
        parts = {
            "model": self._model_identity(case)[:12],
            "decoding": self.decode_stage(case, evaluation).fingerprint[:12],
            "task": settings.task.value,
            "beams": settings.beams,
            "dtype": self.recipe.model.dtype,
        }
        return "|".join(f"{name}:{value}" for name, value in parts.items())

    def score_stage(self, case: str, evaluation: str) -> Stage[ScoringOutcome]:
        """Return the scoring of what was decoded; other metrics need no other decoding."""
        settings = self.recipe.evaluate[evaluation]
        depends_on = {
            "format": SCORING_FORMAT,
            "hypotheses": self.decode_stage(case, evaluation).fingerprint,
            "metrics": list(settings.metric_names),
            "variants": settings.variants,
        }
        inputs = {"the hypotheses": depends_on["hypotheses"], "metrics": depends_on["metrics"]}
        path = self.utterances_path(case, evaluation)
        return Stage(
            path.with_suffix(".json"),
            json_sha256(depends_on),
            ScoringOutcome,
            outputs=(path,),
            checked=(path,),
            inputs=inputs,
        )

    def _model_identity(self, case: str) -> str:
        if case == ORIGINAL:
            return self.base
        if case in self.recipe.cases:
            return self.train_stage(case).fingerprint
        return self.other_models()[case].identity

    def _model_settings(self) -> dict[str, object]:
        settings = self.recipe.model.model_dump(mode="json", exclude={"base", "revision"})
        return {**settings, "base": self.base}

    def _content(self, corpus: str, splits: Set[str]) -> str:
        card = self.card(corpus)
        return NOT_PREPARED if card is None else split_identity(card, splits)
