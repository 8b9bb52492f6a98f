"""FLEURS in its forms, and two languages joined to pairs."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.experiment.selection import select_records
from soritune.recipe import Evaluation
from soritune.sources import describe_source, published_source, read_source
from soritune.sources.corpora.fleurs import FleursSource
from soritune.utterance import Rejected, Utterance

Row = tuple[int, str, str]  # sentence id, file, raw transcription
KOREAN: list[Row] = [
    (1904, "10.wav", '그는 "아니오"라고 말했다.'),
    (1904, "11.wav", '그는 "아니오"라고 말했다.'),
    (1675, "12.wav", "2009년 3월이었다."),
    (1800, "13.wav", "영어에는 없는 문장."),
]
ENGLISH: list[Row] = [
    (1675, "20.wav", "It was March 2009."),
    (1904, "21.wav", 'He said "no".'),
    (1904, "22.wav", 'He said "no".'),
    (1700, "23.wav", "Not in Korean."),
]
BOTH = ["ko_kr", "en_us"]


def wav(seed: int = 0) -> bytes:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(8000)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def line(row: Row) -> str:
    sentence, file, raw = row
    plain = raw.lower().replace(".", "").replace('"', "")
    characters = " ".join(plain.replace(" ", "|")) + " |"
    return f"{sentence}\t{file}\t{raw}\t{plain}\t{characters}\t8000\tFEMALE\n"


def tables(root: Path, language: str, split: str, rows: list[Row], text: str | None = None) -> None:
    folder = root / "data" / language
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    content = "".join(map(line, rows)) if text is None else text
    (folder / f"{split}.tsv").write_text(content, encoding="utf-8")
    with tarfile.open(folder / "audio" / f"{split}.tar.gz", "w:gz") as tar:
        for file in sorted({row[1] for row in rows}):
            member = tarfile.TarInfo(f"{split}/{file}")
            member.size = len(wav())
            tar.addfile(member, io.BytesIO(wav()))


def parquet(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = [
        {
            "id": sentence,
            "num_samples": 8000,
            "path": f"/somewhere/cache/{file}",
            "audio": {"bytes": wav(), "path": file},
            "transcription": raw.lower(),
            "raw_transcription": raw,
            "gender": 1,
            "lang_id": 19,
        }
        for sentence, file, raw in rows
    ]
    pq.write_table(pa.Table.from_pylist(values), path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tables(tmp_path / "fleurs", "ko_kr", "test", KOREAN)
    tables(tmp_path / "fleurs", "en_us", "test", ENGLISH)
    return tmp_path / "fleurs"


def source(path: Path | str, **settings: Any) -> FleursSource:
    settings = {"splits": ["test"], **settings}
    return FleursSource(source="fleurs", path=str(path), **{"languages": BOTH, **settings})


def found(path: Path, **settings: Any) -> list[str]:
    return [e.id for e in read_source(source(path, **settings)) if isinstance(e, Utterance)]


PAIRS = [
    ("ko_kr/test/1904/10", "ko", '그는 "아니오"라고 말했다.', 'He said "no".', "en"),
    ("ko_kr/test/1675/12", "ko", "2009년 3월이었다.", "It was March 2009.", "en"),
    ("en_us/test/1675/20", "en", "It was March 2009.", "2009년 3월이었다.", "ko"),
    ("en_us/test/1904/21", "en", 'He said "no".', '그는 "아니오"라고 말했다.', "ko"),
]


@pytest.mark.parametrize("form", ["tar.gz", "unpacked", "parquet", "converted"])
def test_both_languages_carry_each_others_text_in_every_form(
    root: Path, tmp_path: Path, form: str
) -> None:
    if form == "unpacked":
        for path in root.rglob("test.tar.gz"):
            with tarfile.open(path) as tar:
                tar.extractall(path.parent, filter="data")
            path.unlink()
    elif form != "tar.gz":
        root = tmp_path / "parquet"
        for language, rows in (("ko_kr", KOREAN), ("en_us", ENGLISH)):
            name = "test-00000-of-00001" if form == "parquet" else "test/0000"
            parquet(root / language / f"{name}.parquet", rows)
    prepare("fleurs", source(root), tmp_path / "out")
    records = Corpus.open(tmp_path / "out").records("test")
    assert [
        (r.id, r.language, r.text, r.translation, r.translation_language) for r in records
    ] == PAIRS


def test_an_evaluation_takes_the_language_that_it_starts_from(root: Path, tmp_path: Path) -> None:
    prepare("fleurs", source(root), tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    for start, to in (("ko", "en"), ("en", "ko")):
        evaluation = Evaluation.model_validate(
            {"corpus": "fleurs", "task": "ast", "from": start, "to": to}
        )
        chosen = select_records("x", evaluation, corpus)
        assert [(r.language, r.translation_language) for r in chosen] == [(start, to)] * 2


def test_test_sentences_count_once_unless_all_recordings_are_asked_for(root: Path) -> None:
    assert len(found(root)) == 4
    everything = found(root, test_recordings="all")
    assert len(everything) == 6
    assert {"ko_kr/test/1904/11", "en_us/test/1904/22"} <= set(everything)


def test_training_keeps_every_recording_and_sentences_without_a_partner_are_told(
    root: Path,
) -> None:
    for language, rows in (("ko_kr", KOREAN), ("en_us", ENGLISH)):
        tables(root, language, "train", rows)
    entries = list(read_source(source(root, splits=["train"])))
    assert sum(isinstance(e, Utterance) for e in entries) == 6
    assert [(e.id, e.reason) for e in entries if isinstance(e, Rejected)] == [
        ("ko_kr/train/1800/13", "no-translation"),
        ("en_us/train/1700/23", "no-translation"),
    ]


def test_one_language_alone_needs_no_partner(root: Path) -> None:
    entries = list(read_source(source(root, languages=["ko_kr"])))
    assert [e.translation for e in entries if isinstance(e, Utterance)] == [None] * 3


def test_plain_transcripts_are_the_normalised_column(root: Path) -> None:
    entries = list(read_source(source(root, transcription="plain")))
    texts = {e.text for e in entries if isinstance(e, Utterance)}
    assert "it was march 2009" in texts
    assert not {"It was March 2009."} & texts


def test_ids_choose_the_test_sentences(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("\ufeff1904\r\n", encoding="utf-8")
    chosen = ["ko_kr/test/1904/10", "en_us/test/1904/21"]
    assert found(root, ids=str(ids)) == chosen

    hub = tmp_path / "hub" / "data"
    hub.mkdir(parents=True)
    pq.write_table(pa.table({"id": [1904]}), hub / "test-00000-of-00001.parquet")
    asked: list[str] = []

    def snapshot(repository: str, **settings: Any) -> str:
        asked.append(repository)
        return str(hub.parent)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert found(root, ids="seastar105/fleurs_ko_en_test") == chosen
    assert asked == ["seastar105/fleurs_ko_en_test"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1904\n1800\n", r"1 of the 2 ids .* not in the test split of ko_kr and en_us .*1800"),
        ("", "holds no ids"),
        (None, "neither a file nor"),
    ],
)
def test_ids_that_cannot_be_are_refused(
    root: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "ids.txt"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        list(read_source(source(root, ids=str(path))))


def test_odd_lines_cost_themselves_only(root: Path, tmp_path: Path) -> None:
    good = [(1904, "10.wav", "그는 말했다."), (1675, "12.wav", '"2009년')]
    odd = [
        (1904, "gone.wav", "소리가 없다"),
        (1675, "12.wav", "같은 소리"),
        (1675, "13.wav", " "),
        (1675, "../10.wav", "폴더를 떠난다"),
        (1675, "14.wav", "탭이\t있다"),
    ]
    text = "\ufeff" + "".join(map(line, good + odd)) + "1675\t15.wav\n\n"
    tables(root, "ko_kr", "test", good, text)
    card = prepare("fleurs", source(root, test_recordings="all"), tmp_path / "out")
    assert card.languages == {"ko": 2, "en": 3}
    assert card.reasons == {
        "bad-line": 3,
        "duplicate-id": 1,
        "empty-text": 1,
        "missing": 1,
        "no-translation": 1,
    }
    first = Corpus.open(tmp_path / "out").records()[0]
    assert first.id == "ko_kr/test/1904/10"


def test_an_archive_that_leaves_its_folder_or_breaks_off_is_refused(root: Path) -> None:
    path = root / "data" / "ko_kr" / "audio" / "test.tar.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    with pytest.raises(UserError, match=r"test\.tar\.gz: .*damaged"):
        list(read_source(source(root)))
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("test/../../10.wav")
        tar.addfile(member, io.BytesIO(b""))
    with pytest.raises(UserError, match="leaves its folder"):
        list(read_source(source(root)))
    path.unlink()
    with pytest.raises(UserError, match="no such archive"):
        list(read_source(source(root)))


def test_what_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(UserError, match=r"neither ja_jp/test\.tsv nor Parquet"):
        list(read_source(source(root, languages=["ko_kr", "ja_jp"])))
    with pytest.raises(UserError, match=r"neither ko_kr/dev\.tsv"):
        list(read_source(source(root, splits=["dev"])))
    with pytest.raises(UserError, match="no folder"):
        list(read_source(source("./fleurs")))
    with pytest.raises(UserError, match="ko_kr twice"):
        list(read_source(source(root, languages=["ko_kr", "ko_kr"])))


def test_from_the_hub_only_what_is_asked_for_is_downloaded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    answers = [root, tmp_path / "nothing", tmp_path / "converted"]

    def snapshot(repository: str, **settings: Any) -> str:
        assert repository == "google/fleurs"
        asked.append(settings["allow_patterns"])
        return str(answers[len(asked) - 1])

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    settings = {"languages": ["ko_kr"], "splits": ["test"]}
    assert list(read_source(FleursSource(source="fleurs", **{"languages": BOTH, **settings})))  # type: ignore[arg-type]
    assert asked == [["data/ko_kr/test.tsv", "data/ko_kr/audio/test.tar.gz"]]

    # A revision that has Parquet files only.
    parquet(tmp_path / "converted" / "ko_kr" / "validation" / "0000.parquet", KOREAN)
    settings = {"languages": ["ko_kr"], "splits": ["dev"]}
    entries = list(read_source(FleursSource(source="fleurs", **{"languages": BOTH, **settings})))  # type: ignore[arg-type]
    assert len(entries) == 4
    assert asked[2] == ["*ko_kr/*validation*.parquet"]


def test_the_published_pairs_are_270_each_way() -> None:
    published = published_source(FleursSource(source="fleurs", languages=BOTH, splits=["test"]))
    assert published is not None
    assert published.languages == {"ko": 270, "en": 270}
    assert published.splits == {"test": 540}


def test_changed_files_or_ids_are_prepared_anew(root: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("1904", encoding="utf-8")
    before = describe_source(source(root, ids=str(ids)))
    assert describe_source(source(root, ids=str(ids))) == before
    ids.write_text("1675", encoding="utf-8")
    assert describe_source(source(root, ids=str(ids))) != before
