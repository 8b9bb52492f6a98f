"""The command line: arguments in, progress and tables out; no logic.

Only light modules are imported here, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from soritune import __version__
from soritune.cli import augment, blend, doctor, experiment, export, inspect, serve, transcribe

app = typer.Typer(
    name="soritune",
    help="Teach a speech language model a new language, with figures that can be believed.\n\n"
    "A recipe (YAML) names the recordings, the model, the cases to train and the evaluations. "
    "Start with: [bold]soritune run recipes/tiny-korean.yaml[/bold]",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"soritune {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and stop."
        ),
    ] = False,
) -> None:
    """Take options before a command."""


app.command("run")(experiment.run)
app.command("prepare")(experiment.prepare)
app.command("doctor")(doctor.doctor)
app.command("train")(experiment.train)
app.command("evaluate")(experiment.evaluate)
app.command("report")(experiment.report)
app.command("transcribe")(transcribe.transcribe)
app.command("serve")(serve.serve)
app.add_typer(augment.app, name="augment")
app.command("inspect")(inspect.inspect)
app.command("export")(export.export)
app.command("blend")(blend.blend)
