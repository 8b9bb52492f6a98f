"""Data sets through `datasets`: local ones that it wrote itself, and a hub that fails."""

from __future__ import annotations

import datetime
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from pydantic import ValidationError

from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.sources import describe_source, published_source, read_source
from soritune.sources.formats import hub_rows as rows_module
from soritune.sources.formats.hub import HubSource
from soritune.sources.formats.hub_rows import TRIES, Dataset, is_temporary, read_rows
from soritune.utterance import Rejected, Utterance

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `datasets` converts stays in the test's folder, and no hub is asked."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def samples(seed: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(3200)).astype(np.float32)


def clip(seed: int) -> bytes:
    """0.2 s of noise as FLAC."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples(seed), 16_000, format="FLAC")
    return buffer.getvalue()


def table(numbers: range, **columns: list[Any]) -> Any:
    """A data set with the feature `Audio`, as `datasets` itself writes it."""
    audio = [{"bytes": clip(n), "path": f"{n}.flac"} for n in numbers]
    text = [f"문장 {n}" for n in numbers]
    made = datasets.Dataset.from_dict({"audio": audio, "sentence": text, **columns})
    stored = made.cast_column("audio", datasets.Audio(decode=False))
    return stored.cast_column("audio", datasets.Audio(16_000))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two splits; the training split in two files, with speakers and nested translations."""
    dataset = tmp_path / "set"
    (dataset / "data").mkdir(parents=True)
    for index, numbers in enumerate((range(3), range(3, 5))):
        translation = [{"ko": f"문장 {n}", "en": f"line {n}"} for n in numbers]
        part = table(numbers, speaker_id=[n % 2 for n in numbers], pair=translation)
        part.to_parquet(dataset / "data" / f"train-0000{index}-of-00002.parquet")
    numbers = range(5, 7)
    translation = [{"ko": "", "en": ""} for _ in numbers]
    part = table(numbers, speaker_id=[7, 8], pair=translation)
    part.to_parquet(dataset / "data" / "validation-00000-of-00001.parquet")
    return dataset


def source(path: Path | str, **settings: Any) -> HubSource:
    return HubSource(source="hub", path=str(path), **{"language": "ko", **settings})


def taken(path: Path | str, **settings: Any) -> list[Utterance]:
    found = list(read_source(source(path, **settings)))
    assert all(isinstance(entry, Utterance) for entry in found), found
    return [entry for entry in found if isinstance(entry, Utterance)]


@pytest.mark.parametrize("streaming", [True, False, None])
def test_splits_and_columns_are_mapped(folder: Path, streaming: bool | None) -> None:
    found = taken(
        folder,
        splits={"test": "validation", "train": ["train"]},
        columns={"translation": "pair.en", "speaker": "speaker_id"},
        streaming=streaming,
    )
    assert [(e.id, e.text, e.split, e.speaker) for e in found] == [
        ("train/1", "문장 0", "train", "0"),
        ("train/2", "문장 1", "train", "1"),
        ("train/3", "문장 2", "train", "0"),
        ("train/4", "문장 3", "train", "1"),
        ("train/5", "문장 4", "train", "0"),
        ("validation/1", "문장 5", "test", "7"),
        ("validation/2", "문장 6", "test", "8"),
    ]
    assert [e.audio for e in found] == [clip(n) for n in range(7)]
    assert (found[4].translation, found[4].translation_language) == ("line 4", "en")
    assert (found[5].translation, found[5].translation_language) == (None, None)


def test_splits_of_usual_names_need_no_map(folder: Path) -> None:
    assert [e.split for e in taken(folder)] == ["train"] * 5 + ["dev"] * 2


def test_a_corpus_is_the_same_streamed_or_not(folder: Path, tmp_path: Path) -> None:
    corpora = []
    for streaming in (True, False):
        out = tmp_path / f"out-{streaming}"
        card = prepare("mine", source(folder, streaming=streaming), out)
        assert (card.read, card.taken, card.quarantined) == (7, 7, 0)
        corpora.append(Corpus.open(out))
        assert [shard.sha256 for shard in card.shards] == [
            shard.sha256 for shard in corpora[0].card.shards
        ]
    (record,) = [r for r in corpora[0].records("train") if r.id == "train/4"]
    np.testing.assert_allclose(corpora[0].samples(record), samples(3), atol=1 / 32768)


def test_one_split_is_divided_by_speaker_and_sentence(tmp_path: Path) -> None:
    numbers = range(24)
    part = table(numbers, speaker=[f"s{n % 8}" for n in numbers])
    part.to_parquet(tmp_path / "set" / "train.parquet")
    for given in (None, "train"):
        found = taken(tmp_path / "set", splits=given, test_share=0.25, dev_share=0)
        speakers = {s: {e.speaker for e in found if e.split == s} for s in ("train", "test")}
        assert len(found) == 24
        assert len(speakers["test"]) == 2
        assert not speakers["train"] & speakers["test"]


