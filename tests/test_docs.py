"""What the documents name is there: links, files, commands with their options, recipes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from enum import EnumType
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import TypeAdapter

from soritune.cli import app
from soritune.recipe import ModelConfig, Recipe, TrainPart
from soritune.recipe.schema import Evaluation
from soritune.sources import SourceConfig

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(
    r"(?:src|tests|tools|recipes|docs|benchmarks)/[\w./-]*(?:/|\.(?:py|ya?ml|md|json|safetensors))"
)
COMMANDS: Mapping[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, *languages: str) -> list[str]:
    found = FENCE.findall(path.read_text(encoding="utf-8"))
    return [body for language, body in found if language in languages]


def links(text: str) -> list[str]:
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))
    targets = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def commands(path: Path) -> list[list[str]]:
    """The `soritune …` lines of the shell blocks, as words."""
    lines = "\n".join(blocks(path, "sh", "bash", "")).replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines if line.startswith("soritune ")]
    return [words[1:] for words in found]


def problem(words: list[str]) -> str | None:
    """What the command line would not know of a command."""
    if words[0].startswith("-"):
        return None if words[0] in ("--help", "--version", "-h") else words[0]
    if words[0] not in COMMANDS:
        return f"no command {words[0]}"
    command = COMMANDS[words[0]]
    inner = getattr(command, "commands", {})
    if inner:  # a group of commands: the options are those of the second word
        if words[1] not in inner:
            return f"no command {words[0]} {words[1]}"
        command = inner[words[1]]
    options = {
        option: parameter
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("-")
    }
    for place, word in enumerate(words[1:], start=1):
        option, _, value = word.partition("=")
        if not option.startswith("-"):
            continue
        if option not in options:
            return f"{words[0]} has no option {option}"
        kind = options[option].type_descriptor.annotation
        given = value or "".join(words[place + 1 : place + 2])
        if isinstance(kind, EnumType) and given not in list(kind):
            return f"{words[0]} {option} takes no {given}"
    return None


def check_recipe_part(part: Any) -> None:
    """Validate a whole recipe, one source, or some of a recipe's keys."""
    if "cases" in part and "corpora" in part and "model" in part:
        Recipe.model_validate(part)
    elif "source" in part:
        TypeAdapter(SourceConfig).validate_python(part)
    else:
        assert set(part) <= {*Recipe.model_fields, "train"}, part
        for source in part.get("corpora", {}).values():
            TypeAdapter(SourceConfig).validate_python(source)
        for each in part.get("train", []):
            TrainPart.model_validate(each)
        for evaluation in part.get("evaluate", {}).values():
            Evaluation.model_validate(evaluation)
        if "model" in part:
            ModelConfig.model_validate({"base": "builtin:tiny", **part["model"]})


def test_the_documents_are_found() -> None:
    names = {name(path) for path in DOCUMENTS}
    assert {"README.md", "docs/data.md", "docs/training.md", "docs/scoring.md"} <= names


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    targets = [target.partition("#")[0] for target in links(path.read_text(encoding="utf-8"))]
    assert [t for t in targets if t and not (path.parent / t).exists()] == []


def anchors(path: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_link_into_a_document_leads_to_a_heading(path: Path) -> None:
    targets = [target.partition("#") for target in links(path.read_text(encoding="utf-8"))]
    lost = [
        f"{file}#{anchor}"
        for file, _, anchor in targets
        if anchor and anchor not in anchors(path.parent / file if file else path)
    ]
    assert lost == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_file_of_the_project_that_is_named_exists(path: Path) -> None:
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", path.read_text(encoding="utf-8")))
    named = {found.group() for span in spans if (found := FILE.match(span))}
    assert sorted(file for file in named if not (ROOT / file).exists()) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_command_has_the_options_that_are_written(path: Path) -> None:
    assert [found for words in commands(path) if (found := problem(words))] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_recipe_block_is_one_that_soritune_reads(path: Path) -> None:
    for block in blocks(path, "yaml"):
        check_recipe_part(yaml.safe_load(block))


def test_the_recipe_of_the_readme_says_what_the_shipped_one_says() -> None:
    """The README shows the keys to look at first, with the values that a person finds there."""
    [shown] = [text for text in blocks(ROOT / "README.md", "yaml") if "own-recordings" in text]
    shipped = (ROOT / "recipes/own-recordings.yaml").read_text(encoding="utf-8")

    def assert_within(part: Any, whole: Any, at: str = "") -> None:
        if isinstance(part, dict):
            for key, value in part.items():
                assert_within(value, whole[key], f"{at}.{key}")
        else:
            assert part == whole, at

    assert_within(yaml.safe_load(shown), yaml.safe_load(shipped))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_python_examples_compile(path: Path) -> None:
    for block in blocks(path, "python"):
        compile(block, name(path), "exec")


def test_the_documents_show_every_command_somewhere() -> None:
    assert set(COMMANDS) <= {words[0] for path in DOCUMENTS for words in commands(path)}


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("trian r.yaml", "no command trian"),
        ("train r.yaml --cases a", "train has no option --cases"),
        ("transcribe a.wav --format docx", "transcribe --format takes no docx"),
        ("run r.yaml --check", None),
    ],
)
def test_a_wrong_command_would_be_found(command: str, found: str | None) -> None:
    assert problem(command.split()) == found


def rooms() -> list[str]:
    """Folders of the package with something in them, not only what Python left behind."""
    files = (ROOT / "src/soritune").glob("[!_]*/**/*")
    found = (file for file in files if file.is_file() and file.suffix != ".pyc")
    return sorted({file.relative_to(ROOT / "src/soritune").parts[0] for file in found})


def test_every_room_of_the_package_is_named_in_the_architecture() -> None:
    assert {"models", "training", "cli"} <= set(rooms())
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert [room for room in rooms() if f"| `{room}/` |" not in text] == []


def test_the_tree_of_the_readme_is_the_tree_that_there_is() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = readme.partition("## The tree\n")[2].partition("\n## ")[0]
    named = re.findall(r"^  (\S+)  ", tree, re.MULTILINE)
    there = [path for path in named if (ROOT / "src/soritune" / path).exists()]
    assert sorted(set(named) - set(there)) == []
    assert [room for room in rooms() if f"{room}/" not in named] == []
