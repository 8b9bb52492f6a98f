"""What a run finds in its output folder: foreign files, its own recipe, corpora that changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from soritune.corpus.store import Corpus
from soritune.decoding.hypotheses import Hypothesis, drop_damaged_lines, read_hypotheses
from soritune.errors import UserError
from soritune.experiment.output import check_output, keep_recipe
from soritune.recipe import load_recipe

EXPERIMENT = '{"format": 1, "recipe": {}, "base": "x"}'

RECIPE = """\
name: {name}
language: ko
output: {output}
model: {{base: builtin:tiny}}
corpora: {{c: {{source: demo}}}}
cases: {{a: {{mode: lora, train: [c]}}}}
evaluate: {{e: {{corpus: c, task: asr}}}}
"""


def recipe(folder: Path, output: str, name: str = "t") -> Path:
    path = folder / "r.yaml"
    path.write_text(RECIPE.format(output=output, name=name), encoding="utf-8")
    return path


# -- whose folder it is


@pytest.mark.parametrize(
    "foreign", ["results.json", "report.md", "recipe.yaml", "experiment.json", "cases/a/mine.bin"]
)
def test_a_folder_with_files_that_a_run_would_replace_is_refused(
    tmp_path: Path, foreign: str
) -> None:
    path = tmp_path / foreign
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[1, 2]")
    with pytest.raises(UserError, match=r"has not written and would replace\. Give"):
        check_output(tmp_path)
    assert path.read_text() == "[1, 2]"


def test_a_folder_of_a_run_and_one_with_other_files_are_taken(tmp_path: Path) -> None:
    check_output(tmp_path / "new")
    (tmp_path / "notes.txt").write_text("mine")
    check_output(tmp_path)
    (tmp_path / "experiment.json").write_text(EXPERIMENT)
    (tmp_path / "results.json").write_text("[]")
    check_output(tmp_path)


def test_the_recipe_in_the_output_may_be_run_itself(tmp_path: Path) -> None:
    source = recipe(tmp_path, "out")
    out = tmp_path / "out"
    out.mkdir()
    keep_recipe(source, out)
    kept = out / "recipe.yaml"
    assert kept.read_bytes() == source.read_bytes()
    keep_recipe(kept, out)
    (tmp_path / "link.yaml").symlink_to(kept)
    keep_recipe(tmp_path / "link.yaml", out)
    assert kept.read_bytes() == source.read_bytes()


# -- the name of the folder


def test_the_home_folder_is_meant_by_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert load_recipe(recipe(tmp_path, "~/x")).output == tmp_path / "home" / "x"


@pytest.mark.parametrize("output", ['""', '"  "', '"a\\0b"', "x" * 256, "/".join(["x" * 250] * 20)])
def test_what_cannot_be_a_folder_is_refused_at_load(tmp_path: Path, output: str) -> None:
    with pytest.raises(UserError, match=r'r\.yaml:3: "output"'):
        load_recipe(recipe(tmp_path, output))


@pytest.mark.parametrize("name", ["n" * 201, "가" * 67])
def test_names_that_files_cannot_have_are_refused_at_load(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"r\.yaml:1: .*too long"):
        load_recipe(recipe(tmp_path, "out", name))
    assert load_recipe(recipe(tmp_path, "out", name[:-1])).name == name[:-1]


# -- corpora that changed


@pytest.mark.parametrize("place", [0.1, 0.5, -5])
def test_a_changed_bit_of_a_shard_is_one_line_with_its_name(
    small_corpus: Corpus, place: float
) -> None:
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "c"
        shutil.copytree(small_corpus.folder, folder)
        assert Corpus.open(folder).verify() is not None
        shard = folder / small_corpus.card.shards[0].file
        content = bytearray(shard.read_bytes())
        content[int(place * len(content)) if 0 < place < 1 else int(place)] ^= 1
        shard.write_bytes(content)
        with pytest.raises(UserError, match=rf"{shard.name}: has changed .*soritune prepare"):
            Corpus.open(folder).verify()
        # Without a check, what cannot be read still names its shard.
        shard.write_bytes(bytes(len(content)))
        with pytest.raises(UserError, match=rf"{shard.name}: cannot be read"):
            Corpus.open(folder).records()


# -- hypotheses


@pytest.mark.parametrize(
    "damaged",
    [
        b"{",
        b'"text"',
        b"\xff\xfe\n",
        b'{"id": "b"}',
        b'{"id": 1, "reference": "a", "output": "b", "transcript": null, "translation": null,'
        b' "mean_logprob": 0.0, "duration_s": 1.0}',
        b"[" * 50_000,
    ],
)
def test_damaged_hypotheses_are_decoded_again(tmp_path: Path, damaged: bytes) -> None:
    import json
    from dataclasses import asdict

    path = tmp_path / "h.jsonl"
    kept = [Hypothesis(id, "가", "나", "나", None, -0.5, 1.0) for id in ("a", "c")]
    first, last = (json.dumps(asdict(each), ensure_ascii=False).encode() for each in kept)
    path.write_bytes(first + b"\n" + damaged + b"\n" + last + b"\n" + last[:20])
    assert read_hypotheses(path) == kept
    drop_damaged_lines(path)
    assert path.read_bytes() == first + b"\n" + last + b"\n"
