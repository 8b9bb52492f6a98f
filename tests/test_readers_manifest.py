"""Lists of one's own recordings, as people write them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from made_source import is_prepared
from pydantic import TypeAdapter, ValidationError

from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.experiment.scoring import Sound, _conditions
from soritune.sources import SourceConfig, count_source, describe_source, read_source
from soritune.sources.formats.manifest import ManifestSource
from soritune.utterance import Rejected, Utterance


def source(path: Path, **settings: Any) -> ManifestSource:
    return ManifestSource(source="manifest", path=path, **{"language": "ko", **settings})


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    return write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def clip(path: Path, duration_s: float = 1.0, rate_hz: int = 8_000) -> Path:
    noise = np.random.default_rng(0).standard_normal(round(duration_s * rate_hz))
    soundfile.write(path, 0.1 * noise, rate_hz)
    return path


def entries(path: Path, **settings: Any) -> list[Utterance | Rejected]:
    return list(read_source(source(path, **settings)))


def check_first(entry: Utterance | Rejected, folder: Path) -> None:
    assert isinstance(entry, Utterance)
    assert entry.audio == folder / "clips/1.wav"
    assert (entry.text, entry.language, entry.split) == ("첫 문장", "ko", "test")
    assert (entry.speaker, entry.translation, entry.translation_language) == ("kim", "first", "en")


def test_where_a_mixed_collection_has_it_from_is_kept(tmp_path: Path) -> None:
    """Lists without a source have the shards and the identity that they had."""
    rows = [
        {"audio": str(clip(tmp_path / f"{n}.wav")), "text": f"문장 {n}", "split": "train"}
        for n in range(3)
    ]
    listed = source(jsonl(tmp_path / "list.jsonl", *rows))
    plain = describe_source(listed)["identity"]
    prepare("plain", listed, tmp_path / "out/plain")
    unnamed = Corpus.open(tmp_path / "out/plain")
    assert {record.source for record in unnamed.records()} == {None}
    (shard,) = unnamed.card.shards
    assert "source" not in pq.read_schema(tmp_path / "out/plain" / shard.file).names
    sources = ("radio", None, {"url": "…"})  # an object is something else of that name
    mixed = [{**row, "source": each} for row, each in zip(rows, sources, strict=True)]
    jsonl(tmp_path / "list.jsonl", *mixed)
    assert describe_source(listed)["identity"] != plain
    prepare("mixed", listed, tmp_path / "out/mixed")
    records = Corpus.open(tmp_path / "out/mixed").records()
    assert [record.source for record in records] == ["radio", None, None]
    groups = [_conditions(record, Sound(-20, 30)) for record in records]
    assert [each.get("source") for each in groups] == ["radio", None, None]


@pytest.mark.parametrize("audio", ["audio", "path", "audio_path", "audio_filepath", "file", "wav"])
@pytest.mark.parametrize("text", ["text", "transcript", "transcription", "sentence"])
def test_json_lines_under_any_common_name(tmp_path: Path, audio: str, text: str) -> None:
    row = {
        audio: "clips/1.wav",
        text: "첫 문장",
        "speaker_id": "kim",
        "english_transcription": "first",
        "locale": "ko-KR",
        "split": "test",
    }
    (entry,) = entries(jsonl(tmp_path / "list.jsonl", row))
    check_first(entry, tmp_path)
    assert entry.id == "clips/1.wav"


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_tables_with_or_without_byte_order_mark(
    tmp_path: Path, suffix: str, delimiter: str, encoding: str, newline: str
) -> None:
    rows = [
        ["Path", "Sentence", "client_id", "translation", "split"],
        ["clips/1.wav", "첫 문장", "kim", "first", "test"],
    ]
    text = newline.join(delimiter.join(row) for row in rows) + newline
    (entry,) = entries(write(tmp_path / f"list{suffix}", text, encoding))
    check_first(entry, tmp_path)


def test_csv_quotes_and_tsv_does_not(tmp_path: Path) -> None:
    (of_csv,) = entries(write(tmp_path / "a.csv", 'path,text,split\n1.wav,"네, ""예""",train\n'))
    (of_tsv,) = entries(write(tmp_path / "a.tsv", 'path\ttext\tsplit\n1.wav\t"네\ttrain\n'))
    assert isinstance(of_csv, Utterance)
    assert isinstance(of_tsv, Utterance)
    assert (of_csv.text, of_tsv.text) == ('네, "예"', '"네')


