"""`soritune augment preview` as a person uses it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import soundfile
from small_model import noise
from typer.testing import CliRunner

from soritune.cli import app

pytest.importorskip("audiomentations")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    for name, seed in (("clip", 1), ("other", 2)):
        soundfile.write(tmp_path / f"{name}.wav", noise(16_000, seed), 16_000)
    return tmp_path / "clip.wav"


def run(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["augment", "preview", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("name", ["fast-slow", "telephone", "room", "babble", "specaugment"])
def test_a_preview_writes_clips_before_and_after_and_a_picture(
    clip: Path, tmp_path: Path, name: str
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    code, told, _ = run(clip, "--augment", name, "--out", out, "--count", 2)
    assert code == 0
    wanted = {"clip-before.wav", "clip-1.wav", "clip-2.wav", "clip.png"}
    assert {path.name for path in out.iterdir()} == wanted
    assert (out / "clip.png").read_bytes().startswith(b"\x89PNG")
    before, _ = soundfile.read(out / "clip-before.wav", dtype="float32")
    assert abs(before - noise(16_000, 1)).max() < 1e-4
    lines = told.splitlines()
    assert len(lines) == 4
    for number in (1, 2):
        drawn = "features masked" if name == "specaugment" else f"{name} ("
        assert f"clip-{number}.wav: draw " in lines[number]
        assert drawn in lines[number]
        samples, rate_hz = soundfile.read(out / f"clip-{number}.wav", dtype="float32")
        assert f", {len(samples) / rate_hz:.2f} s: " in lines[number]
        same = len(samples) == len(before) and (samples == before).all()
        assert bool(same) == (name == "specaugment")
    if name == "babble":
        assert "voices other.wav" in told


def test_a_recipe_and_its_corpus_can_be_named(clip: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: r\nlanguage: ko\noutput: runs\nmodel: {base: builtin:tiny}\n"
        "corpora:\n  mine: {source: demo, augment: [{transform: Gain, p: 1}]}\n"
        "  bare: {source: demo}\n"
        "cases: {a: {mode: lora, train: [mine]}}\nevaluate: {m: {corpus: mine, task: asr}}\n"
    )
    code, told, _ = run(clip, "--augment", f"{recipe}:mine", "--out", tmp_path / "o", "--count", 1)
    assert code == 0
    assert "Gain (amplitude_ratio " in told
    for corpus, words in (("min", 'did you mean "mine"?'), ("bare", 'says nothing of "augment"')):
        code, _, error = run(clip, "--augment", f"{recipe}:{corpus}", "--out", tmp_path / "o")
        assert code == 2
        assert words in error


def test_mistakes_cost_one_line(clip: Path, tmp_path: Path) -> None:
    for words, told in (
        ((clip, "--augment", "telefone"), 'did you mean "telephone"?'),
        ((clip, "--augment", "Reverse"), "Reverse plays the speech backwards"),
        ((tmp_path / "gone.wav", "--augment", "room"), "there is no such file"),
    ):
        code, _, error = run(*words, "--out", tmp_path / "o")
        assert code == 2
        assert told in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "name", "code", "words"),
    [
        ("audiomentations", "fast-slow", 2, "pip install 'soritune[augment]'"),
        ("matplotlib", "room", 0, "pip install 'soritune[plots]'"),
    ],
)
def test_a_missing_extra_is_named(
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    name: str,
    code: int,
    words: str,
) -> None:
    for loaded in [m for m in sys.modules if m.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    found, _, error = run(clip, "--augment", name, "--out", tmp_path / "o")
    assert found == code
    assert words in error
