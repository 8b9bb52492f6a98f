"""Lists in the forms of others: NVIDIA NeMo's manifests, and Parquet."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.sources import count_source, describe_source, read_source
from soritune.sources.formats.manifest import ManifestSource
from soritune.utterance import Excerpt, Rejected, Utterance

RATE_HZ = 16_000


def source(path: Path, **settings: Any) -> ManifestSource:
    settings = {"test_share": 0, "dev_share": 0, **settings}
    return ManifestSource(source="manifest", path=path, **{"language": "ko", **settings})


def entries(path: Path, **settings: Any) -> list[Utterance | Rejected]:
    return list(read_source(source(path, **settings)))


def rejected(path: Path, **settings: Any) -> list[tuple[str, str]]:
    found = [entry for entry in entries(path, **settings) if isinstance(entry, Rejected)]
    return [(entry.id, entry.reason) for entry in found]


def nemo(path: Path, *rows: dict[str, Any]) -> Path:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def samples_of(seed: int, duration_s: float = 1.0) -> npt.NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    return rng.integers(-9_000, 9_000, round(duration_s * RATE_HZ), dtype=np.int16)


def wav(samples: npt.NDArray[np.int16]) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format="WAV")
    return file.getvalue()


def heard(out: Path) -> dict[str, npt.NDArray[np.float32]]:
    corpus = Corpus.open(out)
    return {record.id: corpus.samples(record) for record in corpus.records("train")}


# NeMo: docs.nvidia.com/nemo-framework, "ASR datasets": audio_filepath, duration and text are
# needed, offset is where an utterance begins in its file; Canary's add source_lang, target_lang.


def test_a_manifest_of_nemo_is_read_as_it_is(tmp_path: Path) -> None:
    path = nemo(
        tmp_path / "train_manifest.json",
        {"audio_filepath": "/data/1.wav", "duration": 14.7, "text": "첫 문장"},
        {"audio_filepath": "2.wav", "duration": 1.5, "offset": 3.25, "text": "둘째", "lang": "ko"},
        {"audio_filepath": "2.wav", "duration": 1.5, "offset": 0, "text": "셋째", "lang": "en"},
        {
            "audio_filepath": "3.wav",
            "duration": 2.0,
            "text": "넷째",
            "source_lang": "ko",
            "target_lang": "ko",
            "taskname": "asr",
            "pnc": "yes",
        },
    )
    assert entries(path) == [
        Utterance("/data/1.wav", Path("/data/1.wav"), "첫 문장", "ko", "train"),
        Utterance("2.wav 3.25+1.5", Excerpt(tmp_path / "2.wav", 3.25, 1.5), "둘째", "ko", "train"),
        Utterance("2.wav 0+1.5", Excerpt(tmp_path / "2.wav", 0.0, 1.5), "셋째", "en", "train"),
        Utterance("3.wav", tmp_path / "3.wav", "넷째", "ko", "train"),
    ]


def test_parts_of_a_file_hold_its_samples_from_the_offset_on(tmp_path: Path) -> None:
    samples = samples_of(0, 4)
    (tmp_path / "a.wav").write_bytes(wav(samples))
    rows = [
        {"audio_filepath": "a.wav", "offset": 0.5, "duration": 1.25, "text": "하나"},
        {"audio_filepath": "a.wav", "offset": 2.0, "duration": 2.0, "text": "둘"},
        {"audio_filepath": "a.wav", "offset": 3.0, "duration": 3.0, "text": "셋"},
    ]
    card = prepare("mine", source(nemo(tmp_path / "m.jsonl", *rows)), tmp_path / "out")
    found = heard(tmp_path / "out")
    scaled = samples / np.float32(32_768)
    assert np.array_equal(found["a.wav 0.5+1.25"], scaled[8_000:28_000])
    assert np.array_equal(found["a.wav 2+2"], scaled[32_000:])
    assert (card.read, card.taken, card.reasons) == (3, 2, {"outside": 1})


def test_a_translation_that_poses_as_a_transcript_is_told(tmp_path: Path) -> None:
    row = {"audio_filepath": "1.wav", "duration": 1.0, "text": "Good morning"}
    languages = {"source_lang": "ko", "target_lang": "en"}
    assert rejected(nemo(tmp_path / "m.jsonl", {**row, **languages})) == [("1.wav", "bad-line")]


def test_a_json_array_says_how_to_make_lines_of_it(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"audio": "1.wav", "text": "글"}], indent=1), encoding="utf-8")
    with pytest.raises(UserError, match="one JSON array; write an object a line"):
        entries(path)


@pytest.mark.parametrize("offset", ["soon", True, [1]])
def test_an_offset_that_is_no_time_is_told(tmp_path: Path, offset: object) -> None:
    row = {"audio_filepath": "1.wav", "offset": offset, "text": "글"}
    assert rejected(nemo(tmp_path / "m.jsonl", row)) == [("1.wav", "bad-line")]


# Parquet: as `datasets` writes audio (a struct of bytes and path), bare bytes, or paths.


@pytest.mark.parametrize("form", ["struct", "bytes"])
def test_audio_may_stand_in_the_parquet_file(tmp_path: Path, form: str) -> None:
    clips = [samples_of(seed) for seed in (1, 2)]
    cells: list[Any] = [wav(clip) for clip in clips]
    if form == "struct":
        cells = [{"bytes": cell, "path": f"{n}.wav"} for n, cell in enumerate(cells)]
    table = pa.table({"audio": cells, "sentence": ["첫 문장", "둘째 문장"], "up_votes": [2, 0]})
    path = tmp_path / "list.parquet"
    pq.write_table(table, path)
    prepare("mine", source(path), tmp_path / "out")
    names = ["0.wav", "1.wav"] if form == "struct" else ["list.parquet row 1", "list.parquet row 2"]
    found = heard(tmp_path / "out")
    assert sorted(found) == names
    for name, clip in zip(names, clips, strict=True):
        assert np.array_equal(found[name], clip / np.float32(32_768))
    assert count_source(source(path)) == 2


def test_a_parquet_list_may_name_files(tmp_path: Path) -> None:
    table = pa.table({"path": ["a/1.wav"], "text": ["글"], "speaker": ["kim"], "split": ["test"]})
    path = tmp_path / "list.parquet"
    pq.write_table(table, path)
    assert entries(path) == [Utterance("a/1.wav", tmp_path / "a/1.wav", "글", "ko", "test", "kim")]


def test_rows_of_parquet_without_audio_or_text_are_told(tmp_path: Path) -> None:
    cells = [{"bytes": None, "path": None}, None, {"bytes": wav(samples_of(1)), "path": "3.wav"}]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"audio": pa.array(cells, kind), "text": ["하나", "둘", None]})
    path = tmp_path / "list.parquet"
    pq.write_table(table, path)
    assert [reason for _, reason in rejected(path)] == ["missing", "missing", "empty-text"]


def test_parquet_that_is_none_or_lacks_a_column_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"list\.parquet"):
        entries(path)
    pq.write_table(pa.table({"audio": ["1.wav"], "label": [3]}), path)
    with pytest.raises(UserError, match="no column for the text; it has audio, label"):
        entries(path)


def test_a_parquet_list_that_changed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table({"audio": [wav(samples_of(1))], "text": ["글"]}), path)
    before = describe_source(source(path))
    assert describe_source(source(path)) == before
    pq.write_table(pa.table({"audio": [wav(samples_of(1, 2))], "text": ["글"]}), path)
    assert describe_source(source(path)) != before