def test_a_line_that_is_none_is_rejected_with_its_number_and_the_rest_is_read(
    tmp_path: Path,
) -> None:
    good = json.dumps({"audio": "1.wav", "text": "글", "split": "train"})
    path = tmp_path / "list.jsonl"
    path.write_bytes(
        b"\n".join(
            [
                good.encode(),
                b'{"audio": "2.wav", "text": ',
                b"",
                b"[1, 2]",
                b'{"text": "x", "split": "train"}',
                b'{"audio": "3.wav", "split": "train"}',
                b'{"audio": "4.wav", "text": ["x"], "split": "train"}',
                b'{"audio": "5.wav", "text": "x", "split": "exam"}',
                b'{"audio": "6.wav", "text": "x"}',
                b'{"audio": "7.wav", "text": "x", "split": "train", "offset": "soon"}',
                b"[" * 100_000,
                good.encode(),
            ]
        )
    )
    found = entries(path)
    assert [isinstance(entry, Utterance) for entry in found] == [True] + 9 * [False] + [True]
    rejected = [entry for entry in found if isinstance(entry, Rejected)]
    assert [entry.reason for entry in rejected] == [
        *5 * ["bad-line"],
        "bad-split",
        "no-split",
        *2 * ["bad-line"],
    ]
    lines = [int(entry.where.rpartition(" ")[2]) for entry in rejected]
    assert lines == [2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert str(path) in rejected[0].where
    assert count_source(source(path)) == len(found)


def test_a_row_of_another_width_is_rejected(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "path,text,split\n1.wav,a,b,train\n2.wav,a,train\n3.wav\n")
    found = entries(path)
    assert [isinstance(entry, Utterance) for entry in found] == [False, True, False]
    assert "4 cells where the header has 3" in found[0].detail  # type: ignore[union-attr]


def test_text_that_is_no_utf_8_costs_its_line_only(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"path,text,split\n1.wav,"
        + "한글".encode("cp949")
        + b",train\n2.wav,"
        + "좋아".encode()
        + b",train\n"
        b"3.wav,so,train\n"
    )
    clip(tmp_path / "2.wav")
    card = prepare("c", source(path), tmp_path / "out")
    assert card.reasons == {"bad-text": 1, "missing": 1}
    assert card.taken == 1


def test_a_table_without_audio_or_text_column_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 1: no column for the audio; it has clip, text"):
        entries(write(tmp_path / "a.csv", "clip,text\n1.wav,x\n"))
    with pytest.raises(UserError, match=r"no column for the text; it has path"):
        entries(write(tmp_path / "b.csv", "path\n1.wav\n"))


def test_a_missing_list_and_an_unknown_kind_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such list"):
        entries(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match=r"\.jsonl, \.json, \.csv, \.tsv or \.parquet"):
        entries(write(tmp_path / "list.txt", "x"))


def test_a_mended_recording_is_noticed_and_an_unchanged_list_is_not_read_again(
    tmp_path: Path,
) -> None:
    rows = [{"audio": f"{n}.wav", "text": f"글 {n}", "split": "test"} for n in (1, 2)]
    config = source(jsonl(tmp_path / "l.jsonl", *rows))
    clip(tmp_path / "2.wav")
    out = tmp_path / "out"
    assert not is_prepared("c", config, out)
    assert prepare("c", config, out).reasons == {"missing": 1}
    assert is_prepared("c", config, out)
    (tmp_path / "1.wav").write_bytes(b"")
    assert not is_prepared("c", config, out)
    assert prepare("c", config, out).reasons == {"empty": 1}
    os.utime(tmp_path / "1.wav", ns=(0, 0))
    assert not is_prepared("c", config, out)


def test_the_recipe_tells_sources_apart_and_refuses_unknown_keys() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(SourceConfig)
    read = adapter.validate_python({"source": "manifest", "path": "a.jsonl", "test_share": 0.2})
    assert isinstance(read, ManifestSource)
    assert json.loads(json.dumps(describe_source(adapter.validate_python({"source": "zeroth"}))))
    for wrong in (
        {"source": "manifest", "path": "a.jsonl", "test_shares": 0.2},
        {"source": "manifest", "path": "a.jsonl", "test_share": 1.0},
        {"source": "manifest", "path": "a.jsonl", "split_by": []},
        {"source": "nothing"},
    ):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)
