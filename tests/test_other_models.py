"""`evaluate --model`: a model beside the recipe, in the same table and in nobody's way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made_experiment as made
import pytest
from made_experiment import StandIns
from typer.testing import CliRunner

from soritune.cli import app

stand_ins, folder = made.stand_ins, made.folder


def evaluate(recipe: Path, *options: object) -> Any:
    words = ["evaluate", str(recipe), *map(str, options)]
    return CliRunner().invoke(app, words, env={"COLUMNS": "200"})


def model(folder: Path, content: str = "blend", kind: str = "phi4_multimodal") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    (folder / "weights").write_text(content)
    return folder


def values(folder: Path) -> dict[tuple[str, str, str], float]:
    results = json.loads((folder / "out/results.json").read_text())["scores"]
    return {(each["case"], each["evaluation"], each["metric"]): each["value"] for each in results}


@pytest.fixture
def done(folder: Path, stand_ins: StandIns) -> Path:
    assert CliRunner().invoke(app, ["run", str(folder / "recipe.yaml")]).exit_code == 0
    stand_ins.decoded.clear()
    return folder


def test_a_blend_is_a_row_of_its_own_and_disturbs_no_case(
    done: Path,
    stand_ins: StandIns,
) -> None:
    before = values(done)
    shown = evaluate(done / "recipe.yaml", "--model", model(done / "blend-0.7"))
    assert shown.exit_code == 0, shown.output
    after = values(done)
    assert {key: value for key, value in after.items() if key[0] != "blend-0.7"} == before
    assert after["blend-0.7", "korean", "cer"] == 0
    assert {each for each, _ in stand_ins.decoded} == {"blend"}
    assert "blend-0.7" in shown.stdout
    assert "| blend-0.7 |" in (done / "out/report.md").read_text()
    # Nothing is decoded twice, and a run keeps the row.
    stand_ins.decoded.clear()
    evaluate(done / "recipe.yaml", "--model", done / "blend-0.7")
    CliRunner().invoke(app, ["run", str(done / "recipe.yaml")])
    assert (stand_ins.decoded, values(done)) == ([], after)


def test_an_interrupted_evaluation_goes_on_and_another_content_is_decoded_again(
    done: Path,
    stand_ins: StandIns,
) -> None:
    other = model(done / "other/model")
    stand_ins.interrupt_after = 1
    assert evaluate(done / "recipe.yaml", "--model", other).exit_code == 130
    stand_ins.interrupt_after = None
    assert evaluate(done / "recipe.yaml", "--model", other).exit_code == 0
    names = [name for _, name in stand_ins.decoded]
    assert ("other", "korean", "cer") in values(done)
    stand_ins.decoded.clear()
    model(other, "changed")
    evaluate(done / "recipe.yaml", "--model", other)
    assert [name for _, name in stand_ins.decoded] == names


def test_what_a_family_cannot_do_is_left_out(done: Path) -> None:
    shown = evaluate(done / "recipe.yaml", "--model", model(done / "asr", kind="qwen3_asr"))
    assert shown.exit_code == 0, shown.output
    assert "evaluate asr, ko2en: left out, Qwen3-ASR transcribes only" in shown.stderr
    assert {key[1] for key in values(done) if key[0] == "asr"} == {"korean"}


MISTAKES = {
    ("--model", "first"): '"first" is a case of the recipe; give the model another name',
    ("--model", "a b"): '"a b" cannot name a row of the report',
    ("--model", "nowhere"): "model nowhere: no such folder, and not a hub id",
    ("--model", "first", "--case", "second"): "give one of them",
    ("--name", "x"): "--name is for --model",
}


def test_a_mistake_is_one_line(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(done)
    model(done / "first")
    model(done / "a b")
    before = (done / "out/results.json").read_bytes()
    for options, message in MISTAKES.items():
        shown = evaluate(done / "recipe.yaml", *options)
        assert (shown.exit_code, message in shown.stderr) == (2, True), shown.output
        assert len(shown.stderr.strip().splitlines()) == 1
        assert (done / "out/results.json").read_bytes() == before


def test_a_name_can_be_given(done: Path) -> None:
    assert (
        evaluate(done / "recipe.yaml", "--model", model(done / "first"), "--name", "b").exit_code
        == 0
    )
    assert ("b", "korean", "cer") in values(done)
