"""Folders of recordings with a .txt beside each, or with metadata as AudioFolder has them."""

from __future__ import annotations

import json
import os
import unicodedata
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
from soritune.sources import count_source, describe_source, read_source
from soritune.sources.formats.folder import FolderSource
from soritune.utterance import Excerpt, Rejected, Utterance


def source(path: Path, **settings: Any) -> FolderSource:
    settings = {"test_share": 0, "dev_share": 0, **settings}
    return FolderSource(source="folder", path=path, **{"language": "ko", **settings})


def entries(path: Path, **settings: Any) -> list[Utterance | Rejected]:
    return list(read_source(source(path, **settings)))


def utterances(path: Path, **settings: Any) -> list[Utterance]:
    return [entry for entry in entries(path, **settings) if isinstance(entry, Utterance)]


def rejected(path: Path, **settings: Any) -> list[tuple[str, str]]:
    found = [entry for entry in entries(path, **settings) if isinstance(entry, Rejected)]
    return [(entry.id, entry.reason) for entry in found]


def put(path: Path, content: bytes | str = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_text_beside_each_recording_at_any_depth(tmp_path: Path) -> None:
    for name, text in (("kim/1.WAV", "하나"), ("kim/deep/2.flac", "둘\n"), ("3.mp3", " 셋")):
        put(tmp_path / name)
        put((tmp_path / name).with_suffix(".txt"), text)
    put(tmp_path / "cover.jpg")
    put(tmp_path / ".DS_Store")
    put(tmp_path / "kim" / "._1.wav")  # what a Mac leaves behind
    found = utterances(tmp_path)
    assert [(each.id, each.text, each.audio) for each in found] == [
        ("3.mp3", "셋", tmp_path / "3.mp3"),
        ("kim/1.WAV", "하나", tmp_path / "kim/1.WAV"),
        ("kim/deep/2.flac", "둘", tmp_path / "kim/deep/2.flac"),
    ]
    assert rejected(tmp_path) == []
    assert count_source(source(tmp_path)) == 3


def test_the_folder_above_names_the_speaker_where_that_is_asked(tmp_path: Path) -> None:
    for name in ("kim/1.wav", "lee/1.wav", "0.wav"):
        put(tmp_path / name)
        put((tmp_path / name).with_suffix(".txt"), f"글 {name}")
    assert {each.speaker for each in utterances(tmp_path)} == {None}
    voices = {each.id: each.speaker for each in utterances(tmp_path / "kim", speaker_from="parent")}
    assert voices == {"1.wav": None}
    (tmp_path / "0.wav").unlink()
    (tmp_path / "0.txt").unlink()
    voices = {each.id: each.speaker for each in utterances(tmp_path, speaker_from="parent")}
    assert voices == {"kim/1.wav": "kim", "lee/1.wav": "lee"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("가나다".encode(), "가나다"),
        ("\ufeff가나다\r\n".encode(), "가나다"),
        ("가나다".encode("cp949"), "가나다"),
        ("가나다".encode("utf-16"), "가나다"),
    ],
)
def test_texts_in_the_encodings_that_editors_write(
    tmp_path: Path, content: bytes, text: str
) -> None:
    put(tmp_path / "1.wav")
    put(tmp_path / "1.txt", content)
    (entry,) = utterances(tmp_path)
    assert entry.text == text


def test_names_in_either_unicode_form_belong_together(tmp_path: Path) -> None:
    put(tmp_path / unicodedata.normalize("NFD", "가다.wav"))
    put(tmp_path / unicodedata.normalize("NFC", "가다.txt"), "글")
    assert len(utterances(tmp_path)) == 1


def test_what_lacks_its_other_half_is_told(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.wav")
    put(tmp_path / "a" / "2.txt", "글")
    put(tmp_path / "a" / "3.m4a")
    put(tmp_path / "a" / "4.wav")
    put(tmp_path / "a" / "4.txt", "")
    put(tmp_path / "a" / "5.wav")
    put(tmp_path / "a" / "5.txt", "x" * (2**20 + 1))
    put(tmp_path / "a" / "6.wav")
    put(tmp_path / "a" / "6.txt", b"\x81\xff\x00\x01")
    assert rejected(tmp_path) == [
        ("a/1.wav", "empty-text"),
        ("a/3.m4a", "empty-text"),
        ("a/4.wav", "empty-text"),
        ("a/5.wav", "bad-line"),
        ("a/6.wav", "bad-text"),
        ("a/2.txt", "missing"),
    ]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_metadata_name_recordings_of_their_folder_and_below(tmp_path: Path, form: str) -> None:
    rows = [
        {"file_name": "1.wav", "transcription": "하나", "speaker_id": "kim"},
        {"file_name": "deep/2.wav", "transcription": "둘", "speaker_id": "lee"},
    ]
    folder = tmp_path / "data"
    for row in rows:
        put(folder / row["file_name"])
    path = folder / f"metadata.{form}"
    if form == "jsonl":
        put(path, "".join(json.dumps(row) + "\n" for row in rows))
    elif form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        mark = "," if form == "csv" else "\t"
        lines = [mark.join(rows[0]), *(mark.join(row.values()) for row in rows)]
        put(path, "\n".join(lines) + "\n")
    found = entries(tmp_path)
    assert found == [
        Utterance("data/1.wav", folder / "1.wav", "하나", "ko", "train", "kim"),
        Utterance("data/deep/2.wav", folder / "deep/2.wav", "둘", "ko", "train", "lee"),
    ]


def test_metadata_and_texts_do_not_give_a_recording_twice(tmp_path: Path) -> None:
    put(tmp_path / "1.wav")
    put(tmp_path / "1.txt", "aus der Datei")
    put(tmp_path / "2.wav")
    put(tmp_path / "metadata.csv", "file_name,transcription\n1.wav,aus der Liste\n")
    assert [(each.id, each.text) for each in utterances(tmp_path)] == [("1.wav", "aus der Liste")]
    assert rejected(tmp_path) == [("2.wav", "empty-text")]


def test_metadata_may_name_parts_and_never_leave_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "in" / "1.wav")
    put(tmp_path / "out.wav")
    put(
        tmp_path / "in" / "metadata.csv",
        "file_name,transcription,offset,duration\n"
        f"1.wav,하나,1.5,2\n../out.wav,둘,,\n{tmp_path / 'out.wav'},셋,,\nnone.wav,넷,,\n",
    )
    found = entries(tmp_path / "in")
    assert found[0] == Utterance(
        "1.wav 1.5+2", Excerpt(tmp_path / "in/1.wav", 1.5, 2.0), "하나", "ko", "train"
    )
    assert rejected(tmp_path / "in") == [
        ("../out.wav", "bad-line"),
        (str(tmp_path / "out.wav"), "bad-line"),
    ]
    # A file that is not there is found missing when it is prepared, as with any list.
    assert isinstance(found[3], Utterance)


