"""Commands that take a recipe: run, prepare, train, evaluate, report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soritune.cli.errors import plain_errors
from soritune.cli.output import PlainConsole, say
from soritune.errors import UserError

if TYPE_CHECKING:
    from soritune.corpus.pool import Executor
    from soritune.experiment.run import Experiment


class ExecutorName(StrEnum):
    """Who decodes: the processes of this machine, or a Ray cluster."""

    local = "local"
    ray = "ray"


RecipePath = Annotated[
    Path,
    typer.Argument(metavar="RECIPE", help="The experiment, a YAML file such as those in recipes/."),
]


@plain_errors
def run(
    recipe: RecipePath,
    check: Annotated[
        bool, typer.Option("--check", help="Say what would be done, and how much, and do nothing.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CASE", help="Only this case; may be given several times."),
    ] = None,
) -> None:
    """Run a whole experiment: prepare, train, evaluate, report.

    It can be interrupted at any moment: the same command continues, and skips what is done and
    unchanged.
    """
    if check:
        from soritune.cli.check import print_check
        from soritune.experiment.check import check as check_run
        from soritune.experiment.loading import load_experiment

        print_check(check_run(load_experiment(recipe, say=say), only or ()))
        return

    def work(experiment: Experiment) -> None:
        _show_report(experiment.run(only or ()))

    _run_on_all_ranks(recipe, work)


@plain_errors
def prepare(
    recipe: RecipePath,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            "--corpus", metavar="NAME", help="Only this corpus; may be given several times."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="NUMBER", min=1, help="Processes that decode; default: one a core."
        ),
    ] = None,
    executor: Annotated[
        ExecutorName, typer.Option("--executor", help="Where chunks are decoded.")
    ] = ExecutorName.local,
    ray_address: Annotated[
        str | None,
        typer.Option("--ray-address", metavar="ADDRESS", help="The Ray cluster, as for ray.init."),
    ] = None,
) -> None:
    """Read the recordings of a recipe, check them and store them as 16 kHz FLAC."""
    if ray_address is not None and executor is not ExecutorName.ray:
        raise UserError("--ray-address is for --executor ray")
    cluster = _cluster(ray_address) if executor is ExecutorName.ray else None
    with _experiment(recipe, download=False) as experiment:
        experiment.prepare(corpus or (), workers=workers, executor=cluster)


@plain_errors
def train(
    recipe: RecipePath,
    case: Annotated[str, typer.Option("--case", metavar="NAME", help="The case to train.")],
) -> None:
    """Train one case of a recipe (and prepare its corpora first)."""

    def work(experiment: Experiment) -> None:
        experiment.prepare(experiment.corpora_of([case], []))
        experiment.train(case)

    _run_on_all_ranks(recipe, work)


@plain_errors
def evaluate(
    recipe: RecipePath,
    case: Annotated[
        list[str] | None,
        typer.Option("--case", metavar="NAME", help="Only this case; may be given several times."),
    ] = None,
    evaluation: Annotated[
        list[str] | None,
        typer.Option(
            "--evaluation", metavar="NAME", help="Only this evaluation; may be given several times."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="In place of the cases: any model, blend or export (folder, hub id, "
            "builtin:tiny, openai:URL#NAME on a server), as a row of its own.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="Name of that row; default: that of its folder."
        ),
    ] = None,
) -> None:
    """Decode and score the untrained base (case "original") and the trained cases.

    With --model: another model on the same sets, in the same table. The cases stay as they are.
    """
    from soritune.experiment.loading import require_evaluations

    if model is not None and case:
        raise UserError("--case is of the recipe and --model beside it: give one of them")
    if name is not None and model is None:
        raise UserError("--name is for --model; cases have their names from the recipe")

    with _experiment(recipe) as experiment:
        require_evaluations(experiment.recipe)
        names = evaluation or list(experiment.recipe.evaluate)
        if model is not None:
            experiment.evaluate_model(model, name, names)
        else:
            experiment.prepare(experiment.corpora_of([], names))
            for each in case or experiment.trained_cases():
                experiment.evaluate(each, names)
        _show_report(experiment.report())


@plain_errors
def report(
    source: Annotated[
        Path, typer.Argument(metavar="RECIPE|FOLDER", help="A recipe, or its output folder.")
    ],
    history: Annotated[
        bool, typer.Option("--history", help="List the figures that later runs replaced.")
    ] = False,
) -> None:
    """Print the table of what is done, and write results.json, report.md and report.html again."""
    from soritune.experiment.loading import load_experiment
    from soritune.experiment.plan import Plan
    from soritune.experiment.run import save_report
    from soritune.experiment.summary import build_report

    plan = Plan.read(source) if source.is_dir() else Plan.of(load_experiment(source))
    if history:
        from soritune.cli.history import print_history
        from soritune.experiment.history import read_history

        print_history(read_history(plan.output))
        return
    found = build_report(plan)
    _show_report(found)
    save_report(plan, found)


def _run_on_all_ranks(path: Path, work: Callable[[Experiment], None]) -> None:
    """Do work that trains: all of it in rank 0, only its trainings in the other ranks."""
    from soritune.distributed import World
    from soritune.experiment.loading import load_experiment
    from soritune.experiment.worker import train_with_main

    world = World.from_environment()
    with world.process_group():
        if not world.is_main:
            train_with_main(load_experiment(path, download=True), world)
            return
        with _experiment(path, world.size) as experiment:
            work(experiment)
        world.broadcast(None)  # nothing more to train


@contextmanager
def _experiment(
    path: Path, num_processes: int = 1, *, download: bool = True
) -> Iterator[Experiment]:
    """Lock the output folder for a command that is written for `num_processes`."""
    from soritune.distributed import World
    from soritune.experiment.loading import load_experiment
    from soritune.experiment.run import Experiment
    from soritune.files import locked

    if World.from_environment().size != num_processes:
        raise UserError("under torchrun only run and train work; start this command without it")
    recipe = load_experiment(path, download=download, say=say)
    with locked(recipe.output):
        yield Experiment(recipe, say, source=path)


def _cluster(address: str | None) -> Executor:
    from soritune.corpus.ray_cluster import RayExecutor

    return RayExecutor(address)


def _show_report(report: object) -> None:
    from soritune.report.content import Report
    from soritune.report.terminal import print_report

    assert isinstance(report, Report)
    print_report(PlainConsole(), report)
