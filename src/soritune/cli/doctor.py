"""`soritune doctor`: what is in prepared corpora, and what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soritune.cli.errors import plain_errors
from soritune.cli.output import PlainConsole, echo, say
from soritune.errors import UserError

if TYPE_CHECKING:
    from soritune.doctor.findings import Audit

EXIT_FOUND_ERRORS = 1


@plain_errors
def doctor(
    corpora: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Recipes or runs (all their prepared corpora), folders of prepared corpora "
            "(runs/…/corpora/NAME), or raw recordings: a list or a folder.",
        ),
    ],
    html: Annotated[
        Path, typer.Option("--html", metavar="FILE", help="The page with plots and players.")
    ] = Path("doctor.html"),
    no_html: Annotated[bool, typer.Option("--no-html", help="Write no page.")] = False,
    no_audio: Annotated[
        bool,
        typer.Option("--no-audio", help="Leave the recordings out of the page, to give it away."),
    ] = False,
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="All facts and findings, for programs."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="CHECK",
            help="Add what this check found to a list of ids for `exclude` of the recipe; may be "
            "given several times.",
        ),
    ] = None,
    lists: Annotated[
        Path, typer.Option("--lists", metavar="FOLDER", help="Where these lists are kept.")
    ] = Path("exclude"),
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 where an error is found.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="Rank likely label errors by this model's loss: a folder, hub id or "
            "builtin:tiny that knows the language.",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option("--language", metavar="NAME", help="Language of raw recordings, such as ko."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="NUMBER", min=1, help="Processes that listen; default: one a core."
        ),
    ] = None,
) -> None:
    """Audit recordings: what is in them, what is wrong, and what fixes it.

    Looked for are sentences, speakers and recordings shared by training and test, telephone speech
    that claims 16 kHz, clipping, noise, silence, transcripts that do not fit, odd characters and
    numbers. Raw recordings are prepared into a cache first (~/.cache/soritune/doctor).
    """
    from soritune.doctor.audit import audit, open_sources
    from soritune.doctor.remedies import RECIPE
    from soritune.doctor.terminal import print_audit
    from soritune.experiment.audited import find_corpora
    from soritune.files import require_place
    from soritune.progress import track

    checks = exclude or []
    if checks:
        from soritune.doctor.lists import check_names

        check_names(checks)
    for path in (None if no_html else html, json):
        if path is None:
            continue
        if not path.parent.is_dir():
            raise UserError(f"{path}: folder {path.parent} does not exist; make it first")
        if not os.access(path.parent, os.W_OK):
            raise UserError(f"{path}: folder {path.parent} cannot be written; name another file")
        require_place(path)
    found = find_corpora(corpora, language, say, workers=workers)
    sources = open_sources(found.folders, found.outdated)
    speech_model = None
    if model is not None:
        from soritune.models import load

        speech_model = load(model, merge=True)
    audited = audit(
        sources,
        track=track,
        workers=workers or os.cpu_count() or 1,
        model=speech_model,
        model_name=model,
        recipe=found.recipe or RECIPE,
    )
    print_audit(PlainConsole(), audited.audit)
    if not no_html:
        from soritune.doctor.page import write_page

        write_page(html, audited, with_audio=not no_audio)
        echo(f"page: {html}")
    if json is not None:
        from soritune.files import write_atomically

        write_atomically(json, (audited.audit.model_dump_json(indent=1) + "\n").encode())
        echo(f"findings: {json}")
    if checks:
        _write_lists(audited.audit, checks, lists)
    _keep(audited.audit, corpora)
    if strict and audited.audit.errors:
        raise typer.Exit(EXIT_FOUND_ERRORS)


def _write_lists(audit: Audit, checks: list[str], folder: Path) -> None:
    from soritune.doctor.lists import add_to_lists

    written = add_to_lists(audit, checks, folder)
    for each in written:
        echo(f"list: {each.path} ({each.added:,} ids added, {each.total:,} in all)")
    if written:
        echo(f"in the recipe, beside the source: exclude: {written[0].path}")
    else:
        echo("list: none, for nothing of it was found")


def _keep(audit: Audit, paths: list[Path]) -> None:
    """Keep the findings of one recipe in its output folder, where its report shows them."""
    if len(paths) != 1 or paths[0].suffix not in (".yaml", ".yml"):
        return
    from soritune.experiment.plan import Plan
    from soritune.files import write_atomically
    from soritune.recipe import load_recipe

    path = Plan.of(load_recipe(paths[0])).audit_path
    try:
        write_atomically(path, audit.model_dump_json(indent=1) + "\n")
    except UserError as error:  # somebody else's run may be audited
        say(f"note: not kept for the report: {error}")
