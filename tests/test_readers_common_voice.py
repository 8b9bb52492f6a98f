"""Common Voice in the exact forms of its releases, and of its mirrors."""

from __future__ import annotations

import gzip
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
from soritune.sources import count_source, describe_source, read_source
from soritune.sources.corpora.common_voice import CommonVoiceSource
from soritune.utterance import Rejected, Utterance

# Headers as in the lists of these releases.
RELEASE_11 = "client_id path sentence up_votes down_votes age gender accents locale segment"
RELEASE_16 = "client_id path sentence up_votes down_votes age gender accents variant locale segment"
RELEASE_17 = (
    "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents "
    "variant locale segment"
)

Row = tuple[str, str, str]  # speaker, clip, sentence
TRAIN: list[Row] = [("alice", "common_voice_ko_1.mp3", '나는 "학교에" 간다.')]
DEV: list[Row] = [("bob", "common_voice_ko_2.mp3", "오늘은 날씨가 좋다.")]
TEST: list[Row] = [("carol", "common_voice_ko_3.mp3", '"시작만 있는 따옴표')]


def mp3(seed: int = 0) -> bytes:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(24_000)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 48_000, format="MP3")
    return buffer.getvalue()


def table(header: str, rows: list[Row]) -> str:
    lines = [header.split()]
    for speaker, clip, sentence in rows:
        cells = {"client_id": speaker, "path": clip, "sentence": sentence, "locale": "ko"}
        lines.append([cells.get(name, "2" if name == "up_votes" else "") for name in lines[0]])
    return "".join("\t".join(line) + "\n" for line in lines)


def release(
    root: Path, lists: dict[str, list[Row]], *, header: str = RELEASE_17, clips: int = 3
) -> Path:
    """`root/cv-corpus-…/ko` with lists and clips; returns `root`."""
    folder = root / "cv-corpus-17.0-2024-03-15" / "ko"
    (folder / "clips").mkdir(parents=True)
    for name, rows in lists.items():
        (folder / f"{name}.tsv").write_text(table(header, rows), encoding="utf-8")
    (folder / "clip_durations.tsv").write_text("clip\tduration[ms]\n", encoding="utf-8")
    for number in range(1, clips + 1):
        (folder / "clips" / f"common_voice_ko_{number}.mp3").write_bytes(mp3(number))
    return root


