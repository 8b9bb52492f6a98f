"""WebDataset shards: which files are read, what is one sample, what is refused."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tracemalloc
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.sources import describe_source, read_source
from soritune.sources.formats.webdataset import WebDatasetSource
from soritune.sources.formats.webdataset_shards import expand_braces, find_shards, read_samples
from soritune.utterance import Rejected, Utterance


def clip(seed: int, form: str = "WAV") -> bytes:
    """0.2 s of noise."""
    samples = 0.1 * np.random.default_rng(seed).standard_normal(3200)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format=form)
    return buffer.getvalue()


def pack(path: Path, *files: tuple[str, bytes | str | dict[str, Any]]) -> Path:
    """A tar of the files in this order; gzip by its ending."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files:
            text = json.dumps(content) if isinstance(content, dict) else content
            raw = text.encode() if isinstance(text, str) else text
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    path.parent.mkdir(parents=True, exist_ok=True)
    tar = buffer.getvalue()
    path.write_bytes(gzip.compress(tar) if path.name.endswith("gz") else tar)
    return path


def source(path: Path, **settings: Any) -> WebDatasetSource:
    return WebDatasetSource(source="webdataset", path=path, **{"language": "ko", **settings})


def taken(path: Path, **settings: Any) -> list[Utterance]:
    found = list(read_source(source(path, **settings)))
    assert all(isinstance(entry, Utterance) for entry in found), found
    return [entry for entry in found if isinstance(entry, Utterance)]


def rejected(path: Path, **settings: Any) -> list[tuple[str, str]]:
    settings.setdefault("splits", {"train": "*.tar"})
    found = read_source(source(path, **settings))
    return [(entry.id, entry.reason) for entry in found if isinstance(entry, Rejected)]


# What braces stand for, from the README of braceexpand, which webdataset uses.
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("item{1..3}", ["item1", "item2", "item3"]),
        ("{01..03}", ["01", "02", "03"]),
        ("{a,b}-{0..1}", ["a-0", "a-1", "b-0", "b-1"]),
        ("{3..1}", ["3", "2", "1"]),
        ("{009..011}.tar", ["009.tar", "010.tar", "011.tar"]),
        ("plain", ["plain"]),
        ("{}{a}", ["{}{a}"]),
    ],
)
def test_braces_stand_for_what_the_shell_says(pattern: str, names: list[str]) -> None:
    assert expand_braces(pattern) == names


def test_braces_that_stand_for_too_much_are_refused() -> None:
    with pytest.raises(UserError, match="100,000 shards"):
        expand_braces("{0..999999999999}")
    with pytest.raises(UserError, match="100,000 shards"):
        expand_braces("{0..999}{0..999}")


def test_shards_come_in_the_order_of_the_patterns_and_sorted_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder gives its files in any order.
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda folder, name: sorted(glob(folder, name), reverse=True))
    for name in ("b.tar", "a.tar", "deep/c.tar", "d.tar.gz"):
        pack(tmp_path / name, ("x.wav", b""))
    named = find_shards(tmp_path, ["d.tar.gz", "**/*.tar", "a.tar"])
    assert [path.relative_to(tmp_path).as_posix() for path in named] == [
        "d.tar.gz",
        "a.tar",
        "b.tar",
        "deep/c.tar",
    ]


@pytest.mark.parametrize("pattern", ["/etc/*.tar", "../*.tar", "s3://x/{0..1}.tar", ""])
def test_patterns_stay_in_the_folder(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "inside").mkdir()
    pack(tmp_path / "beside.tar", ("x.wav", b""))
    with pytest.raises(UserError, match="is not a name of files"):
        find_shards(tmp_path / "inside", [pattern])


def test_a_shard_that_braces_name_and_that_is_missing_is_an_error(tmp_path: Path) -> None:
    pack(tmp_path / "s-000.tar", ("x.wav", b""))
    pack(tmp_path / "s-002.tar", ("x.wav", b""))
    with pytest.raises(UserError, match=r"holds no s-001\.tar"):
        find_shards(tmp_path, ["s-{000..002}.tar"])


def test_files_are_grouped_as_webdataset_groups_them(tmp_path: Path) -> None:
    # The path up to the first dot of the file's name is the key; a folder may have dots;
    # endings are in small letters; what has no ending, is hidden or is meta data is no sample.
    shard = pack(
        tmp_path / "a.tar",
        ("./v1.0/one.WAV", b"1"),
        ("./v1.0/one.txt", b"2"),
        ("README", b""),
        (".hidden.wav", b""),
        ("__index__", b""),
        ("two.seg.wav", b"3"),
        ("two.wav", b"4"),
        ("two.pkl", b"5"),
        (unicodedata.normalize("NFD", "셋.wav"), b"6"),
        (unicodedata.normalize("NFC", "셋.txt"), b"7"),
    )
    one, two, three = read_samples(shard, ["wav", "txt"])
    assert (one.key, one.files) == ("v1.0/one", {"wav": b"1", "txt": b"2"})
    assert (two.key, two.files) == ("two", {"seg.wav": b"", "wav": b"4", "pkl": b""})
    assert (three.key, three.files) == ("셋", {"wav": b"6", "txt": b"7"})


