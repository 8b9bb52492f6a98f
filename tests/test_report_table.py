"""The table: columns, order, best case, and what is not certain."""

import pytest

from soritune.report.content import Report, certainties, not_comparable, unfinished_sentence
from soritune.report.records import CaseSummary
from soritune.report.table import (
    Column,
    EvaluationSummary,
    best_case,
    best_values,
    columns_for,
    comparisons,
    figures,
    table,
)
from soritune.scoring.score import Score
from soritune.tasks import Task

CER = Column("CER", "zeroth", "cer", lower_is_better=True)
BLEU = Column("ko2en", "ko2en", "bleu", lower_is_better=False)
NAMES = ("original", "lora-1", "lora-4")
CASES = tuple(CaseSummary(name, name.upper()) for name in NAMES)


def result(
    case: str, value: float, margin: float = 1.0, column: Column = CER, signature: str = "s"
) -> Score:
    return Score(
        case=case,
        evaluation=column.evaluation,
        metric=column.metric,
        value=value,
        low=value - margin,
        high=value + margin,
        utterances=50,
        signature=signature,
    )


def report(*results: Score, columns: tuple[Column, ...] = (CER, BLEU)) -> Report:
    return Report("run", columns, CASES, results)


def test_columns_are_those_of_the_published_table() -> None:
    translations = [
        EvaluationSummary(name, task, name[:2], ("bleu", "chrf"))
        for name, task in [
            ("ko2en", Task.AST),
            ("ko2en-cot", Task.AST_COT),
            ("en2ko", Task.AST),
            ("en2ko-cot", Task.AST_COT),
        ]
    ]
    columns = columns_for(
        [
            EvaluationSummary("zeroth", Task.ASR, "ko", ("cer", "wer")),
            *translations,
            EvaluationSummary("english", Task.ASR, "en", ("cer", "wer")),
        ],
        learnt_language="ko",
    )
    titles = ["CER", "WER", "ko2en", "ko2en-cot", "en2ko", "en2ko-cot", "English CER"]
    assert [column.title for column in columns] == titles
    metrics = ["cer", "wer", "bleu", "bleu", "bleu", "bleu", "cer"]
    assert [column.metric for column in columns] == metrics
    directions = [True, True, False, False, False, False, True]
    assert [column.lower_is_better for column in columns] == directions


def test_two_sets_of_one_language_keep_their_names_apart() -> None:
    evaluations = [
        EvaluationSummary(name, Task.ASR, language, ("cer", "wer"))
        for name, language in [("zeroth", "ko"), ("fleurs", "ko"), ("a", "en"), ("b", "en")]
    ]
    titles = [column.title for column in columns_for(evaluations, "ko")]
    korean = ["zeroth CER", "zeroth WER", "fleurs CER", "fleurs WER"]
    assert titles == [*korean, "a CER", "b CER"]


def test_a_translation_scored_with_chrf_alone_says_so() -> None:
    (column,) = columns_for([EvaluationSummary("ko2en", Task.AST, "ko", ("chrf",))], "ko")
    assert (column.title, column.lower_is_better) == ("ko2en chrF", False)


def test_rows_follow_the_cases_and_cells_the_columns_whatever_the_order_of_results() -> None:
    found = [result("lora-4", 7, column=BLEU), result("lora-1", 4), result("original", 99)]
    rows = table(found, (CER, BLEU), CASES)
    assert [row.case.name for row in rows] == list(NAMES)
    values = [[cell.value if cell else None for cell in row.results] for row in rows]
    assert values == [[99, None], [4, None], [None, 7]]


def test_best_is_lowest_for_errors_and_highest_for_bleu() -> None:
    found = [result("original", 90), result("lora-1", 4), result("lora-4", 3)]
    found += [result(name, value, 1, BLEU) for name, value in zip(NAMES, (5, 9, 7), strict=True)]
    rows = table(found, (CER, BLEU), CASES)
    assert best_values(rows, (CER, BLEU)) == [3, 9]
    best = best_case(rows, (CER, BLEU))
    assert best is not None
    assert best.case.name == "lora-4"


def test_of_equally_good_cases_the_first_is_best_and_without_results_none() -> None:
    best = best_case(table([result("lora-1", 3), result("lora-4", 3)], (CER,), CASES), (CER,))
    assert best is not None
    assert best.case.name == "lora-1"
    assert best_case(table([], (CER,), CASES), (CER,)) is None


def test_overlapping_intervals_are_not_certain_and_touching_ones_overlap() -> None:
    def certain(earlier: float, later: float) -> bool:
        rows = table([result("original", earlier), result("lora-1", later)], (CER,), CASES)
        (comparison,) = comparisons(rows, (CER,))
        return comparison.certain

    assert certain(10, 7.9)
    assert certain(10, 12.1)
    assert not certain(10, 8.0)
    assert not certain(10, 8.5)
    assert not certain(10, 10)


def test_findings_name_what_is_worse_and_what_is_not_certain() -> None:
    found = report(result("original", 90), result("lora-1", 4), result("lora-4", 3.5))
    (certainty,) = certainties(found)
    assert certainty.worse == ()
    assert certainty.unsure == ("“LORA-4” against “LORA-1”",)

    (certainty,) = certainties(
        report(result("original", 4), result("lora-1", 9), result("lora-4", 8))
    )
    assert certainty.worse == ("“LORA-1” against “ORIGINAL”", "“LORA-4” against “ORIGINAL”")

    (certainty,) = certainties(
        report(*(result(n, v) for n, v in zip(NAMES, (5, 6, 5), strict=True)))
    )
    assert certainty.unsure[-1] == "“LORA-4” against every earlier case"

    (certainty,) = certainties(report(result("original", 90), result("lora-1", 40)))
    assert "every case is better" in certainty.sentence


def test_higher_bleu_is_better() -> None:
    found = report(result("original", 5, 1, BLEU), result("lora-1", 9, 1, BLEU))
    (certainty,) = certainties(found)
    assert certainty.worse == ()
    assert "every case is better" in certainty.sentence


def test_cases_that_were_scored_otherwise_are_not_to_be_compared() -> None:
    alike = report(result("original", 9), result("lora-1", 4))
    assert not_comparable(alike) == []
    (warning,) = not_comparable(report(result("original", 9), result("lora-1", 4, signature="t")))
    assert "2 signature(s)" in warning


def test_unfinished_cases_are_named() -> None:
    sentence = unfinished_sentence(report(result("original", 9), columns=(CER,)))
    assert sentence is not None
    assert "“LORA-1”, “LORA-4”" in sentence
    whole = report(*(result(name, 9) for name in NAMES), columns=(CER,))
    assert unfinished_sentence(whole) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (99.16, ("99.2", "98.2–100.2")),
        (1.614, ("1.61", "0.61–2.61")),
        (9.996, ("10.0", "9.0–11.0")),
    ],
)
def test_small_figures_show_one_decimal_more(value: float, shown: tuple[str, str]) -> None:
    assert figures(result("a", value)) == shown


def test_missing_figure_is_a_dash() -> None:
    assert figures(None) == ("—", "")