def archive(root: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for file in sorted(root.rglob("*")):
            tar.add(file, file.relative_to(root).as_posix(), recursive=False)
    return path


def source(path: Path | str, **settings: Any) -> CommonVoiceSource:
    return CommonVoiceSource(source="common-voice", path=str(path), **{"locale": "ko", **settings})


LISTS = {"train": TRAIN, "dev": DEV, "test": TEST, "validated": TRAIN + DEV + TEST}


@pytest.mark.parametrize("header", [RELEASE_11, RELEASE_16, RELEASE_17])
@pytest.mark.parametrize("form", ["release", "locale", "tar.gz"])
def test_every_release_is_read_from_its_folder_and_from_its_archive(
    tmp_path: Path, header: str, form: str
) -> None:
    root = release(tmp_path / "cv", LISTS, header=header)
    path = {
        "release": root,
        "locale": root / "cv-corpus-17.0-2024-03-15" / "ko",
        "tar.gz": tmp_path / "cv-corpus-17.0-2024-03-15-ko.tar.gz",
    }[form]
    if form == "tar.gz":
        archive(root, path)
    card = prepare("cv", source(path), tmp_path / "out")
    assert (card.read, card.taken, card.languages) == (3, 3, {"ko": 3})
    found = {(r.split, r.speaker, r.id, r.text) for r in Corpus.open(tmp_path / "out").records()}
    assert found == {
        ("train", "alice", "common_voice_ko_1", '나는 "학교에" 간다.'),
        ("dev", "bob", "common_voice_ko_2", "오늘은 날씨가 좋다."),
        ("test", "carol", "common_voice_ko_3", '"시작만 있는 따옴표'),
    }
    assert card.duration_s == pytest.approx(1.5, abs=0.15)  # an MP3 pads its ends


def test_nothing_is_unpacked_beside_the_archive(tmp_path: Path) -> None:
    (tmp_path / "only").mkdir()
    path = archive(release(tmp_path / "cv", LISTS), tmp_path / "only" / "cv.tar.gz")
    assert len(list(read_source(source(path)))) == 3
    assert [file.name for file in path.parent.iterdir()] == ["cv.tar.gz"]


def test_other_lists_add_to_train_but_never_a_held_out_speaker_or_sentence(tmp_path: Path) -> None:
    validated = [
        *LISTS["validated"],
        ("dave", "common_voice_ko_4.mp3", "새 문장입니다."),
        ("carol", "common_voice_ko_5.mp3", "시험의 사람입니다."),
        ("erin", "common_voice_ko_6.mp3", "오늘은, 날씨가 좋다!"),
        ("alice", "common_voice_ko_7.mp3", "훈련의 사람은 괜찮다."),
    ]
    root = release(tmp_path, {**LISTS, "validated": validated}, clips=7)
    splits = ["train", "dev", "test", "validated"]
    found = list(read_source(source(root, splits=splits)))
    assert {e.id: e.split for e in found if isinstance(e, Utterance)} == {
        "common_voice_ko_1": "train",
        "common_voice_ko_2": "dev",
        "common_voice_ko_3": "test",
        "common_voice_ko_4": "train",
        "common_voice_ko_7": "train",
    }
    assert [(e.id, e.reason) for e in found if isinstance(e, Rejected)] == [
        ("common_voice_ko_5.mp3", "split-conflict"),
        ("common_voice_ko_6.mp3", "split-conflict"),
    ]
    assert count_source(source(root, splits=splits)) == 7


@pytest.mark.parametrize("packed", [False, True])
def test_odd_rows_cost_themselves_only(tmp_path: Path, packed: bool) -> None:
    rows = [
        *TRAIN,
        ("a", "common_voice_ko_2.mp3", ""),
        ("b", "common_voice_ko_1.mp3", "두 번째로 같은 클립"),
        ("c", "common_voice_ko_9.mp3", "클립이 없는 문장"),
        ("d", "common_voice_ko_3.mp3", "탭이\t있는 문장"),
        ("e", "../common_voice_ko_3.mp3", "폴더를 떠나는 경로"),
        ("f", "/etc/passwd", "절대 경로"),
        ("g", "", "경로가 없다"),
        ("", "common_voice_ko_3.mp3", "말한 사람을 모른다"),
    ]
    path = release(tmp_path / "cv", {"train": rows})
    if packed:
        path = archive(path, tmp_path / "cv.tar.gz")
    card = prepare("cv", source(path), tmp_path / "out")
    assert card.reasons == {"bad-line": 4, "duplicate-id": 1, "empty-text": 1, "missing": 1}
    assert (card.read, card.taken) == (len(rows), 2)
    records = Corpus.open(tmp_path / "out").records()
    assert [(r.id, r.speaker) for r in records] == [
        ("common_voice_ko_1", "alice"),
        ("common_voice_ko_3", None),
    ]


def test_a_byte_order_mark_windows_lines_and_cp949_are_no_end(tmp_path: Path) -> None:
    root = release(tmp_path / "cv", {"train": TRAIN + DEV})
    path = root / "cv-corpus-17.0-2024-03-15" / "ko" / "train.tsv"
    text = table(RELEASE_17, TRAIN + DEV).replace("\n", "\r\n")
    first, second, third, _ = text.split("\r\n")
    lines = [first.encode("utf-8-sig"), second.encode(), third.encode("cp949"), b""]
    path.write_bytes(b"\r\n".join(lines))
    card = prepare("cv", source(root), tmp_path / "out")
    assert (card.taken, card.reasons) == (1, {"bad-text": 1})


@pytest.mark.parametrize("name", ["../escaped.mp3", "/tmp/absolute.mp3", "ko/../../x.mp3"])
def test_an_archive_with_a_path_that_leaves_its_folder_is_refused(
    tmp_path: Path, name: str
) -> None:
    root = release(tmp_path / "cv", LISTS)
    path = tmp_path / "cv.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(root / "cv-corpus-17.0-2024-03-15", "cv-corpus-17.0-2024-03-15")
        member = tarfile.TarInfo(name)
        member.size = 4
        tar.addfile(member, io.BytesIO(b"fake"))
    with pytest.raises(UserError, match="leaves its folder"):
        list(read_source(source(path)))


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    root = release(tmp_path / "cv", {"train": TRAIN})
    clip = root / "cv-corpus-17.0-2024-03-15" / "ko" / "clips" / "common_voice_ko_1.mp3"
    clip.unlink()
    clip.symlink_to(tmp_path / "secret.mp3")
    (tmp_path / "secret.mp3").write_bytes(mp3())
    found = list(read_source(source(archive(root, tmp_path / "cv.tar.gz"))))
    assert [entry.reason for entry in found if isinstance(entry, Rejected)] == ["missing"]
    assert len(found) == 1


def test_an_archive_that_breaks_off_is_named(tmp_path: Path) -> None:
    path = archive(release(tmp_path / "cv", LISTS), tmp_path / "cv.tar.gz")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"cv\.tar\.gz: .*damaged.*download it again"):
        list(read_source(source(path)))
    path.write_bytes(gzip.compress(b"no tar at all" * 100))
    with pytest.raises(UserError, match="not a tar archive"):
        list(read_source(source(path)))


