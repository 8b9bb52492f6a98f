"""What may stand under `augment`, and the line that says what is wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from soritune.errors import UserError
from soritune.recipe import Recipe, load_recipe

RECIPE = """\
name: r
output: out
model: {{base: builtin:tiny}}
corpora:
  mine:
    source: demo
    augment: {augment}
cases:
  a:
    mode: lora
    train: [{{corpus: mine{of_case}}}]
evaluate:
  m: {{corpus: mine, task: asr}}
language: ko
"""


def load(folder: Path, augment: str, of_case: str = "") -> Recipe:
    path = folder / "r.yaml"
    path.write_text(RECIPE.format(augment=augment, of_case=of_case), encoding="utf-8")
    return load_recipe(path)


@pytest.mark.parametrize(
    ("augment", "names"),
    [
        ("fast-slow", ["fast-slow"]),
        ("[fast-slow, telephone]", ["fast-slow", "telephone"]),
        ("{transform: room, p: 0.3}", ["room"]),
        ("{use: babble, seed: 3}", ["babble"]),
        ("[{transform: AddGaussianNoise, p: 0.5, min_amplitude: 1e-3}]", ["AddGaussianNoise"]),
        ("[{transform: OneOf, transforms: [room, Gain]}]", ["OneOf", "room", "Gain"]),
        ("none", []),
    ],
)
def test_each_form_of_an_augmentation_is_read(
    tmp_path: Path, augment: str, names: list[str]
) -> None:
    recipe = load(tmp_path, augment)
    found = recipe.cases["a"].train[0].augment
    assert found is not None
    assert [step.transform for step in found.steps()] == names
    assert Recipe.model_validate_json(recipe.model_dump_json(by_alias=True)) == recipe


@pytest.mark.parametrize(
    ("augment", "words"),
    [
        ("fast-slo", 'there is no transform "fast-slo": did you mean "fast-slow"?'),
        ("[addgaussiannoise]", 'did you mean "AddGaussianNoise"?'),
        ("[hall]", "there are: fast-slow, telephone, room, babble, specaugment, Compose"),
        ("[hall]", "and of audiomentations AddBackgroundNoise, AddColorNoise"),
        (
            "[{transform: Gain, min_gain_d: 3}]",
            'Gain has no parameter "min_gain_d": did you mean "min_gain_db"?',
        ),
        ("[{transform: Gain, min_gain_db: loud}]", "min_gain_db of Gain must be a number"),
        ("[{transform: Gain, min_gain_db: true}]", "min_gain_db of Gain must be a number"),
        ("[{transform: Gain, min_gain_db: 20}]", "min_gain_db of Gain is above max_gain_db"),
        ("[{transform: telephone, codec: fax}]", "codec of telephone must be one of any, mu-law"),
        (
            "[{transform: specaugment, time_masks: -1}]",
            "time_masks of specaugment must be at least 0",
        ),
        ("[{transform: room, min_rt60_s: 0}]", "min_rt60_s of room must be at least 0.05"),
        (
            "{use: {transform: TimeStretch, min_rate: 0.4}, transcript: may-change}",
            "TimeStretch draws at rates under 0.5 from the system",
        ),
        ("[RoomSimulator]", "write use_ray_tracing: false: else no run could be repeated"),
        ("[{transform: telephone, codec: gms}]", 'did you mean "gsm"?'),
        ("[{transform: room, impulse_responses: 3}]", "must be a path or a list of paths"),
        ("[{transform: Gain, p: 1.5}]", "must be at most 1, not 1.5"),
        ("[ApplyImpulseResponse]", 'ApplyImpulseResponse needs "ir_path"'),
        ("[Lambda]", "Lambda applies a function, which a recipe cannot hold"),
        (
            "[{transform: RepeatPart, part_transform: x}]",
            "part_transform of RepeatPart is a function",
        ),
        ("[OneOf]", 'OneOf needs a list of other transforms ("transforms")'),
        ("[{transform: Gain, transforms: [room]}]", "Gain takes no other transforms"),
        (
            "[{transform: OneOf, transforms: [room, Gain], weights: [1]}]",
            "one weight above 0 for each",
        ),
        (
            "[{transform: SomeOf, num_transforms: 3, transforms: [room, Gain]}]",
            "num_transforms is 3 of 2",
        ),
        ("[Reverse]", "Reverse plays the speech backwards, so the transcript may be wrong"),
        ("[{transform: babble, min_snr_db: -5}]", "lets noise be louder than the speech"),
        ("[{transform: OneOf, transforms: [specaugment]}]", "cannot stand inside a group"),
        ("{use: room, copies: 2}", '"copies" are stored: they need "when: preparation"'),
        ("{use: room, whn: training}", 'unknown key "whn"'),
        (
            "[{transform: room, impulse_responses: rooms}]",
            '"augment": rooms does not exist, neither',
        ),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_the_right_word(
    tmp_path: Path, augment: str, words: str
) -> None:
    with pytest.raises(UserError) as told:
        load(tmp_path, augment)
    assert words in str(told.value)
    assert "r.yaml:7: " in str(told.value)
    assert "\n" not in str(told.value)


def test_without_audiomentations_only_our_transforms_can_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "audiomentations", None)
    group = "[{transform: OneOf, transforms: [room, fast-slow]}, specaugment]"
    assert load(tmp_path, group).cases["a"].train[0].augment is not None
    with pytest.raises(UserError, match=r"max_rt60_s of room must be a number"):
        load(tmp_path, "[{transform: room, max_rt60_s: long}]")
    with pytest.raises(UserError, match=r"r\.yaml:7: .*pip install 'soritune\[augment\]'"):
        load(tmp_path, "[{transform: Gain, min_gain_db: 1}]")


def test_a_mistake_in_a_case_is_reported_with_the_line_of_the_case(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"r\.yaml:11: .*there is no transform"):
        load(tmp_path, "room", ", augment: [rom]")
    with pytest.raises(UserError, match=r"r\.yaml:11: .*belongs to the corpus"):
        load(tmp_path, "room", ", augment: {use: room, when: preparation}")


def test_files_are_looked_for_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms" / "hall.wav").touch()
    step = "{transform: room, impulse_responses: rooms}"
    recipe = load(tmp_path, f"[{step}]", f", augment: [{{transform: OneOf, transforms: [{step}]}}]")
    of_corpus = recipe.corpora["mine"].augment
    of_case = recipe.cases["a"].train[0].augment
    assert of_corpus is not None
    assert of_case is not None
    assert of_corpus.paths() == of_case.paths() == [str(tmp_path / "rooms")]


@pytest.mark.parametrize("kind", ["empty", "no sound", "pipe"])
def test_noise_that_holds_no_sound_is_refused_before_anything_is_prepared(
    tmp_path: Path, kind: str
) -> None:
    noise = tmp_path / "noise"
    if kind == "pipe":
        os.mkfifo(noise)
    else:
        noise.mkdir()
    if kind == "no sound":
        (noise / "notes.txt").write_text("later", encoding="utf-8")
    step = "[{transform: AddBackgroundNoise, sounds_path: noise}]"
    with pytest.raises(UserError, match=r"r.yaml:7: .*noise holds no sound files"):
        load(tmp_path, step)
