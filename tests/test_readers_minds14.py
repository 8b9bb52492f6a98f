"""MInDS-14's Parquet files, in the form in which the hub has them."""

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
from soritune.sources import count_source, published_source, read_source
from soritune.sources.corpora.minds14 import Minds14Source
from soritune.utterance import Rejected, Utterance, sentence_key

# Features of the data set's card; intent and language are class labels.
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("transcription", pa.string()),
        ("english_transcription", pa.string()),
        ("intent_class", pa.int64()),
        ("lang_id", pa.int64()),
    ]
)
RATE_HZ = 8000


def row(number: int, text: str | None = None, **changes: Any) -> dict[str, Any]:
    name = f"602ba55abb1e6d0fbce9{number:04d}.wav"
    times = np.arange(RATE_HZ) / RATE_HZ
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(2 * np.pi * 440 * times), RATE_HZ, format="WAV")
    values = {
        "path": f"ko-KR~ADDRESS/{name}",
        "audio": {"bytes": buffer.getvalue(), "path": name},
        "transcription": f"주소를 {number}번 바꾸고 싶어요" if text is None else text,
        "english_transcription": f"I want to change my address {number}",
        "intent_class": 1,
        "lang_id": 8,
    }
    return {**values, **changes}


def folder(root: Path, rows: list[dict[str, Any]], locale: str = "ko-KR") -> Path:
    path = root / locale / "train-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    return root


def source(path: Path | str, **settings: Any) -> Minds14Source:
    return Minds14Source(source="minds14", path=str(path), **{"locale": "ko-KR", **settings})


def utterances(path: Path, **settings: Any) -> list[Utterance]:
    return [e for e in read_source(source(path, **settings)) if isinstance(e, Utterance)]


def test_rows_become_8_khz_speech_at_16_khz_with_both_transcripts(tmp_path: Path) -> None:
    root = folder(tmp_path / "minds14", [row(number) for number in range(20)])
    card = prepare("minds14", source(root), tmp_path / "out")
    assert (card.read, card.taken, card.duration_s) == (20, 20, 20.0)
    corpus = Corpus.open(tmp_path / "out")
    record = corpus.records()[3]
    assert record.id == "ko-KR~ADDRESS/602ba55abb1e6d0fbce90003"
    assert (record.language, record.text) == ("ko", "주소를 3번 바꾸고 싶어요")
    assert record.translation == "I want to change my address 3"
    assert record.translation_language == "en"
    spectrum = np.abs(np.fft.rfft(corpus.samples(record)))
    assert int(spectrum.argmax()) == 440  # one second: a bin is 1 Hz


def test_no_sentence_is_in_two_splits_and_the_split_never_changes(tmp_path: Path) -> None:
    # Thirty sentences said by three people each, with other punctuation.
    rows = [row(n, f"문장 {n % 30}번" + "!" * (n // 30)) for n in range(90)]
    found = utterances(folder(tmp_path, rows))
    of_sentence: dict[str, set[str]] = {}
    for each in found:
        of_sentence.setdefault(sentence_key(each.text), set()).add(each.split)
    assert all(len(splits) == 1 for splits in of_sentence.values())
    sizes = {split: sum(e.split == split for e in found) for split in ("train", "dev", "test")}
    assert sizes["test"] == 9
    assert sizes["dev"] in (3, 6)
    backwards = utterances(folder(tmp_path / "other", rows[::-1]))
    assert {e.id: e.split for e in backwards} == {e.id: e.split for e in found}
    assert {e.id: e.split for e in utterances(tmp_path, seed=1)} != {e.id: e.split for e in found}


def test_without_shares_all_is_train(tmp_path: Path) -> None:
    root = folder(tmp_path, [row(number) for number in range(5)])
    assert {e.split for e in utterances(root, test_share=0, dev_share=0)} == {"train"}


def test_odd_rows_cost_themselves_only(tmp_path: Path) -> None:
    rows = [row(number) for number in range(10)]
    rows += [
        row(10, ""),
        {**row(11), "transcription": None},
        row(12, audio=None),
        row(13, audio={"bytes": None, "path": "../../outside.wav"}),
        row(14, path=None, audio=None),
        row(15, path="de-DE~ADDRESS/1.wav"),
        row(16, '탭\t과 "따옴표', english_transcription=" "),
        row(3, "같은 이름"),
        row(18, audio={"bytes": b"RIFF", "path": "18.wav"}),
    ]
    card = prepare("minds14", source(folder(tmp_path / "in", rows)), tmp_path / "out")
    assert card.reasons == {
        "bad-line": 1,
        "duplicate-id": 1,
        "empty-text": 2,
        "missing": 2,
        "other-language": 1,
        "unreadable": 1,
    }
    assert (card.read, card.taken) == (19, 11)
    (odd,) = [r for r in Corpus.open(tmp_path / "out").records() if "0016" in r.id]
    assert (odd.text, odd.translation, odd.translation_language) == ('탭 과 "따옴표', None, None)


def test_files_of_other_locales_beside_it_are_left_alone(tmp_path: Path) -> None:
    folder(tmp_path, [row(number) for number in range(4)])
    folder(tmp_path, [row(9, path="en-US~ADDRESS/9.wav")], "en-US")
    folder(tmp_path, [row(8)], "all")
    assert len(list(read_source(source(tmp_path)))) == 4
    assert count_source(source(tmp_path)) == 4
    with pytest.raises(UserError, match=r"no Parquet files of cs-CZ; download cs-CZ/\*\.parquet"):
        list(read_source(source(tmp_path, locale="cs-CZ")))


def test_english_is_read_without_a_translation_into_itself(tmp_path: Path) -> None:
    rows = [row(n, f"sentence {n}", path=f"en-US~ADDRESS/{n}.wav") for n in range(4)]
    found = utterances(folder(tmp_path, rows, "en-US"), locale="en-US")
    assert {(e.language, e.translation) for e in found} == {("en", None)}


def test_paths_of_the_old_loading_script_give_the_same_ids(tmp_path: Path) -> None:
    name = "602ba55abb1e6d0fbce90001.wav"
    old = "/somewhere/cache/extracted/ab12/MInDS-14/audio/ko-KR~ADDRESS/" + name
    rows = [row(0), row(1, path=old)]
    found = utterances(folder(tmp_path, rows), test_share=0, dev_share=0)
    assert found[1].id == "ko-KR~ADDRESS/602ba55abb1e6d0fbce90001"


def test_the_published_size_is_known_without_a_download() -> None:
    assert count_source(Minds14Source(source="minds14", locale="ko-KR")) == 592
    published = published_source(
        Minds14Source(source="minds14", locale="ko-KR", test_share=0, dev_share=0)
    )
    assert published is not None
    assert published.splits == {"train": 592}


def test_a_missing_folder_is_not_looked_for_on_the_hub() -> None:
    with pytest.raises(UserError, match="no folder"):
        list(read_source(source("./minds14")))


def test_only_the_locale_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, [row(number) for number in range(4)])
    asked: dict[str, Any] = {}

    def snapshot(repository: str, **settings: Any) -> str:
        asked.update(settings, repository=repository)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert not [
        e
        for e in read_source(Minds14Source(source="minds14", locale="ko-KR"))
        if isinstance(e, Rejected)
    ]
    assert asked["repository"] == "PolyAI/minds14"
    assert asked["allow_patterns"] == ["ko-KR/*.parquet"]
