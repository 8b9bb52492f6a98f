"""The report as a person meets it: report.md and the terminal."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from soritune.report.content import Report
from soritune.report.markdown import markdown, parameters_text, write_markdown
from soritune.report.records import CaseSummary, Sample
from soritune.report.table import Column
from soritune.report.terminal import print_report
from soritune.scoring.records import PairedTest
from soritune.scoring.score import Score

COLUMNS = tuple(
    Column(title, title.split()[0], metric, lower_is_better=metric != "bleu")
    for title, metric in [
        ("zeroth", "cer"),
        ("ko2en", "bleu"),
        ("ko2en-cot", "bleu"),
        ("en2ko", "bleu"),
        ("en2ko-cot", "bleu"),
        ("words", "wer"),
        ("English CER", "cer"),
    ]
)
CASES = (
    CaseSummary("original", "original", evaluating_s=75.0, parameters=1000, model="models/base"),
    CaseSummary(
        name="lora-1",
        title="LoRA, 1 epoch (part of the data)",
        mode="lora",
        trained={"LoRA": 200, "audio encoder": 50},
        parameters=1000,
        trained_tensors=16,
        moved_tensors=16,
        training_s=3725.0,
        evaluating_s=60.0,
        model="runs/my run/cases/lora-1",
        learning_rate=3e-3,
        audio_learning_rate=1.5e-5,
        batch_size=16,
        augmentation="telephone (p 0.3)",
    ),
    CaseSummary("audio-4", "audio encoder unfrozen, 4 epochs", "lora+audio"),
)
SIGNATURE = "cer|unit:char|space:kept|bs:1000"


def a_report() -> Report:
    """Two cases with results, a third that was interrupted before its first."""
    results = [
        Score(
            case=case,
            evaluation=column.evaluation,
            metric=column.metric,
            value=value,
            low=value - 1,
            high=value + 1,
            utterances=457,
            signature=SIGNATURE,
        )
        for case, value in [("original", 99.16), ("lora-1", 3.8)]
        for column in COLUMNS
    ]
    samples = (
        Sample("original", "zeroth", "나는 학교에 간다", ""),
        Sample("lora-1", "zeroth", "나는 학교에 간다", "나는 <sep> *학교* | 간다\n[bold]_x_"),
    )
    test = PairedTest(
        evaluation="zeroth",
        metric="cer",
        variant="raw",
        case_a="original",
        case_b="lora-1",
        difference=-95.36,
        low=-96.0,
        high=-95.0,
        p=0.0001,
        p_holm=0.0001,
        verdict="better",
        utterances=457,
    )
    return Report(
        "tiny-korean",
        COLUMNS,
        CASES,
        tuple(results),
        samples,
        True,
        results_path=Path("runs/x/results.json"),
        report_path=Path("runs/x/report.md"),
        page_path=Path("runs/x/report.html"),
        tests=(test,),
    )


def tables(text: str) -> list[list[list[str]]]:
    """Every table of a Markdown page as rows of cells, split at bars that are not escaped."""
    found: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
            found[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif found[-1]:
            found.append([])
    return [rows for rows in found if rows]


def terminal(report: Report, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(console, report)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_table_of_the_page_has_rows_as_wide_as_its_head() -> None:
    found = tables(markdown(a_report()))
    assert len(found) == 5
    for rows in found:
        assert {len(row) for row in rows} == {len(rows[0])}
        assert set(rows[1]) == {"---"}


def test_results_table_reads_as_the_issue_draws_it() -> None:
    head, _, original, lora, audio = tables(markdown(a_report()))[0]
    assert head == ["model", *(column.title for column in COLUMNS)]
    assert original[0] == "original"
    assert original[1] == "99.2 [98.2–100.2]"
    assert lora[1] == "**3.80** [2.80–4.80]"
    assert original[2] == "**99.2** [98.2–100.2]"  # BLEU: the higher is the better
    assert audio[1:] == ["—"] * len(COLUMNS)


def test_only_the_base_is_said_to_have_trained_nothing() -> None:
    """What was trained of a model beside the recipe, an export for instance, is not known."""
    assert parameters_text(CaseSummary("original", "original")) == ("none", "0", "0 %")
    assert parameters_text(CaseSummary("lora", "lora")) == ("—", "—", "—")


def test_trained_table_tells_parameters_share_and_time() -> None:
    rows = tables(markdown(a_report()))[2]
    assert rows[2][1:] == ["—", "none", "0", "0 %", *["—"] * 5, "1 min 15 s"]
    assert rows[3][1:3] == ["lora", "LoRA 200; audio encoder 50"]
    assert rows[3][3:6] == ["250", "25 %", "16 of 16"]
    assert rows[3][6:9] == ["0.003; audio 1.5e-5", "16", "telephone (p 0.3)"]
    assert rows[3][9:] == ["1 h 02 min", "1 min 00 s"]
    assert rows[4][2:] == ["—"] * 9


def test_transcripts_survive_markdown() -> None:
    rows = tables(markdown(a_report()))[4]
    assert rows[0] == ["reference", "나는 학교에 간다"]
    assert rows[2] == ["original", "*(nothing)*"]
    assert rows[3][1] == r"나는 \<sep\> \*학교\* \| 간다 \[bold\]\_x\_"


def test_page_says_what_must_be_said() -> None:
    text = markdown(a_report())
    assert "All speech here is synthetic" in text
    assert "95 % percentile bootstrap" in text
    assert "457" in text
    assert SIGNATURE.replace("|", r"\|") in text
    assert "Not finished: “audio encoder unfrozen, 4 epochs”" in text
    assert "Best: LoRA, 1 epoch (part of the data) (lowest zeroth, 3.80)" in text
    assert "\nsoritune transcribe --model 'runs/my run/cases/lora-1' recording.wav\n" in text
    assert "`results.json`" in text


def test_recorded_speech_is_not_called_synthetic() -> None:
    recorded = Report("run", COLUMNS, CASES, ())
    assert "synthetic" not in markdown(recorded)
    assert "synthetic" not in terminal(recorded, 100)


def test_report_without_any_result_is_all_dashes() -> None:
    text = markdown(Report("run", COLUMNS, CASES, ()))
    assert [row[1:] for row in tables(text)[0][2:]] == [["—"] * len(COLUMNS)] * len(CASES)
    assert "No case has a result" in text
    assert "soritune transcribe" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_terminal_shows_every_figure_whole_in_any_width(width: int) -> None:
    text = terminal(a_report(), width)
    assert text.count("98.2–100.2") == len(COLUMNS)
    assert text.count("2.80–4.80") == len(COLUMNS)
    for column in COLUMNS:
        assert all(word in text for word in column.title.split())
    unbroken = ("transcribe with it", "figures: ", "report: ", "page: ")
    for line in text.splitlines():
        assert len(line.rstrip()) <= width or line.startswith(unbroken)


def test_terminal_shows_the_table_in_one_piece_on_one_hundred_columns() -> None:
    lines = terminal(a_report(), 100).splitlines()
    assert sum(line.split()[:1] == ["model"] for line in lines) == 2  # figures, what was trained


def test_terminal_tells_all_the_rest() -> None:
    text = terminal(a_report(), 100)
    for expected in [
        "synthetic",
        "zeroth 457",
        SIGNATURE,
        "25 %",
        "1 h 02 min",
        "(nothing)",
        "[bold]_x_",
        "soritune transcribe --model 'runs/my run/cases/lora-1' recording.wav",
        "figures: runs/x/results.json",
        "report: runs/x/report.md",
        "page: runs/x/report.html",
    ]:
        assert expected in text


def test_page_is_written_to_its_path(tmp_path: Path) -> None:
    path = tmp_path / "run" / "report.md"
    write_markdown(path, a_report())
    assert path.read_text(encoding="utf-8") == markdown(a_report())
