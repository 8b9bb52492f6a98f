"""A whole experiment with stand-ins for training and decoding: what is done, skipped, redone."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from made_experiment import (
    CONFIG,
    SENTENCES,
    StandIns,
    experiment,
    figures,
    folder,
    stand_ins,
    write_recipe,
    write_recordings,
)

from soritune.errors import UserError
from soritune.experiment import stage as stage_module
from soritune.experiment.loading import load_experiment
from soritune.experiment.plan import Plan
from soritune.experiment.run import Experiment, write_report
from soritune.interrupts import Terminated

__all__ = ["folder", "stand_ins"]


def test_the_base_comes_first_and_every_case_goes_through_every_evaluation(
    folder: Path, stand_ins: StandIns
) -> None:
    report = experiment(folder).run()
    assert [case.name for case in report.cases] == ["original", "first", "second"]
    assert stand_ins.trained == ["first", "second"]
    found = {(each["case"], each["evaluation"], each["metric"]) for each in figures(folder)}
    assert found == {
        (case, evaluation, metric)
        for case in ("original", "first", "second")
        for evaluation, metric in (
            ("korean", "cer"),
            ("korean", "wer"),
            ("ko2en", "bleu"),
            ("ko2en", "chrf"),
        )
    }
    by_case = {each["case"]: each for each in figures(folder) if each["metric"] == "wer"}
    assert by_case["original"]["value"] == 100.0
    assert by_case["second"]["value"] == 0.0
    assert all(each["utterances"] == 4 for each in figures(folder))
    assert (folder / "out" / "report.md").is_file()
    # What is scored came from decoding the test split alone.
    assert {name for _, name in stand_ins.decoded} == {f"test-{n}.wav" for n in range(4)}


def test_a_second_run_does_nothing_and_says_the_same(folder: Path, stand_ins: StandIns) -> None:
    experiment(folder).run()
    before, decoded = figures(folder), len(stand_ins.decoded)
    lines: list[str] = []
    Experiment(load_experiment(folder / "recipe.yaml"), lines.append).run()
    assert stand_ins.trained == ["first", "second"]
    assert len(stand_ins.decoded) == decoded
    assert figures(folder) == before
    assert [line for line in lines if "done before" not in line and "warning" not in line] == []


def test_an_interrupted_decoding_goes_on_with_the_rest(folder: Path, stand_ins: StandIns) -> None:
    stand_ins.interrupt_after = 9  # in the first case's first evaluation
    with pytest.raises(KeyboardInterrupt):
        experiment(folder).run()
    stand_ins.interrupt_after = None
    experiment(folder).run()
    # 3 cases, 2 evaluations, 4 utterances: none was decoded twice.
    assert len(stand_ins.decoded) == 24
    assert stand_ins.trained == ["first", "second"]


def test_an_interrupted_training_finds_its_checkpoints(folder: Path, stand_ins: StandIns) -> None:
    stand_ins.interrupt_training = True
    with pytest.raises(KeyboardInterrupt):
        experiment(folder).run()
    stand_ins.interrupt_training = False
    experiment(folder).run()
    assert stand_ins.trained == ["first", "first", "second"]
    assert stand_ins.found_checkpoints == ["4e-05"]


def test_checkpoints_of_other_settings_are_not_gone_on_from(
    folder: Path, stand_ins: StandIns
) -> None:
    stand_ins.interrupt_training = True
    with pytest.raises(KeyboardInterrupt):
        experiment(folder).run()
    stand_ins.interrupt_training = False
    write_recipe(folder, lambda text: text.replace("[mine]}", "[mine], learning_rate: 1e-3}"))
    experiment(folder).run()
    assert stand_ins.found_checkpoints == []


def redone(folder: Path, stand_ins: StandIns) -> tuple[set[str], set[str]]:
    """Cases that a run trains, and models that it decodes with."""
    stand_ins.trained.clear()
    stand_ins.decoded.clear()
    experiment(folder).run()
    return set(stand_ins.trained), {model.split()[0] for model, _ in stand_ins.decoded}


@pytest.mark.parametrize(
    ("old", "new", "trained", "decoded"),
    [
        ("seed: 7", "seed: 8", {"first", "second"}, {"first", "second"}),
        ("epochs: 4", "epochs: 3", {"second"}, {"second"}),
        ("mode: lora,", "mode: audio,", {"first"}, {"first"}),
        ("task: asr", "task: asr, beams: 2", set(), {"original", "first", "second"}),
        ("task: asr", "task: asr, limit: 2", set(), {"original", "first", "second"}),
        ("task: asr", "task: asr, metrics: [cer]", set(), set()),
        ("name: small", "name: renamed", set(), set()),
        ("  first:", "  zeroth: {{mode: full, train: [mine]}}\n  first:", {"zeroth"}, {"zeroth"}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_change_redoes_what_depends_on_it_and_no_more(
    folder: Path, stand_ins: StandIns, old: str, new: str, trained: set[str], decoded: set[str]
) -> None:
    experiment(folder).run()
    write_recipe(folder, lambda text: text.replace(old, new.replace("{{", "{").replace("}}", "}")))
    assert redone(folder, stand_ins) == (trained, decoded)


def test_other_recordings_redo_everything(folder: Path, stand_ins: StandIns) -> None:
    experiment(folder).run()
    write_recordings(folder, seed=1)
    with (folder / "list.jsonl").open("a") as file:  # sizes alone would not tell
        file.write("\n")
    assert redone(folder, stand_ins) == (
        {"first", "second"},
        {"original", "first", "second"},
    )


def test_another_base_redoes_everything(folder: Path, stand_ins: StandIns) -> None:
    experiment(folder).run()
    (folder / "base" / "config.json").write_text(json.dumps({**CONFIG, "other": 1}))
    assert redone(folder, stand_ins) == (
        {"first", "second"},
        {"original", "first", "second"},
    )


def test_metrics_that_were_added_are_scored_from_the_same_hypotheses(
    folder: Path, stand_ins: StandIns
) -> None:
    experiment(folder).run()
    write_recipe(folder, lambda text: text.replace("task: asr", "task: asr, metrics: [chrf]"))
    redone(folder, stand_ins)
    korean = {each["metric"] for each in figures(folder) if each["evaluation"] == "korean"}
    assert korean == {"chrf"}


def test_a_kill_at_any_stamp_ends_in_the_same_figures(
    folder: Path, stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run is stopped before or after its next write of a stamp, until one gets through."""
    write = stage_module.write_atomically
    writes_left = 0
    after = False

    def stopping(path: Path, content: bytes) -> None:
        nonlocal writes_left
        if writes_left > 0:
            writes_left -= 1
            write(path, content)
            return
        if after:
            write(path, content)
        raise KeyboardInterrupt

    monkeypatch.setattr(stage_module, "write_atomically", stopping)
    stops = 0
    while True:
        # Two writes a run at least, or a stage that begins anew would never end.
        writes_left, after = 1, stops % 2 == 0
        try:
            experiment(folder).run()
            break
        except KeyboardInterrupt:
            stops += 1
            assert stops < 100
    # 2 trainings, 6 decodings, 6 scorings: each begins and ends.
    assert stops >= 8
    killed = figures(folder)

    monkeypatch.setattr(stage_module, "write_atomically", write)
    (folder / "out").rename(folder / "killed")
    experiment(folder).run()
    assert killed == figures(folder)


