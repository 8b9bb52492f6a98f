"""Caps of the training split, and what dev and test have is not trained on."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from made_source import is_prepared

from soritune.corpus.prepare import prepare
from soritune.corpus.selection import Entry, Note, find_threshold, select
from soritune.sources import READERS
from soritune.sources.formats.manifest import ManifestSource
from soritune.sources.options import SourceOptions, described_options, options_of
from soritune.utterance import Rejected, Split, Utterance


def wav(duration_s: float) -> bytes:
    buffer = io.BytesIO()
    samples = 0.1 * np.random.default_rng(0).standard_normal(round(16_000 * duration_s))
    soundfile.write(buffer, samples, 16_000, format="WAV")
    return buffer.getvalue()


SECOND = wav(1.0)


def one(
    name: str, text: str, split: Split = "train", speaker: str | None = None, audio: bytes = SECOND
) -> Utterance:
    return Utterance(name, audio, text, "ko", split, speaker)


def chosen(entries: Iterable[Entry], **given: Any) -> list[str]:
    listed = list(entries)
    out = list(select(lambda: listed, SourceOptions(**given)))
    return [each.id for each in out if isinstance(each, Utterance)]


MIXED = [
    one("a", "내일 봐요."),
    one("b", "어제 갔다"),
    one("c", "그저께"),
    one("d", "내일 봐요", "dev"),
    one("e", "내일, 봐요!", "test"),
    one("f", "어제갔다", "test"),
]


def test_a_sentence_of_dev_or_test_is_dropped_from_train_and_one_of_test_from_dev() -> None:
    out = list(select(lambda: MIXED, SourceOptions()))
    assert [each.id for each in out if isinstance(each, Utterance)] == ["c", "e", "f"]
    rejected = [each for each in out if isinstance(each, Rejected)]
    assert [(r.id, r.reason) for r in rejected] == [
        ("a", "shared-sentence"),
        ("b", "shared-sentence"),
        ("d", "shared-sentence"),
    ]
    assert "also in test" in rejected[0].detail


def test_shared_sentences_may_be_kept_and_are_counted() -> None:
    out = list(select(lambda: MIXED, SourceOptions(shared_sentences="keep")))
    assert [each.id for each in out if isinstance(each, Utterance)] == list("abcdef")
    assert out.count(Note("shared-sentence-kept")) == 3


def test_text_without_letters_is_no_sentence_to_share() -> None:
    assert chosen([one("a", "..."), one("b", "?!", "test")]) == ["a", "b"]


def test_shared_speakers_are_kept_and_counted_unless_asked_otherwise() -> None:
    entries = [one("a", "하나", speaker="s"), one("b", "둘"), one("c", "셋", "test", "s")]
    out = list(select(lambda: entries, SourceOptions()))
    assert [each.id for each in out if isinstance(each, Utterance)] == ["a", "b", "c"]
    assert out.count(Note("shared-speaker-kept")) == 1
    assert chosen(entries, shared_speakers="drop-from-train") == ["b", "c"]


MANY = [one(f"u{i}", f"문장 {i}", "test" if i % 10 == 0 else "train") for i in range(200)]


def test_a_cap_takes_that_many_of_train_and_leaves_test_alone() -> None:
    out = list(select(lambda: MANY, SourceOptions(max_utterances=30)))
    taken = [each for each in out if isinstance(each, Utterance)]
    assert sum(each.split == "train" for each in taken) == 30
    assert sum(each.split == "test" for each in taken) == 20
    assert out.count(Note("beyond-cap")) == 150
    assert len(out) == 200


def test_a_cap_depends_on_the_ids_not_on_the_order() -> None:
    shuffled = random.Random(1).sample(MANY, len(MANY))
    assert set(chosen(shuffled, max_utterances=30)) == set(chosen(MANY, max_utterances=30))


def test_a_smaller_cap_takes_a_part_of_what_a_larger_one_takes() -> None:
    assert set(chosen(MANY, max_utterances=20)) < set(chosen(MANY, max_utterances=50))
    assert set(chosen(MANY, max_hours=20 / 3600)) == set(chosen(MANY, max_utterances=20))


def test_a_cap_is_spread_over_the_source() -> None:
    places = [int(name[1:]) for name in chosen(MANY, max_utterances=60) if int(name[1:]) % 10]
    assert min(places) < 30
    assert max(places) > 170
    assert 70 < sum(places) / len(places) < 130


def test_hours_count_what_the_audio_lasts() -> None:
    entries = [one(f"u{i}", f"{i}번", audio=wav(0.5 + i % 3)) for i in range(60)]
    lengths = {entry.id: 0.5 + i % 3 for i, entry in enumerate(entries)}
    taken = chosen(entries, max_hours=20 / 3600)
    total = sum(lengths[name] for name in taken)
    assert 20 - 2.5 < total <= 20


def test_what_is_dropped_for_its_sentence_takes_no_room_of_the_cap() -> None:
    shared = [one(f"x{i}", "같은 말") for i in range(100)]
    entries = [*shared, one("t", "같은 말", "test"), *MANY]
    assert len(chosen(entries, max_utterances=30)) == 30 + 20 + 1


def test_what_is_beyond_the_cap_is_not_counted_as_shared() -> None:
    entries = [one(f"u{i}", f"{i}번", speaker="s") for i in range(50)]
    entries.append(one("t", "시험", "test", "s"))
    out = list(select(lambda: entries, SourceOptions(max_utterances=10)))
    assert out.count(Note("beyond-cap")) == 40
    assert out.count(Note("shared-speaker-kept")) == 10


def test_a_cap_that_nothing_reaches_takes_everything() -> None:
    assert chosen(MANY, max_utterances=1000, max_hours=1.0) == [each.id for each in MANY]
    assert find_threshold([], SourceOptions(max_utterances=1)) == 2**64 - 1


def test_both_caps_hold_at_once() -> None:
    assert len(chosen(MANY, max_utterances=30, max_hours=10 / 3600)) == 10 + 20
    assert len(chosen(MANY, max_utterances=5, max_hours=10 / 3600)) == 5 + 20


def test_a_disjoint_source_is_passed_once() -> None:
    passes = 0

    def read() -> Iterator[Entry]:
        nonlocal passes
        passes += 1
        return iter(MIXED)

    assert len(list(select(read, SourceOptions(), disjoint=True))) == len(MIXED)
    assert passes == 1


def test_every_source_knows_the_common_options() -> None:
    assert all(issubclass(source, SourceOptions) for source in READERS)


def test_options_that_were_not_changed_do_not_make_a_corpus_anew(tmp_path: Path) -> None:
    source = ManifestSource(source="manifest", language="ko", path=tmp_path / "a.jsonl")
    assert not set(SourceOptions.model_fields) & set(described_options(source))
    capped = source.model_copy(update={"max_hours": 2.0})
    assert described_options(capped)["max_hours"] == 2.0
    assert options_of(capped).max_hours == 2.0


def manifest_of(folder: Path) -> Path:
    with (folder / "list.jsonl").open("w", encoding="utf-8") as file:
        for index in range(12):
            (folder / f"{index}.wav").write_bytes(wav(0.2))
            split = "test" if index >= 10 else "train"
            text = "시험 문장" if index in (3, 10) else f"문장 {index}"
            speaker = "s" if index in (4, 11) else f"s{index}"
            row = {"audio": f"{index}.wav", "text": text, "split": split, "speaker": speaker}
            file.write(json.dumps(row) + "\n")
    return folder / "list.jsonl"


def test_the_card_tells_licence_speakers_what_was_dropped_and_what_was_beyond_the_cap(
    tmp_path: Path,
) -> None:
    source = ManifestSource(
        source="manifest",
        language="ko",
        path=manifest_of(tmp_path),
        max_utterances=5,
        license="CC BY 4.0",
    )
    card = prepare("mine", source, tmp_path / "out")
    assert card.license == "CC BY 4.0"
    assert (card.read, card.taken, card.quarantined) == (8, 7, 1)
    assert card.reasons == {"shared-sentence": 1}
    assert card.notes["beyond-cap"] == 4
    assert (card.splits["train"].utterances, card.splits["test"].utterances) == (5, 2)
    assert card.source["max_utterances"] == 5
    assert is_prepared("mine", source, tmp_path / "out")
    speakers = {each.speakers for each in card.splits.values()}
    assert speakers == {5, 2}
    assert card.speakers == 7 - card.notes.get("shared-speaker-kept", 0)


def test_a_source_of_which_no_licence_is_known_says_so(tmp_path: Path) -> None:
    source = ManifestSource(source="manifest", language="ko", path=manifest_of(tmp_path))
    assert prepare("mine", source, tmp_path / "out").license.startswith("unknown")
