"""Zeroth's Parquet files, in the exact form in which the hub has them."""

from __future__ import annotations

import io
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
from soritune.sources import count_source, read_source
from soritune.sources.corpora.zeroth import ZerothSource
from soritune.utterance import Utterance

# Features of the data set's card: id and path string, speaker_id and chapter_id int64.
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("speaker_id", pa.int64()),
        ("chapter_id", pa.int64()),
        ("path", pa.string()),
        ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("text", pa.string()),
    ]
)


def row(speaker: int, number: int) -> dict[str, Any]:
    name = f"{speaker}_003_{number:04d}"
    samples = 0.1 * np.random.default_rng(number).standard_normal(8000)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="FLAC")
    return {
        "id": name,
        "speaker_id": speaker,
        "chapter_id": 3,
        "path": f"/train_data_01/003/{speaker}/{name}.flac",
        "audio": {"bytes": buffer.getvalue(), "path": f"{name}.flac"},
        "text": f"문장 번호 {number}",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "zeroth" / "data"
    data.mkdir(parents=True)
    files = {
        "test-00000-of-00001.parquet": [row(105, 0), row(106, 1)],
        "train-00001-of-00002.parquet": [row(204, 4)],
        "train-00000-of-00002.parquet": [row(204, 2), row(205, 3)],
    }
    for name, rows in files.items():
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), data / name)
    return tmp_path / "zeroth"


def source(path: Path | str) -> ZerothSource:
    return ZerothSource(source="zeroth", path=str(path))


def test_rows_become_korean_utterances_of_their_split(folder: Path) -> None:
    found = list(read_source(source(folder)))
    assert all(isinstance(entry, Utterance) for entry in found)
    assert [(e.id, e.split, e.speaker) for e in found if isinstance(e, Utterance)] == [
        ("105_003_0000", "test", "105"),
        ("106_003_0001", "test", "106"),
        ("204_003_0002", "train", "204"),
        ("205_003_0003", "train", "205"),
        ("204_003_0004", "train", "204"),
    ]
    assert count_source(source(folder)) == 5


@pytest.mark.parametrize("below", ["", "data"])
def test_it_is_prepared_from_the_folder_or_the_one_above(
    folder: Path, tmp_path: Path, below: str
) -> None:
    card = prepare("zeroth", source(folder / below), tmp_path / "out")
    assert (card.read, card.taken, card.languages) == (5, 5, {"ko": 5})
    record = Corpus.open(tmp_path / "out").records("test")[1]
    assert (record.text, record.duration_s, record.translation) == ("문장 번호 1", 0.5, None)


def test_rows_without_audio_or_text_are_quarantined(folder: Path, tmp_path: Path) -> None:
    rows = [row(1, 10), {**row(1, 11), "audio": None}, {**row(1, 12), "text": None}]
    rows.append({**row(1, 13), "id": None})
    rows.append({**row(1, 14), "audio": {"bytes": None, "path": "gone.flac"}})
    path = folder / "data" / "train-00000-of-00002.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    card = prepare("zeroth", source(folder), tmp_path / "out")
    assert card.reasons == {"bad-line": 1, "empty-text": 1, "missing": 2}


def test_the_published_size_is_known_without_a_download() -> None:
    assert count_source(ZerothSource(source="zeroth")) == 22_720


@pytest.mark.parametrize("path", ["/nowhere/zeroth", "./zeroth", "zeroth", "data/raw/zeroth"])
def test_a_missing_folder_is_not_looked_for_on_the_hub(path: str) -> None:
    with pytest.raises(UserError, match="no folder"):
        list(read_source(source(path)))


def test_a_folder_without_its_files_says_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data/\*\.parquet"):
        list(read_source(source(tmp_path)))


def test_a_cut_file_and_one_of_another_data_set_are_named(folder: Path) -> None:
    path = folder / "data" / "train-00000-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"train-00000-of-00002\.parquet"):
        list(read_source(source(folder)))
    pq.write_table(pa.table({"id": ["a"], "sentence": ["b"]}), path)
    with pytest.raises(UserError, match="lacks the columns audio, text"):
        list(read_source(source(folder)))


def test_without_network_it_says_what_to_download_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    def offline(*args: object, **settings: object) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("Name or service not known\nmore")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(UserError, match=r"Name or service not known\); download data") as caught:
        list(read_source(ZerothSource(source="zeroth")))
    assert "huggingface.co/datasets/kresnik/zeroth_korean" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mirror_without_ids_has_them_from_its_file_names(folder: Path, tmp_path: Path) -> None:
    # Bingsu/zeroth-korean: the columns audio and text, no more.
    for path in (folder / "data").glob("*.parquet"):
        pq.write_table(pq.read_table(path).select(["audio", "text"]), path)
    card = prepare("zeroth", source(folder), tmp_path / "out")
    assert (card.read, card.taken) == (5, 5)
    records = Corpus.open(tmp_path / "out").records("test")
    assert [(r.id, r.speaker) for r in records] == [
        ("105_003_0000", "105"),
        ("106_003_0001", "106"),
    ]
