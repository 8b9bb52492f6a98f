"""`soritune publish`: the folder, its card, and the upload to a stand-in of the hub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from exported import train
from hub_stand_in import TOKEN, Hub, standing_in
from huggingface_hub import ModelCard, parse_eval_result_entries
from typer.testing import CliRunner

from soritune.cli import app
from soritune.export.card import RESULTS_FILE, escape
from soritune.recipe import load_recipe
from soritune.scoring.records import RetentionVerdict
from soritune.scoring.results import Results, write_results
from soritune.scoring.score import Score

REPOSITORY = "someone/korean-tiny"
HOSTILE = "x](javascript:alert(1)) <img src=x onerror=alert(1)> | **b** `c`"
RECIPE = """
name: published
language: ko
output: {output}
model: {{base: "builtin:tiny"}}
corpora:
  read: {{source: fleurs, languages: [ko_kr]}}
  own: {{source: manifest, path: list.jsonl, license: "{license}"}}
cases: {{mine: {{mode: lora, train: [read, own]}}}}
evaluate:
  read: {{corpus: read, task: asr}}
  own: {{corpus: own, task: ast, from: ko, to: en}}
"""


@pytest.fixture(scope="module")
def trained(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with one trained case, its figures and its recipe."""
    run = tmp_path_factory.mktemp("runs") / "x"
    train(small_base, run / "cases/mine/model", (), r=4)
    write_run(run)
    return run


def write_run(run: Path, license: str = "CC BY 4.0") -> None:
    recipe = run.parent / "recipe.yaml"
    (run.parent / "list.jsonl").write_text("", encoding="utf-8")
    text = RECIPE.format(output=run, license=license.replace('"', ""))
    recipe.write_text(text, encoding="utf-8")
    content = load_recipe(recipe).model_dump(mode="json", by_alias=True)
    (run / "experiment.json").write_text(
        json.dumps({"format": 1, "recipe": content, "base": ""}), encoding="utf-8"
    )
    scores = [
        Score(
            case=case,
            evaluation=evaluation,
            metric=metric,
            variant=variant,
            value=value,
            low=value - 1,
            high=value + 1,
            utterances=457,
            signature=f"{metric}|v1",
        )
        for case, gain in (("original", 40.0), ("mine", 0.0), ("other", 70.0))
        for evaluation, metric, variant, value in (
            ("read", "cer", "raw", 12.34 + gain),
            ("read", "cer", "reading", 11.0 + gain),
            ("own", "bleu", "raw", 21.0),
        )
    ]
    verdict = RetentionVerdict(
        case="mine",
        evaluation="own",
        metric="bleu",
        variant="raw",
        worse_by=1.0,
        loss=3.5,
        low=2.0,
        high=5.0,
        verdict="lost",
    )
    write_results(run / "results.json", Results(scores=tuple(scores), retention=(verdict,)))


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs" / "x"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with standing_in() as found:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", found.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found


