"""The vLLM plug-in as far as it can be checked without vLLM; the rest is `make test-vllm`."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import copy_to_vllm
import pytest

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "plugins/vllm"


def test_the_copies_in_the_plugin_are_those_of_this_code() -> None:
    """If not: python tools/copy_to_vllm.py."""
    assert copy_to_vllm.differences() == []


def test_a_copy_that_was_changed_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_to_vllm, "COPY", tmp_path)
    copy_to_vllm.write()
    assert copy_to_vllm.differences() == []
    changed = tmp_path / "models/phi4mm/features.py"
    changed.write_text(changed.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    extra = tmp_path / "models/other.py"
    extra.touch()
    assert copy_to_vllm.differences() == [extra, changed]
    copy_to_vllm.write()
    assert copy_to_vllm.differences() == []


def test_a_module_that_needs_more_than_is_copied_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fewer = tuple(name for name in copy_to_vllm.MODULES if name != "tasks.py")
    monkeypatch.setattr(copy_to_vllm, "MODULES", fewer)
    with pytest.raises(ValueError, match=r"prompts\.py needs tasks\.py"):
        copy_to_vllm.copies()


def test_the_plugin_imports_nothing_of_soritune_and_requires_none_of_it() -> None:
    imported = set()
    for file in (PLUGIN / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    assert "soritune_vllm" in imported
    assert "soritune" not in imported
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == []
    assert project["entry-points"]["vllm.general_plugins"] == {"soritune": "soritune_vllm:register"}
