"""`report.html` in a browser: it opens without a complaint, plays, filters, links and exports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import chromium
import jiwer
import numpy as np
import pytest
from made_report import CASES, HOSTILE, REFERENCES, TEXTS, a_background, a_report, evaluated

from soritune.report.page import write_page
from soritune.report.sound import FOLDER, keep_sound
from soritune.report.utterances import CaseTexts, EvaluatedUtterances

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason="Chromium is not installed")

MANY = 2000
SHOWN = "[...document.querySelectorAll('#feed article')].map(each => each.dataset.id)"


def many() -> EvaluatedUtterances:
    """Utterances of two cases; of every tenth, `lora-1` is right and `original` wrong."""
    references = [f"{REFERENCES[n % 3]} {n}" for n in range(MANY)]
    return EvaluatedUtterances(
        evaluation="many",
        language="ko",
        ids=[f"many/{n:05d} #%" for n in range(MANY)],
        references=references,
        durations_s=[float(n % 7 + 1) for n in range(MANY)],
        conditions=[{"speaker": f"voice {n % 4}"} for n in range(MANY)],
        cases=[
            CaseTexts("original", [each[1:] for each in references], [()] * MANY),
            CaseTexts(
                "lora-1",
                [each if n % 10 == 0 else each * 2 for n, each in enumerate(references)],
                [("loop",) if n % 10 else () for n in range(MANY)],
            ),
        ],
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    tone = np.sin(np.arange(16000, dtype=np.float32) / 20) * np.float32(0.1)
    keep_sound(folder / FOLDER, {"sound-1": lambda: tone})
    write_page(folder / "report.html", a_report(), [evaluated(), many()], a_background())
    hostile = [evaluated(HOSTILE)]
    write_page(folder / "hostile.html", a_report(HOSTILE), hostile, a_background(HOSTILE))
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    with chromium.opened(tmp_path_factory.mktemp("profile")) as page:
        page.resize(1400, 900)
        yield page


@pytest.fixture
def page(browser: chromium.Page, path: Path) -> chromium.Page:
    browser.open(Path("/dev/null"))  # so that a link to the same file loads it again
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(path)
    return browser


def choose(page: chromium.Page, **values: str) -> None:
    """Choose in the form as a hand does."""
    for name, value in values.items():
        page.run(
            f"(() => {{ const field = document.forms.filters.elements[{json.dumps(name)}];"
            f"field.value = {json.dumps(value)};"
            "field.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )


def test_it_opens_without_a_complaint_and_asks_for_nothing(page: chromium.Page) -> None:
    assert page.run("document.title") == "tiny-korean"
    assert page.run(SHOWN) == ["ko-1", "ko-2", "ko-3", "en-4"]
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("file:")] == []


def test_cells_that_differ_are_as_many_as_jiwer_counts(page: chromium.Page) -> None:
    counted = page.run(
        "[...document.querySelectorAll('#feed article')].map(each =>"
        "[...each.querySelectorAll('.row')].filter(row => row.matches('.is-right, .has-errors'))"
        ".map(row => row.querySelectorAll('.changed, .missing, .added').length))"
    )
    expected = [
        [
            jiwer.process_characters(reference, TEXTS[case][n]).substitutions
            + jiwer.process_characters(reference, TEXTS[case][n]).deletions
            + jiwer.process_characters(reference, TEXTS[case][n]).insertions
            for case in CASES
        ]
        for n, reference in enumerate(REFERENCES)
    ]
    assert counted == expected


def test_alignment_of_texts_by_hand(page: chromium.Page) -> None:
    found = page.run("columnsOf([...'abc'], [[...'xabc'], [...'ac'], [...'abd']])")
    rows = [[each["reference"] for each in found]]
    rows += [[each["cells"][case] for each in found] for case in range(3)]
    assert rows == [
        ["", "a", "b", "c"],
        ["x", "a", "b", "c"],
        ["", "a", None, "c"],
        ["", "a", "b", "d"],
    ]


def test_the_player_plays(page: chromium.Page) -> None:
    page.run("document.querySelector('.play').click()")
    played = page.run(
        "new Promise(done => { const player = document.querySelector('audio');"
        "player.addEventListener('error', () => done('error'));"
        "player.addEventListener('timeupdate', () => player.currentTime > 0.2 &&"
        "done([player.paused, player.duration])); })"
    )
    assert played[0] is False
    assert played[1] == pytest.approx(1, abs=0.1)
    assert page.complaints == []


def test_sound_beside_the_page_plays(
    page: chromium.Page, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soritune.report.sound.MAX_PAGE_BYTES", 1000)
    large = path.with_name("large.html")
    write_page(large, a_report(), [evaluated()], a_background())
    assert "data:audio" not in large.read_text(encoding="utf-8")
    page.open(large)
    page.run("document.querySelector('.play').click()")
    assert page.run(
        "new Promise(done => { const player = document.querySelector('audio');"
        "player.addEventListener('error', () => done(false));"
        "player.addEventListener('timeupdate', () => player.currentTime > 0.2 && done(true)); })"
    )
    assert page.complaints == []


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"text": "하교에"}, ["ko-1"]),
        ({"text": "EN-4"}, ["en-4"]),
        ({"failure": "empty"}, ["ko-3"]),
        ({"failure": "empty", "in": "1"}, []),
        ({"condition": "speaker/1"}, ["ko-2", "en-4"]),
        ({"right": "1", "wrong": "0"}, ["ko-1", "ko-3", "en-4"]),
        ({"right": "0", "wrong": "1"}, []),
        ({"sort": "longest"}, ["en-4", "ko-2", "ko-1", "ko-3"]),
        ({"sort": "0"}, ["ko-3", "en-4", "ko-2", "ko-1"]),
    ],
)
def test_filters_and_orders(
    page: chromium.Page, chosen: dict[str, str], expected: list[str]
) -> None:
    choose(page, **chosen)
    assert page.run(SHOWN) == expected
    number = f"{len(expected)} of 4 utterances" if expected else "No utterance fits these filters."
    assert page.run("document.getElementById('shown').textContent") == number
    page.run("document.getElementById('reset').click()")
    assert len(page.run(SHOWN)) == 4


def test_of_many_utterances_only_those_that_are_seen_are_in_the_page(page: chromium.Page) -> None:
    choose(page, evaluation="1")
    assert len(page.run(SHOWN)) < 20
    choose(page, right="1", wrong="0")
    assert page.run("document.getElementById('shown').textContent") == (
        f"{MANY // 10} of {MANY:,} utterances"
    )
    page.run(
        "(() => { const box = document.getElementById('feed');"
        "box.scrollTop = box.scrollHeight; })()"
    )
    page.run("new Promise(requestAnimationFrame)")
    page.run("new Promise(requestAnimationFrame)")
    assert page.run(SHOWN)[-1] == f"many/{MANY - 10:05d} #%"


def test_a_link_leads_to_its_utterance(page: chromium.Page, path: Path) -> None:
    wanted = "many/01234 #%"
    choose(page, evaluation="1")
    page.run("browser.feed.scrollTo(1234)")
    link = page.run(
        f"[...document.querySelectorAll('article')].find(each => each.dataset.id === "
        f"{json.dumps(wanted)}).querySelector('.link').getAttribute('href')"
    )
    page.open(Path("/dev/null"))
    page.open(path, link)
    assert page.run("document.activeElement.dataset.id") == wanted
    box = page.run("document.activeElement.getBoundingClientRect().toJSON()")
    assert 0 <= box["top"] < 900
    page.run("location.hash = '#utterance=korean/no-such'")
    page.run("new Promise(done => setTimeout(done, 50))")
    assert "no-such" in page.run("document.getElementById('shown').textContent")


def test_keys_go_from_utterance_to_utterance(page: chromium.Page) -> None:
    page.run("document.getElementById('feed').focus()")
    focused = []
    for key in ("j", "j", "PageDown", "k"):
        page.run(
            "document.activeElement.dispatchEvent("
            f"new KeyboardEvent('keydown', {{key: {json.dumps(key)}, bubbles: true}}))"
        )
        focused.append(page.run("document.activeElement.dataset.id"))
    assert focused == ["ko-1", "ko-2", "ko-3", "ko-2"]


def test_what_is_shown_can_be_taken_away(page: chromium.Page) -> None:
    page.run("download = (name, type, content) => { globalThis.taken = [name, type, content]; }")
    choose(page, right="1", wrong="0")
    page.run("document.getElementById('as-json').click()")
    name, kind, content = page.run("taken")
    assert (name, kind) == ("korean.json", "application/json")
    rows = json.loads(content)
    assert [row["id"] for row in rows] == ["ko-1", "ko-3", "en-4"]
    assert rows[0]["reference"] == REFERENCES[0]
    assert rows[0]["cases"][0] == {
        "case": "original",
        "text": TEXTS["original"][0],
        "errors": 2,
        "failures": [],
    }
    page.run("document.getElementById('as-csv').click()")
    lines = page.run("taken")[2].split("\r\n")
    assert lines[0].startswith("\ufeffid,duration_s,length,speaker,reference,characters,original")
    assert len(lines) == 5
    assert page.run("csvCell('=1+1')") == "'=1+1"
    assert page.run("csvCell('a \"b\", c')") == '"a ""b"", c"'


def test_the_interface_speaks_korean(page: chromium.Page) -> None:
    page.run("document.getElementById('language').click()")
    assert page.run("document.documentElement.lang") == "ko"
    assert page.run("document.getElementById('results-title').textContent") == "결과"
    assert page.run("document.getElementById('shown').textContent") == "발화 4개 중 4개"
    page.run("document.getElementById('language').click()")
    assert page.run("document.documentElement.lang") == "en"


def test_hostile_texts_do_nothing(page: chromium.Page, path: Path) -> None:
    page.run("0")
    page.open(path.with_name("hostile.html"))
    assert page.run("document.querySelectorAll('img, b[onerror]').length") == 0
    assert page.run("document.querySelectorAll('script:not([type])').length") == 1
    assert page.run("document.querySelector('article h3').textContent") == HOSTILE
    assert page.complaints == []


def test_a_phone_shows_all_of_it_without_sideways_scrolling(page: chromium.Page) -> None:
    page.resize(390, 844, dark=True)
    try:
        wide = page.run("document.documentElement.scrollWidth")
        assert wide <= page.run("document.documentElement.clientWidth")
    finally:
        page.resize(1400, 900)


def test_paper_gets_the_utterances_in_full(page: chromium.Page) -> None:
    page.run("dispatchEvent(new Event('beforeprint'))")
    page.resize(800, 1000, media="print")
    try:
        assert page.run("document.querySelectorAll('#printed article').length") == 4
        assert page.run("document.getElementById('printed').offsetHeight") > 200
        assert page.run("document.getElementById('feed').offsetHeight") == 0
    finally:
        page.resize(1400, 900)