def invoke(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["publish", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_a_dry_run_writes_the_folder_and_calls_nobody(run: Path, hub: Hub) -> None:
    code, output = invoke(run / "cases/mine", "--to", REPOSITORY, "--dry-run")
    assert code == 0, output
    folder = run / "cases/mine/published"
    assert {"README.md", "checksums.sha256", "config.json", "soritune-export.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert hub.calls == []
    assert "not uploaded" in output
    again, _ = invoke(run / "cases/mine/model", "--to", REPOSITORY, "--dry-run")
    assert again == 0


def test_the_hub_s_own_library_reads_the_card(run: Path) -> None:
    invoke(run / "cases/mine", "--to", REPOSITORY, "--dry-run", "--license", "mit")
    folder = run / "cases/mine/published"
    card = ModelCard.load(folder / "README.md")
    data = card.data.to_dict()
    assert data["language"] == ["ko", "en"]
    assert data["license"] == "mit"
    assert data["library_name"] == "transformers"
    assert data["pipeline_tag"] == "automatic-speech-recognition"
    assert data["datasets"] == ["google/fleurs"]
    assert data["metrics"] == ["cer", "bleu"]
    results = card.data.eval_results
    assert results is not None
    assert [(each.metric_type, each.metric_value, each.metric_config) for each in results] == [
        ("cer", 12.34, "raw"),
        ("cer", 11.0, "reading"),
        ("bleu", 21.0, "raw"),
    ]
    assert [each.task_type for each in results] == [
        *["automatic-speech-recognition"] * 2,
        "translation",
    ]
    assert results[0].dataset_type == "google/fleurs"
    assert results[0].metric_args["signature"] == "cer|v1"


def test_the_new_format_has_the_figures_on_data_sets_of_the_hub_alone(run: Path) -> None:
    invoke(run / "cases/mine", "--to", REPOSITORY, "--dry-run")
    path = run / "cases/mine/published" / RESULTS_FILE
    entries = parse_eval_result_entries(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert [(each.dataset_id, each.task_id, each.value) for each in entries] == [
        ("google/fleurs", "read", 12.34),
        ("google/fleurs", "read", 11.0),
    ]
    assert "95 % interval 11.34 to 13.34, 457 utterances; cer|v1" in (entries[0].notes or "")


def test_the_card_says_what_a_user_must_know(run: Path) -> None:
    invoke(run / "cases/mine", "--to", REPOSITORY, "--dry-run")
    text = (run / "cases/mine/published/README.md").read_text(encoding="utf-8")
    for expected in [
        "| read | CER | 12.34 | 11.34–13.34 | 457 | 52.34 |",
        "| read | CER reading | 11.00 |",
        "**lost**: own bleu, +3.50 points worse than the base [2.00 to 5.00], at most 1 allowed",
        f"soritune transcribe FILE --model {REPOSITORY}",
        "Phi4MultimodalForCausalLM.from_pretrained",
        f"hf download {REPOSITORY} --local-dir DIR",
        "(google/fleurs,",
        "(manifest,",
        "## Limits",
    ]:
        assert expected in text, expected
    assert "72.34" not in text  # of another case
    assert str(run) not in text


def test_an_upload_is_one_commit_of_the_whole_folder(run: Path, hub: Hub) -> None:
    code, output = invoke(run / "cases/mine", "--to", REPOSITORY, "--private")
    assert code == 0, output
    assert f"published: {hub.url}/{REPOSITORY}" in output
    folder = run / "cases/mine/published"
    written = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    held = {name: c for name, c in hub.files[REPOSITORY].items() if name != ".gitattributes"}
    assert held == written
    assert RESULTS_FILE in held
    assert hub.private == {REPOSITORY: True}
    assert len(hub.commits) == 1


def test_publishing_again_replaces_the_weights_and_leaves_the_rest(run: Path, hub: Hub) -> None:
    invoke(run / "cases/mine", "--to", REPOSITORY)
    hub.files[REPOSITORY] |= {"model-old.safetensors": b"old", "sample.wav": b"mine"}
    code, output = invoke(run / "cases/mine", "--to", REPOSITORY)
    assert code == 0, output
    assert "sample.wav" in hub.files[REPOSITORY]
    assert "model-old.safetensors" not in hub.files[REPOSITORY]


def test_a_repository_of_something_else_is_not_touched(run: Path, hub: Hub) -> None:
    hub.files[REPOSITORY] = {"README.md": b"another", "pytorch_model.bin": b"weights"}
    before = dict(hub.files[REPOSITORY])
    code, output = invoke(run / "cases/mine", "--to", REPOSITORY)
    assert code == 2
    assert "holds pytorch_model.bin and nothing that soritune published" in output
    assert hub.files[REPOSITORY] == before


@pytest.mark.parametrize(
    ("token", "fails_at", "message"),
    [
        ("hf_wrong", "", "set HF_TOKEN"),
        (TOKEN, "/commit/", "try again later"),
    ],
)
def test_a_refusal_is_one_line(
    run: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, token: str, fails_at: str, message: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    hub.fails_at = fails_at
    code, output = invoke(run / "cases/mine", "--to", REPOSITORY)
    assert code == 2
    assert message in output
    assert "Traceback" not in output
    assert hub.commits == []


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("ENDPOINT", "http://127.0.0.1:9", "cannot be reached"),
        ("HF_HUB_OFFLINE", True, "HF_HUB_OFFLINE is set"),
    ],
)
def test_no_network_is_one_line(
    run: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: object,
    message: str,
) -> None:
    monkeypatch.setattr(f"huggingface_hub.constants.{setting}", value)
    code, output = invoke(run / "cases/mine", "--to", REPOSITORY)
    assert (code, message in output) == (2, True), output


@pytest.mark.parametrize("name", ["alone", "a/b/c", "../x", "a b/c", "x/--y", "/x", "x/"])
def test_a_wrong_name_is_refused_before_any_work(run: Path, name: str) -> None:
    code, output = invoke(run / "cases/mine", "--to", name, "--dry-run")
    assert code == 2
    assert "--to" in output
    assert not (run / "cases/mine/published").exists()


def test_what_is_not_a_trained_case_is_refused(run: Path, tmp_path: Path) -> None:
    for wrong in (tmp_path / "nothing", run, run / "results.json"):
        code, output = invoke(wrong, "--to", REPOSITORY, "--dry-run")
        assert (code, "holds no trained model" in output) == (2, True)


def test_hostile_words_stay_words(run: Path) -> None:
    write_run(run, HOSTILE)
    (run / "corpora/own").mkdir(parents=True)
    invoke(run / "cases/mine", "--to", REPOSITORY, "--dry-run")
    text = (run / "cases/mine/published/README.md").read_text(encoding="utf-8")
    assert "<img" not in text
    assert "](javascript" not in text
    assert escape(HOSTILE).count("\\|") == 1
