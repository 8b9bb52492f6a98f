"""Truths about the package: what it needs, what it pins, and what it never contains."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import soritune

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
# Modules whose distribution has another name.
DISTRIBUTIONS = {"yaml": "pyyaml", "espeakng_loader": "espeakng-loader"}
# What comes with a declared package and is part of its interface.
COMES_WITH = {"huggingface_hub": "transformers", "pydantic_core": "pydantic"}


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(line) for lines in (PROJECT["dependencies"], *extras) for line in lines]


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pinned = {}
    for each in found:
        (specifier,) = each.specifier
        assert specifier.operator == "==", each
        pinned[canonicalize_name(each.name)] = Version(specifier.version)
    return pinned


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in files if path.is_file()]


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_each_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_each_floor_is_of_the_series_that_is_tested(requirement: Requirement) -> None:
    floors = [Version(s.version) for s in requirement.specifier if s.operator == ">="]
    pinned = pins()[canonicalize_name(requirement.name)]
    (floor,) = floors
    assert pinned.release[: min(2, len(floor.release))] == floor.release[:2]


def test_what_is_installed_here_is_what_is_pinned() -> None:
    different = {}
    for name, pinned in pins().items():
        try:
            installed = Version(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue  # of an extra that is not installed
        if Version(installed.public) != pinned:
            different[name] = (str(installed), str(pinned))
    assert not different


def test_what_the_dependencies_need_is_pinned_too() -> None:
    """Only what concerns this platform; graphics libraries come with the build of torch."""
    pinned = set(pins())
    missing = set()
    for name in pinned:
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for need in map(Requirement, needs):
            if need.marker is not None and not need.marker.evaluate({"extra": ""}):
                continue
            needed = canonicalize_name(need.name)
            if needed not in pinned and not needed.startswith(("nvidia", "cuda", "triton")):
                missing.add(f"{needed} (for {name})")
    assert missing <= {"setuptools (for torch)"}


@cache
def imported_distributions() -> list[tuple[str, Path]]:
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in {"soritune", "_typeshed"}:
                    wanted = COMES_WITH.get(top) or DISTRIBUTIONS.get(top) or top
                    found.append((canonicalize_name(wanted), path.relative_to(ROOT)))
    return found


def test_every_import_is_a_declared_dependency() -> None:
    declared = {canonicalize_name(each.name) for each in requirements()}
    assert {(n, str(path)) for n, path in imported_distributions() if n not in declared} == set()


def test_types_are_checked_without_the_extras_that_are_not_installed_for_it() -> None:
    """`make lint` comes before the tests, and they alone install these extras."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installed = re.findall(r"^EXTRAS := (\S+)$", makefile, re.MULTILINE)[0].split(",")
    missing = {
        canonicalize_name(Requirement(line).name)
        for extra, lines in PROJECT["optional-dependencies"].items()
        for line in lines
        if extra not in installed
    }
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    untyped = {
        name.partition(".")[0] for each in tools["mypy"]["overrides"] for name in each["module"]
    }
    assert "audiomentations" in missing
    assert {n for n, _ in imported_distributions() if n in missing} <= untyped


def test_every_declared_dependency_is_used() -> None:
    needed = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    # The Trainer of transformers imports accelerate, which transformers itself does not require.
    assert needed - {"accelerate"} <= {name for name, _ in imported_distributions()}


def test_nothing_unpickles_evaluates_or_trusts_remote_code() -> None:
    forbidden = {"pickle", "cPickle", "dill", "marshal", "shelve", "cloudpickle"}
    forbidden |= {"eval()", "exec()", "trust_remote_code", "shell", "allow_pickle"}
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            used: set[str | None] = set()
            if isinstance(node, ast.Import):
                used = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                used = {(node.module or "").partition(".")[0]}
            elif isinstance(node, ast.Call):
                used = {
                    keyword.arg
                    for keyword in node.keywords
                    if isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                }
                if isinstance(node.func, ast.Name):
                    used.add(f"{node.func.id}()")
            if used & forbidden:
                found.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")
    assert not found


def test_no_file_names_a_place_of_one_machine_or_a_package_registry() -> None:
    # Written apart, so that this file does not contain what it looks for.
    places = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/opt/" + "py", "/opt/" + "wheels"]
    hosts = ["py" + "pi.org", "python" + "hosted.org", "deb" + "ian.org", "npm" + "js.org"]
    pattern = re.compile("|".join(map(re.escape, places + hosts)))
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
            for number, line in enumerate(text.splitlines(), start=1)
            if pattern.search(line)
        ]
    assert not found


def test_the_version_is_written_once() -> None:
    assert "version" in PROJECT["dynamic"]
    assert metadata.version("soritune") == soritune.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {soritune.__version__}" in changelog


def test_ci_runs_the_targets_that_people_run() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert "make test" in text
    assert "make lint" in text


def test_set_up_asks_for_torch_alone_and_before_all_else() -> None:
    """Whatever build of torch pip is set up for must not be replaced by another one's needs."""
    planned = subprocess.run(
        ["make", "--dry-run", "--always-make", ".venv/.ready"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    torch = planned.index(f"torch=={pins()['torch']}")
    assert torch < planned.index("--editable")


def test_no_file_of_the_package_is_too_long_to_read_in_one_sitting() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_command_and_none_that_is_not_there() -> None:
    from soritune.cli import app

    there = {each.name for each in (*app.registered_commands, *app.registered_groups)}
    assert set(re.findall(r"^\| `soritune ([a-z]+)", README, re.MULTILINE)) == there


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md", "CHANGELOG.md"])
def test_recipes_and_documents_that_are_named_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(r"(?:recipes|docs|tests|benchmarks)/[\w.-]+\.(?:yaml|md|py)", text)
    assert [name for name in named if not (ROOT / name).is_file()] == []
