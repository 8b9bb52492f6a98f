"""Pipes, packed gigabytes and hostile headers of archives are refused, each in one line."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path
from typing import Literal

import pyarrow
import pyarrow.parquet
import pytest

from soritune.errors import UserError
from soritune.experiment.check import check
from soritune.files import open_regular, read_regular
from soritune.recipe import load_recipe
from soritune.sources import clips, describe_source
from soritune.sources.clips import MAX_HEADER_BYTES, archive_errors, read_archive
from soritune.sources.exclude import read_ids
from soritune.sources.formats import tables
from soritune.sources.formats.manifest import ManifestSource
from soritune.sources.formats.tables import MAX_LINE_CHARACTERS, json_lines, table_lines
from soritune.sources.formats.webdataset_shards import find_shards
from soritune.sources.parquet import read_columns


def read_all(path: Path) -> list[str]:
    with archive_errors(path):
        return [str(name) for name, _, file in read_archive(path) if file.read() is not None]


@pytest.mark.timeout(20)
def test_a_pipe_or_a_device_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "list.jsonl"
    os.mkfifo(pipe)
    for read in (read_ids, lambda path: list(json_lines(path)), read_all):
        with pytest.raises(UserError, match="pipe or a device"):
            read(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(OSError, match="pipe or a device"):
            read_regular(path)
        with pytest.raises(OSError, match="pipe or a device"):
            open_regular(path)


@pytest.mark.parametrize("name", ["l.jsonl.gz", "l.json.gz"])
def test_a_packed_line_of_gigabytes_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'{"text": "a"}\n')
        file.write(b"[" * (MAX_LINE_CHARACTERS + 10))
    with pytest.raises(UserError, match=r"line 2: has more than .* characters"):
        list(json_lines(path))


def test_a_parquet_file_that_unpacks_to_far_more_than_speech_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pipe = tmp_path / "list.parquet", tmp_path / "pipe.parquet"
    for size in (2**20, 2**24 + 1):
        column = pyarrow.array([b"a" * size], pyarrow.binary())
        table = pyarrow.table({"audio": column, "text": ["네"]})
        pyarrow.parquet.write_table(table, path, compression="zstd")
        if size == 2**20:
            assert len(list(read_columns(path, ["text"]))) == 1
    with pytest.raises(
        UserError, match=r"audio takes .* bytes in the file and 16,777,2.* in memory"
    ):
        list(read_columns(path, ["text"]))
    monkeypatch.setenv("SORITUNE_LIMIT_FACTOR", "2")
    assert len(list(read_columns(path, ["text"]))) == 1
    os.mkfifo(pipe)
    with pytest.raises(UserError, match="is a pipe or a device"):
        list(read_columns(pipe, ["text"]))


def test_a_table_of_one_endless_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(b"audio,text\n" + b"a" * (MAX_LINE_CHARACTERS + 10))
    with pytest.raises(UserError, match="line"):
        list(table_lines(path, []))


def test_one_setting_lifts_the_limits_and_belongs_to_the_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("a.wav")
        member.size = 3000
        archive.addfile(member, io.BytesIO(bytes(3000)))
    monkeypatch.setattr(clips, "MAX_CLIP_BYTES", 1000)
    assert [audio for _, audio in clips.archive_clips([path])] == [None]
    assert "SORITUNE_LIMIT_FACTOR" in clips.too_large()
    source = ManifestSource(source="manifest", path=tmp_path / "l.jsonl", language="ko")
    (tmp_path / "l.jsonl").write_text('{"text": "long", "audio": "a.wav"}\n')
    before = describe_source(source)
    monkeypatch.setattr(tables, "MAX_LINE_CHARACTERS", 20)
    with pytest.raises(UserError, match="SORITUNE_LIMIT_FACTOR"):
        list(json_lines(tmp_path / "l.jsonl"))
    monkeypatch.setenv("SORITUNE_LIMIT_FACTOR", "3")
    assert [audio for _, audio in clips.archive_clips([path])] == [bytes(3000)]
    assert len(list(json_lines(tmp_path / "l.jsonl"))) == 1
    assert describe_source(source) != before
    for wrong in ("0.5", "many", "nan", "inf"):
        monkeypatch.setenv("SORITUNE_LIMIT_FACTOR", wrong)
        with pytest.raises(UserError, match="not a number of at least 1"):
            clips.too_large()


def test_a_table_in_an_archive_of_one_endless_line_is_refused() -> None:
    table = io.BytesIO(b"a\tb\n" + bytes(clips.MAX_LINE_BYTES + 10))
    with pytest.raises(UserError, match=r"cv\.tar line 2: has more than"):
        list(clips.read_tsv(table, "cv.tar"))


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header(kind, 2**33))
        file.write(bytes(MAX_HEADER_BYTES))
    with pytest.raises(UserError, match="header of 8,589,934,592 bytes"):
        read_all(path)


@pytest.mark.parametrize(
    "settings",
    [
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" * 18},
        {"size": "x"},
        {"path": "a\0b"},
        {"size": "-5"},
        {"size": str(10**11)},
        {"size": str(10**18)},  # read to its end by tarfile, for years
    ],
)
@pytest.mark.timeout(20)
def test_bad_settings_of_a_file_are_one_line_or_no_file(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a.wav")
        member.pax_headers = settings
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    try:
        read_all(path)
    except UserError as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize("packed", ["gz", "bz2", "xz"])
def test_what_is_packed_is_unpacked_in_pieces_and_must_be_whole(
    tmp_path: Path, packed: Literal["gz", "bz2", "xz"]
) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, f"w:{packed}") as archive:
        member = tarfile.TarInfo("a.wav")
        member.size = 2**25
        archive.addfile(member, io.BytesIO(bytes(2**25)))
    content = path.read_bytes()
    assert len(content) < 2**16
    tracemalloc.start()
    with archive_errors(path):
        assert [str(name) for name, _, _ in read_archive(path)] == ["a.wav"]
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged one"):
        read_all(path)


def test_a_long_name_of_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(path, "w", format=form) as archive:
            member = tarfile.TarInfo("가" * 300 + ".wav")
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
        assert read_all(path) == ["가" * 300 + ".wav"]


@pytest.mark.parametrize("pattern", ["**.tar", "a**/b.tar", "x" * 256, "*" + "y" * 5000])
def test_names_of_shards_that_cannot_be_are_one_line(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(UserError, match="fix it in the recipe"):
        find_shards(tmp_path, [pattern])


RECIPE = """\
name: t
language: ko
output: {folder}/out
model: {{base: builtin:tiny}}
corpora: {{c: {{source: webdataset, path: {folder}, shards: "{shards}"}}}}
cases: {{a: {{mode: lora, train: [c]}}}}
evaluate: {{e: {{corpus: c, task: asr}}}}
"""


@pytest.mark.parametrize(
    "shards", ["**.tar", "{000..999999999}.tar", "../x.tar", "/x.tar", "y" * 5000]
)
def test_a_pattern_of_shards_is_judged_with_the_recipe(tmp_path: Path, shards: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE.format(folder=tmp_path, shards=shards))
    with pytest.raises(UserError, match=r"r\.yaml:5: .*webdataset") as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)


def test_shards_that_are_not_there_are_missed_by_check(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE.format(folder=tmp_path, shards="train-{0..2}.tar"))
    recipe = load_recipe(path)
    with pytest.raises(UserError, match=r"holds no train-0\.tar"):
        check(recipe)
    assert not (tmp_path / "out").exists()
