"""The table: columns, order, best case, and what is not certain."""

from dataclasses import replace

import pytest

from soritune.report.content import (
    Report,
    best_sentence,
    certainties,
    not_comparable,
    retention_sentences,
    unfinished_sentence,
)
from soritune.report.markdown import markdown
from soritune.report.records import CaseSummary
from soritune.report.table import (
    Column,
    EvaluationSummary,
    best_case,
    best_values,
    columns_for,
    figures,
    marked_values,
    table,
)
from soritune.scoring.records import PairedTest, RetentionVerdict
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


def compared(later: str, earlier: str, verdict: str, p: float, column: Column = CER) -> PairedTest:
    return PairedTest(
        evaluation=column.evaluation,
        metric=column.metric,
        variant=column.variant,
        case_a=earlier,
        case_b=later,
        difference=-1.0,
        low=-2.0,
        high=-0.5,
        p=p,
        p_holm=p,
        verdict=verdict,  # type: ignore[arg-type]
        utterances=50,
    )


def test_verdicts_are_those_of_the_tests_in_words() -> None:
    found = replace(
        report(result("original", 90), result("lora-1", 4), result("lora-4", 3.5)),
        tests=(
            compared("lora-1", "original", "better", 0.0005),
            compared("lora-4", "original", "better", 0.0005),
            compared("lora-4", "lora-1", "no difference shown", 0.4),
            compared("lora-1", "original", "worse", 0.03, BLEU),
        ),
    )
    first, second = certainties(found)
    assert first.words == {
        "better, p < 0.001": ("“LORA-1” against “ORIGINAL”", "“LORA-4” against “ORIGINAL”"),
        "no difference shown": ("“LORA-4” against “LORA-1”",),
    }
    assert second.sentence == "worse, p < 0.05: “LORA-1” against “ORIGINAL”"
    three = [compared("lora-4", name, "worse", 0.001) for name in NAMES[:2]]
    (only,) = certainties(replace(found, tests=tuple(three)))
    assert only.sentence == "worse, p < 0.01: “LORA-4” against every earlier case"


def test_the_best_case_that_passes_the_retention_gate_is_named() -> None:
    def verdict(case: str, loss: float, verdict: str) -> RetentionVerdict:
        return RetentionVerdict(
            case=case,
            evaluation="english",
            metric="cer",
            variant="raw",
            worse_by=1.0,
            loss=loss,
            low=loss - 0.4,
            high=loss + 0.4,
            verdict=verdict,  # type: ignore[arg-type]
        )

    cases = (CASES[0], replace(CASES[1], mode="lora"), replace(CASES[2], mode="lora"))
    found = replace(
        report(result("original", 90), result("lora-1", 4), result("lora-4", 3)), cases=cases
    )
    one = replace(found, retention=(verdict("lora-1", 0.2, "kept"), verdict("lora-4", 12, "lost")))
    assert best_sentence(one) == (
        "Best: LORA-4 (lowest CER, 3.00). Best that passes the retention gate: LORA-1 "
        "(lowest CER, 4.00)."
    )
    assert retention_sentences(one) == [
        "Retention gate failed: “LORA-4” is worse by 12.00 [11.60–12.40] points of english CER; "
        "at most 1 is allowed.",
        "Retention gate passed: “LORA-1”.",
    ]
    none = replace(found, retention=(verdict("lora-1", 3, "lost"), verdict("lora-4", 12, "lost")))
    assert best_sentence(none).endswith("No trained case passes the retention gate.")
    assert best_sentence(found) == "Best: LORA-4 (lowest CER, 3.00)."


def test_variants_of_the_first_metric_have_columns_of_their_own() -> None:
    evaluation = EvaluationSummary(
        "zeroth", Task.ASR, "ko", ("cer", "wer"), ("raw", "seed", "reading")
    )
    columns = columns_for([evaluation], "ko")
    assert [column.title for column in columns] == ["CER", "CER seed", "CER reading", "WER"]
    found = [result("original", 9), replace(result("original", 8), variant="seed")]
    (row,) = table(found, columns, CASES[:1])
    assert [cell and cell.value for cell in row.results] == [9, 8, None, None]


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


def test_too_few_utterances_have_no_interval_and_no_best() -> None:
    few = replace(result("original", 92.1), utterances=19)
    assert figures(few) == ("92.1", "")
    assert figures(replace(few, utterances=20))[1] == "91.1–93.1"
    assert "92.10 of 19 utterances, too few to say" in best_sentence(report(few))
    enough = replace(few, utterances=20)
    assert marked_values(table([few], (CER,), CASES), (CER,)) == [None]
    assert marked_values(table([enough], (CER,), CASES), (CER,)) == [92.1]
    assert "| ORIGINAL | 92.1 |" in markdown(report(few))
    assert "| ORIGINAL | **92.1** [91.1–93.1] |" in markdown(report(enough))
