"""KsponSpeech in the exact form of its release, and as single parts of it are downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soritune.corpus.card import CorpusCard
from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.sources import count_source, describe_source, read_source
from soritune.sources.corpora.kspon import KsponSource
from soritune.utterance import Rejected, Utterance

PART = "KsponSpeech_01/KsponSpeech_0001"
DUAL = "나 그/ (3G)/(쓰리 쥐)* 하나도 안 봤음. 어."


def pcm(path: Path, seed: int = 0, extra: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).standard_normal(8_000)
    path.write_bytes(np.rint(1000 * noise).astype("<i2").tobytes() + extra)
    return path


def clip(root: Path, number: int, text: str, *, encoding: str = "cp949") -> None:
    path = pcm(root / PART / f"KsponSpeech_{number:06d}.pcm", number)
    path.with_suffix(".txt").write_bytes((text + "\n").encode(encoding))


def lists(root: Path, contents: dict[str, list[str]], encoding: str = "utf-8") -> None:
    (root / "scripts").mkdir(parents=True, exist_ok=True)
    for name, lines in contents.items():
        text = "".join(line + "\n" for line in lines)
        (root / "scripts" / f"{name}.trn").write_bytes(text.encode(encoding))


def release(root: Path, evaluation: str = "KsponSpeech_eval", encoding: str = "utf-8") -> Path:
    """Two clips to train, one of dev, one of each evaluation; their txt only beside the parts."""
    texts = {1: "아/ 몬 소리야, 그건 또. b/", 2: DUAL, 3: "응 그래."}
    for number, text in texts.items():
        clip(root, number, text)
    pcm(root / evaluation / "eval_clean" / "KsponSpeech_E00001.pcm", 11)
    pcm(root / evaluation / "eval_other" / "KsponSpeech_E03001.pcm", 12, extra=b"\0")
    lines = {n: f"{PART}/KsponSpeech_{n:06d}.pcm :: {text}" for n, text in texts.items()}
    contents = {
        "train": [lines[1], lines[2]],
        "dev": [lines[3]],
        "eval_clean": ["KsponSpeech_eval/eval_clean/KsponSpeech_E00001.pcm :: 어/ 일단은 좀"],
        "eval_other": ["KsponSpeech_eval/eval_other/KsponSpeech_E03001.pcm :: 안 먹을래 b/."],
    }
    lists(root, contents, encoding)
    return root


def source(path: Path, **settings: Any) -> KsponSource:
    return KsponSource(source="ksponspeech", path=path, **settings)


def quarantine(out: Path) -> dict[str, str]:
    lines = (out / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert all(line["where"] for line in found)
    return {line["id"]: line["reason"] for line in found}


def prepared(path: Path, out: Path, **settings: Any) -> CorpusCard:
    wanted = source(path, **settings)
    card = prepare("kspon", wanted, out)
    assert card.taken + card.quarantined == card.read
    assert count_source(wanted) == card.read
    return card


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("evaluation", ["KsponSpeech_eval", "평가용_데이터", "."])
def test_a_release_is_read_by_its_lists_wherever_the_evaluations_lie(
    tmp_path: Path, evaluation: str, encoding: str
) -> None:
    root = release(tmp_path / "한국어 음성", evaluation, encoding)
    card = prepared(root, tmp_path / "out")
    assert (card.read, card.taken, card.duration_s) == (5, 5, 2.5)
    found = [(r.split, r.id, r.text, r.speaker) for r in Corpus.open(tmp_path / "out").records()]
    assert sorted(found, key=lambda entry: entry[1]) == [
        ("train", "KsponSpeech_000001", "아 몬 소리야, 그건 또.", None),
        ("train", "KsponSpeech_000002", "나 그 3G 하나도 안 봤음. 어.", None),
        ("dev", "KsponSpeech_000003", "응 그래.", None),
        ("test", "KsponSpeech_E00001", "어 일단은 좀", None),
        ("test", "KsponSpeech_E03001", "안 먹을래.", None),
    ]


def test_the_samples_are_those_of_the_file(tmp_path: Path) -> None:
    root = release(tmp_path / "kspon")
    prepared(root, tmp_path / "out", splits=["eval_other"])
    corpus = Corpus.open(tmp_path / "out")
    record = corpus.records("test")[0]
    path = root / "KsponSpeech_eval/eval_other/KsponSpeech_E03001.pcm"
    expected = np.frombuffer(path.read_bytes()[:-1], dtype="<i2") / 32768
    assert np.abs(corpus.samples(record) - expected).max() == 0


def test_pronunciation_takes_the_other_side(tmp_path: Path) -> None:
    root = release(tmp_path / "kspon")
    prepared(root, tmp_path / "out", policy="pronunciation", splits=["train"])
    assert Corpus.open(tmp_path / "out").records()[1].text == "나 그 쓰리 쥐 하나도 안 봤음. 어."


@pytest.mark.parametrize("encoding", ["cp949", "utf-8", "utf-8-sig"])
def test_parts_alone_are_read_from_the_text_beside_each_clip(tmp_path: Path, encoding: str) -> None:
    root = tmp_path / "kspon"
    clip(root, 2, DUAL, encoding=encoding)
    clip(root, 1, "호호", encoding=encoding)
    pcm(root / "eval_clean" / "KsponSpeech_E00001.pcm").with_suffix(".txt").write_text("응 b/")
    card = prepared(root, tmp_path / "out")
    assert (card.taken, card.quarantined) == (3, 0)
    found = [(r.split, r.id, r.text) for r in Corpus.open(tmp_path / "out").records()]
    assert found == [
        ("test", "KsponSpeech_E00001", "응"),
        ("train", "KsponSpeech_000001", "호호"),
        ("train", "KsponSpeech_000002", "나 그 3G 하나도 안 봤음. 어."),
    ]


def test_without_the_train_list_clips_of_dev_are_still_not_trained_on(tmp_path: Path) -> None:
    root = release(tmp_path / "kspon")
    (root / "scripts" / "train.trn").unlink()
    prepared(root, tmp_path / "out")
    corpus = Corpus.open(tmp_path / "out")
    assert [r.id for r in corpus.records("dev")] == ["KsponSpeech_000003"]
    assert [r.id for r in corpus.records("train")] == ["KsponSpeech_000001", "KsponSpeech_000002"]


def test_odd_clips_cost_themselves_and_are_told(tmp_path: Path) -> None:
    root = tmp_path / "kspon"
    folder = root / PART
    clip(root, 1, "좋아.")
    pcm(folder / "KsponSpeech_000002.pcm")  # no txt
    (folder / "KsponSpeech_000003.txt").write_bytes("없어.".encode("cp949"))  # no pcm
    clip(root, 4, "홀수.")
    pcm(folder / "KsponSpeech_000004.pcm", extra=b"\1")
    clip(root, 5, "빈 파일.")
    (folder / "KsponSpeech_000005.pcm").write_bytes(b"")
    clip(root, 6, "b/ n/")
    clip(root, 7, "u/ 뭐라고 했어")
    clip(root, 8, "(70%/(칠십 프로) 확률")
    clip(root, 9, "")
    clip(root, 10, "섞인 글")
    mixed = "섞인 글 ".encode() + "섞인 글".encode("cp949") + b"\xff"
    (folder / "KsponSpeech_000010.txt").write_bytes(mixed)
    (folder / "KsponSpeech_000011.txt").mkdir()
    card = prepared(root, tmp_path / "out")
    assert (card.read, card.taken) == (11, 1)
    assert quarantine(tmp_path / "out") == {
        "KsponSpeech_000002": "missing",
        "KsponSpeech_000003": "missing",
        "KsponSpeech_000004": "truncated",
        "KsponSpeech_000005": "empty",
        "KsponSpeech_000006": "no-speech",
        "KsponSpeech_000007": "unclear",
        "KsponSpeech_000008": "bad-markup",
        "KsponSpeech_000009": "empty-text",
        "KsponSpeech_000010": "bad-text",
        "KsponSpeech_000011": "unreadable",
    }


def test_the_quarantine_names_the_recording_that_has_to_be_mended(tmp_path: Path) -> None:
    clip(tmp_path / "kspon", 1, "좋아.")
    clip(tmp_path / "kspon", 4, "홀수.")
    path = pcm(tmp_path / "kspon" / PART / "KsponSpeech_000004.pcm", extra=b"\1")
    prepared(tmp_path / "kspon", tmp_path / "out")
    line = json.loads((tmp_path / "out" / "quarantine.jsonl").read_text(encoding="utf-8"))
    assert line["where"] == str(path)


def test_what_was_not_understood_is_kept_where_asked(tmp_path: Path) -> None:
    clip(tmp_path / "kspon", 7, "u/ 뭐라고 했어")
    prepared(tmp_path / "kspon", tmp_path / "out", unclear="keep")
    assert [r.text for r in Corpus.open(tmp_path / "out").records()] == ["뭐라고 했어"]


def test_odd_lines_of_a_list_cost_themselves(tmp_path: Path) -> None:
    root = tmp_path / "kspon"
    clip(root, 1, "좋아.")
    line = f"{PART}/KsponSpeech_000001.pcm :: 좋아."
    lines = [
        line,
        line,
        "",
        f"{PART}/KsponSpeech_000001.pcm 좋아.",
        "../KsponSpeech_000002.pcm :: 나가.",
        "/KsponSpeech_000003.pcm :: 나가.",
        f"{PART}/song.mp3 :: 노래",
        f"{PART}/KsponSpeech_000005.pcm :: 없어.",
    ]
    lists(root, {"train": lines})
    path = root / "scripts" / "train.trn"
    bad = f"{PART}/KsponSpeech_000004.pcm :: ".encode() + b"\xff\xff\n"
    path.write_bytes(path.read_bytes() + bad)
    card = prepared(root, tmp_path / "out")
    assert (card.read, card.taken) == (8, 1)
    assert card.reasons == {"bad-line": 4, "bad-text": 1, "duplicate-id": 1, "missing": 1}


def test_a_clip_of_two_lists_is_held_back_from_training(tmp_path: Path) -> None:
    root = release(tmp_path / "kspon")
    path = root / "scripts" / "train.trn"
    path.write_bytes(path.read_bytes() + (root / "scripts" / "dev.trn").read_bytes())
    card = prepared(root, tmp_path / "out", shared_sentences="keep")
    assert card.reasons == {"duplicate-id": 1}
    assert card.splits["dev"].utterances == 1


def test_only_the_lists_that_are_wanted_are_read(tmp_path: Path) -> None:
    root = release(tmp_path / "kspon")
    found = list(read_source(source(root, splits=["eval_clean", "dev"])))
    assert all(isinstance(entry, Utterance) for entry in found)
    assert [(e.id, e.split) for e in found if isinstance(e, Utterance)] == [
        ("KsponSpeech_E00001", "test"),
        ("KsponSpeech_000003", "dev"),
    ]
    assert not [entry for entry in found if isinstance(entry, Rejected)]


def test_mistakes_of_the_recipe_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    clip(tmp_path / "kspon", 1, "좋아.")
    for wanted, words in (
        (source(tmp_path / "gone"), "there is no folder"),
        (source(tmp_path / "empty"), "holds no .* lists and no clips"),
        (source(tmp_path / "kspon", splits=["dev"]), "holds no dev.trn"),
        (source(tmp_path / "kspon", splits=["train", "eval_other"]), "no clips of eval_other"),
    ):
        for act in (lambda wanted: list(read_source(wanted)), count_source):
            with pytest.raises(UserError, match=words) as caught:
                act(wanted)
            assert "\n" not in str(caught.value)


def test_it_is_prepared_anew_when_a_text_a_list_or_a_folder_changes(tmp_path: Path) -> None:
    parts, root = tmp_path / "parts", release(tmp_path / "kspon")
    clip(parts, 1, "좋아.")
    seen = [describe_source(source(parts))]
    assert describe_source(source(parts)) == seen[0]
    (parts / PART / "KsponSpeech_000001.txt").write_bytes("싫어, 나도.".encode("cp949"))
    seen.append(describe_source(source(parts)))
    clip(parts, 2, "나도.")
    seen.append(describe_source(source(parts)))
    assert len({entry["identity"] for entry in seen}) == 3
    before = describe_source(source(root))
    path = root / "scripts" / "train.trn"
    path.write_bytes(path.read_bytes().replace("몬".encode(), "뭔".encode()))
    assert describe_source(source(root)) != before
    before = describe_source(source(root))
    (root / PART / "KsponSpeech_000002.pcm").unlink()
    assert describe_source(source(root)) != before
