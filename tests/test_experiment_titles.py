"""Titles of cases: two that were trained differently never read the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from soritune.experiment.loading import load_experiment
from soritune.experiment.titles import augmentation_words, case_title
from soritune.progress import number_text
from soritune.recipe import Recipe

RECIPE = """
name: titles
output: runs/titles
language: ko
model: {{base: 'builtin:tiny'}}
corpora:
  mine: {{source: demo, language: ko, train: 10, test: 2}}
  other: {{source: demo, language: en, train: 10, test: 2}}
cases:
  first: {{mode: lora, train: [{{corpus: mine}}]}}
{cases}
evaluate:
  korean: {{corpus: mine, task: asr}}
"""


def recipe_of(folder: Path, *cases: str) -> Recipe:
    path = folder / "r.yaml"
    lines = "\n".join(f"  {case}" for case in cases)
    path.write_text(RECIPE.format(cases=lines), encoding="utf-8")
    return load_experiment(path)


def titles(recipe: Recipe) -> list[str]:
    return [case_title(name, recipe) for name in recipe.cases]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("learning_rate: 5e-4", ["first (learning rate 4e-5)", "b (learning rate 0.0005)"]),
        (
            "train: [{corpus: mine, augment: telephone}]",
            ["first (not augmented)", "b (augmented: telephone)"],
        ),
        ("batch_size: 4", ["first (batch size 16)", "b (batch size 4)"]),
        ("epochs: 4", ["first (1 epoch)", "b (4 epochs)"]),
        ("mode: lora+audio", ["first (LoRA)", "b (LoRA + audio encoder unfrozen)"]),
        ("train: [{corpus: mine, share: 0.5}]", ["first", "b (50 % of mine)"]),
        ("train: [mine, other]", ["first (mine)", "b (mine + other)"]),
        ("warmup_steps: 3", ["first", "b (warmup_steps 3)"]),
        ("shared_sentences: keep", ["first", "b (shared sentences kept)"]),
        ("max_grad_norm: 1.0", ["first", "b"]),  # the default: nothing differs
    ],
)
def test_a_title_names_what_differs_and_nothing_else(
    tmp_path: Path, change: str, expected: list[str]
) -> None:
    assert titles(recipe_of(tmp_path, f"b: {{like: first, {change}}}")) == expected


def test_every_other_value_of_every_setting_gives_another_title(tmp_path: Path) -> None:
    changes = (
        "learning_rate: 1e-3",
        "audio_learning_rate: 1e-3",
        "weight_decay: 0.5",
        "betas: [0.8, 0.9]",
        "eps: 1e-6",
        "max_grad_norm: 2.0",
        "warmup_steps: 0",
        "schedule: cosine",
        "max_tokens: 99",
        "gradient_checkpointing: true",
        "lora: {r: 2}",
        "lora: {dropout: 0.5}",
        "train: [{corpus: mine, tasks: {ast: 1}, to: en}]",
        "train: [{corpus: mine, max_hours: 0.5}]",
        "train: [{corpus: mine, max_utterances: 5}]",
        "train: [{corpus: mine, weight: 2}]",
        "train: [{corpus: mine}, {corpus: other, replay: 0.5}]",
        "train: [{corpus: mine, augment: {use: [telephone], seed: 3}}]",
        "train: [{corpus: mine, augment: [{transform: telephone, p: 0.2}]}]",
        "train: [{corpus: mine, split: dev}]",
    )
    names = [f"c{number}" for number in range(len(changes))]
    cases = [f"{n}: {{like: first, {c}}}" for n, c in zip(names, changes, strict=True)]
    recipe = recipe_of(tmp_path, *cases)
    bare = [case_title(name, recipe).removeprefix(name) for name in recipe.cases]
    assert len(set(bare)) == len(bare)


def test_rare_settings_stay_out_of_titles_that_differ_already() -> None:
    recipe = load_experiment(Path("recipes/tiny-korean.yaml"))
    assert titles(recipe) == [
        "baseline (LoRA, 1 epoch, 60 % of korean)",
        "lora-1 (LoRA, 1 epoch)",
        "lora-4 (LoRA, 4 epochs)",
        "audio-4 (LoRA + audio encoder unfrozen, 4 epochs)",
    ]


def test_a_case_that_is_alone_names_mode_and_epochs(tmp_path: Path) -> None:
    assert titles(recipe_of(tmp_path)) == ["first (LoRA, 1 epoch)"]


def test_augmentations_of_several_parts_are_told_apart(tmp_path: Path) -> None:
    case = recipe_of(
        tmp_path, "b: {like: first, train: [{corpus: mine, augment: telephone}, other]}"
    ).cases["b"]
    assert augmentation_words(case) == "mine: telephone; other: none"


@pytest.mark.parametrize(
    ("value", "text"),
    [(4e-5, "4e-5"), (3e-3, "0.003"), (1e10, "1e10"), (2.0, "2"), (1.5e-7, "1.5e-7")],
)
def test_settings_are_shown_as_recipes_have_them(value: float, text: str) -> None:
    assert number_text(value) == text