def test_what_is_no_release_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no lists .* of locale ko; download"):
        list(read_source(source(tmp_path)))
    german = release(tmp_path / "cv", LISTS)
    with pytest.raises(UserError, match="locale de"):
        list(read_source(source(archive(german, tmp_path / "cv.tar.gz"), locale="de")))
    with pytest.raises(UserError, match=r"no file data/cv-corpus-22\.0-ko\.tar\.gz; download"):
        list(read_source(source("data/cv-corpus-22.0-ko.tar.gz")))
    header = german / "cv-corpus-17.0-2024-03-15" / "ko" / "dev.tsv"
    header.write_text("path\ttext\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"dev\.tsv: lacks the columns client_id, sentence"):
        list(read_source(source(german)))


def test_the_hub_copy_is_empty_and_says_so_without_asking_the_hub() -> None:
    with pytest.raises(UserError, match=r"is empty.*datacollective\.mozillafoundation\.org"):
        list(read_source(source("mozilla-foundation/common_voice_17_0")))


def test_a_mirror_with_lists_and_archives_apart_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout of the hub's old loading scripts, which mirrors keep."""
    for name, rows in {"train": TRAIN, "test": TEST}.items():
        lists = tmp_path / "transcript" / "ko"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{name}.tsv").write_text(table(RELEASE_17, rows), encoding="utf-8")
        folder = tmp_path / "audio" / "ko" / name
        folder.mkdir(parents=True)
        with tarfile.open(folder / f"ko_{name}_0.tar", "w") as tar:
            member = tarfile.TarInfo(f"ko_{name}_0/{rows[0][1]}")
            member.size = len(mp3())
            tar.addfile(member, io.BytesIO(mp3()))
    asked: dict[str, Any] = {}

    def snapshot(repository: str, **settings: Any) -> str:
        asked.update(settings, repository=repository)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    found = list(read_source(source("someone/common_voice_22_0", revision="abc")))
    assert [(e.id, e.split) for e in found if isinstance(e, Utterance)] == [
        ("common_voice_ko_3", "test"),
        ("common_voice_ko_1", "train"),
    ]
    assert (asked["repository"], asked["revision"]) == ("someone/common_voice_22_0", "abc")
    assert "*/ko/*" in asked["allow_patterns"]


def test_a_parquet_mirror_is_read(tmp_path: Path) -> None:
    data = tmp_path / "ko"
    data.mkdir()
    for name, rows in {"train": TRAIN, "validation": DEV, "test": TEST}.items():
        values = [
            {
                "client_id": speaker,
                "path": f"ko_{name}_0/{clip}",
                "audio": {"bytes": mp3(), "path": f"ko_{name}_0/{clip}"},
                "sentence": sentence,
                "up_votes": 2,
            }
            for speaker, clip, sentence in rows
        ]
        pq.write_table(pa.Table.from_pylist(values), data / f"{name}-00000-of-00001.parquet")
    card = prepare("cv", source(tmp_path), tmp_path / "out")
    assert {name: split.utterances for name, split in card.splits.items()} == {
        "train": 1,
        "dev": 1,
        "test": 1,
    }


def test_a_changed_list_or_a_new_clip_is_prepared_anew(tmp_path: Path) -> None:
    root = release(tmp_path, LISTS)
    before = describe_source(source(root))
    assert describe_source(source(root)) == before
    (root / "cv-corpus-17.0-2024-03-15" / "ko" / "dev.tsv").write_text(
        table(RELEASE_17, [("zoe", *DEV[0][1:])]), encoding="utf-8"
    )
    after = describe_source(source(root))
    assert after != before


def test_a_clip_too_large_to_be_an_utterance_is_not_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soritune.sources.clips.MAX_CLIP_BYTES", 1000)
    path = archive(release(tmp_path / "cv", {"train": TRAIN}), tmp_path / "cv.tar.gz")
    (entry,) = read_source(source(path))
    assert isinstance(entry, Rejected)
    assert entry.reason == "too-long"