def test_transcripts_come_from_text_files_or_from_json(tmp_path: Path) -> None:
    pack(
        tmp_path / "train.tar.gz",
        ("a.flac", clip(1, "FLAC")),
        ("a.txt", "\ufeff첫 문장\n"),
        ("b.json", {"Text": "둘째", "speaker_id": 7, "lang": "ko-KR", "translation": "second"}),
        ("b.mp3", clip(2, "MP3")),
        ("c.txt", "셋째"),
        ("c.json", {"speaker": "kim", "text": "only where there is no .txt"}),
        ("c.ogg", clip(3, "OGG")),
    )
    a, b, c = taken(tmp_path, splits={"train": "train.tar.gz"})
    assert (a.id, a.text, a.language, a.speaker) == ("train/a", "첫 문장", "ko", None)
    assert (b.text, b.speaker, b.translation, b.translation_language) == (
        "둘째",
        "7",
        "second",
        "en",
    )
    assert (c.text, c.speaker) == ("셋째", "kim")
    assert a.audio == clip(1, "FLAC")


def test_columns_name_fields_of_the_json_or_files_of_the_sample(tmp_path: Path) -> None:
    pack(
        tmp_path / "a.tar",
        ("x.wav", clip(1)),
        ("x.flac", clip(2, "FLAC")),
        ("x.lab", "가나"),
        ("x.json", {"who": "kim", "en": "ga na", "key": "nr-1", "text": "no"}),
    )
    columns = {"audio": "flac", "text": "lab", "speaker": "who", "translation": "en", "id": "key"}
    (entry,) = taken(tmp_path, splits={"test": "a.tar"}, columns=columns)
    assert entry == Utterance("nr-1", clip(2, "FLAC"), "가나", "ko", "test", "kim", "ga na", "en")


def test_one_bad_sample_costs_itself_only(tmp_path: Path) -> None:
    pack(
        tmp_path / "s.tar",
        ("two-dots.1.wav", clip(0)),
        ("two-dots.1.txt", "가"),
        ("both.wav", clip(0)),
        ("both.mp3", clip(0, "MP3")),
        ("both.txt", "가"),
        ("twice.wav", clip(0)),
        ("twice.txt", "가"),
        ("twice.TXT", "나"),
        ("silent-word.wav", clip(0)),
        ("json.wav", clip(0)),
        ("json.json", "{"),
        ("list.wav", clip(0)),
        ("list.json", "[]"),
        ("value.wav", clip(0)),
        ("value.json", {"text": ["가"]}),
        ("long.wav", clip(0)),
        ("long.txt", "가" * 2**20),
        ("good.wav", clip(0)),
        ("good.txt", "가"),
    )
    assert rejected(tmp_path) == [
        ("s/two-dots", "missing"),
        ("s/both", "missing"),
        ("s/twice", "bad-line"),
        ("s/silent-word", "bad-line"),
        ("s/json", "bad-line"),
        ("s/list", "bad-line"),
        ("s/value", "bad-line"),
        ("s/long", "bad-line"),
    ]


def test_an_audio_file_beyond_all_bounds_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soritune.sources.formats.webdataset_shards.MAX_CLIP_BYTES", 1000)
    pack(tmp_path / "s.tar", ("a.wav", clip(0)), ("a.txt", "가"))
    assert rejected(tmp_path) == [("s/a", "too-long")]


@pytest.mark.parametrize("name", ["/etc/passwd.wav", "../up.wav", "a/../../up.wav"])
def test_paths_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    pack(tmp_path / "s.tar", (name, clip(0)))
    with pytest.raises(UserError, match="leaves its folder"):
        rejected(tmp_path)


# Cut in a file, in a header, and between two files, which tarfile takes for the end.
@pytest.mark.parametrize("num_bytes", [700, 512 + 1024 + 100, 512 + 1024, 3 * (512 + 1024) + 512])
def test_a_cut_tar_is_one_clear_line(tmp_path: Path, num_bytes: int) -> None:
    files = [(f"{name}.wav", b"x" * 1024) for name in "abc"]
    shard = pack(tmp_path / "s.tar", *files)
    shard.write_bytes(shard.read_bytes()[:num_bytes])
    with pytest.raises(UserError, match=r"s\.tar") as caught:
        rejected(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_gzip_is_one_clear_line(tmp_path: Path, share: float) -> None:
    shard = pack(tmp_path / "s.tar.gz", ("a.wav", clip(0)), ("a.txt", "가"))
    content = shard.read_bytes()
    shard.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"s\.tar\.gz"):
        rejected(tmp_path, splits={"train": "*.tar.gz"})


