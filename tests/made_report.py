"""A report with every kind of record, made by hand, and the utterances behind it."""

from __future__ import annotations

from soritune.report.background import Background, CorpusSummary, FindingSummary
from soritune.report.content import Report
from soritune.report.records import CaseSummary
from soritune.report.table import Column
from soritune.report.utterances import CaseTexts, EvaluatedUtterances
from soritune.scoring.records import (
    FAILURES,
    ConditionScore,
    Confusion,
    FailureCount,
    PairedTest,
    RetentionVerdict,
    Speed,
)
from soritune.scoring.score import Score
from soritune.training.curve import CurvePoint, DevScore

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> & \"' `x` {{ 1 }} | **b**"
SIGNATURE = "cer|unit:char|space:kept|bs:1000"
CASES = ("original", "lora-1")
REFERENCES = ("나는 학교에 간다", "오늘은 세 개를 샀다", "비가 온다", "The weather is nice")
TEXTS = {
    "original": ("나는 하교에 갔다", "오늘 세 개 샀다고", "", "The wether is very nice"),
    "lora-1": ("나는 학교에 간다", "오늘은 세개를 샀다", "비가 온다", "The weather is nice"),
}


def a_report(name: str = "tiny-korean") -> Report:
    """Two cases, one evaluation and one that must be kept; `name` is that of all that has one."""
    columns = (
        Column("CER", "korean", "cer", lower_is_better=True),
        Column(f"English {name}", "english", "cer", lower_is_better=True),
    )
    scores = [
        Score(
            case=case,
            evaluation=column.evaluation,
            metric="cer",
            value=value,
            low=value - 2.3,
            high=value + 2.3,
            utterances=len(REFERENCES),
            signature=SIGNATURE + (name if name == HOSTILE else ""),
        )
        for case, value in zip(CASES, (99.2, 12.3), strict=True)
        for column in columns
    ]
    curve = [CurvePoint(step, loss=4 / step, learning_rate=1e-3) for step in range(1, 40)]
    curve += [CurvePoint(step, dev=DevScore("cer", 90 / step, 20)) for step in (10, 20, 30)]
    test = PairedTest(
        evaluation="korean",
        metric="cer",
        variant="raw",
        case_a="original",
        case_b="lora-1",
        difference=-86.9,
        low=-90,
        high=-80,
        p=0.0001,
        p_holm=0.0002,
        verdict="better",
        utterances=len(REFERENCES),
    )
    gate = RetentionVerdict(
        case="lora-1",
        evaluation="english",
        metric="cer",
        variant="raw",
        worse_by=1.0,
        loss=10.5,
        low=8,
        high=13,
        verdict="lost",
    )
    condition = ConditionScore(
        case="lora-1",
        evaluation="korean",
        condition="length",
        group="2 to 5 s",
        metric="cer",
        variant="raw",
        value=12,
        low=10,
        high=14,
        utterances=40,
    )
    speed = Speed(
        case="lora-1",
        evaluation="korean",
        audio_s=400,
        decoding_s=30,
        audio_per_s=13.3,
        tokens_per_s=None,
        batch_size=32,
        device="cpu",
    )
    return Report(
        name=name,
        columns=columns,
        cases=(
            CaseSummary("original", "original", model="builtin:tiny"),
            CaseSummary(
                "lora-1",
                "lora-1 (LoRA)" if name != HOSTILE else HOSTILE,
                mode="lora",
                trained={"LoRA": 200},
                parameters=1000,
                trained_tensors=16,
                moved_tensors=16,
                training_s=100.0,
                model="runs/x/cases/lora-1/model",
                excluded={"korean train": 3},
                curve=tuple(curve),
            ),
        ),
        results=tuple(scores),
        synthetic_speech=True,
        tests=(test,),
        retention=(gate,),
        failures=tuple(
            FailureCount(case=case, evaluation="korean", failure=failure, count=1, utterances=4)
            for case in CASES
            for failure in FAILURES
        ),
        conditions=(condition,),
        confusions=(
            Confusion(
                case="lora-1", evaluation="korean", slot="coda", said="ㄴ", written="ㅇ", count=2
            ),
        ),
        speed=(speed,),
    )


def bare_report() -> Report:
    """A run that has only begun."""
    full = a_report()
    return Report(full.name, full.columns, full.cases[:1], ())


def evaluated(first: str | None = None) -> EvaluatedUtterances:
    """Four utterances; `first` stands for the first one's texts, id and condition."""
    ids = [first or "ko-1", "ko-2", "ko-3", "en-4"]
    return EvaluatedUtterances(
        evaluation="korean",
        language="ko",
        ids=ids,
        references=[first or REFERENCES[0], *REFERENCES[1:]],
        durations_s=[2.0, 3.5, 1.0, 4.0],
        conditions=[
            {"length": "2 to 5 s", "speaker": first or "a"},
            {"length": "2 to 5 s", "speaker": "b"},
            {"length": "under 2 s"},
            {"length": "2 to 5 s", "speaker": "b"},
        ],
        cases=[
            CaseTexts(
                case,
                [first or TEXTS[case][0], *TEXTS[case][1:]],
                [(), ("spacing-only",), ("empty",) if case == "original" else (), ()],
            )
            for case in CASES
        ],
        sounds=["sound-1", None, None, None],
    )


def a_background(text: str = "made by a synthesizer") -> Background:
    """One corpus and one finding; `text` is the licence, the recipe's end and the finding's."""
    corpus = CorpusSummary("korean", "demo", text, 5420, 16000.0, 9, 0)
    finding = FindingSummary(
        "warning", "korean", "speakers in train and test", 120, 0.02, text, "use `split_by`"
    )
    return Background(
        "builtin:tiny",
        "ko",
        f"name: demo-recipe\n# {text}\n",
        (corpus,),
        (finding,),
        "soritune doctor recipe.yaml",
    )
