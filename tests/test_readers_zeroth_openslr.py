"""Zeroth as OpenSLR 40 gives it: the folder and the tar.gz, in the exact form of the release."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.sources import (
    count_source,
    describe_source,
    published_source,
    read_source,
)
from soritune.sources.corpora.zeroth import ZerothSource

AUDIO_INFO = "SPEAKERID|NAME|SEX|SCRIPTID|DATASET\n106|KimAB|f|003|train_data_01\n"
TEXTS = {
    "train_data_01/003/106": {19: "인사를 결정하는 과정에서", 20: "가방을 비롯한 수하물들을"},
    "train_data_01/004/107": {5: "그밖의 자세한 사항은"},
    "test_data_01/003/104": {1: "지난해 삼 월 김전장관의"},
}
ENTRIES = [
    ("test", "104_003_0001", "지난해 삼 월 김전장관의", "104"),
    ("train", "106_003_0019", "인사를 결정하는 과정에서", "106"),
    ("train", "106_003_0020", "가방을 비롯한 수하물들을", "106"),
    ("train", "107_004_0005", "그밖의 자세한 사항은", "107"),
]


def flac(seed: int) -> bytes:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(8_000)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="FLAC")
    return buffer.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "zeroth_korean"
    for place, texts in TEXTS.items():
        folder = root / place
        folder.mkdir(parents=True)
        prefix = f"{folder.name}_{folder.parent.name}"
        lines = [f"{prefix}_{number:04d} {text}\n" for number, text in texts.items()]
        (folder / f"{prefix}.trans.txt").write_text("".join(lines), encoding="utf-8")
        for number in texts:
            (folder / f"{prefix}_{number:04d}.flac").write_bytes(flac(number))
    (root / "AUDIO_INFO").write_text(AUDIO_INFO, encoding="utf-8")
    (root / "zeroth.lm.tg.arpa.gz").write_bytes(b"no recording")
    return root


def archive(root: Path, path: Path, *, reverse: bool = False) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for file in sorted(root.rglob("*"), reverse=reverse):
            tar.add(file, "./" + file.relative_to(root).as_posix(), recursive=False)
    return path


def source(path: Path | str) -> ZerothSource:
    return ZerothSource(source="zeroth", path=str(path))


def entries(out: Path) -> list[tuple[str, str, str, str | None]]:
    records = Corpus.open(out).records()
    return sorted((r.split, r.id, r.text, r.speaker) for r in records)


def quarantine(out: Path) -> dict[str, str]:
    lines = (out / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    return {line["id"]: line["reason"] for line in map(json.loads, lines)}


def test_the_folder_is_recognised_by_what_it_holds(root: Path, tmp_path: Path) -> None:
    card = prepare("zeroth", source(root), tmp_path / "out")
    assert (card.read, card.taken, card.languages) == (4, 4, {"ko": 4})
    assert entries(tmp_path / "out") == ENTRIES
    assert count_source(source(root)) == 4
    assert published_source(source(root)) is None


def test_one_part_alone_is_read_too(root: Path, tmp_path: Path) -> None:
    prepare("zeroth", source(root / "test_data_01"), tmp_path / "out")
    assert entries(tmp_path / "out") == ENTRIES[:1]


@pytest.mark.parametrize("reverse", [False, True])
def test_the_archive_gives_the_same_whatever_its_order(
    root: Path, tmp_path: Path, reverse: bool
) -> None:
    path = archive(root, tmp_path / "zeroth_korean.tar.gz", reverse=reverse)
    before = sorted(tmp_path.iterdir())
    card = prepare("zeroth", source(path), tmp_path / "out")
    assert (card.read, card.taken) == (4, 4)
    assert entries(tmp_path / "out") == ENTRIES
    assert sorted(set(tmp_path.iterdir()) - {tmp_path / "out"}) == before
    assert count_source(source(path)) is None
    assert describe_source(source(path))["identity"]


@pytest.mark.parametrize("form", ["folder", "tar.gz"])
def test_odd_lines_and_recordings_cost_themselves(root: Path, tmp_path: Path, form: str) -> None:
    folder = root / "train_data_01/003/106"
    (folder / "106_003_0019.flac").unlink()
    (folder / "106_003_0030.flac").write_bytes(flac(30))  # no line
    (folder / "106_003_0031.flac").write_bytes(flac(31))
    (folder / "106_003_0032.flac").write_bytes(flac(32))
    (folder / "106_003_0033.flac").write_bytes(flac(33)[:200])
    path = folder / "106_003.trans.txt"
    lines = [
        "\ufeff".encode() + path.read_bytes(),
        b"\n",
        "106_003_0020 두 번째\n".encode(),
        b"106_003_0031\n",
        b"106_003_0032 " + "가나다".encode("cp949") + b"\n",
        "106_003_0033 잘린 파일\n".encode(),
        "../106_003_0034 밖으로\n".encode(),
        "문장만 있다\n".encode(),
    ]
    path.write_bytes(b"".join(lines))
    place = root if form == "folder" else archive(root, tmp_path / "zeroth_korean.tar.gz")
    card = prepare("zeroth", source(place), tmp_path / "out")
    assert (card.read, card.taken) == (11, 3)
    assert card.reasons["bad-line"] == 2
    assert quarantine(tmp_path / "out") == {
        "": "bad-line",
        "106_003_0019": "missing",
        "106_003_0020": "duplicate-id",
        "106_003_0030": "empty-text",
        "106_003_0031": "empty-text",
        "106_003_0032": "bad-text",
        "106_003_0033": "truncated",
    }


def test_an_archive_that_is_cut_unsafe_or_of_something_else_is_one_line(
    root: Path, tmp_path: Path
) -> None:
    path = archive(root, tmp_path / "zeroth_korean.tar.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged"):
        list(read_source(source(path)))
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../train_data_01/003/106/106_003.trans.txt"))
    with pytest.raises(UserError, match="leaves its folder"):
        list(read_source(source(path)))
    with tarfile.open(path, "w:gz") as tar:
        tar.add(root / "AUDIO_INFO", "AUDIO_INFO")
    with pytest.raises(UserError, match=r"openslr\.org/40") as caught:
        list(read_source(source(path)))
    assert "\n" not in str(caught.value)


def test_an_archive_that_is_not_there_is_to_be_got_by_hand(tmp_path: Path) -> None:
    gone = source(tmp_path / "zeroth_korean.tar.gz")
    with pytest.raises(UserError, match="no folder or archive"):
        list(read_source(gone))
    published = published_source(gone)
    assert published is not None
    assert published.by_hand == str(tmp_path / "zeroth_korean.tar.gz")


def test_it_is_prepared_anew_when_a_transcript_or_a_recording_comes_or_goes(root: Path) -> None:
    seen = [describe_source(source(root))]
    assert describe_source(source(root)) == seen[0]
    path = root / "test_data_01/003/104/104_003.trans.txt"
    path.write_text("104_003_0001 다른 문장\n", encoding="utf-8")
    seen.append(describe_source(source(root)))
    (path.parent / "104_003_0001.flac").unlink()
    seen.append(describe_source(source(root)))
    assert len({entry["identity"] for entry in seen}) == 3


def test_linked_folders_are_read_and_circles_are_not_followed(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk2" / "test_data_01"
    elsewhere.parent.mkdir()
    (root / "test_data_01").rename(elsewhere)
    (root / "test_data_01").symlink_to(elsewhere)
    (root / "train_data_01" / "circle").symlink_to(root)
    card = prepare("zeroth", source(root), tmp_path / "out")
    assert card.read == 4
    assert entries(tmp_path / "out") == ENTRIES