def test_splits_of_other_names_have_to_be_mapped(tmp_path: Path) -> None:
    for name in ("train", "other"):
        table(range(2)).to_parquet(tmp_path / "set" / "data" / f"{name}-00000-of-00001.parquet")
    config = "configs:\n- config_name: default\n  data_files:\n"
    files = "".join(
        f"  - split: {name}\n    path: data/{name}-*\n" for name in ("train", "other.clean")
    )
    (tmp_path / "set" / "data" / "other-00000-of-00001.parquet").rename(
        tmp_path / "set" / "data" / "other.clean-00000-of-00001.parquet"
    )
    (tmp_path / "set" / "README.md").write_text(f"---\n{config}{files}---\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"splits train, other\.clean; say in the recipe"):
        taken(tmp_path / "set")
    with pytest.raises(UserError, match="no split validation; it has train"):
        taken(tmp_path / "set", splits={"train": "validation"})
    assert len(taken(tmp_path / "set", splits={"train": ["train", "other.clean"]})) == 4


def test_a_split_is_not_tested_and_trained_on(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match='names "train" twice'):
        source(tmp_path, splits={"train": "train", "test": "train"})


def test_a_column_that_is_lacking_is_named_with_those_that_are_there(folder: Path) -> None:
    with pytest.raises(UserError, match=r"no column nobody in train; it has audio, sentence"):
        taken(folder, columns={"speaker": "nobody"})
    silent = datasets.Dataset.from_dict({"sentence": ["가"]})
    silent.to_parquet(folder.parent / "silent" / "train.parquet")
    with pytest.raises(UserError, match="no column for the audio"):
        taken(folder.parent / "silent")


def test_a_folder_that_datasets_saved_is_read_too(tmp_path: Path) -> None:
    splits = datasets.DatasetDict({"train": table(range(2)), "test": table(range(2, 3))})
    splits.save_to_disk(tmp_path / "saved")
    assert [(e.id, e.split) for e in taken(tmp_path / "saved")] == [
        ("train/1", "train"),
        ("train/2", "train"),
        ("test/1", "test"),
    ]


def loose(dataset: Path) -> Path:
    """Loose files with a list (`audiofolder`), which have no schema of their own."""
    (dataset / "train").mkdir(parents=True)
    lines = ["file_name,text"]
    for number in range(3):
        (dataset / "train" / f"{number}.flac").write_bytes(clip(number))
        lines.append(f"{number}.flac,문장 {number}")
    (dataset / "train" / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return dataset


@pytest.mark.parametrize("streaming", [True, False])
def test_loose_files_are_read_without_torchcodec(tmp_path: Path, streaming: bool) -> None:
    dataset = loose(tmp_path / "set")
    found = taken(dataset, splits={"train": "train"}, streaming=streaming)
    assert [e.text for e in found] == ["문장 0", "문장 1", "문장 2"]
    assert [e.audio for e in found] == [dataset / "train" / f"{n}.flac" for n in range(3)]


# By what else stands in a column, pandas and pyarrow make other values of each of these.
WRITTEN = {
    "digits": ["010", "007", "112"],
    "points": ["3.10", "1e5", "-0"],
    "gaps": ["NA", "null", "안녕"],
    "truth": ["True", "False", "true"],
    "dates": ["2024-06-03", "2024-06-03T10:00:00", "2024-01-01"],
}


@pytest.mark.parametrize(
    "name",
    ["metadata.csv", "train.csv", "train.tsv", "metadata.jsonl", "train.jsonl", "train.json"],
)
def test_text_of_lists_is_as_it_is_written(tmp_path: Path, name: str) -> None:
    dataset = loose(tmp_path / "set")
    (dataset / "train" / "metadata.csv").unlink()
    rows = [
        {"file_name": f"{n}.flac", **{column: texts[n] for column, texts in WRITTEN.items()}}
        for n in range(3)
    ]
    if name.startswith("train"):
        for clip_of_row in (dataset / "train").iterdir():
            clip_of_row.rename(clip_of_row.with_suffix(".bin"))
        settings = "data_files: train/" + name + ("\n  field: data" if name[-5:] == ".json" else "")
        config = f"---\nconfigs:\n- config_name: default\n  {settings}\n---\n"
        (dataset / "README.md").write_text(config, encoding="utf-8")
    separator = "\t" if name.endswith(".tsv") else ","
    table = [separator.join(rows[0]), *(separator.join(row.values()) for row in rows)]
    lines = {"csv": table, "tsv": table, "json": [json.dumps({"data": rows}, indent=1)]}
    content = lines.get(name.rpartition(".")[2], [json.dumps(row) for row in rows])
    (dataset / "train" / name).write_text("\n".join(content) + "\n", encoding="utf-8")
    for streaming in (True, False):
        read = read_rows(Dataset(str(dataset), None, None, streaming), "train", [*WRITTEN], None)
        assert list(read) == [{c: texts[n] for c, texts in WRITTEN.items()} for n in range(3)]


def test_numbers_and_dates_are_refused_and_labels_have_their_names(tmp_path: Path) -> None:
    rows = {
        "number": [10, 7, 112],
        "date": [datetime.date(2024, 6, 3)] * 3,
        "label": [1, 0, 1],
        "audio": [{"bytes": clip(n)} for n in range(3)],
    }
    made = datasets.Dataset.from_dict(rows)
    made = made.cast_column("label", datasets.ClassLabel(names=["아니요", "007"]))
    made.to_parquet(tmp_path / "set" / "train.parquet")
    for column in ("number", "date"):
        one_split = source(tmp_path / "set", splits={"train": "train"}, columns={"text": column})
        found = list(read_source(one_split))
        assert [e.reason for e in found if isinstance(e, Rejected)] == ["bad-text"] * 3, column
    named = taken(tmp_path / "set", splits={"train": "train"}, columns={"text": "label"})
    assert [e.text for e in named] == ["007", "아니요", "007"]


def test_clips_in_a_zip_of_a_local_data_set_are_read(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for folder in (tmp_path, tmp_path / "set"):
        with zipfile.ZipFile(folder / "clips.zip", "w") as archive:
            archive.writestr("a/0.flac", clip(0))
    paths = [f"zip://a/0.flac::{folder / 'clips.zip'}" for folder in (tmp_path / "set", tmp_path)]
    rows = {"audio": [{"bytes": None, "path": path} for path in paths], "text": ["가", "나"]}
    pq.write_table(pa.table(rows), tmp_path / "set" / "train.parquet")
    inside, outside = read_source(source(tmp_path / "set", splits={"train": "train"}))
    assert isinstance(inside, Utterance)
    assert inside.audio == clip(0)
    assert isinstance(outside, Rejected)


@pytest.mark.parametrize("outside", ["/etc/hostname", "../secret.flac", "https://x.org/a.flac"])
def test_rows_cannot_name_files_outside_the_data_set(tmp_path: Path, outside: str) -> None:
    (tmp_path / "secret.flac").write_bytes(clip(0))
    # datasets would put the files into its Parquet; an author of ill will would not use it.
    rows = {"audio": [{"bytes": None, "path": outside}, None], "text": ["가", "나"]}
    (tmp_path / "set").mkdir()
    pq.write_table(pa.table(rows), tmp_path / "set" / "train.parquet")
    found = list(read_source(source(tmp_path / "set", splits={"train": "train"})))
    assert [(type(e), e.id) for e in found] == [(Rejected, "train/1"), (Rejected, "train/2")]
    assert [e.reason for e in found if isinstance(e, Rejected)] == ["missing", "missing"]


def test_what_is_bad_in_a_row_costs_that_row(tmp_path: Path) -> None:
    made = datasets.Dataset.from_dict(
        {
            "audio": [{"bytes": b"RIFF"}, {"bytes": clip(0)}, {"bytes": clip(1)}],
            "text": ["가", None, "다"],
        }
    )
    made.to_parquet(tmp_path / "set" / "train.parquet")
    dataset = source(tmp_path / "set", splits={"train": "train"})
    card = prepare("mine", dataset, tmp_path / "out")
    assert (card.read, card.taken) == (3, 1)
    assert card.reasons == {"empty-text": 1, "unreadable": 1}


def test_a_data_set_with_a_script_is_refused_and_the_script_not_run(tmp_path: Path) -> None:
    dataset = tmp_path / "scripted"
    dataset.mkdir()
    ran = tmp_path / "ran"
    (dataset / "scripted.py").write_text(f"open({str(ran)!r}, 'w').close()\n", encoding="utf-8")
    with pytest.raises(UserError, match="foreign code is never run") as caught:
        taken(dataset)
    assert "\n" not in str(caught.value)
    assert not ran.exists()


def test_damaged_and_empty_folders_are_one_line(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="cannot be read by datasets"):
        taken(tmp_path / "empty")
    file = folder / "data" / "train-00001-of-00002.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="cannot be read by datasets") as caught:
        taken(folder)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="BuilderConfig 'x' not found"):
        taken(folder, config="x")
    with pytest.raises(UserError, match="neither a folder nor an id"):
        taken(tmp_path / "nowhere")


def test_changed_files_make_another_corpus_and_ids_stand_for_themselves(folder: Path) -> None:
    before = describe_source(source(folder))
    assert before == describe_source(source(folder))
    table(range(9)).to_parquet(folder / "data" / "train-00000-of-00002.parquet")
    assert describe_source(source(folder)) != before
    assert published_source(source(folder)) is None
    assert published_source(source("owner/name")) is not None
    assert "identity" not in describe_source(source("owner/name"))


def test_without_datasets_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets.exceptions", None)
    with pytest.raises(UserError, match=r"pip install soritune\[hub\]"):
        taken(folder)


class Hub:
    """Stands in for a builder of `datasets`: a stream of ten rows that breaks off as told."""

    column_names = ("audio", "text")
    features = None

    def __init__(self, failures: list[tuple[int, Exception]]) -> None:
        self.failures = failures
        self.loads: list[dict[str, Any]] = []
        self.first = 0

    def load_dataset_builder(self, path: str, config: str | None, **settings: Any) -> Any:
        self.loads.append({"path": path, "config": config, **settings})
        if self.failures and self.failures[0][0] < 0:
            raise self.failures.pop(0)[1]
        return self

    def as_streaming_dataset(self, split: str | None) -> Any:
        self.loads[-1]["streaming"] = True
        self.first = 0
        return self if split else {"train": self}

    def download_and_prepare(self) -> None:
        self.loads[-1]["streaming"] = False

    def as_dataset(self, split: str) -> Any:
        self.first = 0
        return self

    def select_columns(self, columns: list[str]) -> Hub:
        return self

    def skip(self, number: int) -> Hub:
        self.first = number
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number in range(self.first, 10):
            if self.failures and self.failures[0][0] == number:
                raise self.failures.pop(0)[1]
            yield {"audio": {"bytes": clip(number)}, "text": f"문장 {number}"}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits are noted, not waited."""
    noted: list[float] = []
    monkeypatch.setattr(rows_module.time, "sleep", noted.append)
    return noted


def use(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset_builder", hub.load_dataset_builder)


REMOTE = {"splits": {"train": "train"}, "streaming": True}


def test_a_stream_that_breaks_off_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    hub = Hub([(-1, ConnectionError("no route")), (4, TimeoutError()), (4, TimeoutError()),
               (9, ConnectionError("reset"))])  # fmt: skip
    use(hub, monkeypatch)
    found = taken("owner/name", config="ko", revision="abc", **REMOTE)
    assert [e.text for e in found] == [f"문장 {n}" for n in range(10)]
    # Rows in between show that the network is there: the waits begin anew.
    assert waits == [2.0, 2.0, 4.0, 2.0]
    assert hub.loads[-1] == {
        "path": "owner/name",
        "config": "ko",
        "revision": "abc",
        "streaming": True,
    }


def test_a_network_that_stays_away_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    hub = Hub([(4, ConnectionError("reset\nby peer"))] * 20)
    use(hub, monkeypatch)
    with pytest.raises(UserError, match=r"not be reached 4 times \(reset\); start again") as caught:
        taken("owner/name", **REMOTE)
    assert "\n" not in str(caught.value)
    assert waits == [2.0, 4.0, 8.0]


def test_what_does_not_pass_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    from datasets.exceptions import DatasetNotFoundError

    use(Hub([(-1, DatasetNotFoundError("Dataset 'owner/name' doesn't exist"))]), monkeypatch)
    with pytest.raises(UserError, match="doesn't exist"):
        taken("owner/name", **REMOTE)
    assert waits == []


def test_which_failures_may_pass() -> None:
    class Response:
        def __init__(self, status: int) -> None:
            self.status_code = status

    def http(status: int) -> OSError:
        error = OSError(f"HTTP {status}")
        error.response = Response(status)  # type: ignore[attr-defined]
        return error

    wrapped = RuntimeError("while generating")
    wrapped.__cause__ = ConnectionResetError()
    assert is_temporary(http(503))
    assert is_temporary(http(429))
    assert is_temporary(wrapped)
    assert not is_temporary(http(401))
    assert not is_temporary(http(404))
    assert not is_temporary(ValueError("BuilderConfig"))
    from huggingface_hub.errors import OfflineModeIsEnabled

    assert not is_temporary(OfflineModeIsEnabled("offline"))


def test_each_split_is_downloaded_only_where_it_is_not_streamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = Hub([])
    use(hub, monkeypatch)
    taken("owner/name", splits={"train": "train"})
    # To look at the splits costs no download; then the data set is downloaded.
    assert [load["streaming"] for load in hub.loads] == [True, False]


def test_rows_of_a_place_come_with_the_columns_asked_for(folder: Path) -> None:
    dataset = Dataset(str(folder), None, None, streaming=True)
    first = next(iter(read_rows(dataset, "train", ["sentence"], None)))
    assert first == {"sentence": "문장 0"}
    assert TRIES == 4
