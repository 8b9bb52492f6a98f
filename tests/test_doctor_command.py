"""`soritune doctor` as a person meets it: terminal, page, JSON, exit codes."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from doctor_corpus import RATE_HZ, clean_clips, overdriven, prepared, speak
from typer.testing import CliRunner

from soritune.cli import app
from soritune.corpus.prepare import prepare
from soritune.doctor.audit import Audited, audit, open_sources
from soritune.doctor.findings import Audit
from soritune.doctor.lists import add_to_lists
from soritune.doctor.page import page, write_page
from soritune.doctor.players import MAX_CLIP_S, players
from soritune.doctor.remedies import remedy
from soritune.doctor.terminal import sparkline
from soritune.pages import hours_text
from soritune.progress import track
from soritune.sources.corpora.zeroth import ZerothSource
from soritune.sources.formats.manifest import ManifestSource

CLIPS = clean_clips("ko")
TRAIN, TEST = CLIPS[:3], [clip for clip in CLIPS if clip.split == "test"][:2]
LONG = np.tile(overdriven(TRAIN[1].samples, 1.0), 5)[: 8 * RATE_HZ]
CLIP_SAMPLES = {clip.id: len(clip.samples) for clip in (*TRAIN, *TEST)} | {TRAIN[1].id: len(LONG)}
HOSTILE = '<script>alert("1")</script> & `x`'


def invoke(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("clean"), "clean", [*TRAIN, *TEST])


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared sentence, an overdriven clip, a transcript that looks like HTML."""
    clips = [
        *TRAIN[:1],
        replace(TRAIN[1], samples=LONG),
        replace(TRAIN[2], id="<b>", text=HOSTILE),
        replace(TEST[0], text=TRAIN[0].text),
        TEST[1],
    ]
    return prepared(tmp_path_factory.mktemp("ill"), "ill", clips)


@pytest.fixture(scope="module")
def audited(ill: Path) -> Audited:
    return audit(open_sources([ill]), track=track)


