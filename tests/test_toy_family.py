"""A family that no other file knows goes through recipe, training, scoring and `transcribe`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from small_model import noise
from toy_family import FAMILY, save_toy_base
from typer.testing import CliRunner

from soritune.cli import app
from soritune.models import load, registry

RECIPE = """
name: toy
output: {folder}/run
language: ko
model: {{base: {folder}/base}}
corpora:
  mine: {{source: manifest, path: {folder}/list.jsonl}}
cases:
  full-2: {{mode: full, train: [mine], epochs: 2, batch_size: 4, learning_rate: 1e-2}}
  voice: {{like: full-2, mode: voice}}
evaluate:
  mine: {{corpus: mine, task: asr}}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    registry.register(FAMILY)
    (tmp_path / "base").mkdir()
    save_toy_base(tmp_path / "base")
    lines = []
    for index in range(12):
        soundfile.write(tmp_path / f"{index}.wav", noise(8_000, index), 16_000)
        split = "test" if index % 3 == 0 else "train"
        row = {"audio": f"{index}.wav", "text": f"말 {index}", "speaker": split, "split": split}
        lines.append(json.dumps(row, ensure_ascii=False))
    (tmp_path / "list.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE.format(folder=tmp_path), encoding="utf-8")
    return path


def soritune(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_third_family_needs_no_other_room_to_change(recipe: Path) -> None:
    folder = recipe.parent
    assert "full-2" in soritune("run", recipe, "--check")
    soritune("run", recipe)
    results = json.loads((folder / "run" / "results.json").read_text())
    text = json.dumps(results)
    assert all(f'"{case}"' in text for case in ("original", "full-2", "voice"))
    trained = folder / "run" / "cases" / "full-2" / "model"
    assert load(trained, device="cpu").family is FAMILY
    out = soritune("transcribe", folder / "0.wav", folder / "3.wav", "--model", trained)
    assert [line.split("\t")[0] for line in out.splitlines()] == [
        str(folder / "0.wav"),
        str(folder / "3.wav"),
    ]
    assert "decoder" in soritune("inspect", trained)


def test_its_modes_are_those_of_the_recipe(recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(text.replace("mode: voice", "mode: voices"), encoding="utf-8")
    result = CliRunner().invoke(app, ["run", str(recipe), "--check"])
    assert result.exit_code == 2
    assert 'did you mean "voice"' in result.output


def test_a_name_or_model_type_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    for attribute, value in (("name", "whisper"), ("model_types", ("whisper",))):
        other = type(FAMILY)()
        setattr(other, attribute, value)
        with pytest.raises(ValueError, match="already"):
            registry.register(other)
