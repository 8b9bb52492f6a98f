"""A recipe that is right: what it means."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from soritune.corpus.card import CorpusCard, Division, SplitSummary
from soritune.errors import UserError
from soritune.experiment.check import check
from soritune.experiment.loading import load_experiment
from soritune.experiment.without_effect import division_without_effect
from soritune.recipe import Evaluation, Recipe, TrainPart, load_recipe
from soritune.sources.formats.manifest import ManifestSource
from soritune.tasks import Task

SHIPPED = Path(__file__).parent.parent / "recipes"

MINIMAL = """\
name: small
language: ko
output: runs/small
model: {base: builtin:tiny}
corpora:
  korean: {source: demo, language: ko}
cases:
  first: {mode: lora, train: [korean]}
evaluate:
  korean: {corpus: korean, task: asr}
"""


def load(folder: Path, text: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)


def with_cases(cases: str) -> str:
    return MINIMAL.replace("  first: {mode: lora, train: [korean]}\n", cases)


def test_what_is_not_given_is_the_reference_setting(tmp_path: Path) -> None:
    recipe = load(tmp_path, MINIMAL)
    assert (recipe.seed, recipe.language, recipe.output) == (0, "ko", Path("runs/small"))
    lora = load_experiment(tmp_path / "recipe.yaml").model.lora
    assert (lora.r, lora.alpha, lora.dropout) == (320, 640, 0.01)
    assert lora.start == "base"
    case = recipe.cases["first"]
    assert (case.epochs, case.batch_size, case.learning_rate) == (1, 16, 4e-5)
    assert (case.weight_decay, case.betas, case.eps) == (0.01, (0.9, 0.95), 1e-7)
    assert (case.max_grad_norm, case.schedule) == (1.0, "linear")
    for left_open in (
        *("audio_learning_rate", "max_tokens", "lora", "gradient_checkpointing"),
        "warmup_steps",
    ):
        assert getattr(case, left_open) is None
    evaluation = recipe.evaluate["korean"]
    assert (evaluation.split, evaluation.beams, evaluation.limit) == ("test", 1, None)


def test_a_bare_corpus_name_is_its_whole_training_split_for_asr(tmp_path: Path) -> None:
    (part,) = load(tmp_path, MINIMAL).cases["first"].train
    assert part == TrainPart(corpus="korean", split="train", share=1.0, tasks={Task.ASR: 1.0})


@pytest.mark.parametrize(
    ("written", "number"), [("4e-5", 4e-5), ("4E-05", 4e-5), ("1", 1.0), ("+.5", 0.5), ("2.", 2.0)]
)
def test_numbers_are_numbers_in_every_notation(tmp_path: Path, written: str, number: float) -> None:
    cases = f"  first: {{mode: lora, train: [korean], learning_rate: {written}}}\n"
    rate = load(tmp_path, with_cases(cases)).cases["first"].learning_rate
    assert isinstance(rate, float)
    assert rate == number


def test_the_language_is_that_of_corpora_that_name_none(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").touch()
    corpora = """
  korean: {source: manifest, path: list.jsonl}
  english: {source: folder, path: ., language: en}
  read: {source: common-voice, path: someone/mirror}
  mandarin: {source: common-voice, path: someone/mirror, locale: zh-CN}
"""
    found = load(
        tmp_path, MINIMAL.replace("\n  korean: {source: demo, language: ko}\n", corpora)
    ).corpora
    assert (found["korean"].language, found["english"].language) == ("ko", "en")
    assert (found["read"].locale, found["mandarin"].locale) == ("ko", "zh-CN")


def test_no_is_norwegian_and_not_false(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL.replace("language: ko", "language: no", 1)).language == "no"


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    plain = load(tmp_path, MINIMAL)
    assert load(tmp_path, "\ufeff" + MINIMAL.replace("\n", "\r\n")) == plain


def test_weights_of_tasks_are_made_to_sum_to_one(tmp_path: Path) -> None:
    tasks = "{asr: 2, ast: 1, ast-cot: 1}"
    cases = f"  first: {{mode: lora, train: [{{corpus: korean, tasks: {tasks}}}]}}\n"
    (part,) = load(tmp_path, with_cases(cases)).cases["first"].train
    assert part.tasks == {Task.ASR: 0.5, Task.AST: 0.25, Task.AST_COT: 0.25}


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("audio+lora", "lora+audio"),
        ("projector + lora", "lora+projector"),
        ("full", "full"),
        ("audio", "audio"),
    ],
)
def test_a_mode_has_one_spelling(tmp_path: Path, written: str, normal: str) -> None:
    load(tmp_path, MINIMAL.replace("mode: lora", f"mode: {written}"))
    assert load_experiment(tmp_path / "recipe.yaml").cases["first"].mode == normal


def test_like_takes_over_along_a_chain_whatever_the_order(tmp_path: Path) -> None:
    cases = """\
  third: {like: second, mode: lora+audio}
  second: {like: first, epochs: 4, audio_learning_rate: null}
  first: {mode: lora, train: [korean], batch_size: 8, audio_learning_rate: 1e-3}
