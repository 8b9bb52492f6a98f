"""AI-Hub corpora with labels in JSON, in the forms that published loaders of them read."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from soritune.corpus.card import CorpusCard
from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.sources import count_source, describe_source, read_source
from soritune.sources.corpora.aihub import AihubSource

CLIP = "노인남여_노인대화77_F_1522434093_62_제주_실내_84051"


def wav(path: Path, seed: int = 0, duration_s: float = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(16_000 * duration_s))
    soundfile.write(path, samples, 16_000, format="WAV")
    return path


def pcm(path: Path, num_samples: int = 8_000, extra: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 1000 * np.random.default_rng(1).standard_normal(num_samples)
    path.write_bytes(np.rint(noise).astype("<i2").tobytes() + extra)
    return path


def label(path: Path, value: Any, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.dumps(value, ensure_ascii=False).encode(encoding))
    return path


def free(text: Any, name: str | None = f"{CLIP}.wav", speaker: Any = "1522434093") -> Any:
    """자유대화 음성: one label a clip."""
    return {
        "발화정보": {"stt": text, "scriptId": "P", "fileNm": name, "recrdTime": "0.500"},
        "대화정보": {"recrdEnvrn": "실내", "colctUnitCode": "AI챗봇", "cityCode": "제주"},
        "녹음자정보": {"gender": "여", "recorderId": speaker, "age": 62},
    }


def command(text: str, name: str) -> Any:
    """명령어 음성."""
    return {
        "기본정보": {"DataCategory": "AI비서"},
        "전사정보": {"LabelText": text},
        "화자정보": {"SpeakerName": "sp01", "Gender": "Male", "Age": 70},
        "파일정보": {"FileName": name, "FileLength": 0.5},
    }


def session(*dialogs: Any) -> Any:
    """상담 음성 (KtelSpeech) and its kin: one label a session."""
    speakers = [{"id": "1", "telephone_network": "8k"}, {"id": "2"}]
    info = {"category": "금융", "speakers": speakers}
    return {"dataSet": {"version": "1.0", "typeInfo": info, "dialogs": list(dialogs)}}


def dialog(number: int, text: str | None, folder: str) -> dict[str, str]:
    entry = {"speaker": str(number % 2 + 1), "audioPath": f"{folder}/{number:04d}.wav"}
    entry["textPath"] = f"{folder}/{number:04d}.txt"
    return entry if text is None else {**entry, "text": text}


def source(path: Path, **settings: Any) -> AihubSource:
    return AihubSource(source="aihub", path=path, **settings)


def undivided(path: Path, **settings: Any) -> AihubSource:
    return source(path, test_share=0, dev_share=0, **settings)


def prepared(wanted: AihubSource, out: Path) -> CorpusCard:
    card = prepare("aihub", wanted, out)
    assert card.taken + card.quarantined == card.read
    return card


def texts(out: Path) -> dict[str, str]:
    return {record.id: record.text for record in Corpus.open(out).records()}


def quarantine(out: Path) -> dict[str, str]:
    lines = (out / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert all(line["where"] for line in found)
    return {line["id"]: line["reason"] for line in found}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_free_conversations_are_read_from_mirrored_folders(tmp_path: Path, encoding: str) -> None:
    root = tmp_path / "자유대화"
    names = {"Training": "51", "Validation": "52"}
    for seed, (part, speaker) in enumerate(names.items()):
        folder = f"노인남여_노인대화77_F_{speaker}"
        name = f"{folder}_0000{seed}"
        value = free(f"(FP:음) 안녕하세요 {speaker}", f"{name}.wav", speaker)
        label(root / f"01.데이터/{part}/[라벨]1.AI챗봇/{folder}/{name}.json", value, encoding)
        wav(root / f"01.데이터/{part}/[원천]1.AI챗봇_1/{folder}/{name}.wav", seed)
    card = prepared(source(root), tmp_path / "out")
    assert (card.read, card.taken, card.languages) == (2, 2, {"ko": 2})
    found = [(r.split, r.text, r.speaker) for r in Corpus.open(tmp_path / "out").records()]
    assert found == [("train", "음 안녕하세요 51", "51"), ("test", "음 안녕하세요 52", "52")]
    prepared(source(root, validation="dev"), tmp_path / "other")
    assert set(Corpus.open(tmp_path / "other").card.splits) == {"train", "dev"}


def test_the_samples_belong_to_the_label(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    for part, folder in (("Training", "A"), ("Training", "B"), ("Validation", "A")):
        seed = len(part) + ord(folder)
        text = f"{part} {folder}"
        label(root / part / "label" / folder / "0001.json", free(text, "0001.wav"))
        wav(root / part / "raw" / folder / "0001.wav", seed)
    prepared(source(root), tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    for record in corpus.records():
        part, folder = record.text.split()
        expected, _ = soundfile.read(root / part / "raw" / folder / "0001.wav", dtype="float32")
        assert np.abs(corpus.samples(record) - expected).max() == 0


def test_commands_and_headerless_recordings_at_8_khz(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    label(root / "label" / "a.json", command("불 (2개)/(두 개) 켜 줘 n/", "long_name_0001.pcm"))
    pcm(root / "audio" / "long_name_0001.pcm")
    wanted = undivided(root, pcm_rate_hz=8_000, policy="pronunciation")
    prepared(wanted, tmp_path / "out")
    record = Corpus.open(tmp_path / "out").records()[0]
    assert (record.text, record.speaker, record.duration_s) == ("불 두 개 켜 줘", "sp01", 1.0)


@pytest.mark.parametrize("where", ["in the label", "beside the label"])
def test_sessions_give_an_utterance_an_entry(tmp_path: Path, where: str) -> None:
    root = tmp_path / "corpus"
    own = {1: "네 (1시)/(한 시)요", 2: "u/ 네", 3: "그래요 b/"}
    for name, shift in (("S00000001", 0), ("S00000002", 10)):
        folder = f"KtelSpeech/D60/J91/{name}"
        entries = []
        for number, text in own.items():
            inside = where == "in the label"
            entries.append(dialog(number, text if inside else None, folder))
            if not inside:
                path = root / "라벨링데이터" / folder / f"{number:04d}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode("cp949"))
            wav(root / "원천데이터" / folder / f"{number:04d}.wav", number + shift)
        label(root / "라벨링데이터" / folder / f"{name}.json", session(*entries))
    card = prepared(undivided(root, split_by=["sentence"]), tmp_path / "out")
    assert (card.read, card.taken, card.reasons) == (6, 4, {"unclear": 2})
    place = "원천데이터/KtelSpeech/D60/J91"
    assert texts(tmp_path / "out") == {
        f"{place}/S00000001/0001": "네 1시요",
        f"{place}/S00000001/0003": "그래요",
        f"{place}/S00000002/0001": "네 1시요",
        f"{place}/S00000002/0003": "그래요",
    }
    speakers = {r.speaker for r in Corpus.open(tmp_path / "out").records()}
    assert speakers == {"2"}


def test_a_recording_of_another_session_is_never_taken(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    label(root / "label" / "A" / "0001.json", free("가", "0001.wav"))
    label(
        root / "label" / "S1" / "S1.json", session(dialog(1, "나", "x/S1"), dialog(2, "다", "x/S1"))
    )
    label(root / "Training" / "label" / "C" / "clip_of_training_01.json", free("라", None))
    label(root / "Training" / "label" / "D" / "0001.json", free("마", "0001.wav"))
    elsewhere = {"speaker": "1", "audioPath": "x/S2/a_long_name_0001.wav", "text": "바"}
    label(root / "label" / "S2" / "S2.json", session(elsewhere))
    wav(root / "raw" / "S3" / "a_long_name_0001.wav")
    wav(root / "raw" / "B" / "0001.wav")
    wav(root / "raw" / "B" / "0002.wav")
    wav(root / "Validation" / "raw" / "C" / "clip_of_training_01.wav")
    wav(root / "raw" / "D" / "0001.wav")
    card = prepared(source(root), tmp_path / "out")
    assert card.reasons == {"missing": 5}
    assert texts(tmp_path / "out") == {"raw/D/0001": "마"}


def test_two_recordings_of_a_name_are_told_apart_or_refused(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    label(root / "label" / "a.json", free("가", "a_long_name_0001.wav"))
    label(root / "label" / "b.json", free("나", "a_long_name_0002.wav"))
    wav(root / "one" / "a_long_name_0001.wav")
    wav(root / "one" / "a_long_name_0002.wav")
    wav(root / "two" / "a_long_name_0001.wav")
    prepared(undivided(root), tmp_path / "out")
    line = json.loads((tmp_path / "out" / "quarantine.jsonl").read_text(encoding="utf-8"))
    assert line["reason"] == "bad-line"
    assert "one/a_long_name_0001.wav, two/a_long_name_0001.wav" in line["detail"]


def test_parts_of_a_recording_are_cut_out(tmp_path: Path) -> None:
    root = tmp_path / "방언"
    wav(root / "audio" / "DGSW20000001.wav", duration_s=3.0)
    parts = [("말이우다", 0.5, 1.5), ("기여", 2, 2.5), ("뒤집힌", 2.5, 2.0), ("&이름1& 삼춘", 0, 1)]
    utterances = [
        {"dialect_form": t, "standard_form": "말입니다", "speaker_id": "1", "start": a, "end": b}
        for t, a, b in parts
    ]
    label(root / "label" / "DGSW20000001.json", {"id": "DGSW20000001", "utterance": utterances})
    card = prepared(undivided(root), tmp_path / "out")
    assert card.reasons == {"bad-line": 1, "bad-markup": 1}
    records = Corpus.open(tmp_path / "out").records()
    assert [(r.text, r.duration_s, r.speaker) for r in records] == [
        ("말이우다", 1.0, "1"),
        ("기여", 0.5, "1"),
    ]


@pytest.mark.parametrize("end", [True, None, "NaN", "Infinity", "soon", 10**400, -1])
def test_a_part_without_times_is_not_the_whole_recording(tmp_path: Path, end: Any) -> None:
    root = tmp_path / "방언"
    wav(root / "a.wav", duration_s=2.0)
    good = {"dialect_form": "말이우다", "start": "0.5", "end": "1.5"}
    label(root / "a.json", {"utterance": [good]})
    wav(root / "b.wav", duration_s=2.0)
    label(root / "b.json", {"utterance": [{**good, "dialect_form": "기여", "end": end}]})
    card = prepared(undivided(root), tmp_path / "out")
    assert (card.taken, card.duration_s, card.reasons) == (1, 1.0, {"bad-line": 1})


def test_a_session_that_names_no_recordings_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    label(root / "S1.json", {"dialogs": [{"speakerText": "가"}, {"speakerText": "나"}]})
    wav(root / "S1.wav")
    label(root / "S2.json", {"dialogs": [{"speakerText": "다"}]})
    wav(root / "S2.wav")
    card = prepared(undivided(root), tmp_path / "out")
    assert card.reasons == {"bad-line": 2}
    assert texts(tmp_path / "out") == {"S2": "다"}


def test_folders_of_one_name_are_told_apart_by_those_above(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    for seed, disk in enumerate(("D60", "D61")):
        folder = f"Ktel/{disk}/S00000001"
        entry = dialog(1, f"상담 {disk}", folder)
        label(root / "label" / folder / "S00000001.json", session(entry))
        wav(root / "raw" / folder / "0001.wav", seed)
        label(root / disk / "label" / "A" / "0002.json", free(f"대화 {disk}", "0002.wav"))
        wav(root / disk / "raw" / "A" / "0002.wav", seed)
    prepared(undivided(root), tmp_path / "out")
    assert texts(tmp_path / "out") == {
        "raw/Ktel/D60/S00000001/0001": "상담 D60",
        "raw/Ktel/D61/S00000001/0001": "상담 D61",
        "D60/raw/A/0002": "대화 D60",
        "D61/raw/A/0002": "대화 D61",
    }


def test_other_labels_are_read_by_the_keys_that_are_given(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    entries = [{"say": {"ko": "가나"}, "who": 7, "file": "a/0001"}, {"who": 8}]
    label(root / "labels.json", {"meta": {}, "talk": [{"turns": entries}]})
    wav(root / "a" / "0001.WAV")
    keys = {
        "text_key": "talk[].turns[].say.ko",
        "audio_key": "talk[].turns[].file",
        "speaker_key": "talk[].turns[].who",
    }
    card = prepared(undivided(root, **keys), tmp_path / "out")
    assert (card.taken, card.reasons) == (1, {"bad-line": 1})
    assert texts(tmp_path / "out") == {"a/0001": "가나"}
    assert Corpus.open(tmp_path / "out").records()[0].speaker == "7"


def test_names_in_decomposed_jamo_and_capital_suffixes_are_found(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    label(root / "label" / "a.json", free("가나", f"{CLIP}.wav"))
    wav(root / "raw" / f"{unicodedata.normalize('NFD', CLIP)}.WAV")
    assert prepared(undivided(root), tmp_path / "out").taken == 1


def test_odd_labels_cost_themselves_and_are_told(tmp_path: Path) -> None:
    root = tmp_path / "corpus" / "Training"
    good = {
        "ok": "좋아요",
        "no-audio": "없어요",
        "noise": "b/ n/",
        "half": "(3/(삼) 개",
        "void": " ",
    }
    for name, text in good.items():
        label(root / f"{name}.json", free(text, f"{name}.wav"))
        if name != "no-audio":
            wav(root / f"{name}.wav")
    label(root / "odd.json", free("홀수", "odd.pcm"))
    pcm(root / "odd.pcm", extra=b"\1")
    label(root / "number.json", free(3, "ok.wav"))
    label(root / "other.json", {"title": "metadata"})
    label(root / "twice.json", free("또", "ok.wav"))
    label(root / "escape.json", free("밖", "../../outside.wav"))
    wav(tmp_path / "outside.wav")
    (root / "cut.json").write_bytes(b'{"\xeb\xb0\x9c": ')
    (root / "bytes.json").write_bytes(b'{"stt": "\xff\xff\xff"}')
    (root / "deep.json").write_bytes(b"[" * 100_000)
    label(tmp_path / "corpus" / "stray.json", free("어디", "stray.wav"))
    wav(tmp_path / "corpus" / "stray.wav")
    card = prepared(source(tmp_path / "corpus"), tmp_path / "out")
    assert (card.read, card.taken) == (14, 1)
    assert quarantine(tmp_path / "out") == {
        "Training/no-audio": "missing",
        "Training/noise": "no-speech",
        "Training/half": "bad-markup",
        "Training/void": "empty-text",
        "Training/odd": "truncated",
        "Training/number": "bad-line",
        "Training/other": "bad-line",
        "Training/ok": "duplicate-id",
        "Training/escape": "missing",
        "Training/cut": "bad-line",
        "Training/bytes": "bad-text",
        "Training/deep": "bad-line",
        "stray": "no-split",
    }


def test_without_parts_speakers_are_divided(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    for number in range(20):
        name = f"speaker{number % 10}_clip{number:02d}"
        label(root / f"{name}.json", free(f"문장 {number}", f"{name}.wav", number % 10))
        wav(root / f"{name}.wav", number)
    prepared(source(root, test_share=0.2, dev_share=0.1), tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    splits = {s: {r.speaker for r in corpus.records(s)} for s in ("train", "dev", "test")}
    assert all(splits.values())
    assert not splits["train"] & (splits["dev"] | splits["test"])


def test_mistakes_of_the_recipe_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    label(tmp_path / "corpus" / "a.json", free("가"))
    for wanted, words in (
        (source(tmp_path / "gone"), "there is no folder"),
        (source(tmp_path / "empty"), r"holds no labels \(\*\.json\)"),
        (source(tmp_path / "corpus", audio_key="a"), "need text_key"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            list(read_source(wanted))
        assert "\n" not in str(caught.value)
    assert count_source(source(tmp_path / "corpus")) is None


def test_it_is_prepared_anew_when_a_label_a_text_or_a_recording_changes(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    path = label(root / "a.json", free("가"))
    (root / "a.txt").write_text("가")
    seen = [describe_source(source(root))["identity"]]
    assert describe_source(source(root))["identity"] == seen[0]
    path.write_bytes(path.read_bytes() + b"\n")
    seen.append(describe_source(source(root))["identity"])
    (root / "a.txt").write_text("나나")
    seen.append(describe_source(source(root))["identity"])
    wav(root / "b.wav")
    seen.append(describe_source(source(root))["identity"])
    assert len(set(seen)) == 4
