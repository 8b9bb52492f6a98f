"""`soritune augment preview`: hear and see what an augmentation does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soritune.cli.errors import plain_errors
from soritune.cli.help import Command, Group, examples
from soritune.cli.output import echo
from soritune.errors import UserError

if TYPE_CHECKING:
    from soritune.augment.babble import Background
    from soritune.augment.config import Augmentation
    from soritune.augment.preview import Shown

app = typer.Typer(
    cls=Group, help="Change clips for training, and hear what that does.", no_args_is_help=True
)


@app.command("preview", cls=Command, epilog=examples("preview"))
@plain_errors
def preview(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording of up to 30 s.")],
    augment: Annotated[
        str,
        typer.Option(
            "--augment",
            metavar="NAME|RECIPE:CORPUS",
            help="A ready set (fast-slow, telephone, room, babble, specaugment, seed), a "
            "transform, or what a recipe says of a corpus: recipes/mine.yaml:mine",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the clips.")],
    count: Annotated[
        int, typer.Option("--count", metavar="NUMBER", min=1, max=20, help="Changed clips.")
    ] = 3,
    seed: Annotated[
        int, typer.Option("--seed", metavar="NUMBER", min=0, help="Another seed gives other draws.")
    ] = 0,
) -> None:
    """Write a recording before and after an augmentation, with a picture of both.

    Babble takes its voices from the recipe's prepared corpus, or from the folder of FILE.
    """
    from soritune.augment.preview import preview as show

    augmentation, background = _named(augment)
    done = show(file, augmentation, out, count=count, seed=seed, background=background)
    echo(f"{done.before}: as it was")
    for each in done.shown:
        echo(f"{each.file}: {_words(each)}")
    if len(done.shown) < count:
        typer.secho(f"note: nothing happened in the other draws of {augment}", err=True)
    if done.picture is None:
        typer.secho("note: no picture; run: pip install 'soritune[plots]'", err=True)
    else:
        echo(f"{done.picture}: waveforms and spectrograms")


def _named(name: str) -> tuple[Augmentation, Background | None]:
    from pydantic import ValidationError

    from soritune.augment.config import Augmentation

    path, mark, corpus = name.rpartition(":")
    if mark and (path.endswith((".yaml", ".yml")) or Path(path).is_file()):
        return _of_recipe(Path(path), corpus)
    try:
        return Augmentation.model_validate(name), None
    except ValidationError as error:
        problem: Any = error.errors()[0].get("ctx", {}).get("error", error)
        raise UserError(f"--augment {name}: {problem}") from None


def _of_recipe(path: Path, name: str) -> tuple[Augmentation, Background | None]:
    from soritune.corpus.store import Corpus
    from soritune.errors import nearest
    from soritune.experiment.plan import Plan
    from soritune.recipe import load_recipe
    from soritune.sources.options import options_of
    from soritune.training.background import CorpusBackground

    recipe = load_recipe(path)
    if name not in recipe.corpora:
        raise UserError(f'{path}: there is no corpus "{name}"{nearest(name, recipe.corpora)}')
    augmentation = options_of(recipe.corpora[name]).augment
    if augmentation is None:
        raise UserError(f'{path}: corpus "{name}" says nothing of "augment"')
    plan = Plan.of(recipe)
    prepared = plan.card(name) is not None
    corpus = Corpus.open(plan.corpus_folder(name)) if prepared else None
    return augmentation, None if corpus is None else CorpusBackground(corpus, "train")


def _words(shown: Shown) -> str:
    parts = []
    for step in shown.steps:
        if step.skipped:
            parts.append(f"{step.transform} left out ({step.skipped})")
            continue
        drawn = ", ".join(f"{name} {_short(value)}" for name, value in step.drawn.items())
        parts.append(f"{step.transform} ({drawn})" if drawn else step.transform)
    if shown.masked:
        parts.append("features masked (in the picture)")
    return f"draw {shown.draw}, {shown.duration_s:.2f} s: {'; '.join(parts)}"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return " ".join(_short(each) for each in value[:6])
    return str(value)