def test_no_tar_and_shards_without_samples_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no"):
        list(read_source(source(tmp_path)))
    pack(tmp_path / "s.tar", ("README", b"hello"))
    with pytest.raises(UserError, match="hold no samples"):
        rejected(tmp_path)
    (tmp_path / "s.tar").write_bytes(b"<html>" * 500)
    with pytest.raises(UserError, match="not a tar archive"):
        rejected(tmp_path)
    with pytest.raises(UserError, match="no folder"):
        list(read_source(source(tmp_path / "nowhere")))


def test_a_shard_stands_in_one_split_only(tmp_path: Path) -> None:
    pack(tmp_path / "s-0.tar", ("a.wav", clip(0)), ("a.txt", "가"))
    with pytest.raises(UserError, match="as train and as test"):
        rejected(tmp_path, splits={"train": "s-*.tar", "test": "s-0.tar"})
    with pytest.raises(ValidationError, match="both name the shards"):
        source(tmp_path, shards="*.tar", splits={"train": "*.tar"})


def spoken(tmp_path: Path) -> Path:
    """Four shards with the same keys: 40 samples of 8 speakers, each with its own sentences."""
    for shard in range(4):
        files: list[tuple[str, bytes | str | dict[str, Any]]] = []
        for key in range(10):
            number = 10 * shard + key
            files.append((f"{key:03d}.wav", clip(number)))
            about = {"text": f"문장 {number}", "speaker": f"s{number % 8}"}
            files.append((f"{key:03d}.json", about))
        pack(tmp_path / f"{shard:03d}.tar", *files)
    return tmp_path


def test_without_splits_speakers_and_sentences_are_kept_apart(tmp_path: Path) -> None:
    found = taken(spoken(tmp_path), shards="{000..003}.tar", test_share=0.25, dev_share=0)
    speakers = {
        split: {e.speaker for e in found if e.split == split} for split in ("train", "test")
    }
    assert len(found) == 40
    assert len(speakers["test"]) == 2
    assert not speakers["train"] & speakers["test"]
    assert len({entry.id for entry in found}) == 40


def test_who_is_not_named_cannot_be_divided_by_speaker(tmp_path: Path) -> None:
    folder = spoken(tmp_path)
    files: list[tuple[str, bytes | str | dict[str, Any]]] = []
    for key, about in (("a", {"text": "이름 없음"}), ("b", {"text": "?!", "speaker": "s1"})):
        files += [(f"{key}.wav", clip(0)), (f"{key}.json", about)]
    pack(folder / "000-odd.tar", *files)
    found = list(read_source(source(folder, test_share=0.25, dev_share=0)))
    left = {e.id: e.reason for e in found if isinstance(e, Rejected)}
    assert left == {"000-odd/a": "no-speaker", "000-odd/b": "empty-text"}
    # What comes after them has its own split, not that of its neighbour.
    of_speaker: dict[str | None, set[str]] = {}
    for entry in found:
        if isinstance(entry, Utterance):
            of_speaker.setdefault(entry.speaker, set()).add(entry.split)
    assert len(of_speaker) == 8
    assert all(len(splits) == 1 for splits in of_speaker.values())


def test_a_corpus_is_prepared_from_shards_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = spoken(tmp_path / "shards")
    pack(folder / "003.tar", ("bad.wav", b"RIFF"), ("bad.txt", "가"), ("none.wav", clip(0)))
    settings = {"train": ["{000..001}.tar", "003.tar"], "test": "002.tar"}
    card = prepare("mine", source(folder, splits=settings), tmp_path / "out")
    assert (card.read, card.taken, card.quarantined) == (32, 30, 2)
    assert {split: s.utterances for split, s in card.splits.items()} == {"train": 20, "test": 10}
    corpus = Corpus.open(tmp_path / "out")
    (record,) = [r for r in corpus.records("test") if r.id == "002/004"]
    samples, _ = soundfile.read(io.BytesIO(clip(24)), dtype="float32")
    np.testing.assert_array_equal(corpus.samples(record), samples)


def test_another_shard_makes_another_corpus(tmp_path: Path) -> None:
    folder = spoken(tmp_path)
    before = describe_source(source(folder))
    assert before == describe_source(source(folder))
    pack(folder / "004.tar", ("a.wav", clip(0)), ("a.txt", "가"))
    assert describe_source(source(folder)) != before


def test_memory_stays_flat_however_long_a_shard_is(tmp_path: Path) -> None:
    sound = bytes(100_000)
    peaks = []
    for size in (50, 400):
        name = f"{size}.tar"
        files = [(f"{n}.{form}", sound if form == "wav" else "가") for n in range(size)
                 for form in ("wav", "txt")]  # fmt: skip
        pack(tmp_path / name, *files)
        tracemalloc.start()
        for entry in read_source(source(tmp_path, splits={"train": name})):
            assert isinstance(entry, Utterance)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 2_000_000