def test_a_signal_in_the_last_step_ends_the_run_once_the_training_is_done(
    folder: Path, stand_ins: StandIns
) -> None:
    stand_ins.signal_in_the_last_step = signal.SIGTERM
    with pytest.raises(Terminated):
        experiment(folder).run()
    assert stand_ins.trained == ["first"]
    stand_ins.signal_in_the_last_step = None
    experiment(folder).run()
    assert stand_ins.trained == ["first", "second"]


def test_only_one_case_is_done_where_only_one_is_asked_for(
    folder: Path, stand_ins: StandIns
) -> None:
    report = experiment(folder).run(["second"])
    assert stand_ins.trained == ["second"]
    assert {result.case for result in report.results} == {"second"}
    assert [case.name for case in report.cases] == ["original", "first", "second"]


def test_an_unknown_case_is_answered_with_the_nearest_one(
    folder: Path, stand_ins: StandIns
) -> None:
    with pytest.raises(UserError, match=r"secnd.*second"):
        experiment(folder).run(["secnd"])


def test_a_case_that_is_not_trained_cannot_be_evaluated(folder: Path, stand_ins: StandIns) -> None:
    work = experiment(folder)
    work.prepare()
    with pytest.raises(UserError, match="soritune train RECIPE --case first"):
        work.evaluate("first")