def test_the_terminal_names_what_was_found_and_what_mends_it(
    ill: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(ill, "--workers", "1", "--json", "found.json")
    assert done.exit_code == 0
    assert "1 of 2 (50 %) sentences are trained on and tested with" in done.stdout
    assert "shared_sentences: drop-from-train" in done.stdout
    assert f"trained as {TRAIN[0].id}" in done.stdout
    assert "narrow-band" in done.stdout.split("looked for and not found:")[1]
    assert {path.name for path in tmp_path.iterdir()} == {"doctor.html", "found.json"}
    found = Audit.model_validate_json((tmp_path / "found.json").read_text(encoding="utf-8"))
    checks = {finding.check: finding.ids for finding in found.findings}
    assert checks["shared-sentence"] == [TEST[0].id]
    assert checks["clipping"] == [TRAIN[1].id]


def test_strict_fails_on_errors_alone(clean: Path, ill: Path) -> None:
    assert invoke(ill, "--no-html", "--strict", "--workers", "1").exit_code == 1
    done = invoke(clean, "--no-html", "--strict", "--workers", "1")
    assert done.exit_code == 0
    assert "0 errors, 0 warnings, 0 notes" in done.stdout


def test_the_same_corpus_gives_the_same_files(ill: Path, tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        files = tmp_path / f"{name}.html", tmp_path / f"{name}.json"
        assert invoke(ill, "--html", files[0], "--json", files[1], "--workers", "1").exit_code == 0
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1]


def test_no_html_leaves_no_file(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(clean, "--no-html", "--workers", "1").exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told_before_anything_is_listened_to(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    result = invoke(clean, "--html", str(tmp_path / "page.html"), "--workers", "1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be written; name another file" in result.stderr
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "list.jsonl").touch()
    result = invoke(tmp_path / "list.jsonl", "--language", "ko", "--no-html", "--workers", "1")
    assert result.exit_code == 2
    assert "XDG_CACHE_HOME" in result.stderr


def test_a_link_as_the_page_is_refused_before_anything_is_listened_to(
    clean: Path, tmp_path: Path
) -> None:
    link, letter = tmp_path / "page.html", tmp_path / "letter"
    letter.write_text("kept")
    link.symlink_to(letter)
    for option in ("--html", "--json"):
        result = invoke(clean, option, str(link), "--workers", "1")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "page.html: is a link" in result.stderr
    assert letter.read_text() == "kept"


def test_ctrl_c_leaves_nothing_half_written(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    page_file = tmp_path / "page.html"
    page_file.write_text("of before", encoding="utf-8")
    monkeypatch.setattr("os.replace", interrupted)
    done = invoke(clean, "--html", page_file, "--json", tmp_path / "f.json", "--workers", "1")
    assert done.exit_code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert page_file.read_text(encoding="utf-8") == "of before"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-folder"], "no prepared corpus"),
        (["no-such-recipe.yaml"], "no-such-recipe.yaml"),
        (["CLEAN", "--html", "no/such/page.html"], "does not exist"),
        (["CLEAN", "--json", "no/such/found.json"], "does not exist"),
        (["CLEAN", "--model", "./no/such/model"], "no such folder"),
    ],
)
def test_a_mistake_costs_one_line_before_any_work(
    arguments: list[str],
    message: str,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(*(str(clean) if word == "CLEAN" else word for word in arguments))
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


RECIPE = """
name: audit
language: ko
output: {output}
model: {{base: "builtin:tiny"}}
corpora:
  one: {{source: manifest, path: {list}}}
  two: {{source: manifest, path: {list}}}
cases: {{a: {{mode: lora, train: [one]}}}}
evaluate: {{one: {{corpus: one, task: asr}}}}
"""


def test_a_recipe_stands_for_its_prepared_corpora(tmp_path: Path) -> None:
    recipe, listed = tmp_path / "recipe.yaml", tmp_path / "list.jsonl"
    listed.write_text("", encoding="utf-8")
    recipe.write_text(RECIPE.format(output=tmp_path / "out", list=listed), encoding="utf-8")
    found = tmp_path / "found.json"
    nothing = invoke(recipe, "--no-html", "--workers", "1")
    assert nothing.exit_code == 2
    assert f"soritune prepare {recipe}" in nothing.stderr
    prepared(tmp_path / "out" / "corpora" / "two", "two", TRAIN)
    done = invoke(recipe, "--no-html", "--json", found, "--workers", "1")
    assert done.exit_code == 0
    assert "not audited: one" in done.stderr
    assert [corpus["name"] for corpus in json.loads(found.read_text())["corpora"]] == ["two"]


class Parsed(HTMLParser):
    """Tags with their attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_the_page_needs_nothing_from_elsewhere(audited: Audited) -> None:
    html = page(audited.audit, players(audited))
    parsed = Parsed(html)
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "link", "img", "iframe", "object"}
    sources = [
        value for _, given in parsed.tags for key, value in given.items() if key in ("src", "href")
    ]
    assert sources
    assert all(source and source.startswith("data:audio/flac;base64,") for source in sources)
    assert not re.search(r"url\(|@import|https?://", html)
    assert {"svg", "audio", "table"} <= names


def test_what_corpora_say_is_text_in_the_page(audited: Audited) -> None:
    parsed = Parsed(page(audited.audit, {}))
    assert HOSTILE in parsed.text
    assert "<b>" in parsed.text


def test_plots_show_every_utterance(audited: Audited) -> None:
    html = page(audited.audit, {})
    titles = re.findall(r"<title>[\d.]+ to [\d.]+ s: (\d+), ", html)
    assert sum(map(int, titles)) == audited.audit.corpora[0].utterances


def test_players_are_short_and_within_their_budget(audited: Audited) -> None:
    found = players(audited)
    assert found
    for (place, number), uri in found.items():
        example = audited.audit.findings[place].examples[number]
        content = base64.b64decode(uri.removeprefix("data:audio/flac;base64,"))
        samples, rate_hz = soundfile.read(io.BytesIO(content))
        assert rate_hz == RATE_HZ
        whole = CLIP_SAMPLES.get(example.id, len(TRAIN[2].samples))
        assert len(samples) == min(MAX_CLIP_S * RATE_HZ, whole)
    assert any(len(uri) > 60_000 for uri in found.values())
    budget = max(map(len, found.values())) + 10
    assert 0 < sum(map(len, players(audited, budget).values())) <= budget
    assert players(audited, 0) == {}


def test_a_page_to_give_away_holds_no_recordings(audited: Audited, tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", audited, with_audio=False)
    assert "data:audio" not in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def zeroth_row(speaker: int, number: int, text: str) -> dict[str, Any]:
    buffer = io.BytesIO()
    soundfile.write(buffer, speak(text, "ko", "ko+m1", number), RATE_HZ, format="FLAC")
    name = f"{speaker}_003_{number:04d}"
    audio = {"bytes": buffer.getvalue(), "path": f"{name}.flac"}
    return {
        "id": name,
        "speaker_id": speaker,
        "chapter_id": 3,
        "path": name,
        "audio": audio,
        "text": text,
    }


def test_zeroths_leakage_is_found_exactly_and_nearly(tmp_path: Path) -> None:
    """Its training and test sets are read from one pool of news sentences."""
    trained = [
        "인사를 결정하는 과정에서 당 지도부가 우왕좌왕했다",
        "그걸 의원들에게 다시 물어보는 것이 도리가 아닌가",
        "완산주라 부르게 되었는데 뒷날 전주로 이름을 바꾸었다",
    ]
    tested = [
        "그걸 의원들에게 다시 물어보는 것이 도리가 아닌가",
        "인사를 결정하는 과정에서 당 지도부는 우왕좌왕했다",
        "전혀 다른 문장이 시험에 하나 더 들어 있습니다",
    ]
    data = tmp_path / "zeroth"
    data.mkdir()
    for split, speaker, texts in (("train", 204, trained), ("test", 105, tested)):
        rows = [zeroth_row(speaker, number, text) for number, text in enumerate(texts)]
        pq.write_table(pa.Table.from_pylist(rows), data / f"{split}-00000-of-00001.parquet")
    for policy, exact in (("keep", ["105_003_0000"]), ("drop-from-train", [])):
        out = tmp_path / policy
        source = ZerothSource(source="zeroth", path=str(data), shared_sentences=policy)
        prepare("zeroth", source, out)
        found = {f.check: f.ids for f in audit(open_sources([out]), track=track).audit.findings}
        assert found.get("shared-sentence", []) == exact
        assert found["near-sentence"] == ["105_003_0001"]


def test_findings_become_lists_that_prepare_leaves_out(tmp_path: Path) -> None:
    """Audit, list, prepare, audit: what was found is gone, and the list keeps it away."""
    for clip in (*TRAIN, *TEST):
        samples = overdriven(clip.samples, 1.0) if clip.id == TRAIN[1].id else clip.samples
        soundfile.write(tmp_path / f"{clip.id}.wav", samples, RATE_HZ)
    texts = {TEST[0].id: TRAIN[0].text}
    rows = [
        {"id": c.id, "audio": f"{c.id}.wav", "text": texts.get(c.id, c.text), "split": c.split}
        for c in (*TRAIN, *TEST)
    ]
    listed = tmp_path / "list.jsonl"
    listed.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    given = {"source": "manifest", "language": "ko", "path": listed, "shared_sentences": "keep"}
    folder, lists = tmp_path / "corpora" / "mine", tmp_path / "lists"
    prepare("mine", ManifestSource.model_validate(given), folder)
    options = ["--exclude", "clipping", "--exclude", "shared-sentence", "--lists", lists]
    done = invoke(folder, "--no-html", "--workers", "1", *options)
    assert done.exit_code == 0
    # The overdriven clip, and of the shared sentence what is trained on, not the test.
    expected = [f"{TRAIN[0].id}\tshared-sentence", f"{TRAIN[1].id}\tclipping"]
    assert (lists / "mine.txt").read_text(encoding="utf-8").splitlines() == expected
    assert f"exclude: {lists / 'mine.txt'}" in done.stdout
    fixed = ManifestSource.model_validate({**given, "exclude": lists / "mine.txt"})
    assert prepare("mine", fixed, folder).reasons == {"excluded": 2}
    again = invoke(folder, "--no-html", "--workers", "1", *options)
    assert "list: none" in again.stdout
    assert "0 errors, 0 warnings" in again.stdout
    assert (lists / "mine.txt").read_text(encoding="utf-8").splitlines() == expected


def test_a_list_grows_and_keeps_what_a_person_wrote(ill: Path, tmp_path: Path) -> None:
    mine = tmp_path / "ill.txt"
    mine.write_text(f"of mine\n{TRAIN[1].id}\tbad\n", encoding="utf-8")
    result = audit(open_sources([ill]), track=track).audit
    (added,) = add_to_lists(result, ["clipping", "shared-sentence"], tmp_path)
    assert (added.added, added.total) == (1, 3)
    assert mine.read_text(encoding="utf-8").splitlines() == [
        "of mine",
        f"{TRAIN[1].id}\tbad",
        f"{TRAIN[0].id}\tshared-sentence",
    ]


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("cliping", 'did you mean "clipping"'),
        ("numbers", "is fixed otherwise: where the language has rules"),
    ],
)
def test_only_what_can_be_left_out_is_listed(clean: Path, check: str, message: str) -> None:
    done = invoke(clean, "--no-html", "--exclude", check)
    assert done.exit_code == 2
    assert message in done.stderr


def test_hours_lengths_rates_and_speakers_stand_in_the_terminal_and_in_the_page(
    audited: Audited, ill: Path
) -> None:
    corpus = audited.audit.corpora[0]
    shown = invoke(ill, "--no-html", "--workers", "1").stdout
    text = " ".join(Parsed(page(audited.audit, {})).text.split())
    for place in (shown, text):
        for histogram in (corpus.lengths, corpus.rates[0].histogram, corpus.snr):
            spread = f"{histogram.low:.1f} to {histogram.high:.1f}"
            assert f"median {histogram.median:.1f} {histogram.unit}, 5 to 95 %: {spread}" in place
        assert f"{corpus.median_noise_dbfs:.0f} dBFS" in place
        assert corpus.source in place
        assert all(speaker.speaker in place for speaker in corpus.speakers[:3])
        assert {hours_text(split.duration_s) for split in corpus.splits.values()} <= set(
            re.findall(r"[\d.]+ (?:min|s)", place)
        )
    # Utterances and speech of each bin.
    assert "8 to 10 1 8.0 s" in text


def test_a_small_plot_has_a_bar_for_every_count() -> None:
    assert sparkline([0, 1, 50, 100, 0]) == " ▁▄█ "
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "  "


def raw(folder: Path) -> Path:
    """The ill corpus as recordings with a list, in two folders of speakers."""
    clips = [*TRAIN[:1], replace(TRAIN[1], samples=LONG), replace(TEST[0], text=TRAIN[0].text)]
    lines = []
    for number, clip in enumerate(clips):
        path = folder / f"s{number % 2}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, clip.samples, RATE_HZ)
        path.with_suffix(".txt").write_text(clip.text, encoding="utf-8")
        lines.append(f"{path.relative_to(folder)};{clip.text};{clip.split}")
    text = "\n".join(["파일;전사;split", *lines])
    (folder / "내 녹음.csv").write_text(text, encoding="utf-8")
    return folder


def test_a_list_and_a_folder_of_recordings_are_prepared_into_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = raw(tmp_path / "raw")
    options = ("--language", "korean", "--no-html", "--workers", "1")
    listed = invoke(folder / "내 녹음.csv", *options)
    assert listed.exit_code == 0, listed.output
    assert "1 of 1 (100 %) sentences are trained on and tested with" in listed.stdout
    assert "under `corpora.내-녹음` in the recipe, then `soritune prepare RECIPE`" in listed.stdout
    assert sorted(path.name for path in (tmp_path / "cache/soritune").iterdir()) == ["doctor"]
    again = invoke(folder / "내 녹음.csv", *options)
    assert "done before" in again.stderr
    (folder / "내 녹음.csv").unlink()
    both = invoke(folder, *options)
    assert both.exit_code == 0, both.output
    assert "3/0/0" in both.stdout  # nothing is held back
    assert re.search(r"speakers +2 ", both.stdout)
    assert sorted(path.name for path in folder.iterdir()) == ["s0", "s1"]  # nothing is written


def test_raw_recordings_need_a_language(tmp_path: Path) -> None:
    done = invoke(raw(tmp_path / "raw"), "--no-html")
    assert (done.exit_code, "such as --language ko" in done.stderr) == (2, True)


def test_a_corpus_older_than_its_recipe_is_named(tmp_path: Path) -> None:
    folder = raw(tmp_path / "raw")
    recipe = tmp_path / "r.yaml"
    text = (
        f"name: r\noutput: {tmp_path}/out\nlanguage: ko\nmodel: {{base: builtin:tiny}}\n"
        f"corpora:\n  mine: {{source: manifest, path: '{folder}/내 녹음.csv'}}\n"
    )
    recipe.write_text(text, encoding="utf-8")
    assert CliRunner().invoke(app, ["prepare", str(recipe)]).exit_code == 0
    options = ("--no-html", "--workers", "1")
    fresh = invoke(recipe, *options)
    assert "was prepared before its recipe" not in fresh.stdout
    assert f"then `soritune prepare {recipe}`" in " ".join(fresh.stdout.split())
    recipe.write_text(text.replace(".csv'", ".csv', remove_offset: true"), encoding="utf-8")
    outdated = "mine: was prepared before its recipe or recordings changed; run soritune prepare"
    assert outdated in invoke(recipe, *options).stdout
    # A run folder stands for its corpora, as it was recorded there.
    assert "was prepared before its recipe" not in invoke(tmp_path / "out", *options).stdout


def test_a_remedy_says_where_it_goes_and_what_it_drops(audited: Audited, ill: Path) -> None:
    shown = " ".join(invoke(ill, "--no-html", "--workers", "1").stdout.split())
    shared = next(f for f in audited.audit.findings if f.check == "shared-sentence")
    assert sum(map(len, shared.leave_out.values())) == 1
    where = "under `corpora.ill` in the recipe, then `soritune prepare RECIPE`; "
    assert f"{where}drops 1 of 5" in shown
    text = " ".join(Parsed(page(audited.audit, {})).text.split())
    assert "drops 1 of 5" in text
    characters = next(f for f in audited.audit.findings if f.check == "characters")
    assert remedy(characters, audited.audit.corpora)[1].endswith(
        f"`exclude` drops {len(characters.ids)} of 5, `text` drops none"
    )
