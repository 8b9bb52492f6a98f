"""`soritune export` and `soritune blend` as a person meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from exported import ENCODER, train
from typer.testing import CliRunner

from soritune.cli import app


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("to", ["native", "original", "adapter", "merged"])
def test_export_writes_what_was_asked_for(small_base: Path, tmp_path: Path, to: str) -> None:
    model = train(small_base, tmp_path / "model", (), r=4)
    done = invoke("export", model, "--to", to, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "README.md" in done.stdout
    record = json.loads((tmp_path / "out/soritune-export.json").read_text())
    assert record["target"] == to
    assert record["trained"]["case"] == "mine"


def test_blend_writes_a_model(small_base: Path, tmp_path: Path) -> None:
    first = train(small_base, tmp_path / "a", (ENCODER,), r=4, seed=1)
    second = train(small_base, tmp_path / "b", (ENCODER,), r=4, seed=2)
    done = invoke("blend", first, second, "--weight", "0.7", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "LoRA of rank 8" in done.stdout
    assert (tmp_path / "out/soritune.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "missing", "--to", "native", "--out", "out"), "no such folder"),
        (("blend", "missing", "missing", "--weight", "2", "--out", "out"), "between 0 and 1"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_layout_is_reported_with_those_that_there_are(
    small_base: Path, tmp_path: Path
) -> None:
    done = invoke("export", small_base, "--to", "onnx", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert all(name in done.stderr for name in ("native", "original", "adapter", "merged"))
