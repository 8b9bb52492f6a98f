"""What `prepare` takes, what it leaves out and says so, and what it writes."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import soundfile
from made_source import contents, prepare_made

from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.utterance import Rejected, Utterance


def noise(num_samples: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


def wav(samples: npt.NDArray[np.float32], rate_hz: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def utterance(name: str, audio: Path | bytes, text: str = "안녕하세요") -> Utterance:
    return Utterance(id=name, audio=audio, text=text, language="ko", split="train", speaker="s1")


def quarantine(out: Path) -> list[dict[str, str]]:
    lines = (out / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


BAD = {
    "missing": ("missing", Path("/nowhere/none.wav"), "글"),
    "empty": ("empty", b"", "글"),
    "truncated": ("truncated", wav(noise(16_000))[:30_000], "글"),
    "silent": ("silent", wav(np.zeros(16_000, np.float32)), "글"),
    "too short": ("too-short", wav(noise(399)), "글"),
    "too long": ("too-long", wav(noise(31 * 8_000), 8_000), "글"),
    "no audio": ("unreadable", b"<html>404</html>", "글"),
    "not finite": ("non-finite", wav(np.full(16_000, np.nan, np.float32)), "글"),
    "no text": ("empty-text", wav(noise(16_000)), " \u200b\n"),
    "bad text": ("bad-text", wav(noise(16_000)), "\udcb0\udca1"),
}
GOOD = {
    "stereo": wav(np.stack([noise(16_000), noise(16_000, 1)], axis=1)),
    "8 kHz": wav(noise(8_000), 8_000),
    "44.1 kHz": wav(noise(44_100), 44_100),
}


def mixed() -> Iterator[Utterance | Rejected]:
    for name, (_, audio, text) in BAD.items():
        yield utterance(name, audio, text)
    for name, audio in GOOD.items():
        yield utterance(name, audio)
    yield utterance("stereo", GOOD["stereo"])
    yield Rejected("", "bad-line", "the line is not JSON", "list.jsonl line 7")


def test_every_bad_input_is_quarantined_with_its_reason_and_the_rest_is_taken(
    tmp_path: Path,
) -> None:
    card = prepare_made("mixed", mixed(), tmp_path, chunk_size=4)
    lines = quarantine(tmp_path)
    assert {line["id"]: line["reason"] for line in lines} == {
        **{name: reason for name, (reason, _, _) in BAD.items()},
        "stereo": "duplicate-id",
        "": "bad-line",
    }
    assert all(line["detail"] and line["where"] for line in lines)
    assert lines[-1]["where"] == "list.jsonl line 7"
    assert (card.read, card.taken, card.quarantined) == (15, 3, 12)
    assert [record.id for record in Corpus.open(tmp_path).records()] == list(GOOD)
    assert all(record.duration_s == 1.0 for record in Corpus.open(tmp_path).records())


def test_the_card_counts_what_is_there(tmp_path: Path) -> None:
    def entries() -> Iterator[Utterance]:
        for index in range(7):
            yield Utterance(
                id=f"u{index}",
                audio=wav(noise(16_000 + index, index)),
                text="가",
                language="ko" if index else "en",
                split="test" if index < 2 else "train",
                speaker=f"s{index % 3}" if index else None,
            )

    card = prepare_made("seven", entries(), tmp_path, chunk_size=3)
    assert card.source == {"source": "made", "version": 0}
    assert card.languages == {"en": 1, "ko": 6}
    assert {name: s.utterances for name, s in card.splits.items()} == {"train": 5, "test": 2}
    assert {name: s.speakers for name, s in card.splits.items()} == {"train": 3, "test": 1}
    assert card.duration_s == pytest.approx(7 + 21 / 16_000)
    for shard in card.shards:
        content = (tmp_path / shard.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == shard.sha256
    assert sum(shard.utterances for shard in card.shards) == 7
    assert not (tmp_path / "work").exists()


def test_shards_are_plain_parquet_with_16_khz_flac(tmp_path: Path) -> None:
    prepare_made("one", [utterance("a", GOOD["44.1 kHz"])], tmp_path)
    row = pq.read_table(tmp_path / "shards" / "00000.parquet").to_pylist()[0]
    info = soundfile.info(io.BytesIO(row["audio"]))
    assert (info.format, info.subtype, info.samplerate) == ("FLAC", "PCM_16", 16_000)
    assert (info.channels, info.frames) == (1, 16_000)
    assert row["split"] == "train"


def test_text_is_composed_and_single_spaced_but_its_words_are_left(tmp_path: Path) -> None:
    decomposed = "\ufeff\u1112\u1161\u11ab\u1100\u1173\u11af  1개,\n\tOK! "
    entry = Utterance("a", GOOD["8 kHz"], decomposed, "ko", "train", None, " two\n words ", "en")
    prepare_made("text", [entry], tmp_path)
    (record,) = Corpus.open(tmp_path).records()
    assert record.text == "한글 1개, OK!"
    assert record.translation == "two words"


def test_a_finished_corpus_is_not_read_again(tmp_path: Path) -> None:
    first = prepare_made("c", [utterance("a", GOOD["8 kHz"])], tmp_path)

    def must_not_be_read() -> Iterator[Utterance]:
        pytest.fail("the source was read again")
        yield

    assert prepare_made("c", must_not_be_read(), tmp_path) == first


def test_another_source_replaces_the_corpus_and_never_mixes(tmp_path: Path) -> None:
    many = [utterance(f"old{i}", wav(noise(1000, i))) for i in range(5)]
    prepare_made("c", many, tmp_path / "a", chunk_size=2)
    new = [utterance("new", GOOD["8 kHz"])]
    prepare_made("c", new, tmp_path / "a", version=1, chunk_size=2)
    prepare_made("c", new, tmp_path / "b", version=1, chunk_size=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("damage", ["shorten", "remove"])
def test_a_damaged_shard_is_made_again(tmp_path: Path, damage: str) -> None:
    entries = [utterance(f"u{i}", wav(noise(1000, i))) for i in range(4)]
    prepare_made("c", entries, tmp_path, chunk_size=2)
    before = contents(tmp_path)
    shard = tmp_path / "shards" / "00001.parquet"
    if damage == "remove":
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:100])
    prepare_made("c", entries, tmp_path, chunk_size=2)
    assert contents(tmp_path) == before


def test_the_number_of_workers_changes_no_byte(tmp_path: Path) -> None:
    for workers in (0, 2):
        out = tmp_path / str(workers)
        prepare_made("mixed", mixed(), out, chunk_size=2, workers=workers)
    assert contents(tmp_path / "0") == contents(tmp_path / "2")


def test_progress_counts_every_entry_once(tmp_path: Path) -> None:
    told: list[float] = []
    prepare_made("mixed", mixed(), tmp_path, chunk_size=4, advance=told.append)
    assert told == [4, 4, 4, 3]


def test_a_source_without_entries_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the source has no entries"):
        prepare_made("none", [], tmp_path)
    assert not (tmp_path / "corpus.json").exists()


def test_a_corpus_of_which_nothing_is_taken_is_an_error_with_the_reasons_counted(
    tmp_path: Path,
) -> None:
    entries = [utterance("a", b""), utterance("b", b""), utterance("c", GOOD["8 kHz"], " ")]
    with pytest.raises(UserError, match=r"all 3 entries.*empty 2, empty-text 1") as caught:
        prepare_made("none", entries, tmp_path)
    assert str(tmp_path / "quarantine.jsonl") in str(caught.value)
    assert [line["id"] for line in quarantine(tmp_path)] == ["a", "b", "c"]
    assert not (tmp_path / "corpus.json").exists()


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    prepare_made("mixed", mixed(), tmp_path / "whole", chunk_size=4)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="disk is full") as caught:
            prepare_made("mixed", mixed(), tmp_path / "c", chunk_size=4)
    assert str(tmp_path / "c") in str(caught.value)
    assert list((tmp_path / "c").rglob("*.tmp")) == []
    prepare_made("mixed", mixed(), tmp_path / "c", chunk_size=4)
    assert contents(tmp_path / "c") == contents(tmp_path / "whole")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        prepare_made("c", [], tmp_path / "file" / "corpus")


def test_chunks_of_an_interrupted_run_serve_the_same_source_only(tmp_path: Path) -> None:
    def broken() -> Iterator[Utterance]:
        for index in range(4):
            yield utterance(f"old{index}", wav(noise(1000, index)))
        raise UserError("the network is gone")

    with pytest.raises(UserError, match="network"):
        prepare_made("c", broken(), tmp_path / "c", chunk_size=2)
    assert len(list((tmp_path / "c" / "shards").iterdir())) == 2
    new = [utterance(f"new{index}", wav(noise(1000, index))) for index in range(6)]
    prepare_made("c", new, tmp_path / "c", version=1, chunk_size=2)
    prepare_made("c", new, tmp_path / "fresh", version=1, chunk_size=2)
    assert contents(tmp_path / "c") == contents(tmp_path / "fresh")


def test_two_processes_do_not_prepare_one_corpus_at_once(tmp_path: Path) -> None:
    entries = [utterance("a", GOOD["8 kHz"])]
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from soritune.files import locked\n"
            "with locked(Path(sys.argv[1])):\n    print(flush=True); time.sleep(60)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(UserError, match="another soritune"):
            prepare_made("c", entries, tmp_path)
    finally:
        holder.kill()
        holder.wait()
    prepare_made("c", entries, tmp_path)  # the kernel let go of what the dead one held
    assert not (tmp_path / ".lock").exists()
