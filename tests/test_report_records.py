"""Files of a report: exact keys, whole or not at all, mistakes named."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from soritune.errors import UserError
from soritune.report.records import CaseSummary
from soritune.scoring.evaluate import evaluate_hypotheses
from soritune.scoring.results import Results, read_results, write_results
from soritune.scoring.score import Score

KEYS = [
    *("case", "evaluation", "metric", "variant", "value", "low", "high", "macro", "utterances"),
    *("speakers", "clustered", "signature", "system"),
]
LISTS = ["scores", "tests", "retention", "failures", "conditions", "confusions", "speed"]


def a_result() -> Score:
    (score,) = evaluate_hypotheses(["cer"], "ko", ["가나", "다라"], ["가나", "다마"])
    return replace(score, case="lora-1", evaluation="zeroth")


def test_results_file_has_exactly_the_promised_keys(tmp_path: Path) -> None:
    path = tmp_path / "run" / "results.json"
    write_results(path, Results(scores=(a_result(), a_result())))
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert list(whole) == ["format", *LISTS]
    assert whole["format"] == 2
    found = whole["scores"]
    assert [list(record) for record in found] == [KEYS, KEYS]
    assert found[0]["case"] == "lora-1"
    assert (found[0]["metric"], found[0]["value"], found[0]["utterances"]) == ("cer", 25.0, 2)


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    write_results(path, Results(scores=(a_result(),)))
    assert read_results(path) == Results(scores=(a_result(),))
    write_results(path, Results())
    assert read_results(path) == Results()


def test_share_is_trained_over_all_parameters() -> None:
    case = CaseSummary("a", "A", "lora", {"LoRA": 3, "encoder": 2}, 20)
    assert (case.trained_parameters, case.trained_share) == (5, 0.25)
    assert CaseSummary("a", "A", "lora", {"LoRA": 3}).trained_share is None


def test_interrupted_write_leaves_the_old_file_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    write_results(path, Results(scores=(a_result(),)))
    before = path.read_bytes()

    def interrupted(source: str, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_results(path, Results())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_missing_file_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; run the recipe first"):
        read_results(tmp_path / "results.json")


@pytest.mark.parametrize(
    "content",
    [
        "[{",
        "{}",
        '[{"case": "a"}]',
        "\udcff",
        json.dumps({"format": 1}),
        json.dumps({"format": 2, "scores": [{**dict.fromkeys(KEYS, "1"), "surplus": 1}]}),
        json.dumps({"format": 2, "scores": [{**dict.fromkeys(KEYS, "1"), "value": "much"}]}),
    ],
)
def test_broken_results_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"results\.json: "):
        read_results(path)
