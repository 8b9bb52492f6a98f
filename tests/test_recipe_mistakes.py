"""A recipe that is wrong: each kind of mistake costs one line, with its place and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from soritune.errors import UserError
from soritune.experiment.loading import load_experiment
from soritune.recipe import load_recipe
from soritune.sources import READERS

# Line numbers below are those of this text.
RIGHT = """\
name: small
output: runs/small
model: {base: builtin:tiny}
corpora:
  korean: {source: demo, language: ko, train: 10}
cases:
  lora-1:
    mode: lora
    train: [korean]
  lora-4: {like: lora-1, epochs: 4}
evaluate:
  korean: {corpus: korean, task: asr}
language: ko
"""


def mistake(folder: Path, text: str | bytes) -> str:
    """The message without the folder of the recipe."""
    path = folder / "x.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UserError) as caught:
        load_experiment(path)
    return str(caught.value).replace(f"{folder}/", "")


def test_the_recipe_that_the_mistakes_are_made_in_is_right(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(RIGHT)
    assert load_recipe(path).cases["lora-4"].epochs == 4


CASES = [
    # Keys.
    ("epochs: 4", "epoch: 4", '10: unknown key "epoch" in case "lora-4": did you mean "epochs"?'),
    ("like: lora-1", "lik: lora-1", '10: unknown key "lik" in case "lora-4": did you mean "like"?'),
    ("model:", "modle:", '3: unknown key "modle": did you mean "model"?'),
    ("train: 10", "trian: 10", '5: unknown key "trian" in corpus "korean": did you mean "train"?'),
    ("tiny}", "tiny, lora: {rank: 8}}", '3: unknown key "rank" in "model.lora"'),
    (
        "[korean]",
        "[{corpus: korean, shar: 1}]",
        '9: unknown key "shar" in "train[0]" of case "lora-1": did you mean "share"?',
    ),
    ("    mode: lora\n", "", '7: missing key "mode" in case "lora-1"'),
    ("name: small\n", "", '1: missing key "name"'),
    (
        "\nlanguage: ko\n",
        "\n",
        '1: missing key "language": the language being learnt, such as language: ko',
    ),
    ("    mode: lora\n", "    mode: lora\n" * 2, '9: key "mode" is given twice (first in line 8)'),
    ("  lora-4:", "  lora-1:", '10: key "lora-1" is given twice (first in line 7)'),
    ("mode: lora", "<<: {}", '8: merge keys (<<) are not read; use "like" in a case'),
    # Types and bounds.
    ("epochs: 4", "epochs: four", '10: "epochs" in case "lora-4" must be a number, not "four"'),
    (
        "epochs: 4",
        'epochs: "4"',
        '10: "epochs" in case "lora-4" must be a number, not "4"; remove the quotes',
    ),
    (
        "epochs: 4",
        "learning_rate: '3e-3'",
        '10: "learning_rate" in case "lora-4" must be a number, not "3e-3"; remove the quotes',
    ),
    (
        "epochs: 4",
        'learning_rate: "0,5"',
        '10: "learning_rate" in case "lora-4" must be a number, not "0,5"; write 0.5',
    ),
    ("epochs: 4", "epochs: true", '10: "epochs" in case "lora-4" must be a number, not true'),
    ("name: small", "name: s\nseed: -1", '2: "seed" must be at least 0, not -1'),
    (
        "name: small",
        "name: s\nseed: 5000000000",
        '2: "seed" must be less than 4294967296, not 5000000000',
    ),
    ("epochs: 4", "epochs: 0", '10: "epochs" in case "lora-4" must be greater than 0, not 0'),
    (
        "epochs: 4",
        "batch_size: 1.5",
        '10: "batch_size" in case "lora-4" must be a whole number, not 1.5',
    ),
    ("epochs: 4", "betas: [0.9]", '10: "betas" in case "lora-4" has too few items'),
    (
        "epochs: 4",
        "schedule: cosin",
        '10: "schedule" in case "lora-4" must be one of linear, cosine, not "cosin": '
        'did you mean "cosine"?',
    ),
    ("name: small", "name: 5", '1: "name" must be text, not 5; put it in quotes'),
    (
        "[korean]",
        "korean",
        '9: "train" in case "lora-1" must be a list, not "korean"; write [korean]',
    ),
    ("[korean]", "[]", '9: "train" in case "lora-1" is empty'),
    (
        "{like: lora-1, epochs: 4}",
        "",
        '10: case "lora-4" must be a mapping of keys, not nothing; write its keys below it, each '
        "indented by two spaces more",
    ),
    (
        "{source: demo, language: ko, train: 10}",
        "{source: manifest, path: x.csv, split_by: speaker}",
        '5: "split_by" in corpus "korean" must be a list, not "speaker"; write [speaker]',
    ),
    (
        "evaluate:\n  korean: {corpus: korean, task: asr}",
        "  evaluate:\n    korean: {corpus: korean, task: asr}",
        '11: "evaluate" stands in "cases", but it is a key of the recipe itself; write it without '
        "indentation",
    ),
    (
        "    train: [korean]",
        "  train: [korean]",
        '9: case "train" must be a mapping of keys, not a list; if "train" is a key of the case '
        "above it, indent it further",
    ),
    ("{base: builtin:tiny}", "x", '3: "model" must be a mapping of keys, not "x"; write {base: x}'),
    (
        "lora-4:",
        "lora/4:",
        '10: case "lora/4": "lora/4" is not a name; use letters, digits, - _ + and .',
    ),
    # Modes, tasks and languages.
    (
        "mode: lora",
        "mode: lora+adio",
        '8: case "lora-1": mode "lora+adio" is not a sum of lora, audio, projector, full, the '
        'modes of Phi-4-multimodal ("adio": did you mean "audio"?)',
    ),
    (
        "mode: lora",
        "mode: lora+",
        '8: case "lora-1": mode "lora+" is not a sum of words, such as lora+audio',
    ),
    (
        "mode: lora",
        "mode: full+lora",
        '8: case "lora-1": mode "full+lora": "full" stands alone, it trains everything',
    ),
    ("mode: lora", "mode: lora+lora", '8: case "lora-1": mode "lora+lora" names "lora" twice'),
    (
        "[korean]",
        "[{corpus: korean, tasks: {asrr: 1}}]",
        '9: "train[0].tasks.asrr" in case "lora-1" must be one of asr, ast, ast-cot, '
        'not "asrr": did you mean "asr"?',
    ),
    (
        "[korean]",
        "[{corpus: korean, to: en}]",
        '9: case "lora-1", train[0]: "to" is for translations, but the only task is asr',
    ),
    (
        "task: asr",
        "task: ast, to: en",
        '12: evaluation "korean": task ast needs "from", such as from: ko',
    ),
    (
        "task: asr",
        "task: asr, to: en",
        '12: evaluation "korean": "to" is for translations, but the task is asr',
    ),
    (
        "task: asr",
        "task: ast, from: kr, to: en",
        '12: evaluation "korean": "kr" is not a language that soritune knows; "kr" is a country, '
        "write ko for Korean",
    ),
    (
        "language: ko,",
        "language: kr,",
        '5: "language" in corpus "korean" must be one of ko, en, not "kr"',
    ),
    # What must fit together.
    (
        "[korean]",
        "[koraen]",
        '9: case "lora-1", train[0]: corpus "koraen" is not in "corpora": did you mean "korean"?',
    ),
    (
        "corpus: korean",
        "corpus: koraen",
        '12: evaluation "korean": corpus "koraen" is not in "corpora": did you mean "korean"?',
    ),
    (
        "[korean]",
        "[korean, {corpus: korean, share: 0.5, replay: 0.1}]",
        '9: case "lora-1", train[1]: "share" and "replay" exclude each other; give one',
    ),
    (
        "[korean]",
        "[{corpus: korean, replay: 0.1}]",
        '9: case "lora-1": every part of "train" is a replay; add one without',
    ),
    (
        "  lora-4:",
        "  original:",
        '10: case "original" always exists (the untrained base); choose another name',
    ),
    # like.
    ("mode: lora", "like: lora-4", '8: "like" goes in a circle: lora-1 -> lora-4 -> lora-1'),
    ("like: lora-1", "like: lora-4", '10: "like" goes in a circle: lora-4 -> lora-4'),
    (
        "like: lora-1",
        "like: lora1",
        '10: case "lora-4" is like "lora1", which is not a case: did you mean "lora-1"?',
    ),
    ("like: lora-1", "like: [lora-1]", '10: "like" in case "lora-4" must name a case'),
    # Sources, files, the base.
    ("{source: demo, ", "{", '5: missing key "source" in corpus "korean"; available: SOURCES'),
    (
        "source: demo",
        "source: librispeech",
        '5: source "librispeech" is not available in this version; available: SOURCES',
    ),
    (
        "source: demo",
        "source: csv",
        '5: source "csv" is not available in this version; available: SOURCES; use manifest',
    ),
    (
        "{source: demo, language: ko, train: 10}",
        "{source: manifest, path: nowhere.jsonl}",
        '5: "path" in corpus "korean": nowhere.jsonl does not exist, '
        "neither beside the recipe nor in the current directory",
    ),
    (
        "{source: demo, language: ko, train: 10}",
        "{source: zeroth, path: ./nowhere}",
        '5: "path" in corpus "korean": ./nowhere does not exist, '
        "neither beside the recipe nor in the current directory",
    ),
    (
        "{source: demo, language: ko, train: 10}",
        "{source: manifest, path: /nowhere/list.jsonl}",
        '5: "path" in corpus "korean": /nowhere/list.jsonl does not exist; fix the path',
    ),
    (
        "{source: demo, language: ko, train: 10}",
        "{source: hub, path: a/b/c}",
        '5: "path" in corpus "korean": a/b/c is not here, and is not a hub id; it must be a '
        "folder or a hub id of the form owner/name",
    ),
    (
        "{source: demo, language: ko, train: 10}",
        "{source: hub, path: squad}",
        '5: "path" in corpus "korean": squad is not here, and is not a hub id; it must be a '
        "folder or a hub id of the form owner/name",
    ),
    (
        "{source: demo, language: ko, train: 10}",
        "{source: minds14, locale: ko-KR, path: /dev/null}",
        '5: "path" in corpus "korean": /dev/null is a pipe or a device; it must be a folder '
        "or a hub id of the form owner/name",
    ),
    (
        "{source: demo, language: ko, train: 10}",
        "{source: common-voice, path: cv 22}",
        '5: "path" in corpus "korean": cv 22 is not here, and is not a hub id; it must be a '
        "folder or a tar archive or a hub id of the form owner/name",
    ),
    (
        "builtin:tiny",
        "builtin:tny",
        '3: model: no built-in model builtin:tny: did you mean "builtin:tiny"?; '
        "there are: builtin:tiny",
    ),
    (
        "builtin:tiny",
        "./nowhere",
        "3: base ./nowhere: no such folder; fix the path, or give a hub id of the form owner/name",
    ),
    (
        "builtin:tiny",
        "runs/model",
        "3: base runs/model: no such folder (it is a path, because runs/ is here); fix the path, "
        "or give a hub id of the form owner/name",
    ),
    # YAML.
    (
        "mode: lora",
        "mode: [lora",
        "8: [ is not closed; add ] (and a comma between two entries)",
    ),
    (
        "mode: lora",
        "mode: !!python/object/apply:os.getcwd []",
        "8: tag !!python/object/apply:os.getcwd is not allowed in a recipe",
    ),
    ("mode: lora", "mode: !mine lora", "8: tag !mine is not allowed in a recipe"),
    ("mode: lora", "mode: &here [*here]", "8: an alias (*name) repeats too much"),
    ("mode: lora", "mode: lora\x07", "8: not valid YAML: character U+0007 is not allowed"),
    # What people write that is not YAML, or something else there.
    (
        "    mode: lora",
        "     mode: lora",
        "9: the line begins with 4 spaces, which fits no line above it; give it 2 or 5",
    ),
    (
        "    train: [korean]",
        "      train: [korean]",
        "9: the line begins with 6 spaces, the one above, which has a value already, with 4 "
        "spaces; give both the same indentation",
    ),
    (
        "    mode: lora",
        "\tmode: lora",
        "8: the line begins with a tab; YAML takes spaces only, so replace it by spaces",
    ),
    ("mode: lora", "mode lora", '8: a colon is missing after "mode"; write mode: …'),
    ("output: runs", "output runs", '2: a colon is missing after "output"; write output: …'),
    ("cases:", "cases", '6: a colon is missing after "cases"'),
    (
        "task: asr",
        "task asr",
        '12: evaluation "korean": a colon is missing after "task"; write task: …',
    ),
    ("mode: lora", "mode:lora", '8: a space is missing after the colon of "mode"; write mode: …'),
    (
        "mode: lora",
        "mode\uff1a lora",
        '8: the colon after "mode" is a full-width one (\uff1a); write mode: …',
    ),
    (
        "{base: builtin:tiny}",
        "\n  base\uff1abuiltin:tiny",
        '4: the colon after "base" is a full-width one (\uff1a); write base: …',
    ),
    (
        "builtin:tiny",
        '"C:\\Users\\mina"',
        '3: a backslash in double quotes (") has a meaning of its own; write the path with / or in '
        "single quotes, such as 'C:\\recordings\\list.csv'",
    ),
    (
        "builtin:tiny",
        '"C:\\temp\\new"',  # a tab and a line break, which YAML takes
        '3: a backslash in double quotes (") has a meaning of its own; write the path with / or in '
        "single quotes",
    ),
    (
        "builtin:tiny",
        "“builtin:tiny”",
        '3: the quotation marks are curly ones (“ ”); write straight ones (")',
    ),
    (
        "name: small",
        "name: “a: b”",
        '1: the quotation marks are curly ones (“ ”); write straight ones (")',
    ),
    ("name: small", "name: 'small", "1: a quotation mark is not closed; add the second one"),
    (
        "corpora:\n  korean: {source",
        "corpora:\n  - {name: korean, source",
        '5: "corpora" must be a mapping of keys, not a list; write each entry as a name with a '
        "colon, without dashes or brackets",
    ),
    ("[korean]", "\n      -korean", "10: a space is missing after the dash; write - korean"),
    (
        "[korean]",
        "\n      - korean\n      -korean",
        "11: a space is missing after the dash; write - korean",
    ),
    ("[korean]", "\n    \u2013 korean", "10: the dash is a long one (\u2013); write - korean"),
    (
        "[korean]",
        "{corpus: korean}",
        '9: "train" in case "lora-1" must be a list, not a mapping; put a dash before its first '
        "key",
    ),
    (
        "{base: builtin:tiny}",
        "builtin:tiny",
        '3: "model" must be a mapping of keys, not "builtin:tiny"; write {base: builtin:tiny}',
    ),
    (
        "mode: lora\n",
        "mode: [lora, audio]\n",
        '8: "mode" in case "lora-1" must be text, not a list; write lora+audio',
    ),
    ("epochs: 4", "lr: 4", '10: unknown key "lr" in case "lora-4": did you mean "learning_rate"?'),
    (
        "    mode: lora",
        "\u3000\u3000mode: lora",
        "8: the line has a special space (U+3000); replace it by an ordinary one",
    ),
    (
        "mode: lora",
        "mode:\u00a0lora",
        "8: the line has a special space (U+00A0); replace it by an ordinary one",
    ),
    (
        "    mode: lora",
        "<<<<<<< HEAD\n    mode: lora",
        "8: a merge of two versions was not finished; keep one of them and remove the lines "
        "<<<<<<<, ======= and >>>>>>>",
    ),
    ("cases:", "---\ncases:", "6: the line --- begins a second document; remove it"),
    (
        "name: small",
        "name: *small",
        "1: a value begins with a mark that means something to YAML; put it in quotes",
    ),
    (
        "name: small",
        "name: a: b",
        "1: a value with a colon in it needs quotes; or one entry is written a line",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "message"), CASES)
def test_a_mistake_costs_one_line(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    assert RIGHT.count(right) >= 1
    names = [get_args(source.model_fields["source"].annotation)[0] for source in READERS]
    assert {"demo", "manifest", "zeroth"} < set(names)
    sources = ", ".join(sorted(names))
    (tmp_path / "runs").mkdir()
    found = mistake(tmp_path, RIGHT.replace(right, wrong))
    assert found == "x.yaml:" + message.replace("SOURCES", sources)


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("0,001", "write 0.001"),
        ("0,5e-3", "write 0.5e-3"),
        ("1_000", "write 1000"),
        ("1,000", "write 1000 or 1.000"),
        ("1,000,000", "write 1000000"),
        ("4,", "write 4"),
        ("4#x", "put a space before #"),
        ("\uff14", "write 4"),  # full-width
        ("25%", "write 0.25"),
        ("1 e-3", "write 1e-3"),
        ("10^-3", "write 1e-3"),
        ("3x10^-4", "write 3e-4"),
        ("3\u00d710\u207b\u2074", "write 3e-4"),
    ],
)
def test_what_is_almost_a_number_is_answered_with_it(
    tmp_path: Path, written: str, remedy: str
) -> None:
    found = mistake(tmp_path, RIGHT.replace("epochs: 4", f"learning_rate: '{written}'"))
    assert found.endswith(f'must be a number, not "{written}"; {remedy}')


@pytest.mark.parametrize("written", ["1e-4", "1E-4", "1.0e-4", ".0001", "0.0001"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_numbers_are_numbers_whatever_the_line_ends(
    tmp_path: Path, written: str, ends: str
) -> None:
    text = RIGHT.replace("epochs: 4", f"learning_rate: {written}").replace("\n", ends)
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_recipe(tmp_path / "x.yaml").cases["lora-4"].learning_rate == 1e-4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": is empty; a recipe needs name, output, language, model and corpora"),
        (b"# x\n", ": is empty; a recipe needs name, output, language, model and corpora"),
        (b"\n- a\n", ":2: a recipe is a mapping of keys, not a list"),
        (b"hello\n", ":1: a recipe is a mapping of keys, not a scalar"),
        (b"\xff\xfe\x00", ": is not UTF-8 text; save the recipe as UTF-8"),
    ],
)
def test_a_file_that_is_not_a_recipe_is_reported(
    tmp_path: Path, content: bytes, message: str
) -> None:
    assert mistake(tmp_path, content) == "x.yaml" + message


def test_a_missing_file_and_a_folder_are_distinguished(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: no such file"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="is a folder; name the recipe's YAML file"):
        load_recipe(tmp_path)


def test_an_inherited_mistake_is_reported_where_it_was_made(tmp_path: Path) -> None:
    cases = "  lora-4: {like: lora-1, epochs: 4}\n"
    heir_first = RIGHT.replace(cases, "").replace("cases:\n", "cases:\n" + cases)
    wrong = heir_first.replace("mode: lora", "mode: lora\n    batch_size: 0")
    assert (
        mistake(tmp_path, wrong)
        == 'x.yaml:10: "batch_size" in case "lora-1" must be greater than 0, not 0'
    )


def test_of_several_mistakes_the_first_in_the_file_is_reported(tmp_path: Path) -> None:
    wrong = RIGHT.replace("epochs: 4", "epoch: 4").replace("train: 10", "train: ten")
    assert mistake(tmp_path, wrong).startswith('x.yaml:5: "train" in corpus "korean"')


def test_aliases_that_multiply_are_stopped(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "an alias (*name) repeats too much" in mistake(tmp_path, "\n".join(lines))


def test_deep_nesting_is_no_crash(tmp_path: Path) -> None:
    assert "nested too deeply" in mistake(tmp_path, "name: " + "[" * 5000 + "]" * 5000)


def test_an_inherited_mode_is_reported_where_it_was_made(tmp_path: Path) -> None:
    cases = "  lora-4: {like: lora-1, epochs: 4}\n"
    heir_first = RIGHT.replace(cases, "").replace("cases:\n", "cases:\n" + cases)
    found = mistake(tmp_path, heir_first.replace("mode: lora", "mode: lara"))
    assert found.startswith('x.yaml:9: case "lora-1": mode "lara"')
