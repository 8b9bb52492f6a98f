"""Test speakers and test sentences are unseen in training, and nothing is lost unsaid."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from soritune.errors import UserError
from soritune.sources import read_source
from soritune.sources.formats.manifest import ManifestSource
from soritune.sources.split import Keys, Shares, assignments_of, split_entries
from soritune.utterance import Rejected, Utterance, sentence_key

SHARES = Shares(test=0.1, dev=0.05)


def crossed(speakers: int, sentences: int) -> list[Keys]:
    """Everybody reads the same list."""
    return [Keys(f"s{s}", f"t{t}") for s in range(speakers) for t in range(sentences)]


def own(speakers: int, sentences: int) -> list[Keys]:
    """Everybody reads sentences of their own."""
    return [Keys(f"s{s}", f"t{s}-{t}") for s in range(speakers) for t in range(sentences)]


def tangled(seed: int) -> list[Keys]:
    """Some sentences are everybody's, some speakers talk much more than others."""
    rng = random.Random(seed)
    return [
        Keys(f"s{int(rng.paretovariate(0.8)) % 30}", f"t{int(rng.paretovariate(0.5)) % 500}")
        for _ in range(1000)
    ]


LAYOUTS = {
    "crossed": crossed(20, 50),
    "own": own(40, 25),
    "two speakers": crossed(2, 40),
    **{f"tangled {seed}": tangled(seed) for seed in range(5)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", range(5))
def test_no_two_splits_share_a_speaker_or_a_sentence(layout: str, seed: int) -> None:
    entries = LAYOUTS[layout]
    splits = split_entries(entries, SHARES, seed)
    speakers: dict[str | None, set[str]] = {}
    sentences: dict[str | None, set[str]] = {}
    for entry, split in zip(entries, splits, strict=True):
        if split is not None:
            speakers.setdefault(entry.speaker, set()).add(split)
            sentences.setdefault(entry.sentence, set()).add(split)
    assert all(len(found) == 1 for found in speakers.values())
    assert all(len(found) == 1 for found in sentences.values())
    assert {"train", "test"} <= set(splits)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_left_out_where_speakers_share_no_sentence(seed: int) -> None:
    counts = Counter(split_entries(LAYOUTS["own"], SHARES, seed))
    assert counts[None] == 0
    assert counts["test"] == 100
    assert counts["dev"] == 50


def test_speakers_of_the_same_list_stay_together_where_there_are_several_lists() -> None:
    entries = [
        Keys(f"g{group}-s{s}", f"g{group}-t{t}")
        for group in range(20)
        for s in range(3)
        for t in range(10)
    ]
    counts = Counter(split_entries(entries, SHARES, 0))
    assert counts == {"train": 510, "test": 60, "dev": 30}


def test_by_sentence_alone_the_shares_are_met() -> None:
    entries = [Keys(None, f"t{index}") for index in range(1000)]
    assert Counter(split_entries(entries, SHARES, 3)) == {"train": 850, "test": 100, "dev": 50}


def test_the_order_of_the_list_does_not_matter_and_the_seed_does() -> None:
    entries = LAYOUTS["tangled 0"]
    once = dict(zip(entries, split_entries(entries, SHARES, 1), strict=True))
    again = dict(zip(entries[::-1], split_entries(entries[::-1], SHARES, 1), strict=True))
    other = dict(zip(entries, split_entries(entries, SHARES, 2), strict=True))
    assert once == again
    assert once != other


def test_punctuation_spacing_case_and_form_make_no_other_sentence() -> None:
    assert sentence_key("네, 한글 OK!") == sentence_key("네 \u1112\u1161\u11ab글ｏｋ")
    assert sentence_key("1월") != sentence_key("2월")


@pytest.mark.parametrize(
    "entries", [[Keys("s", f"t{i}") for i in range(9)], [Keys(None, "same")] * 9]
)
def test_what_cannot_be_split_says_what_to_do(entries: list[Keys]) -> None:
    with pytest.raises(UserError, match="column `split`"):
        split_entries(entries, SHARES, 0)
    assert set(split_entries(entries, Shares(0, 0), 0)) == {"train"}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path, **settings: Any) -> list[Utterance | Rejected]:
    return list(
        read_source(ManifestSource(source="manifest", path=path, **{"language": "ko", **settings}))
    )


def test_what_a_split_costs_is_reported_line_by_line(tmp_path: Path) -> None:
    rows = [
        {"audio": f"{s}-{t}.wav", "text": f"t{t}", "speaker": f"s{s}"}
        for s in range(6)
        for t in range(20)
    ]
    found = read(write(tmp_path / "l.jsonl", rows))
    lost = [entry for entry in found if isinstance(entry, Rejected)]
    assert len(found) == 120
    assert lost
    assert {entry.reason for entry in lost} == {"split-conflict"}
    assert all(entry.id and "line" in entry.where for entry in lost)


def test_a_row_without_speaker_among_others_is_reported(tmp_path: Path) -> None:
    rows = [{"audio": f"{i}.wav", "text": f"t{i}", "speaker": f"s{i}"} for i in range(30)]
    del rows[4]["speaker"]
    rows[7]["text"] = "..."
    found = read(write(tmp_path / "l.jsonl", rows))
    assert [entry.reason for entry in found if isinstance(entry, Rejected)] == [
        "no-speaker",
        "empty-text",
    ]


def test_without_a_speaker_column_sentences_alone_are_split(tmp_path: Path) -> None:
    path = write(
        tmp_path / "l.jsonl", [{"audio": f"{i}.wav", "text": f"t{i % 40}"} for i in range(80)]
    )
    found = read(path)
    assert all(isinstance(entry, Utterance) for entry in found)
    texts: dict[str, set[str]] = {}
    for entry in found:
        assert isinstance(entry, Utterance)
        texts.setdefault(entry.split, set()).add(entry.text)
    assert {name: len(found) for name, found in texts.items()} == {
        "train": 34,
        "dev": 2,
        "test": 4,
    }
    with pytest.raises(UserError, match="split_by speaker needs the speakers' names"):
        read(path, split_by=["speaker"])


# -- shares, and what stays when recordings are added


def lists(seed: int, speakers: int = 12, each: int = 7) -> list[Keys]:
    """Speakers of three lists, each reads a part of one: few of them share all their sentences."""
    rng = random.Random(seed)
    return [
        Keys(f"s{s}", f"list{s % 3}-{t}")
        for s in range(speakers)
        for t in rng.sample(range(28), each)
    ]


@pytest.mark.parametrize("layout", [crossed(12, 7), lists(0), lists(1), tangled(1)])
@pytest.mark.parametrize("seed", range(3))
def test_shares_are_met_where_speakers_share_sentences(layout: list[Keys], seed: int) -> None:
    counts = Counter(split_entries(layout, SHARES, seed))
    kept = counts.total() - counts[None]
    assert 0.06 <= counts["test"] / kept <= 0.15
    assert 0.02 <= counts["dev"] / kept <= 0.1
    assert counts[None] <= 0.6 * counts.total()


def test_two_speakers_of_their_own_sentences_are_both_used_and_nothing_is_lost() -> None:
    counts = Counter(split_entries([*own(2, 20), *[Keys("s0", "more")]], SHARES, 0))
    assert (counts["train"], counts["test"], counts[None]) in {(21, 20, 0), (20, 21, 0)}


@pytest.mark.parametrize(
    "layout", [own(12, 7), crossed(12, 7), lists(2), [Keys(None, f"t{i}") for i in range(84)]]
)
def test_what_was_dev_or_test_stays_there_when_recordings_are_added(layout: list[Keys]) -> None:
    before = split_entries(layout, SHARES, 0)
    kept = assignments_of(layout, before)
    added = [*layout, *(Keys(layout[i].speaker, f"new-{i}") for i in range(0, 80, 16))]
    added += [Keys(layout[0].speaker and "new speaker", f"new {i}") for i in range(5)]
    after = split_entries(added, SHARES, 0, kept)
    was = [(old, new) for old, new in zip(before, after, strict=False) if old in ("dev", "test")]
    assert was
    assert all(old == new for old, new in was)
    # Nothing that was trained is tested now, and what is new goes where its speaker is.
    assert not any(o == "train" and n == "test" for o, n in zip(before, after, strict=False))


def test_a_list_that_doubles_gives_new_speakers_to_a_test_that_became_small() -> None:
    before = split_entries(own(20, 10), SHARES, 0)
    kept = assignments_of(own(20, 10), before)
    after = split_entries(own(60, 10), SHARES, 0, kept)
    assert before[:200].count("test") == 20
    assert 0.06 <= after.count("test") / 600 <= 0.125
    assert all(new == "test" for old, new in zip(before, after, strict=False) if old == "test")


def test_assignments_of_other_recordings_do_not_count() -> None:
    other = [Keys(f"x{s}", f"y{t}") for s in range(12) for t in range(7)]
    kept = assignments_of(other, split_entries(other, SHARES, 0))
    assert split_entries(own(12, 7), SHARES, 0, kept) == split_entries(own(12, 7), SHARES, 0)


def test_ten_thousand_speakers_take_seconds() -> None:
    rng = random.Random(0)
    entries = [Keys(f"s{s}", f"t{rng.randrange(20_000)}") for s in range(10_000) for _ in range(3)]
    started_s = time.process_time()
    counts = Counter(split_entries(entries, SHARES, 0))
    assert time.process_time() - started_s < 20
    assert counts["test"] / (counts.total() - counts[None]) == pytest.approx(0.1, abs=0.03)


def test_an_unknown_name_for_the_whole_test_is_refused(tmp_path: Path) -> None:
    rows = [{"audio": f"{i}.wav", "text": f"t{i}", "split": "train"} for i in range(9)]
    rows[3]["split"] = rows[5]["split"] = "eval"
    with pytest.raises(UserError, match=r'"eval" \(2 rows\).*Write train, dev or test'):
        read(write(tmp_path / "l.jsonl", rows))
    rows[6]["split"] = "test"  # then the others are two lines of the quarantine
    found = read(write(tmp_path / "l.jsonl", rows))
    assert [e.reason for e in found if isinstance(e, Rejected)] == ["bad-split"] * 2
