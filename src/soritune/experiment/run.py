"""The steps of an experiment, each on its own or all in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from soritune.corpus.leakage import held_out_splits, overlaps_of, trained_splits
from soritune.corpus.store import Corpus
from soritune.decoding.server import ServerModel
from soritune.distributed import World
from soritune.errors import UserError, nearest
from soritune.experiment.decoding import decode_evaluation, open_model
from soritune.experiment.dev import dev_scorer
from soritune.experiment.history import keep_figures
from soritune.experiment.loading import require_evaluations
from soritune.experiment.other_models import add_other_model, what_it_can
from soritune.experiment.output import check_output, keep_recipe
from soritune.experiment.page import write_experiment_page
from soritune.experiment.plan import Plan
from soritune.experiment.preparation import prepare_corpora
from soritune.experiment.renamed import adopt, orphan_text, orphans, trained_as
from soritune.experiment.scoring import SoundMeter, form_signature, score_evaluation
from soritune.experiment.selection import other_languages, select_records
from soritune.experiment.summary import build_report
from soritune.experiment.titles import case_title
from soritune.experiment.trainable import ask_hub_for_base, check_base, training_warnings
from soritune.interrupts import StopRequest
from soritune.recipe import Recipe
from soritune.recipe.schema import ORIGINAL
from soritune.report.content import Report
from soritune.report.markdown import write_markdown
from soritune.scoring.results import write_results

if TYPE_CHECKING:
    from soritune.corpus.pool import Executor
    from soritune.experiment.decoding import Answering
    from soritune.training.summary import TrainingSummary

Say = Callable[[str], None]


class Experiment:
    """A recipe at work in its output folder; hold `files.locked(recipe.output)` meanwhile.

    `say` is called with one line for each thing that is done or was done before.
    """

    def __init__(self, recipe: Recipe, say: Say, *, source: Path | None = None) -> None:
        self.recipe = recipe
        self.plan = Plan.of(recipe)
        self._say = say
        self._verified: set[str] = set()
        self._sound = SoundMeter()
        check_output(recipe.output)
        recipe.output.mkdir(parents=True, exist_ok=True)
        self.plan.write()
        if source is not None:
            keep_recipe(source, recipe.output)

    def run(self, only: Sequence[str] = ()) -> Report:
        """Do everything, or what the cases in `only` need; the report covers all that is done."""
        require_evaluations(self.recipe)
        cases = [self._known_case(case) for case in only] or [ORIGINAL, *self.recipe.cases]
        check_base(self.recipe)
        # 1. The speech of all cases and evaluations, so that a mistake in it shows at once.
        corpora = self.corpora_of(cases, list(self.recipe.evaluate))
        if not all(map(self.plan.is_prepared, corpora)):
            ask_hub_for_base(self.recipe)
        self.prepare(corpora)
        self.check_evaluations()
        for overlap in overlaps_of(self.recipe, cases, self.plan.folders(self.recipe.corpora)):
            self._say(f"warning: {overlap}")
        for case in cases:
            self._adopt(case)
        for folder in orphans(self.plan):
            self._say(f"note: {orphan_text(folder)}")
        # 2. The untrained base, then each case: train, evaluate. The report grows with each.
        for case in cases:
            if case != ORIGINAL:
                self.train(case)
            self.evaluate(case)
            self.report()
        return self.report()

    def prepare(
        self,
        corpora: Sequence[str] = (),
        *,
        workers: int | None = None,
        executor: Executor | None = None,
    ) -> None:
        """Prepare the named corpora (all of the recipe, if none is named)."""
        self._verified.clear()
        prepare_corpora(self.plan, corpora, self._say, workers=workers, executor=executor)

    def check_evaluations(self, evaluations: Sequence[str] = ()) -> None:
        """Raise UserError where a prepared corpus has nothing for an evaluation.

        Before the hours of training, not after them.
        """
        for name in evaluations or list(self.recipe.evaluate):
            settings = self.recipe.evaluate[name]
            corpus = self._open(settings.corpus)
            select_records(name, settings, corpus)
            others = other_languages(settings, corpus) if settings.source_language else ""
            if others:
                self._say(
                    f'evaluation "{name}": takes what is spoken in {settings.source_language} '
                    f"and leaves out {others}"
                )

    def train(self, case: str) -> None:
        """Train a case, whose corpora must be prepared; continue where an earlier run stopped."""
        from soritune.training.run import train_case

        settings = self.recipe.cases[self._known_case(case, trained=True)]
        self._adopt(case)
        stage = self.plan.train_stage(case)
        title = case_title(case, self.recipe)
        if stage.done() is not None:
            self._say(f"train {title}: done before")
            return
        corpora = {part.corpus: self._open(part.corpus) for part in settings.train}
        excluded = self.plan.excluded(case)
        score_dev = dev_scorer(case, settings, corpora)
        reasons = stage.why()
        self._say(f"train {title}{_again(reasons)}")
        for warning in training_warnings(case, settings, corpora):
            self._say(f"  warning: {warning}")
        for each in excluded:
            self._say(f"  {each}")

        stop = StopRequest()

        def work() -> TrainingSummary:
            World.from_environment().broadcast(case)  # the other ranks begin the same training
            return train_case(
                settings,
                name=case,
                model=self.recipe.model,
                corpora=corpora,
                out=self.plan.case_folder(case),
                seed=self.recipe.seed,
                excluded={each.trained: frozenset(each.ids) for each in excluded},
                score_dev=score_dev,
                stop=stop,
            )

        self._keep(case, list(self.recipe.evaluate), reasons)
        stage.run(work)
        if stop.requested:  # in the last step, which ended the training all the same
            raise stop.interruption()

    def evaluate(self, case: str, evaluations: Sequence[str] = ()) -> None:
        """Evaluate a case's model in the named evaluations (all, if none is named).

        Raises UserError where the case is not trained or a corpus not prepared.
        """
        self._known_case(case)
        names = [self._known_evaluation(name) for name in evaluations] or list(self.recipe.evaluate)
        if case in self.recipe.cases and self.plan.train_stage(case).done() is None:
            raise UserError(
                f'case "{case}" is not trained with these settings yet; '
                f"run: soritune train RECIPE --case {case}"
            )
        model: Answering | None = None
        for name in names:
            stage = self.plan.score_stage(case, name)
            done = stage.done()
            again = done is not None
            if done is None:
                corpus = self._open(self.recipe.evaluate[name].corpus)
                records = select_records(name, self.recipe.evaluate[name], corpus)
                if self.plan.decode_stage(case, name).done() is None and model is None:
                    model = open_model(self.plan, case)
                reasons = self._why(case, name)
                if reasons:
                    self._say(f"evaluate {case}, {name}{_again(reasons)}")
                self._keep(case, [name], reasons)
                hypotheses, decoding = decode_evaluation(
                    self.plan, case, name, corpus, records, model
                )
                done = stage.run(
                    partial(
                        score_evaluation,
                        case,
                        name,
                        self.recipe.evaluate[name],
                        records,
                        hypotheses,
                        decoding.outcome,
                        decoding.seconds,
                        partial(self._sound.measure, corpus),
                        form_signature(corpus.card.source),
                        self.plan.utterances_path(case, name),
                        self.plan.system(case, name),
                    )
                )
            figures = ", ".join(f"{score.title} {score.value:.2f}" for score in done.outcome.scores)
            self._say(f"evaluate {case}, {name}: {'done before, ' if again else ''}{figures}")
        if model is not None and not isinstance(model, ServerModel):
            from soritune.models.memory import free_memory

            del model
            free_memory()

    def evaluate_model(
        self, source: str, name: str | None = None, evaluations: Sequence[str] = ()
    ) -> None:
        """Evaluate any model, as a row of its own in the report, and prepare what that needs.

        What its family cannot do is left out.

        Args:
            source: folder, hub id, `builtin:NAME`, or a model on a server: see `server_model`.
            name: of the row; None: that of its folder.

        Raises UserError where there is no such model, or it can do nothing of what is asked.
        """
        names = [self._known_evaluation(each) for each in evaluations] or list(self.recipe.evaluate)
        model = add_other_model(self.recipe, self.recipe.output, source, name)
        possible, refused = what_it_can(self.recipe, model, names)
        if not possible:
            raise UserError(f"{source}: {next(iter(refused.values()))}")
        for each, reason in refused.items():
            self._say(f"evaluate {model.name}, {each}: left out, {reason}")
        self.prepare(self.corpora_of([], possible))
        self.evaluate(model.name, possible)

    def report(self) -> Report:
        """Write results.json, report.md and report.html of all that is done with this recipe."""
        return write_report(self.plan)

    def corpora_of(self, cases: Sequence[str], evaluations: Sequence[str]) -> list[str]:
        """Return the corpora that the named cases and evaluations need."""
        known_cases = [self._known_case(case) for case in cases]
        known = [self._known_evaluation(name) for name in evaluations]
        return corpora_of(self.recipe, known_cases, known)

    def trained_cases(self) -> list[str]:
        """Return the untrained base and the cases whose training is done."""
        done = [
            case for case in self.recipe.cases if self.plan.train_stage(case).done() is not None
        ]
        return [ORIGINAL, *done]

    def _adopt(self, case: str) -> None:
        """Take over the folder of a case that was renamed."""
        former = None if case == ORIGINAL else trained_as(self.plan, case)
        if former is not None:
            adopt(self.plan, case, former)
            self._say(f"case {case}: was trained as {former} with the same settings; kept")

    def _why(self, case: str, evaluation: str) -> list[str]:
        """Return why figures are made again; empty where there were none."""
        return (
            self.plan.decode_stage(case, evaluation).why()
            or self.plan.score_stage(case, evaluation).why()
        )

    def _keep(self, case: str, evaluations: Sequence[str], reasons: Sequence[str]) -> None:
        kept = keep_figures(self.plan, case, evaluations, reasons)
        if kept:
            names = ", ".join(each.evaluation for each in kept)
            self._say(f"  the figures before ({names}) are kept: soritune report --history")

    def _open(self, corpus: str) -> Corpus:
        """Open a corpus; its checksums are compared the first time."""
        found = Corpus.open(self.plan.corpus_folder(corpus))
        if corpus not in self._verified:
            found.verify()
            self._verified.add(corpus)
        return found

    def _known_case(self, case: str, *, trained: bool = False) -> str:
        known = [*self.recipe.cases]
        if not trained:
            known = [ORIGINAL, *known, *self.plan.other_models()]
        if case not in known:
            raise UserError(
                f'the recipe has no case "{case}"{nearest(case, known)}; there are: '
                + ", ".join(known)
            )
        return case

    def _known_evaluation(self, name: str) -> str:
        known = self.recipe.evaluate
        if name not in known:
            raise UserError(
                f'the recipe has no evaluation "{name}"{nearest(name, known)}; there are: '
                + ", ".join(known)
            )
        return name


def _again(reasons: Sequence[str]) -> str:
    return f" again: {', '.join(reasons)}" if reasons else ""


def corpora_of(recipe: Recipe, cases: Sequence[str], evaluations: Sequence[str]) -> list[str]:
    """Return the corpora that cases and evaluations need, in the order of the recipe.

    A case also needs those whose sentences it excludes.
    """
    needed = {recipe.evaluate[name].corpus for name in evaluations}
    for settings in (recipe.cases[case] for case in cases if case != ORIGINAL):
        for trained in trained_splits(settings):
            held_out = held_out_splits(recipe, settings, trained)
            needed |= {trained[0], *(corpus for corpus, _ in held_out)}
    return [name for name in recipe.corpora if name in needed]


def write_report(plan: Plan) -> Report:
    """Write results.json, report.md and report.html into the plan's output folder."""
    report = build_report(plan)
    save_report(plan, report)
    return report


def save_report(plan: Plan, report: Report) -> None:
    """Write a report into the output folder of its plan."""
    if report.results_path is not None:
        write_results(report.results_path, report.records)
    if report.report_path is not None:
        write_markdown(report.report_path, report)
    write_experiment_page(plan, report)
