"""`--help` as a person reads it."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from soritune.cli import app
from soritune.cli.help import EXAMPLES

ROOT: Any = typer.main.get_command(app)


def words(path: str) -> list[str]:
    """The words of a command that the examples know by its last one."""
    return ["augment", path] if path == "preview" else path.split()


def shown(path: str) -> str:
    done = CliRunner().invoke(app, [*words(path), "--help"], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def test_every_command_has_examples() -> None:
    commands = {name for name, command in ROOT.commands.items() if name != "augment"}
    assert EXAMPLES.keys() == {"", *commands, *ROOT.commands["augment"].commands}


@pytest.mark.parametrize("path", EXAMPLES)
def test_help_has_two_examples_and_no_types_that_say_nothing(path: str) -> None:
    text = shown(path)
    assert not re.search(r"<(bool|path|str|int|float|list)\b", text)
    assert len(EXAMPLES[path]) >= 2
    for example, about in EXAMPLES[path]:
        line = next(line for line in text.splitlines() if example in line)
        assert f"# {about}" in line


def test_a_paragraph_is_broken_by_the_terminal_alone() -> None:
    text = " ".join(shown("run").split())
    assert "at any moment: the same command continues, and skips what is done and unchanged" in text
    (line,) = [line for line in shown("run").splitlines() if "It can be interrupted" in line]
    assert "skips what is done and unchanged" in line


@pytest.mark.parametrize("example", [each for all_of in EXAMPLES.values() for each, _ in all_of])
def test_an_example_is_a_command_that_is_understood(example: str) -> None:
    given = shlex.split(example)
    if given[0] == "torchrun":
        given = given[given.index("soritune.cli") :]
    command, rest = ROOT, given[1:]
    while getattr(command, "commands", None):
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(command.name, rest)  # raises where an option or argument is unknown
