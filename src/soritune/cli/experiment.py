"""Commands that work on a recipe: run, prepare, train, evaluate, report, pretrain."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soritune.cli.errors import plain_errors
from soritune.errors import UserError

if TYPE_CHECKING:
    from soritune.corpus.pool import Executor
    from soritune.experiment.run import Experiment


class ExecutorName(StrEnum):
    """Who decodes: the processes of this machine, or a Ray cluster."""

    local = "local"
    ray = "ray"


RecipePath = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="The experiment as a YAML file, see recipes/.")
]


@plain_errors
def run(
    recipe: RecipePath,
    check: Annotated[
        bool, typer.Option("--check", help="Say what would be done and how much, do nothing.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CASE", help="Only this case (may be given repeatedly)."),
    ] = None,
) -> None:
    """Run a whole experiment: prepare, train, evaluate, report.

    Interrupted at any moment, the same command goes on.
    What is done and unchanged is skipped.
    """
    if check:
        from soritune.cli.check import print_check
        from soritune.experiment.check import check as look
        from soritune.recipe import load_recipe

        print_check(look(load_recipe(recipe), only or ()))
        return

    def work(experiment: Experiment) -> None:
        _show_report(experiment.run(only or ()))

    _together(recipe, work)


@plain_errors
def prepare(
    recipe: RecipePath,
    corpus: Annotated[
        list[str] | None,
        typer.Option("--corpus", metavar="NAME", help="Only this corpus (may be repeated)."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes that decode; default: one a core."),
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
    with _experiment(recipe) as experiment:
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

    _together(recipe, work)


@plain_errors
def evaluate(
    recipe: RecipePath,
    case: Annotated[
        list[str] | None,
        typer.Option("--case", metavar="NAME", help="Only this case (may be repeated)."),
    ] = None,
    evaluation: Annotated[
        list[str] | None,
        typer.Option("--evaluation", metavar="NAME", help="Only this one (may be repeated)."),
    ] = None,
) -> None:
    """Decode and score: the base as it is (case "original") and the trained cases."""
    with _experiment(recipe) as experiment:
        names = evaluation or list(experiment.recipe.evaluate)
        experiment.prepare(experiment.corpora_of([], names))
        for each in case or experiment.trained_cases():
            experiment.evaluate(each, names)
        _show_report(experiment.report())


@plain_errors
def report(
    source: Annotated[
        Path, typer.Argument(metavar="RECIPE|FOLDER", help="A recipe, or its output folder.")
    ],
) -> None:
    """Print the table of what is done, and write results.json and report.md anew."""
    from soritune.experiment.plan import Plan
    from soritune.experiment.run import write_report
    from soritune.recipe import load_recipe

    plan = Plan.read(source) if source.is_dir() else Plan.of(load_recipe(source))
    _show_report(write_report(plan))


@plain_errors
def pretrain(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="A pre-training recipe: recipes/tiny-base.yaml")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to work in; the model is DIR/base.")
    ],
) -> None:
    """Make the small base model anew, from nothing but demo speech."""
    from soritune.experiment.base_card import write_base_card
    from soritune.files import locked
    from soritune.training.pretrain import pretrain as make_base

    with locked(out):
        base = make_base(recipe, out)
        card = write_base_card(recipe, out, base)
    print(f"base model: {base}\ncard: {card}")


def _together(path: Path, work: Callable[[Experiment], None]) -> None:
    """Do some work that trains: rank 0 in full, the other ranks of a torchrun its trainings."""
    from soritune.distributed import Crew
    from soritune.experiment.follow import follow
    from soritune.recipe import load_recipe

    crew = Crew.of_environment()
    with crew.joined():
        if not crew.leads:
            follow(load_recipe(path), crew)
            return
        with _experiment(path, crew.size) as experiment:
            work(experiment)
        crew.told(None)  # nothing more to train


@contextmanager
def _experiment(path: Path, num_processes: int = 1) -> Iterator[Experiment]:
    """Hold the output folder for a command that is written for `num_processes`."""
    from soritune.distributed import Crew
    from soritune.experiment.run import Experiment
    from soritune.files import locked
    from soritune.recipe import load_recipe

    if Crew.of_environment().size != num_processes:
        raise UserError("under torchrun only run and train work; start this command without it")
    recipe = load_recipe(path)
    with locked(recipe.output):
        yield Experiment(recipe, _say, source=path)


def _cluster(address: str | None) -> Executor:
    from soritune.corpus.ray_cluster import RayExecutor

    return RayExecutor(address)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show_report(report: object) -> None:
    from rich.console import Console

    from soritune.report.content import Report
    from soritune.report.terminal import print_report

    assert isinstance(report, Report)
    print_report(Console(), report)