def test_folders_may_be_splits(tmp_path: Path) -> None:
    for name in ("train/1.wav", "test/2.wav", "other/3.wav"):
        put(tmp_path / name)
        put((tmp_path / name).with_suffix(".txt"), f"글 {name}")
    splits = {"train": "train", "test": "test"}
    found = utterances(tmp_path, splits=splits, speaker_from="parent")
    assert [(each.id, each.split, each.speaker) for each in found] == [
        ("train/1.wav", "train", None),
        ("test/2.wav", "test", None),
    ]
    with pytest.raises(UserError, match="must not be trained on"):
        entries(tmp_path, splits={"train": "train", "test": "train/../train"})


def test_a_link_in_a_circle_is_walked_once(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.wav")
    put(tmp_path / "a" / "1.txt", "글")
    os.symlink(tmp_path, tmp_path / "a" / "again")
    assert len(entries(tmp_path)) == 1


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_with_nothing_in_it_or_none_is_one_line(tmp_path: Path, there: bool) -> None:
    with pytest.raises(UserError, match="holds no recordings" if there else "there is no folder"):
        entries(tmp_path if there else tmp_path / "nowhere")


def test_metadata_without_a_transcript_say_what_they_have(tmp_path: Path) -> None:
    put(tmp_path / "metadata.csv", "file_name,label\n1.wav,3\n")
    with pytest.raises(UserError, match="no column for the text; it has file_name, label"):
        entries(tmp_path)


def test_taken_and_quarantined_are_what_was_read(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    for name in ("kim/1.wav", "lee/2.wav"):
        put(tmp_path / "in" / name)
        soundfile.write(tmp_path / "in" / name, noise, 16_000)
        put((tmp_path / "in" / name).with_suffix(".txt"), f"글 {name}")
    put(tmp_path / "in" / "lee" / "3.wav", b"RIFF")
    put(tmp_path / "in" / "lee" / "3.txt", "글")
    put(tmp_path / "in" / "lee" / "4.m4a", b"....ftypM4A ")
    put(tmp_path / "in" / "lee" / "4.txt", "글 넷")
    card = prepare("mine", source(tmp_path / "in"), tmp_path / "out")
    assert (card.read, card.taken, card.quarantined) == (4, 2, 2)
    assert set(card.reasons) == {"unreadable"}
    assert [record.id for record in Corpus.open(tmp_path / "out").records("train")] == [
        "kim/1.wav",
        "lee/2.wav",
    ]


def test_a_changed_text_is_noticed(tmp_path: Path) -> None:
    put(tmp_path / "1.wav")
    text = put(tmp_path / "1.txt", "글")
    before = describe_source(source(tmp_path))
    assert describe_source(source(tmp_path)) == before
    text.write_text("말", encoding="utf-8")
    assert describe_source(source(tmp_path)) != before


def test_clips_that_are_links_are_not_told_twice(tmp_path: Path) -> None:
    # As git-annex and the cache of the Hugging Face hub keep files: names are links to contents.
    put(tmp_path / "blobs" / "8f3a")
    (tmp_path / "data").mkdir()
    os.symlink(tmp_path / "blobs" / "8f3a", tmp_path / "data" / "1.wav")
    put(tmp_path / "data" / "metadata.csv", "file_name,transcription\n1.wav,하나\n")
    assert [entry.id for entry in entries(tmp_path / "data")] == ["1.wav"]


def test_metadata_above_the_splits_name_them_in_a_column(tmp_path: Path) -> None:
    rows = "train/1.wav,하나,train\ntest/2.wav,둘,test\n"
    put(tmp_path / "metadata.csv", f"file_name,transcription,split\n{rows}")
    for name in ("train/1.wav", "test/2.wav"):
        put(tmp_path / name)
    assert [(each.id, each.split) for each in utterances(tmp_path)] == [
        ("train/1.wav", "train"),
        ("test/2.wav", "test"),
    ]
    assert rejected(tmp_path) == []
