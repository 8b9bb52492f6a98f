"""Every kind of broken recording, text, list and archive: left out with its reason, or one line.

Each case stands between good recordings, which must be taken all the same.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from made_source import prepare_made

from soritune.corpus.card import CorpusCard
from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.sources import clips
from soritune.sources.corpora.common_voice import CommonVoiceSource
from soritune.sources.formats.manifest import ManifestSource
from soritune.utterance import Utterance

Make = Callable[[Path], Path | bytes]


def tone(duration_s: float = 0.5, rate_hz: int = 16_000, channels: int = 1) -> npt.NDArray[Any]:
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    wave = 0.3 * np.sin(2 * np.pi * 220 * time_s)
    return np.repeat(wave[:, None], channels, axis=1) if channels > 1 else wave


def encoded(samples: npt.NDArray[Any], rate_hz: int = 16_000, **given: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, **{"format": "WAV", **given})
    return buffer.getvalue()


GOOD = encoded(tone())


def with_header(rate_hz: int = 16_000, channels: int = 1, bits: int = 16) -> bytes:
    """A WAV with true sizes and a header that says what is given here."""
    content = b"\x10\x20" * 16_000
    block = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", 1, channels, rate_hz, rate_hz * block & 0xFFFFFFFF, block & 0xFFFF, bits
    )
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(content))
    return b"RIFF" + struct.pack("<I", len(body) + len(content)) + body + content


def three_hours(folder: Path) -> Path:
    path = folder / "film.wav"
    num_bytes = 3 * 3600 * 16_000 * 2
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", num_bytes + 36) + b"WAVEfmt ")
        file.write(struct.pack("<I", 16) + form + b"data" + struct.pack("<I", num_bytes))
        file.truncate(44 + num_bytes)  # a hole: it takes no room on the disk
    return path


def damaged_flac() -> bytes:
    content = bytearray(encoded(np.random.default_rng(0).normal(0, 0.1, 16_000), format="FLAC"))
    content[len(content) // 2 : len(content) // 2 + 2000] = b"\xff" * 2000
    return bytes(content)


def written(name: str, content: bytes) -> Make:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return make


def symlink_loop(folder: Path) -> Path:
    (folder / "a.wav").symlink_to(folder / "b.wav")
    (folder / "b.wav").symlink_to(folder / "a.wav")
    return folder / "a.wav"


def dangling_link(folder: Path) -> Path:
    (folder / "gone.wav").symlink_to(folder / "nothing.wav")
    return folder / "gone.wav"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.wav")
    return folder / "pipe.wav"


def folder_as_file(folder: Path) -> Path:
    (folder / "clip.wav").mkdir()
    return folder / "clip.wav"


def secret(folder: Path) -> Path:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = written("secret.wav", GOOD)(folder)
    assert isinstance(path, Path)
    path.chmod(0)
    return path


NAN = tone()
NAN[100] = np.nan
INFINITE = tone()
INFINITE[100] = -np.inf
MP3 = encoded(tone(3.0, 48_000), 48_000, format="MP3")
FLAC = encoded(np.random.default_rng(1).normal(0, 0.1, 32_000), format="FLAC")
OGG = encoded(tone(3.0), format="OGG")

BAD_AUDIO: dict[str, tuple[Make | bytes, str]] = {
    "zero bytes": (b"", "empty"),
    "a header and no samples": (encoded(tone(0.0)), "empty"),
    "a wrong header": (b"RIFFxxxxJUNK" + GOOD[12:], "unreadable"),
    "half a header": (GOOD[:20], "unreadable"),
    "a web page": (b"<!doctype html><title>404</title>", "unreadable"),
    "a text named .flac": (written("a.flac", "가나다".encode()), "unreadable"),
    "random bytes": (np.random.default_rng(2).bytes(5000), "unreadable"),
    "headerless samples named .raw": (written("a.raw", b"\x01\x02" * 9000), "unreadable"),
    "a cut WAV": (GOOD[: len(GOOD) // 2], "truncated"),
    "a cut MP3": (MP3[: len(MP3) // 3], "truncated"),
    "a cut FLAC": (FLAC[: len(FLAC) // 2], "truncated"),
    "a cut Ogg": (OGG[: len(OGG) * 2 // 3], "truncated"),
    "a FLAC with a hole": (damaged_flac(), "truncated"),
    "float samples with NaN": (encoded(NAN, subtype="FLOAT"), "non-finite"),
    "float samples with infinity": (encoded(INFINITE, subtype="DOUBLE"), "non-finite"),
    "all zeros": (encoded(np.zeros(16_000)), "silent"),
    "a constant": (encoded(np.full(16_000, 0.25)), "silent"),
    "3 hours": (three_hours, "too-long"),
    "31 seconds": (encoded(tone(31.0)), "too-long"),
    "10 ms": (encoded(tone(0.01)), "too-short"),
    "rate 1 Hz": (with_header(rate_hz=1), "bad-rate"),
    "rate 2,000,000,000 Hz": (with_header(rate_hz=2_000_000_000), "bad-rate"),
    "a missing file": (lambda folder: folder / "none.wav", "missing"),
    "a link to nothing": (dangling_link, "missing"),
    "a loop of links": (symlink_loop, "unreadable"),
    "a folder": (folder_as_file, "unreadable"),
    "a pipe": (pipe, "unreadable"),
    "a device": (lambda folder: Path("/dev/zero"), "unreadable"),
    "a file that may not be read": (secret, "unreadable"),
    "a NUL in the path": (lambda folder: folder / "a\0b.wav", "unreadable"),
    "a path that is too long": (lambda folder: folder / ("x" * 5000), "unreadable"),
}
# libsndfile refuses some of these itself; whichever notices first, the reason is one of these.
BAD_HEADERS = {
    "rate 0": with_header(rate_hz=0),
    "no channels": with_header(channels=0),
    "60,000 channels": with_header(channels=60_000),
    "0 bits": with_header(bits=0),
}
ODD_BUT_RIGHT: dict[str, Make | bytes] = {
    "24 bits": encoded(tone(), subtype="PCM_24"),
    "8 bits": encoded(tone(), subtype="PCM_U8"),
    "6 channels": encoded(tone(channels=6)),
    "float beyond full scale": encoded(4 * tone(), subtype="FLOAT"),
    "192 kHz": encoded(tone(0.5, 192_000), 192_000),
    "FLAC named .mp3": written("a.mp3", encoded(tone(), format="FLAC")),
    "MP3 named .wav": written("a.wav", encoded(tone(), format="MP3")),
    "a name of emoji and spaces": written("노래 🎵.wav", GOOD),
}


def good(name: str, text: str = "괜찮아요") -> Utterance:
    return Utterance(name, GOOD, text, "ko", "train")


def prepared(entries: list[Utterance], folder: Path) -> tuple[CorpusCard, dict[str, str]]:
    """The card, and the reasons by id; what was read is taken or in the quarantine."""
    card = prepare_made("c", entries, folder / "out", chunk_size=2)
    lines = (folder / "out" / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert card.taken + card.quarantined == card.read == len(entries)
    assert len(found) == card.quarantined
    assert all(line["detail"] and line["where"] for line in found)
    taken = {record.id for record in Corpus.open(folder / "out").records()}
    assert {"first", "last"} <= taken
    return card, {line["id"]: line["reason"] for line in found}


def made(make: Make | bytes, folder: Path) -> Path | bytes:
    return make if isinstance(make, bytes) else make(folder)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", BAD_AUDIO)
def test_bad_audio_is_left_out_with_its_reason_and_the_rest_is_taken(
    tmp_path: Path, kind: str
) -> None:
    make, reason = BAD_AUDIO[kind]
    bad = Utterance("bad", made(make, tmp_path), "글", "ko", "train")
    _, reasons = prepared([good("first"), bad, good("last")], tmp_path)
    assert reasons == {"bad": reason}


@pytest.mark.parametrize("kind", BAD_HEADERS)
def test_a_header_that_cannot_be_true_is_left_out(tmp_path: Path, kind: str) -> None:
    bad = Utterance("bad", BAD_HEADERS[kind], "글", "ko", "train")
    _, reasons = prepared([good("first"), bad, good("last")], tmp_path)
    assert reasons["bad"] in {"unreadable", "bad-rate", "empty", "too-short", "truncated"}


@pytest.mark.parametrize("kind", ODD_BUT_RIGHT)
def test_odd_audio_that_is_right_is_taken(tmp_path: Path, kind: str) -> None:
    odd = Utterance("odd", made(ODD_BUT_RIGHT[kind], tmp_path), "글", "ko", "train")
    card, reasons = prepared([good("first"), odd, good("last")], tmp_path)
    assert (card.taken, reasons) == (3, {})
    record = Corpus.open(tmp_path / "out").records()[1]
    assert record.duration_s == pytest.approx(0.5, abs=0.08)


def test_a_header_of_a_thousand_channels_is_read_in_small_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    read = soundfile.SoundFile.read

    def counted(self: soundfile.SoundFile, frames: int = -1, *args: Any, **kwargs: Any) -> Any:
        sizes.append(frames * self.channels)
        return read(self, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    wide = encoded(np.repeat(tone()[:, None], 1000, axis=1))
    prepared([good("first"), Utterance("wide", wide, "글", "ko", "train"), good("last")], tmp_path)
    assert max(sizes) <= 1 << 18


BAD_TEXT = {
    "nothing": ("bad", "", "empty-text"),
    "only spaces": ("bad", " \u3000\n\t", "empty-text"),
    "only a byte order mark": ("bad", "\ufeff", "empty-text"),
    "10,000 characters": ("bad", "가" * 10_000, "text-too-long"),
    "more than anybody says in half a second": ("bad", "가나다 " * 20, "text-too-long"),
    "a NUL": ("bad", "가\0나", "bad-text"),
    "an escape character": ("bad", "\x1b[31m가", "bad-text"),
    "the mark of a wrong encoding": ("bad", "가\ufffd나", "bad-text"),
    "a lone surrogate": ("bad", "\ud800가", "bad-text"),
    "cp949 read as UTF-8": (
        "bad",
        "한글".encode("cp949").decode("utf-8", "surrogateescape"),
        "bad-text",
    ),
    "no id": ("", "글", "bad-id"),
    "an id of a space": (" ", "글", "bad-id"),
    "an id with a line break": ("a\nb", "글", "bad-id"),
    "an id with a NUL": ("a\0b", "글", "bad-id"),
}


@pytest.mark.parametrize("kind", BAD_TEXT)
def test_bad_text_is_left_out_with_its_reason_and_the_rest_is_taken(
    tmp_path: Path, kind: str
) -> None:
    name, text, reason = BAD_TEXT[kind]
    bad = Utterance(name, GOOD, text, "ko", "train")
    _, reasons = prepared([good("first"), bad, good("last")], tmp_path)
    assert list(reasons.values()) == [reason]


def test_an_id_of_ten_thousand_characters_is_left_out(tmp_path: Path) -> None:
    card, _ = prepared([good("first"), good("x" * 10_000), good("last")], tmp_path)
    assert card.reasons == {"bad-id": 1}


def test_a_translation_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    bad = Utterance("bad", GOOD, "글", "ko", "train", None, "word " * 2000, "en")
    _, reasons = prepared([good("first"), bad, good("last")], tmp_path)
    assert reasons == {"bad": "text-too-long"}


@pytest.mark.parametrize(
    "name", ["a/b/../c", "노래 🎵", "a b\u200bc", "C:\\clips\\1", "..", "'; --"]
)
def test_an_id_is_a_name_never_a_path(tmp_path: Path, name: str) -> None:
    card, _ = prepared([good("first"), good(name), good("last")], tmp_path)
    assert card.taken == 3
    assert Corpus.open(tmp_path / "out").records()[1].id == name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_an_id_that_comes_twice_is_taken_once(tmp_path: Path) -> None:
    entries = [good("first"), good("first", "다른 말"), good("last")]
    _, reasons = prepared(entries, tmp_path)
    assert reasons == {"first": "duplicate-id"}


def listed(folder: Path, content: bytes, name: str = "list.jsonl") -> CorpusCard:
    (folder / "a.wav").write_bytes(GOOD)
    (folder / "b.wav").write_bytes(GOOD)
    (folder / name).write_bytes(content)
    source = ManifestSource(
        source="manifest", language="ko", path=folder / name, test_share=0, dev_share=0
    )
    card = prepare("c", source, folder / "out")
    assert card.taken + card.quarantined == card.read
    return card


LINE = b'{"audio": "b.wav", "text": "\xea\xb8\x80"}\n'
BAD_LINES = {
    "no JSON": (b"{audio: a.wav}", "bad-line"),
    "half a line": (b'{"audio": "a.wav", "te', "bad-line"),
    "a list": (b'["a.wav", "x"]', "bad-line"),
    "no audio": (b'{"text": "x"}', "bad-line"),
    "no text": (b'{"audio": "a.wav"}', "bad-line"),
    "a text that is NaN": (b'{"audio": "a.wav", "text": NaN}', "empty-text"),
    "a text that is a list": (b'{"audio": "a.wav", "text": ["x"]}', "bad-line"),
    "deep nesting": (b"[" * 100_000, "bad-line"),
    "cp949": ('{"audio": "a.wav", "text": "한글"}'.encode("cp949"), "bad-text"),
    "a huge line": (b'{"audio": "a.wav", "text": "' + b"x" * 5_000_000 + b'"}', "text-too-long"),
    "a surrogate": (b'{"audio": "a.wav", "text": "\\ud800"}', "bad-text"),
    "a NUL": (b'{"audio": "a.wav", "text": "x\\u0000"}', "bad-text"),
    "an offset that is no number": (
        b'{"audio": "a.wav", "text": "x", "offset": "later"}',
        "bad-line",
    ),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_costs_only_itself(tmp_path: Path, kind: str) -> None:
    line, reason = BAD_LINES[kind]
    card = listed(tmp_path, line + b"\n" + LINE)
    assert card.taken == 1
    assert card.quarantined == 1
    assert reason is None or set(card.reasons) == {reason}


def test_a_byte_order_mark_and_windows_line_ends_cost_nothing(tmp_path: Path) -> None:
    assert listed(tmp_path, b"\xef\xbb\xbf" + LINE.replace(b"\n", b"\r\n")).taken == 1


BAD_LISTS = {
    "nothing": ("list.jsonl", b"", "no entries"),
    "a table without the columns": ("list.csv", b"a,b\n1,2\n", "no column for the audio"),
    "a binary file": ("list.csv", np.random.default_rng(3).bytes(300), "list.csv"),
    "another ending": ("list.xlsx", b"PK", "list.xlsx"),
    "a damaged Parquet file": ("list.parquet", b"PAR1xxxxPAR1", "list.parquet"),
    "only bad lines": ("list.jsonl", b"{}\n{}\n", "all 2 entries were left out"),
}


@pytest.mark.parametrize("kind", BAD_LISTS)
def test_a_list_that_is_useless_is_one_line(tmp_path: Path, kind: str) -> None:
    name, content, message = BAD_LISTS[kind]
    with pytest.raises(UserError, match=message) as caught:
        listed(tmp_path, content, name)
    assert "\n" not in str(caught.value)


HEADER = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\tsegment\n"


def release(folder: Path, members: dict[str, bytes], *, cut: float = 1.0) -> Path:
    path = folder / "cv.tar.gz"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    content = buffer.getvalue()
    path.write_bytes(content[: round(len(content) * cut)])
    return path


def of_release(path: Path, out: Path) -> CorpusCard:
    source = CommonVoiceSource(source="common-voice", locale="ko", path=str(path), splits=["train"])
    return prepare("cv", source, out)


def members(*names: str) -> dict[str, bytes]:
    lines = "".join(f"s{name}\t{name}.mp3\t말 {name}\t2\t0\t\t\t\tko\t\n" for name in names)
    table = {"cv/ko/train.tsv": (HEADER + lines).encode()}
    empty = {f"cv/ko/{name}.tsv": HEADER.encode() for name in ("dev", "test")}
    return {**table, **empty, **{f"cv/ko/clips/{name}.mp3": MP3 for name in names}}


def test_an_archive_that_is_cut_is_one_line(tmp_path: Path) -> None:
    noise = np.random.default_rng(4).bytes(200_000)
    path = release(tmp_path, {**members("a"), "cv/ko/clips/x.mp3": noise}, cut=0.7)
    with pytest.raises(UserError, match=r"cv\.tar\.gz.*damaged"):
        of_release(path, tmp_path / "out")


@pytest.mark.parametrize("name", ["/etc/evil.mp3", "cv/../../evil.mp3", "cv\\..\\evil.mp3"])
def test_an_archive_whose_paths_leave_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = release(tmp_path, {**members("a"), name: MP3})
    with pytest.raises(UserError, match="leaves its folder"):
        of_release(path, tmp_path / "out")


def test_a_file_that_is_no_archive_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "cv.tar.gz"
    path.write_bytes(gzip.compress(b"no tar " * 1000))
    with pytest.raises(UserError, match=r"cv\.tar\.gz"):
        of_release(path, tmp_path / "out")


def test_a_clip_that_swells_when_it_is_unpacked_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "MAX_CLIP_BYTES", 1 << 20)
    swollen = {**members("a", "b"), "cv/ko/clips/b.mp3": bytes(8 << 20)}
    path = release(tmp_path, swollen)
    assert path.stat().st_size < 1 << 17
    card = of_release(path, tmp_path / "out")
    assert card.taken == 1
    assert card.reasons == {"too-long": 1}


def test_a_clip_that_is_listed_and_not_there_is_left_out(tmp_path: Path) -> None:
    lacking = members("a", "b")
    del lacking["cv/ko/clips/b.mp3"]
    assert of_release(release(tmp_path, lacking), tmp_path / "out").reasons == {"missing": 1}


def kinds() -> Iterator[str]:
    for table in (BAD_AUDIO, BAD_HEADERS, BAD_TEXT, BAD_LINES, BAD_LISTS):
        yield from table


def test_at_least_thirty_kinds_are_made() -> None:
    assert len(set(kinds())) >= 30
