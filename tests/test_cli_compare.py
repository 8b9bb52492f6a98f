"""`soritune compare`: cases of several runs in one table, tests, and who is right where."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from soritune.cli import app
from soritune.decoding.hypotheses import Hypothesis
from soritune.scoring.evaluate import tables_of
from soritune.scoring.records import UtteranceScore
from soritune.scoring.results import Results, write_results
from soritune.scoring.table import scores_of
from soritune.scoring.utterances import counts_of, write_utterances

REFERENCES = [f"{number}번 버스가 왔어요" for number in range(100, 140)]


def write_run(folder: Path, texts: dict[str, list[str]], references: list[str]) -> Path:
    """A run folder with the files that scoring leaves."""
    scores = []
    for case, written in texts.items():
        tables = tables_of(("cer",), "ko", references, written, ("raw", "reading"))
        scores += [replace(each, case=case, evaluation="korean") for each in scores_of(tables)]
        lines = [
            UtteranceScore(id=str(n), counts=counts_of(tables, n)) for n in range(len(written))
        ]
        write_utterances(folder / "cases" / case / "scores" / "korean.jsonl", lines)
        path = folder / "cases" / case / "hypotheses" / "korean.jsonl"
        path.parent.mkdir()
        pairs = enumerate(zip(references, written, strict=True))
        found = [Hypothesis(str(n), a, b, b, None, -0.1, 1.0) for n, (a, b) in pairs]
        path.write_text("".join(json.dumps(asdict(each)) + "\n" for each in found))
    write_results(folder / "results.json", Results(scores=tuple(scores)))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    wrong = [text.replace("버스", "뻐스") for text in REFERENCES]
    mixed = [*wrong[:1], *REFERENCES[1:]]
    return write_run(tmp_path / "one", {"good": mixed, "bad": wrong}, REFERENCES)


def compare(*words: object) -> tuple[int, str, str]:
    result = CliRunner(env={"COLUMNS": "120"}).invoke(app, ["compare", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


def test_one_run_has_its_cases_tested(run: Path) -> None:
    code, text, _ = compare(run)
    assert code == 0
    assert "korean CER reading" in " ".join(text.split())
    assert text.count("worse, p < 0.001") == 2


def test_two_cases_show_who_is_right_where_the_other_is_not(run: Path) -> None:
    _, text, _ = compare(run, "--case", "good", "--case", "bad")
    assert "“good” right where “bad” is wrong: 39" in text
    assert "101번 버스가 왔어요" in text
    assert "101번 뻐스가 왔어요" in text
    assert "… and 19 more" in text
    assert "“bad” right where “good” is wrong: 0" in text


def test_runs_on_other_references_are_not_compared(run: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "two", {"good": REFERENCES}, REFERENCES[::-1])
    code, text, _ = compare(run, other / "results.json")
    assert code == 0
    assert "one/good" in text
    assert "two/good" in text
    assert "korean cer: not comparable: differs in refs (" in text
    assert "verdict" not in text


def test_mistakes_are_one_line(run: Path, tmp_path: Path) -> None:
    for words, message in [
        ((tmp_path / "none",), "no such file"),
        ((run, "--case", "goood"), 'did you mean "good"'),
        ((run, run, "--case", "good"), "several runs have a case"),
    ]:
        code, _, error = compare(*words)
        assert code == 2
        assert message in error
    (run / "results.json").write_text("[]")
    code, _, error = compare(run)
    assert code == 2
    assert "is not of format 2" in error


def test_figures_of_files_stand_in_the_table(tmp_path: Path) -> None:
    """The list of `soritune score --format json`; of other texts, it cannot be compared."""
    names = []
    for name, said in (("mine", "가나 다"), ("theirs", "가나 라")):
        (tmp_path / name).write_text(f"{said}\n", encoding="utf-8")
        words = ["score", *[str(tmp_path / name)] * 2, "--language", "ko", "--format", "json"]
        names.append(tmp_path / f"{name}.json")
        names[-1].write_text(CliRunner().invoke(app, words).stdout, encoding="utf-8")
    code, text, _ = compare(*names)
    assert code == 0
    assert "mine" in text
    assert "theirs" in text
    assert "cer: not comparable: differs in refs (" in text