"""
    recipe = load(tmp_path, with_cases(cases))
    assert list(recipe.cases) == ["third", "second", "first"]
    third = recipe.cases["third"]
    assert (third.mode, third.epochs, third.batch_size) == ("lora+audio", 4, 8)
    assert third.audio_learning_rate is None  # null is a value that was given
    assert third.train == recipe.cases["first"].train
    assert recipe.cases["first"].epochs == 1


def test_a_case_says_where_its_lora_starts(tmp_path: Path) -> None:
    cases = "  first: {mode: lora, train: [korean], lora: {start: merge, r: 8}}\n"
    lora = load(tmp_path, with_cases(cases)).cases["first"].lora
    assert lora is not None
    assert (lora.start, lora.r) == ("merge", 8)
    with pytest.raises(UserError, match=r"merge.*fresh"):
        load(tmp_path, with_cases(cases.replace("merge", "new")))


def test_a_case_s_lora_keeps_the_model_s_where_it_says_nothing(tmp_path: Path) -> None:
    cases = "  first: {mode: lora, train: [korean], lora: {r: 8}}\n"
    text = with_cases(cases).replace("builtin:tiny}", "builtin:tiny, lora: {r: 32, alpha: 64}}")
    load(tmp_path, text)
    lora = load_experiment(tmp_path / "recipe.yaml").cases["first"].lora
    assert lora is not None
    assert (lora.r, lora.alpha, lora.dropout) == (8, 64, 0.01)


def test_a_lora_that_the_base_brings_gives_the_size_that_the_recipe_leaves_out(
    tmp_path: Path, native: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    for given, expected in (("", (4, 8)), (", lora: {alpha: 6}", (4, 6))):
        path.write_text(MINIMAL.replace("builtin:tiny", f"{native}{given}"), encoding="utf-8")
        lora = load_experiment(path).model.lora
        assert (lora.r, lora.alpha) == expected


WITHOUT_EFFECT = """\
name: small
output: runs/small
language: ko
model: {base: builtin:tiny, revision: v2, lora: {r: 32}}
corpora:
  korean: {source: demo, language: ko, augment: fast-slow}
  others: {source: demo, language: ko, augment: fast-slow}
cases:
  first: {mode: projector, train: [korean], lora: {alpha: 4}, learning_rate: 1e-3}
  second: {like: first, audio_learning_rate: 1e-4}
  third: {mode: lora, train: [korean], audio_learning_rate: 1e-4, lora: {r: 8}}
  fourth: {mode: full, train: [korean], audio_learning_rate: 1e-4, learning_rate: 1e-3}
  fifth: {mode: lora, train: [korean], audio_learning_rate: 1e-5, lora: {r: 16}}
  sixth: {like: fifth, mode: lora+audio}
evaluate:
  korean: {corpus: korean, task: asr, metrics: [wer], variants: [raw, reading]}
