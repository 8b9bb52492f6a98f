"""Warnings of splits: each condition once, with the key that changes it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soritune.corpus.card import Division, PreviousTest, SplitSummary
from soritune.corpus.prepare import prepare
from soritune.corpus.split_warnings import Splits, read_splits, split_warnings, splits_of
from soritune.corpus.store import Corpus
from soritune.experiment import preparation
from soritune.recipe import Recipe
from soritune.sources.formats.folder import FolderSource
from soritune.sources.formats.manifest import ManifestSource

BOTH = ["speaker", "sentence"]
MOVED = PreviousTest(kept=90, added=10, gone=3, changed="")


def splits(
    train: tuple[int, int],
    test: tuple[int, int],
    by: list[str] | None = BOTH,
    conflicts: int = 0,
    previous: PreviousTest | None = None,
    unplaced: int = 0,
) -> Splits:
    """Utterances and speakers of each split, with 10 % asked for."""
    sizes = {
        name: SplitSummary(utterances=utterances, duration_s=1, speakers=speakers)
        for name, (utterances, speakers) in (("train", train), ("test", test))
        if utterances
    }
    division = None
    if by is not None:
        division = Division(by=by, test_share=0.1, dev_share=0, previous=previous)
    return Splits("mine", "manifest", sizes, division, conflicts, unplaced)


@pytest.mark.parametrize(
    ("found", "kinds", "key"),
    [
        (splits((900, 9), (100, 2)), [], ""),
        (splits((76, 9), (8, 2)), ["few"], "raise test_share from 0.1 to about 0.24, or"),
        (splits((20, 9), (8, 2)), ["few", "share"], "at least 20); add recordings"),
        (splits((900, 9), (100, 1)), ["one-speaker"], "raise test_share"),
        (splits((560, 1), (440, 1)), ["one-speaker", "share"], "split_by: [sentence]"),
        (splits((900, 0), (100, 0), ["sentence"]), ["unknown-speakers"], "column speaker"),
        (splits((900, 3), (100, 3), ["sentence"]), [], ""),
        (splits((900, 9), (100, 2), conflicts=200), ["conflicts"], "split_by: [speaker]"),
        (splits((30, 3), (0, 0), None), ["few"], "name more lines test"),
        (splits((30, 3), (7, 2), None), ["few"], "in the list"),
        (splits((900, 9), (900, 9), None), [], ""),
        (splits((900, 9), (900, 9), None, unplaced=1), ["unplaced"], "1 row is left out"),
        (
            splits((900, 9), (100, 2), previous=MOVED),
            ["other-test"],
            "90 utterances stayed, 10 are new, 3 are gone. Figures are NOT comparable",
        ),
    ],
)
def test_each_condition_gives_its_warning(found: Splits, kinds: list[str], key: str) -> None:
    warnings = split_warnings(found)
    assert [each.kind for each in warnings] == kinds
    assert key in " ".join(each.text for each in warnings)


def test_a_split_that_is_not_evaluated_may_be_small() -> None:
    assert split_warnings(splits((76, 9), (8, 2)), used=("dev",))[0].split == "dev"
    assert split_warnings(splits((76, 9), (8, 2)), used=()) == []


def write(folder: Path, number: int, speakers: int) -> Path:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 8000)
    lines = []
    for index in range(number):
        name = f"{index}.wav"
        if not (folder / name).exists():
            soundfile.write(folder / name, samples * (0.5 + index / 200), 16_000)
        row = {"audio": name, "text": f"문장 {index}", "speaker": f"s{index % speakers}"}
        lines.append(json.dumps({**row, "id": f"u{index}"}))
    (folder / "list.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "list.jsonl"


def in_test(folder: Path) -> set[str]:
    return {record.id for record in Corpus.open(folder).records("test")}


def test_what_is_tested_stays_tested_when_a_corpus_grows(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def prepared(number: int, speakers: int = 12, **settings: object) -> list[str]:
        path = write(tmp_path, number, speakers)
        source = ManifestSource(
            source="manifest", language="ko", path=path, dev_share=0, **settings
        )  # type: ignore[arg-type]
        before = read_splits("mine", source, out)
        card = prepare("mine", source, out)
        assert before is not None
        known = {name: size.utterances for name, size in before.sizes.items()}
        assert known == {name: size.utterances for name, size in card.splits.items()}
        assert before.division == card.division
        return [each.kind for each in split_warnings(splits_of("mine", card), used=())]

    assert prepared(60) == []
    first = in_test(out)
    assert prepared(72) == ["other-test"]  # one more of the speaker who is tested
    assert first < in_test(out)
    grown = in_test(out)
    assert prepared(72, seed=3) == ["other-test"]
    assert not grown <= in_test(out)
    # Without the memory (damaged, or of a version that kept none) it is divided again, and said.
    for index, content in enumerate((b"{", None)):
        before = in_test(out)
        (out / "division.json").unlink()
        if content is not None:
            (out / "division.json").write_bytes(content)
        assert prepared(73 + index, seed=4 + index) == ["other-test"]
        assert before != in_test(out)


def test_a_row_of_a_split_that_is_not_known_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, 6, 3)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    names = ["train", "train", "train", "test", "test", "eval"]
    rows = [{**line, "split": name} for line, name in zip(lines, names, strict=True)]
    path.write_text("\n".join(map(json.dumps, rows)))
    source = ManifestSource(source="manifest", language="ko", path=path)
    found = read_splits("mine", source, tmp_path / "out")
    assert found is not None
    stored = splits_of("mine", prepare("mine", source, tmp_path / "out"))
    for each in (found, stored):
        assert [e.kind for e in split_warnings(each, ())] == ["unplaced"]


def test_a_dev_split_that_stays_empty_is_said(tmp_path: Path) -> None:
    for number in (21, 16, 4):
        path = write(tmp_path, number, 2)
        source = ManifestSource(source="manifest", language="ko", path=path)
        found = read_splits("mine", source, tmp_path / "out")
        assert found is not None
        assert list(found.sizes) == ["train", "test"]
        (warning,) = [each for each in split_warnings(found, ()) if each.split == "dev"]
        assert "dev is empty although dev_share asks for 5 %" in warning.text
        assert warning.text.endswith(
            "(speakers: 2); split_by: [sentence] divides by sentence alone, and dev_share: 0 asks "
            "for none"
        )
    no_dev = source.model_copy(update={"dev_share": 0.0})
    found = read_splits("mine", no_dev, tmp_path / "out")
    assert found is not None
    assert not [each for each in split_warnings(found, ()) if each.split == "dev"]
    [warning] = [each for each in split_warnings(found, ("dev",)) if each.split == "dev"]
    assert warning.text.endswith("set dev_share, which is 0, or remove the evaluations that use it")


def test_a_folder_says_that_its_speakers_are_not_known(tmp_path: Path) -> None:
    for index in range(24):
        folder = tmp_path / f"voice{index % 4}"
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"{index}.wav", np.zeros(800), 16_000)
        (folder / f"{index}.txt").write_text(f"문장 {index}")
    source = FolderSource(source="folder", language="ko", path=tmp_path)
    found = read_splits("mine", source, tmp_path / "out")
    assert found is not None
    (warning,) = [e for e in split_warnings(found, ()) if e.kind == "unknown-speakers"]
    assert "speaker_from: parent" in warning.text
    named = source.model_copy(update={"speaker_from": "parent"})
    found = read_splits("mine", named, tmp_path / "out")
    assert found is not None
    assert not [e for e in split_warnings(found, ()) if e.kind == "unknown-speakers"]


def test_a_recipe_that_only_prepares_tests_nothing_where_no_test_is_wanted(tmp_path: Path) -> None:
    corpus = {"source": "manifest", "path": tmp_path}
    recipe = Recipe.model_validate(
        {
            "name": "n",
            "output": "out",
            "language": "ko",
            "model": {"base": "builtin:tiny"},
            "corpora": {"mine": corpus, "whole": {**corpus, "test_share": 0}},
        }
    )
    assert preparation.tested_splits(recipe, "mine") == {"test"}
    assert preparation.tested_splits(recipe, "whole") == set()
