"""Classes of failures and groups of conditions, by examples of each."""

import numpy as np
import pytest

from soritune.scoring.conditions import condition_scores, group_of, speaking_rate
from soritune.scoring.error_rates import percent
from soritune.scoring.failures import failures_of
from soritune.scoring.table import Table

SAID = "내일 오후 세 시에 친구와 시장에서 만나요"


@pytest.mark.parametrize(
    ("reference", "hypothesis", "classes"),
    [
        (SAID, SAID, ()),
        (SAID, "", ("empty",)),
        (SAID, "  ", ("empty",)),
        (SAID, "I'm sorry, but I can't assist with that.", ("refusal", "wrong-script")),
        (SAID, "죄송합니다. 해당 음성을 인식할 수 없습니다.", ("refusal",)),
        ("죄송합니다 갈 수 없습니다", "죄송합니다 갈 수 있습니다", ()),
        (SAID, "내일 오후 " * 12, ("loop",)),
        (SAID, "네 " * 40, ("loop",)),
        ("ㅋㅋㅋㅋ 네", "ㅋㅋㅋㅋㅋ 네", ()),
        (SAID, "Let us meet at the market tomorrow", ("wrong-script",)),
        ("hello there", "안녕하세요 거기", ("wrong-script",)),
        (SAID, "내일 오후 세 시에", ("truncation",)),
        (SAID, "내일 오후 세시에 친구와 시장에서 만나요", ("spacing-only",)),
        (SAID, "내일 오후 3시에 친구와 시장에서 만나요", ("numbers-only",)),
        ("에이아이 기술", "AI 기술", ("latin-only",)),
        ("OK", "오케이", ("latin-only",)),
        ("3시 AI", "세 시 에이아이", ()),
        (SAID, "내일 오후 네 시에 친구와 시장에서 만나요", ()),
        ("", "감사합니다", ("insertion",)),
        ("", "", ()),
    ],
)
def test_failures(reference: str, hypothesis: str, classes: tuple[str, ...]) -> None:
    assert failures_of(reference, hypothesis, "ko") == classes


def test_english_has_no_readings_and_no_class_of_them() -> None:
    assert failures_of("at three", "at 3", "en") == ()
    assert failures_of("at three", "atthree", "en") == ("spacing-only",)


def test_groups_are_named_by_their_bounds() -> None:
    groups = [group_of("length", value) for value in (1.9, 2, 9.99, 10, 30, 400)]
    assert groups == ["under 2 s", "2 to 5 s", "5 to 10 s", "10 to 20 s", *["30 s and more"] * 2]
    # 한글은 is three syllables.
    assert speaking_rate("한글은", "ko", 1.5) == 2
    assert speaking_rate("...", "ko", 1.5) is None


def test_only_groups_that_are_large_enough_are_shown() -> None:
    counts = np.array([[1, 10]] * 25 + [[5, 10]] * 25 + [[9, 10]] * 5, dtype=float)
    lengths = ["under 2 s"] * 25 + ["30 s and more"] * 25 + ["2 to 5 s"] * 5
    conditions = [{"length": length, "language": "ko"} for length in lengths]
    found = condition_scores(
        "a", "korean", Table("cer", "raw", counts, percent, "s"), conditions, [None] * 55
    )
    assert [(each.condition, each.group, each.value, each.utterances) for each in found] == [
        ("length", "under 2 s", 10, 25),
        ("length", "30 s and more", 50, 25),
    ]
