"""Why work is done again, what is kept of the figures before, and what is not done again."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from made_experiment import StandIns, folder, stand_ins

from soritune.cli.history import print_history
from soritune.cli.output import PlainConsole
from soritune.corpus.card import read_card
from soritune.errors import UserError
from soritune.experiment.check import check
from soritune.experiment.check_records import RunCheck
from soritune.experiment.differences import differences
from soritune.experiment.fingerprint import corpus_identity, split_identity
from soritune.experiment.history import Figure, Replaced, read_history
from soritune.experiment.loading import load_experiment
from soritune.experiment.run import Experiment

__all__ = ["folder", "stand_ins"]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"a": 1e-3}, {"a": 5e-4}, ["a 0.001 → 0.0005"]),
        ({"a": {"b": None}}, {"a": {"b": "x"}}, ["a.b none → x"]),
        ({"a": "0" * 64}, {"a": "1" * 64}, ["a changed"]),
        ({}, {"corpus b": "1" * 64}, ["corpus b added"]),
        ({"t": {"x": 1}}, {}, ["t removed"]),
        ({"m": ["cer"]}, {"m": ["cer", "wer"]}, ["m [cer] → [cer, wer]"]),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, []),
    ],
)
def test_differences_name_the_setting_with_both_values(
    before: dict[str, object], now: dict[str, object], expected: list[str]
) -> None:
    assert differences(before, now) == expected


def run(folder: Path) -> list[str]:
    """Run the recipe and return the lines about it."""
    lines: list[str] = []
    Experiment(load_experiment(folder / "recipe.yaml"), lines.append).run()
    return lines


def checked(folder: Path) -> RunCheck:
    return check(load_experiment(folder / "recipe.yaml"))


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "recipe.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


SOURCE = "path: list.jsonl"


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ("trim_silence_s: 0.1", "trim_silence_s none → 0.1"),
        ("shared_speakers: drop-from-train", "shared_speakers none → drop-from-train"),
        ("remove_offset: true", "remove_offset none → true"),
        ("max_utterances: 3", "max_utterances none → 3"),
        ("split_by: [sentence]", "split_by [speaker, sentence] → [sentence]"),
        ("exclude: ids.txt", "exclude added"),
        ("license: mine", "license none → mine"),
    ],
)
def test_check_and_run_say_the_same_of_a_corpus_that_changed(
    folder: Path, stand_ins: StandIns, new: str, reason: str
) -> None:
    (folder / "ids.txt").write_text("train-0.wav\n")
    run(folder)
    assert checked(folder).corpora[0].prepared
    change(folder, SOURCE, f"{SOURCE}, {new}")
    (corpus,) = checked(folder).corpora
    assert not corpus.prepared
    assert any(reason in each for each in corpus.reasons)
    lines = run(folder)
    assert f"prepare mine again: {', '.join(corpus.reasons)}" in lines
    assert checked(folder).corpora[0].prepared


def test_more_lines_of_a_list_are_counted(folder: Path, stand_ins: StandIns) -> None:
    run(folder)
    path = folder / "list.jsonl"
    line = json.loads(path.read_text().splitlines()[0])
    more = [json.dumps({**line, "id": f"m{i}", "text": f"하나 더 {i}"}) for i in range(2)]
    path.write_text(path.read_text() + "\n".join(more) + "\n")
    assert checked(folder).corpora[0].reasons == ("list.jsonl changed (+2 lines)",)
    states = {case.name: (case.done, case.waits_for) for case in checked(folder).cases}
    assert states == {"first": (False, ("mine",)), "second": (False, ("mine",))}
    lines = run(folder)
    assert "prepare mine again: list.jsonl changed (+2 lines)" in lines
    assert any(
        line.startswith("train first") and "again: corpus mine changed" in line for line in lines
    )
    # What was added is of train: the base would only say the same of test.
    assert not any(line.startswith("evaluate original") and "again" in line for line in lines)
    by_base = [said for model, said in stand_ins.decoded if model == "original"]
    assert by_base.count("test-0.wav") == 2  # once for each evaluation


def test_what_only_joins_test_is_a_reason_to_decode_and_not_to_train(
    folder: Path, stand_ins: StandIns
) -> None:
    run(folder)
    path = folder / "list.jsonl"
    line = json.loads(path.read_text().splitlines()[-1])
    assert line["split"] == "test"
    path.write_text(path.read_text() + json.dumps({**line, "id": "m", "text": "하나 더"}) + "\n")
    stand_ins.decoded.clear()
    lines = run(folder)
    assert stand_ins.trained == ["first", "second"]
    assert len(stand_ins.decoded) == 3 * 2 * 5  # models, evaluations, utterances
    assert "evaluate first, korean again: corpus mine changed" in lines


def test_a_corpus_of_an_earlier_version_counts_as_a_whole(folder: Path) -> None:
    Experiment(load_experiment(folder / "recipe.yaml"), print).prepare()
    card = read_card(folder / "out/corpora/mine")
    assert card is not None
    assert split_identity(card, {"test"}) != split_identity(card, {"train"})
    old = card.model_copy(
        update={
            "splits": {
                name: size.model_copy(update={"content": ""}) for name, size in card.splits.items()
            }
        }
    )
    assert split_identity(old, {"test"}) == split_identity(old, {"train"}) == corpus_identity(card)


def test_a_damaged_card_is_prepared_again_and_nothing_else(
    folder: Path, stand_ins: StandIns
) -> None:
    run(folder)
    card = folder / "out/corpora/mine/corpus.json"
    whole = card.read_text()
    card.write_text(whole.replace('"license": "u', '"license": "v'))
    assert card.read_text() != whole
    (corpus,) = checked(folder).corpora
    assert corpus.reasons == ("its card is damaged, or of another version",)
    stand_ins.trained.clear()
    lines = run(folder)
    assert "prepare mine again: its card is damaged, or of another version" in lines
    assert card.read_text() == whole
    assert not stand_ins.trained


def test_a_training_says_which_setting_made_it_again_and_keeps_the_figures(
    folder: Path, stand_ins: StandIns
) -> None:
    run(folder)
    change(folder, "epochs: 4", "epochs: 3, learning_rate: 1e-3")
    (second,) = [case for case in checked(folder).cases if case.name == "second"]
    assert second.reasons == ("epochs 4 → 3", "learning_rate 4e-5 → 0.001")
    lines = run(folder)
    assert any(
        line.startswith("train second") and line.endswith(", ".join(second.reasons))
        for line in lines
    )
    history = read_history(folder / "out")
    assert [(each.case, each.evaluation) for each in history] == [
        ("second", "korean"),
        ("second", "ko2en"),
    ]
    assert history[0].reasons == second.reasons
    assert history[0].figures[0].metric == "cer"
    run(folder)  # nothing is replaced, nothing is kept
    assert read_history(folder / "out") == history


def test_figures_are_kept_once_when_a_run_is_stopped_in_between(
    folder: Path, stand_ins: StandIns
) -> None:
    run(folder)
    change(folder, "task: asr", "task: asr, limit: 2")
    stand_ins.interrupt_after = 1
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    stand_ins.interrupt_after = None
    lines = run(folder)
    kept = [(each.case, each.evaluation, each.reasons) for each in read_history(folder / "out")]
    reason = ("limit none → 2",)
    assert kept == [(case, "korean", reason) for case in ("original", "first", "second")]
    assert "evaluate first, korean again: limit none → 2" in lines


def test_a_renamed_case_is_neither_trained_nor_decoded_again(
    folder: Path, stand_ins: StandIns
) -> None:
    run(folder)
    decoded = len(stand_ins.decoded)
    change(folder, "  second:", "  better-name:")
    assert {c.name: c.trained_as for c in checked(folder).cases}["better-name"] == "second"
    lines = run(folder)
    assert "case better-name: was trained as second with the same settings; kept" in lines
    assert stand_ins.trained == ["first", "second"]
    assert len(stand_ins.decoded) == decoded
    assert not (folder / "out" / "cases" / "second").exists()
    results = json.loads((folder / "out" / "results.json").read_text())["scores"]
    assert {each["case"] for each in results} == {"original", "first", "better-name"}
    assert all(case.done for case in checked(folder).cases)


def test_a_case_that_left_the_recipe_is_named_and_not_taken_for_another(
    folder: Path, stand_ins: StandIns
) -> None:
    run(folder)
    change(folder, "  second: {like: first, mode: lora+audio, epochs: 4}", "")
    (note,) = [note for note in checked(folder).notes if "second" in note]
    assert "the recipe has no case of that name" in note
    assert f"note: {note}" in run(folder)
    change(folder, "cases:", "cases:\n  third: {mode: lora+audio, train: [mine], epochs: 5}")
    run(folder)
    assert stand_ins.trained == ["first", "second", "third"]


def test_a_rate_or_a_batch_that_cannot_be_meant_is_warned_of(
    folder: Path, stand_ins: StandIns
) -> None:
    change(folder, "epochs: 4", "epochs: 4, learning_rate: 3e3, batch_size: 2, dev: {every: 5}")
    warnings = checked(folder).warnings
    assert any("case second: learning_rate is 3000" in each for each in warnings)
    assert any("case first: batch_size is 16, but an epoch has 4" in each for each in warnings)
    assert not any("case second: batch_size" in each for each in warnings)
    assert [each for each in warnings if 'case "second": "dev" asks for scores' in each]


def test_history_without_a_file_or_with_a_damaged_line_is_what_is_left(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []
    (tmp_path / "history.jsonl").write_bytes(b"\n{\xff\n[]\n")
    assert read_history(tmp_path) == []


def test_history_keeps_figures_and_intervals_whole_in_80_columns() -> None:
    figures = (
        Figure("cer", 123.45, 117.25, 130.5),
        Figure("cer", 99.5, 98.25, 100.0, "reading"),
    )
    reasons = ("learning_rate 0.001 → 0.0005",)
    replaced = Replaced("0", "2026-01-02T03:04:05", "lora-1", "mine", 20, figures, reasons)
    few = replace(replaced, case="lora-4", utterances=19)
    later = replace(replaced, replaced="2026-01-02T03:09:05")
    file = io.StringIO()
    print_history([replaced, few, later], PlainConsole(width=80, file=file))
    printed = file.getvalue()
    head = "replaced 2026-01-02 03:04:05 UTC, because: learning_rate 0.001 → 0.0005"
    assert printed.count(head) == 1
    assert "CER 123.45 [117.25–130.50]" in printed
    assert "CER reading 99.50 [98.25–100.00]" in printed
    assert ["lora-4", "mine", "CER", "123.45", "19"] in [
        line.split() for line in printed.splitlines()
    ]
    assert "03:09:05" in printed
    assert "…" not in printed


def test_a_base_that_cannot_be_opened_is_refused_at_check(folder: Path, small_base: Path) -> None:
    base = folder / "base"
    shutil.rmtree(base)
    shutil.copytree(small_base, base)
    checked(folder)
    weights = next(base.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match=weights.name):
        checked(folder)
    (base / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    with pytest.raises(UserError, match="bert"):
        checked(folder)


def test_a_base_on_the_hub_of_which_nothing_is_known_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(folder, f"{folder / 'base'}", "somebody/unheard-of")
    (note,) = [each for each in checked(folder).notes if "unheard-of" in each]
    assert "is not on this machine" in note
    change(folder, "somebody/unheard-of", "openai/whisper-bse")
    (note,) = [each for each in checked(folder).notes if "whisper-bse" in each]
    assert 'did you mean "openai/whisper-base"?' in note
    asked = []

    def download(source: str, revision: str | None, allow: list[str]) -> None:
        asked.append((source, allow))
        raise UserError("no such model")

    monkeypatch.setattr("soritune.hub.download", download)
    with pytest.raises(UserError, match="no such model"):
        run(folder)
    assert asked == [("openai/whisper-bse", ["config.json", "adapter_config.json"])]
    assert not (folder / "out/corpora").exists()
