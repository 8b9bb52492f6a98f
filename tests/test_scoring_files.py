"""Transcripts in files: every form, how they are matched, and what is refused in one line."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import soritune
from soritune.cli import app
from soritune.errors import UserError
from soritune.scoring.files import read_pairs

SAID = {"a-1": "내일 세 시에", "a-2": "만나요"}
WRITTEN = {"a-2": "만나요", "a-1": "내일 3시에"}


def write(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    return path


def forms(folder: Path, texts: dict[str, str], side: str) -> dict[str, Path]:
    """The same texts in every form that has ids."""
    (folder / side).mkdir()
    folder = folder / side
    rows = [{"id": key, "text": text} for key, text in texts.items()]
    return {
        "jsonl": write(folder, "a.jsonl", "\n".join(map(json.dumps, rows))),
        "kaldi": write(folder, "text", "".join(f"{k} {v}\n" for k, v in texts.items())),
        "tsv": write(folder, "a.tsv", "".join(f"{k}\t{v}\n" for k, v in texts.items())),
        "named": write(
            folder, "b.tsv", "text\tid\n" + "".join(f"{v}\t{k}\n" for k, v in texts.items())
        ),
    }


def test_every_form_is_matched_by_ids_with_every_other(tmp_path: Path) -> None:
    here = {key.replace("a-1", "가-1"): text for key, text in SAID.items()}
    there = {unicodedata.normalize("NFD", k.replace("a-1", "가-1")): t for k, t in WRITTEN.items()}
    said, written = forms(tmp_path, here, "said"), forms(tmp_path, there, "written")
    for reference in said.values():
        for hypothesis in written.values():
            found = read_pairs(reference, hypothesis, "ko")
            assert found.ids == ("가-1", "a-2")
            assert found.references == tuple(SAID.values())
            assert found.hypotheses == ("내일 3시에", "만나요")


def test_lines_without_ids_belong_together_by_their_places(tmp_path: Path) -> None:
    said = write(tmp_path, "ref.txt", "하나\n둘\r\n\n")
    written = write(tmp_path, "hyp.txt", "하나\n\n셋")
    found = read_pairs(said, written, "ko")
    assert (found.references, found.hypotheses) == (("하나", "둘", ""), ("하나", "", "셋"))
    assert "1 of 3 references are empty" in found.notes[-1]


def test_words_of_ctm_go_to_the_segments_of_stm(tmp_path: Path) -> None:
    # A segment and a line as in the documentation of SCTK.
    stm = write(
        tmp_path,
        "a.stm",
        ";; a comment\n"
        "2345 A 2345-a 0.10 2.03 <O,M> uh huh yes i thought\n"
        "2345 A 2345-b 2.10 3.04 dog walking is a very\n"
        "2345 A 2345-a 3.50 4.59 ignore_time_segment_in_scoring\n",
    )
    ctm = write(
        tmp_path,
        "a.ctm",
        "2345 A 2.2 0.2 dog\n2345 A 0.2 0.5 yes\n2345 A 1.0 0.4 thought 0.9\n2345 A 9.0 0.4 far\n",
    )
    found = read_pairs(stm, ctm, "en")
    assert found.references == ("uh huh yes i thought", "dog walking is a very")
    assert found.hypotheses == ("yes thought", "dog far")
    assert found.speakers == ("2345-a", "2345-b")


@pytest.mark.parametrize(
    ("said", "written", "message"),
    [
        ("a\nb\n", "a\n", "has 1 texts, but .* has 2"),
        ("", "a\n", "holds no texts"),
        ("\n\n", "a\nb\n", "all references are empty"),
        ("x" * 200_001, "x", "200,001 characters is not an utterance"),
    ],
)
def test_texts_that_do_not_fit_are_refused(
    tmp_path: Path, said: str, written: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_pairs(write(tmp_path, "r.txt", said), write(tmp_path, "h.txt", written), "ko")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "h.jsonl",
            '{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n',
            ":1 as well",
        ),
        ("h.jsonl", '{"id": "a", "text": "x"}\n', "1 of 2 utterances are missing: b"),
        ("h.jsonl", '{"id": "c", "text": "x"}\n', "1 ids are not in .*: c"),
        ("h.jsonl", "{\n", "h.jsonl:1: is not JSON"),
        ("h.jsonl", "[1]\n", "h.jsonl:1: is not an object"),
        ("h.jsonl", '{"id": "a", "words": 1}\n', "h.jsonl:1: has none of the keys"),
        ("h.jsonl", '{"id": "a", "text": 3}\n', '"text" is not a text'),
        ("h.jsonl", '{"id": "a", "text": "\\ud800"}\n', "lone surrogate"),
        ("h.tsv", "a\tx\ty\n", "h.tsv:1: has 3 columns"),
        ("h.ctm", "a A 1.0 word\n", "not a line of CTM"),
        ("h.ctm", "a A one 0.1 word\n", '"one" is not a time'),
    ],
)
def test_broken_hypotheses_are_named_with_their_line(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    said = write(tmp_path, "r.jsonl", '{"id": "a", "text": "x"}\n{"id": "b", "text": "y"}\n')
    with pytest.raises(UserError, match=message):
        read_pairs(said, write(tmp_path, name, content), "ko")


def test_missing_utterances_count_as_empty_where_that_is_asked_for(tmp_path: Path) -> None:
    said = write(tmp_path, "r.tsv", "a\tx\nb\ty\n")
    written = write(tmp_path, "h.tsv", "b\ty\n")
    assert read_pairs(said, written, "ko", missing_as_empty=True).hypotheses == ("", "y")


def test_a_side_that_looks_normalised_is_said(tmp_path: Path) -> None:
    said = write(tmp_path, "r.txt", "come here\nplease go\n" * 10)
    written = write(tmp_path, "h.txt", "Come here.\nPlease go to 3!\n" * 10)
    code, out, err = run(said, written, "--language", "en")
    assert code == 0
    assert [line.partition(" have no ")[2].split(",")[0] for line in err.splitlines()] == [
        *("punctuation", "capital letters", "digits"),
    ]
    assert "texts:normalised" not in out
    _, out, err = run(said, written, "--language", "en", "--normalised", "accept")
    assert err == ""
    assert "|texts:normalised" in out
    assert run(said, said, "--language", "en")[2] == ""
    few = write(tmp_path, "few.txt", "come here\n")
    assert run(few, write(tmp_path, "f.txt", "Come 1.\n"), "--language", "en")[2] == ""
    texts = [["come here", "please go"] * 10, ["Come here.", "Please go."] * 10]
    with pytest.warns(UserWarning, match="one side looks normalised"):
        soritune.score(*texts, language="en")
    (score,) = soritune.score(*texts, language="en", metrics=["cer"], normalised=True)
    assert score.signature.endswith("|texts:normalised")


@pytest.mark.parametrize(
    "row",
    [
        {"text": "come here", "normalized": True},
        {"text": "come here", "normalizer": "whisper-english"},
        {"text": "come here", "signature": "cer|unit:char|case:lc|punct:removed.2|norm:nfc"},
        {"normalized_text": "come here"},
    ],
)
def test_a_text_that_says_it_was_normalised_is_refused(
    tmp_path: Path, row: dict[str, object]
) -> None:
    said = write(tmp_path, "r.jsonl", json.dumps({"id": "1", **row}))
    plain = {"id": "1", "text": "come here", "normalized": False, "normalizer": None}
    written = write(tmp_path, "h.jsonl", json.dumps({**plain, "signature": "cer|norm:nfc"}))
    for pair in ((said, written), (written, said)):
        with pytest.raises(UserError, match=r":1: .*normalised.* --normalised accept"):
            read_pairs(*pair, "en")
        accepted = read_pairs(*pair, "en", normalised=True)
        assert accepted.references == accepted.hypotheses == ("come here",)


def test_columns_and_times_are_not_taken_for_words(tmp_path: Path) -> None:
    said = write(tmp_path, "r.txt", "나\n")
    for name in ("h.csv", "h.SRT", "h.vtt", "h.trn"):
        with pytest.raises(UserError, match=r"is not read.*Save it as \.tsv"):
            read_pairs(said, write(tmp_path, name, "나 (a-1)\n"), "ko")


def test_files_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_bytes(b"\xff\xff\xff\x00")
    with pytest.raises(UserError, match="is not text in UTF-8"):
        read_pairs(path, path, "en")
    with pytest.raises(UserError, match="cannot be read"):
        read_pairs(tmp_path / "none.txt", path, "en")


def run(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["score", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_prints_a_table_or_the_records(tmp_path: Path) -> None:
    said = write(tmp_path, "r.txt", "내일 세 시에 <b>만나요</b>\n")
    written = write(tmp_path, "h.txt", "내일 3시에 <b>만나요</b>\n")
    code, table, _ = run(said, written, "--language", "ko")
    assert code == 0
    assert "CER reading" in table
    assert "numbers-only 1" in table
    code, text, _ = run(
        said, written, "--language", "Korean", "--metrics", "cer", "--variants", "raw",
        "--format", "json",
    )  # fmt: skip
    (record,) = json.loads(text)
    assert record["metric"] == "cer"
    assert (
        record["value"]
        == soritune.score(
            ["내일 세 시에 <b>만나요</b>"], ["내일 3시에 <b>만나요</b>"], language="ko"
        )[0].value
    )


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    said = write(tmp_path, "r.txt", "a\n")
    for words, message in [
        ((said, said, "--language", "en", "--metrics", "cre"), 'did you mean "cer"'),
        ((said, said, "--language", "en", "--variants", "rau"), 'did you mean "raw"'),
        ((said, said, "--language", "en", "--metrics", "invented"), "suite: non-speech"),
        ((said, said, "--language", "xx"), "is not a language"),
        ((said, tmp_path / "none", "--language", "en"), "cannot be read"),
    ]:
        code, _, error = run(*words)
        assert code == 2
        assert message in error
        assert len(error.strip().splitlines()) == 1


def test_from_python_it_is_one_call() -> None:
    scores = soritune.score(["5월"], ["오월"], language="ko")
    assert [score.title for score in scores] == [
        "cer",
        "cer seed",
        "cer reading",
        "wer",
        "wer seed",
    ]
    assert [score.value for score in scores] == [50, 50, 0, 100, 100]
    with pytest.raises(UserError, match="do not fit together"):
        soritune.score(["a"], [], language="en")
    with pytest.raises(UserError, match="no utterances"):
        soritune.score([], [], language="en")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("abc", "abd"), "references: is one text"),
        ((["a"], [None]), r"hypotheses\[0\]: is NoneType"),
        ((["a", "b\ud800"], ["a", "b"]), r"references\[1\]: holds half a character"),
        ((["", " "], ["a", ""]), "all references are empty"),
        ((["a"], ["a", "b"]), "1 references and 2 hypotheses do not fit"),
        ((["a", "b"], ["a", "b"], ["ann"]), "1 speakers and 2 references do not fit"),
    ],
)
def test_what_python_cannot_score_is_one_line(
    arguments: tuple[list[str], ...], message: str
) -> None:
    references, hypotheses, *speakers = arguments
    with pytest.raises(UserError, match=message):
        soritune.score(references, hypotheses, language="en", speakers=(speakers or [None])[0])


def test_texts_may_come_from_anything_that_yields_them() -> None:
    (score,) = soritune.score(iter(["a b"]), np.array(["a c"]), language="en", metrics="wer")
    assert score.value == 50
