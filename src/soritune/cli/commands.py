"""The command line: arguments in, progress and tables out; no logic.

Only light modules are imported here, so that `--help` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from soritune import __version__
from soritune.cli import (
    augment,
    blend,
    compare,
    doctor,
    experiment,
    export,
    inspect,
    publish,
    score,
    serve,
    transcribe,
)
from soritune.cli.help import Command, Group, examples

app = typer.Typer(
    name="soritune",
    cls=Group,
    help="Teach a speech model a new language, with figures that can be believed.\n\n"
    "A recipe (YAML) names the recordings, the model, the cases to train and the evaluations. "
    "With your own recordings: prepare, doctor, run.",
    epilog=examples(""),
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


_COMMANDS: dict[str, Callable[..., None]] = {
    "run": experiment.run,
    "prepare": experiment.prepare,
    "doctor": doctor.doctor,
    "train": experiment.train,
    "evaluate": experiment.evaluate,
    "report": experiment.report,
    "transcribe": transcribe.transcribe,
    "score": score.score,
    "compare": compare.compare,
    "serve": serve.serve,
    "inspect": inspect.inspect,
    "export": export.export,
    "publish": publish.publish,
    "blend": blend.blend,
}
for _name, _command in _COMMANDS.items():
    app.command(_name, cls=Command, epilog=examples(_name))(_command)
app.add_typer(augment.app, name="augment")