def test_a_corpus_that_is_not_prepared_is_said_to_be(folder: Path, stand_ins: StandIns) -> None:
    with pytest.raises(UserError, match="soritune prepare"):
        experiment(folder).evaluate("original")


def test_an_evaluation_without_utterances_says_what_was_looked_for(
    folder: Path, stand_ins: StandIns
) -> None:
    write_recipe(folder, lambda text: text.replace("from: ko, to: en", "from: en, to: ko"))
    with pytest.raises(UserError, match=r'"ko2en".*in en with a translation into ko') as caught:
        experiment(folder).run(["first"])
    assert f"there are ko to en ({len(SENTENCES)})" in str(caught.value)
    # Before anything was trained or decoded.
    assert stand_ins.trained == stand_ins.decoded == []


def test_an_output_folder_that_was_moved_still_tells_its_table(
    folder: Path, stand_ins: StandIns
) -> None:
    experiment(folder).run()
    before = figures(folder)
    (folder / "base").rename(folder / "gone")
    moved = (folder / "out").rename(folder / "elsewhere")
    (moved / "results.json").unlink()
    report = write_report(Plan.read(moved))
    assert json.loads((moved / "results.json").read_text())["scores"] == before
    assert [case.trained_share for case in report.cases] == [None, 0.1, 0.1]


def test_results_of_older_settings_are_not_shown_as_those_of_the_recipe(
    folder: Path, stand_ins: StandIns
) -> None:
    experiment(folder).run()
    write_recipe(folder, lambda text: text.replace("epochs: 4", "epochs: 3"))
    report = write_report(Plan.of(load_experiment(folder / "recipe.yaml")))
    assert {result.case for result in report.results} == {"original", "first"}


def test_samples_show_the_same_utterances_for_every_case(folder: Path, stand_ins: StandIns) -> None:
    report = experiment(folder).run()
    shown: dict[tuple[str, str], list[str]] = {}
    for sample in report.samples:
        shown.setdefault((sample.evaluation, sample.case), []).append(sample.reference)
    assert len(shown) == 6
    assert shown["korean", "original"] == shown["korean", "first"] == shown["korean", "second"]
    assert len(shown["ko2en", "first"]) == 3


def test_an_added_evaluation_that_has_sentences_of_the_training_has_it_done_without_them(
    folder: Path, stand_ins: StandIns
) -> None:
    experiment(folder).run()
    rows = [json.loads(line) for line in (folder / "list.jsonl").read_text().splitlines()]
    tested = [{**row, "split": "test"} for row in rows if row["split"] == "train"][:1]
    (folder / "other.jsonl").write_text(json.dumps(tested[0]) + "\n")

    def with_other(text: str, case: str = "") -> str:
        text = text.replace("train: [mine]", f"train: [mine]{case}")
        text = text.replace("cases:", "  other: {source: manifest, path: other.jsonl}\ncases:")
        return text + "  others: {corpus: other, task: asr}\n"

    write_recipe(folder, lambda text: with_other(text, ", shared_sentences: keep"))
    experiment(folder).run()
    assert stand_ins.trained == ["first", "second"]
    write_recipe(folder, with_other)
    said: list[str] = []
    Experiment(load_experiment(folder / "recipe.yaml"), said.append).run(only=["second"])
    assert stand_ins.trained == ["first", "second", "second"]
    assert stand_ins.excluded == [{}, {}, {("mine", "train"): {"train-0.wav"}}]
    assert [line for line in said if "are left out, because other test has" in line]
    assert not [line for line in said if line.startswith("warning") and "too few" not in line]


def test_training_stands_in_the_report_with_its_parameters_and_time(
    folder: Path, stand_ins: StandIns
) -> None:
    cases = {case.name: case for case in experiment(folder).run().cases}
    assert cases["first"].trained == {"LoRA": 10}
    assert cases["first"].training_s == 1.5
    assert cases["first"].title == "first (LoRA, 1 epoch)"
    assert cases["second"].title == "second (LoRA + audio encoder unfrozen, 4 epochs)"
    assert cases["second"].model == str(folder / "out" / "cases" / "second" / "model")
    assert cases["original"].mode is None
