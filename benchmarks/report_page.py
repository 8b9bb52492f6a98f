"""The page of a large report: its size, how long it takes to open, to filter and to order.

    python benchmarks/report_page.py [UTTERANCES] [CASES]

Times of the browser are wall time and CPU time of its page's thread (DevTools' Performance domain):
on a busy machine only the latter says something. Needs Chromium.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests")]

import chromium  # noqa: E402
from made_report import a_background, a_report  # noqa: E402

from soritune.report.page import write_page  # noqa: E402
from soritune.report.utterances import CaseTexts, EvaluatedUtterances  # noqa: E402

WORDS = [
    "오늘",
    "날씨가",
    "좋습니다",
    "내일은",
    "비가",
    "온다고",
    "해요",
    "지하철역에서",
    "만나기로",
    "했는데",
    "늦었어요",
    "세",
    "개를",
    "주문했습니다",
    "한국어를",
    "배우고",
    "있어요",
    "그래서",
    "나는",
    "학교에",
    "갔다",
]
STEPS = (
    ("first search", "text.value = '지하'"),
    ("search", "text.value = '날씨'"),
    ("failure", "text.value = ''; failure.value = 'truncation'"),
    ("A right, B wrong", "failure.value = ''; right.value = '1'; wrong.value = '0'"),
    ("condition", "right.value = ''; wrong.value = ''; condition.value = 'length/1'"),
    ("most errors", "condition.value = ''; sort.value = 'worst'"),
    ("largest difference", "sort.value = 'apart'"),
)


def changed(text: str, share: float, rng: random.Random) -> str:
    """Return `text` with about that share of its characters left out, exchanged or doubled."""
    found = []
    for character in text:
        draw = rng.random() / share
        if draw < 1 / 3:
            continue
        found.append(rng.choice(rng.choice(WORDS)) if draw < 2 / 3 else character)
        if 2 / 3 <= draw < 1:
            found.append(rng.choice(rng.choice(WORDS)))
    return "".join(found)


def utterances(number: int, cases: int) -> EvaluatedUtterances:
    """Return sentences of 4 to 14 words, and what cases wrote, each better than the one before."""
    rng = random.Random(0)
    said = [" ".join(rng.choices(WORDS, k=rng.randint(4, 14))) for _ in range(number)]
    return EvaluatedUtterances(
        evaluation="korean",
        language="ko",
        ids=[f"test-{n:05d}" for n in range(number)],
        references=said,
        durations_s=[rng.uniform(1, 9) for _ in range(number)],
        conditions=[{"length": rng.choice(("2 to 5 s", "5 to 10 s"))} for _ in range(number)],
        cases=[
            CaseTexts(
                f"case-{case}",
                [
                    changed(text, 0.6 / 2**case, rng) if rng.random() < 0.9 else text
                    for text in said
                ],
                [("truncation",) if rng.random() < 0.1 else () for _ in range(number)],
            )
            for case in range(cases)
        ],
    )


def cpu_s(page: chromium.Page) -> float:
    """Return what the page's thread has computed so far."""
    metrics = page.call("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def main() -> None:
    """Make the page, open it, work with it, print the times."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "report.html"
        found = utterances(number, cases)
        started, used = time.perf_counter(), time.process_time()
        write_page(path, a_report(), [found], a_background())
        size = path.stat().st_size / 1e6
        print(f"{number:,} utterances, {cases} cases: {size:.1f} MB, made in", end=" ")
        print(f"{time.perf_counter() - started:.2f} s ({time.process_time() - used:.2f} s CPU)")
        with chromium.opened(Path(folder) / "profile") as page:
            page.resize(1400, 900)
            page.call("Performance.enable", timeDomain="threadTicks")
            page.open(Path("/dev/null"))
            started = time.perf_counter()
            page.open(path)
            page.run("document.querySelectorAll('#feed article').length")
            # A page that was just opened has a thread of its own, which begins at 0.
            print(f"open: {1e3 * (time.perf_counter() - started):.0f} ms", end=" ")
            print(f"({1e3 * cpu_s(page):.0f} ms CPU)")
            page.run("new Promise(done => setTimeout(done, 3000))")  # as a reader takes a moment
            for name, step in STEPS:
                used = cpu_s(page)
                took_ms = page.run(
                    "(() => { const {text, failure, right, wrong, condition, sort} = "
                    f"browser.form.elements; {step}; const started = performance.now();"
                    "browser.filter(); document.body.offsetHeight;"
                    "return performance.now() - started; })()"
                )
                print(f"{name}: {took_ms:.0f} ms ({1e3 * (cpu_s(page) - used):.0f} ms CPU)")


if __name__ == "__main__":
    main()