"""


def test_what_is_given_and_changes_nothing_is_said_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(WITHOUT_EFFECT, encoding="utf-8")
    said: list[str] = []
    load_experiment(path, say=said.append)
    found = [line.removeprefix(f"warning: {path}:").partition(" has no effect")[0] for line in said]
    assert found == [
        '4: "lora.r"',
        '4: "revision"',
        '7: "augment" of corpus "others"',
        '9: "lora.alpha" of case "first"',
        '11: "audio_learning_rate" of case "third"',
        '16: variant "reading" of evaluation "korean"',
    ]


@pytest.mark.parametrize("division", [None, Division(by=["speaker"], test_share=0.2, dev_share=0)])
def test_shares_of_a_source_that_names_its_splits_change_nothing(division: Division | None) -> None:
    train = SplitSummary(utterances=1, duration_s=1, speakers=0, content="known")
    card = CorpusCard.model_construct(division=division, splits={"train": train})
    source = ManifestSource(source="manifest", path=Path("list"), test_share=0.2, dev_share=0)
    said = ['"test_share" without effect: the source names the splits of its entries']
    assert division_without_effect(source, card) == ([] if division else said)
    plain = ManifestSource(source="manifest", path=Path("list"))
    assert division_without_effect(plain, card) == []


@pytest.mark.parametrize("name", ["phi4", "qwen3-asr", "tiny", "whisper"])
def test_all_that_a_shipped_recipe_says_has_an_effect(name: str) -> None:
    said: list[str] = []
    load_experiment(SHIPPED / f"{name}-korean.yaml", say=said.append)
    assert not said


def test_metrics_follow_the_task_unless_given() -> None:
    asr = Evaluation(corpus="korean", task=Task.ASR)
    ast = Evaluation(corpus="korean", task=Task.AST, source_language="ko", to="en")
    assert asr.metric_names == ("cer", "wer")
    assert ast.metric_names == ("bleu", "chrf")
    assert ast.model_copy(update={"metrics": ("chrf",)}).metric_names == ("chrf",)


def test_a_file_is_looked_for_beside_the_recipe_then_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, current = tmp_path / "recipes", tmp_path / "current"
    beside.mkdir()
    current.mkdir()
    monkeypatch.chdir(current)
    text = MINIMAL.replace("{source: demo, language: ko}", "{source: manifest, path: list.jsonl}")
    (current / "list.jsonl").touch()
    assert getattr(load(beside, text).corpora["korean"], "path", None) == Path("list.jsonl")
    (beside / "list.jsonl").touch()
    assert getattr(load(beside, text).corpora["korean"], "path", None) == beside / "list.jsonl"


def test_a_recipe_survives_being_written_and_read_as_json(tmp_path: Path) -> None:
    part = "{corpus: korean, replay: 0.1, tasks: {asr: 1, ast: 2}, to: en}"
    cases = f"  first: {{mode: lora, train: [korean, {part}], lora: {{r: 8}}}}\n"
    recipe = load(tmp_path, with_cases(cases))
    assert Recipe.model_validate_json(recipe.model_dump_json(by_alias=True)) == recipe


def test_the_demo_s_cases_differ_only_in_what_the_table_compares() -> None:
    cases = load_recipe(SHIPPED / "tiny-korean.yaml").cases
    assert list(cases) == ["baseline", "lora-1", "lora-4", "audio-4"]
    assert [case.mode for case in cases.values()] == ["lora", "lora", "lora", "lora+audio"]
    assert [case.epochs for case in cases.values()] == [1, 1, 4, 4]
    assert cases["baseline"].train[0].share == 0.6
    assert cases["lora-1"].train[0].share == 1.0
    # A tenth of the steps at most, or a short run would hardly learn.
    assert [case.warmup_steps for case in cases.values()] == [21, 30, 30, 30]
    varied = {"mode", "epochs", "train", "warmup_steps"}
    rest = [case.model_dump(exclude=varied) for case in cases.values()]
    assert all(one == rest[0] for one in rest)


def test_the_demo_never_trains_on_a_test_split() -> None:
    recipe = load_recipe(SHIPPED / "tiny-korean.yaml")
    assert {part.split for case in recipe.cases.values() for part in case.train} == {"train"}
    assert {evaluation.split for evaluation in recipe.evaluate.values()} == {"test"}


def test_the_full_size_recipe_loads_and_keeps_the_reference_settings() -> None:
    recipe = load_recipe(SHIPPED / "phi4-korean.yaml")
    assert recipe.model.base == "microsoft/Phi-4-multimodal-instruct"
    assert [case.batch_size for case in recipe.cases.values()] == [128, 16, 16, 16]
    assert {case.learning_rate for case in recipe.cases.values()} == {4e-5}
    assert (recipe.model.lora.r, recipe.model.lora.alpha) == (320, 640)
    assert [case.epochs for case in recipe.cases.values()] == [1, 1, 4, 4]
    trained = {name: [part.corpus for part in case.train] for name, case in recipe.cases.items()}
    everything = ["zeroth", "common-voice", "minds14"]
    assert trained.pop("baseline") == ["zeroth"]
    assert list(trained.values()) == [everything] * 3
    assert list(recipe.evaluate) == ["zeroth", "ko2en", "ko2en-cot", "en2ko", "en2ko-cot"]


def test_a_list_of_ids_beside_the_recipe_is_found(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("1904", encoding="utf-8")
    fleurs = "{source: fleurs, languages: [ko_kr, en_us], splits: [test], ids: ids.txt}"
    text = MINIMAL.replace("{source: demo, language: ko}", fleurs)
    corpus = load(tmp_path, text).corpora["korean"]
    assert corpus.model_dump()["ids"] == str(tmp_path / "ids.txt")


def test_own_recordings_asks_for_the_list_and_loads_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "own-recordings.yaml"
    shutil.copy(SHIPPED / "own-recordings.yaml", recipe)
    with pytest.raises(UserError, match=r'own-recordings\.yaml:\d+: "path" in corpus "mine": '):
        load_recipe(recipe)
    (tmp_path / "recordings.csv").touch()
    assert list(load_recipe(recipe).cases) == ["lora-4", "audio-4"]


def test_reading_recipes_needs_no_heavy_library() -> None:
    heavy = "{'torch', 'transformers', 'datasets', 'pyarrow', 'peft'}"
    code = f"import sys, soritune.recipe; sys.exit(repr({heavy} & set(sys.modules)) != 'set()')"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_recipe_that_only_prepares_has_no_cases_and_no_evaluations(tmp_path: Path) -> None:
    text = MINIMAL[: MINIMAL.index("cases:")]
    recipe = load(tmp_path, text)
    assert (recipe.cases, recipe.evaluate) == ({}, {})
    with pytest.raises(UserError, match="there is nothing to run"):
        check(load_experiment(tmp_path / "recipe.yaml"))


def test_a_language_has_its_code_however_it_is_written(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL.replace("language: ko\n", "language: kor\n", 1)).language == "ko"
