"""What is printed: names of files and texts cannot steer the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import typer
from rich.console import Console
from rich.segment import Segment

from soritune.errors import visible, visible_json


class PlainConsole(Console):
    """A console that shows control characters in texts in place of sending them."""

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        return super()._render_buffer(
            segment if segment.control else segment._replace(text=visible(segment.text))
            for segment in buffer
        )


def echo(text: object) -> None:
    """Print a line of results."""
    typer.echo(visible(str(text)))


def echo_json(value: object) -> None:
    """Print results as JSON."""
    typer.echo(visible_json(value, indent=2))


def say(line: str) -> None:
    """Print a line about the work to standard error."""
    print(visible(line), file=sys.stderr, flush=True)
