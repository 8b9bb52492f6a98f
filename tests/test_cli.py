"""The command line as a person meets it: quick help, one line for a mistake, exit codes."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import soritune
from soritune.cli import app
from soritune.decoding.formats import Format, clock, shown
from soritune.decoding.records import Segment, Transcript
from soritune.errors import UserError

COMMANDS: list[str] = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
HEAVY = (
    *("torch", "transformers", "datasets", "pyarrow", "numpy"),
    *("sacrebleu", "jinja2", "rapidfuzz"),
)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_help_imports_nothing_heavy() -> None:
    """What makes it answer at once; seconds themselves depend on the machine."""
    program = (
        "import sys\n"
        "from soritune.cli import main\n"
        f"for command in [[], *([each] for each in {COMMANDS!r})]:\n"
        "    sys.argv = ['soritune', *command, '--help']\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as stop:\n"
        "        assert stop.code == 0, (command, stop.code)\n"
        f"    heavy = set({HEAVY!r}) & set(sys.modules)\n"
        "    assert not heavy, (command, heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage") == len(COMMANDS) + 1


def test_help_names_every_command() -> None:
    shown = invoke("--help").stdout
    # Some that must be there; the others come from the command line itself.
    assert {"run", "transcribe", "export", "blend", "inspect"} <= set(COMMANDS)
    assert all(command in shown for command in COMMANDS)


def test_the_version_is_that_of_the_package() -> None:
    assert invoke("--version").stdout.strip() == f"soritune {soritune.__version__}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "no-such-recipe.yaml"],
        ["run", "no-such-recipe.yaml", "--check"],
        ["prepare", "no-such-recipe.yaml"],
        ["train", "no-such-recipe.yaml", "--case", "a"],
        ["evaluate", "no-such-recipe.yaml"],
        ["report", "no-such-recipe.yaml"],
        ["transcribe", "a.wav"],
        ["transcribe", "a.wav", "--model", "m", "--task", "ast"],
        ["transcribe", "a.wav", "--model", "m", "--to", "en"],
        ["transcribe", "a.wav", "--model", "./no/such/model"],
    ],
    ids=" ".join,
)
def test_a_mistake_costs_one_line_and_exit_code_2(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_where_nothing_ran_is_no_report(tmp_path: Path) -> None:
    done = invoke("report", str(tmp_path))
    assert done.exit_code == 2
    assert "no experiment ran here" in done.stderr


@pytest.mark.parametrize("arguments", [["rum"], ["run"], ["train", "r.yaml"], ["run", "--workers"]])
def test_wrong_arguments_are_exit_code_2_without_a_traceback(arguments: list[str]) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr


def failing(error: BaseException) -> Callable[..., Any]:
    def load_experiment(path: Path, **_: Any) -> Any:
        raise error

    return load_experiment


def wrapped_disk_full() -> Exception:
    error = RuntimeError("could not write the checkpoint")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("a.yaml:3: what\nand where"), 2, "error: a.yaml:3: what and where"),
        (KeyboardInterrupt(), 130, "interrupted; run the same command to continue"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "the disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 2, "the disk is full"),
        (wrapped_disk_full(), 2, "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/a/b"), 2, "error: /a/b: the disk is full"),
        (RuntimeError("I/O error: Disk quota exceeded (os error 122)"), 2, "the disk is full"),
        (OSError(errno.EFBIG, "File too large", "/a/b"), 2, "/a/b: a file would be larger"),
        (
            OSError(errno.EROFS, "Read-only file system", "/a"),
            2,
            "/a: the file system is read-only",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), 2, "/a: this user may not"),
        (OSError(errno.EIO, "Input/output error", "/a"), 2, "/a: the disk failed"),
        (UserError(f"model.json: shape {'9' * 100_000}; copy it again"), 2, "; copy it again"),
    ],
)
def test_how_a_command_ends(
    error: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soritune.experiment.loading.load_experiment", failing(error))
    done = invoke("run", "recipe.yaml")
    assert done.exit_code == code
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert len(done.stderr) < 2100
    assert "Traceback" not in done.stderr


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "soritune.experiment.loading.load_experiment", failing(ZeroDivisionError("ours"))
    )
    assert isinstance(invoke("run", "recipe.yaml").exception, ZeroDivisionError)


class FakeTranscriber:
    """Writes a file's name; a name with "bad" cannot be read."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, str | None, int]] = []

    def stream(self, files: Any, *, task: Any, to: Any, **options: Any) -> Iterator[Any]:
        from soritune.decoding.transcriber import Failure

        self.asked.append((str(task), to, options["language"], options["batch_size"]))
        for file in files:
            if "bad" in str(file):
                yield Failure(str(file), f"{file}: there is no such file")
                continue
            text, translation = f"말 {file.stem}", "words" if to else None
            segment = Segment(0.0, 5.5, text, -0.1, 0.0, translation)
            yield Transcript(str(file), text, 61.5, translation, (segment,))


@pytest.fixture
def transcriber(monkeypatch: pytest.MonkeyPatch) -> FakeTranscriber:
    fake = FakeTranscriber()
    monkeypatch.setattr(soritune, "load", lambda model, base=None: fake)
    return fake


def test_one_file_is_printed_as_its_text_alone(transcriber: FakeTranscriber) -> None:
    assert invoke("transcribe", "a.wav", "--model", "m").stdout == "말 a\n"
    assert transcriber.asked == [("asr", None, None, 8)]


def test_several_files_are_printed_with_their_names(transcriber: FakeTranscriber) -> None:
    done = invoke("transcribe", "a.wav", "b.wav", "--model", "m")
    assert done.stdout == "a.wav\t말 a\nb.wav\t말 b\n"


def test_json_records_carry_file_and_text(transcriber: FakeTranscriber) -> None:
    done = invoke("transcribe", "a.wav", "b.wav", "--model", "m", "--format", "json")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"file": "a.wav", "text": "말 a", "duration_s": 61.5},
        {"file": "b.wav", "text": "말 b", "duration_s": 61.5},
    ]
    assert "말" in done.stdout


def test_a_translation_stands_beside_the_transcript(transcriber: FakeTranscriber) -> None:
    options = ["--model", "m", "--task", "ast-cot", "--to", "en", "--batch-size", "3"]
    options += ["--language", "ko"]
    done = invoke("transcribe", "a.wav", "--format", "json", *options)
    assert json.loads(done.stdout)["translation"] == "words"
    assert transcriber.asked == [("ast-cot", "en", "ko", 3)]


def test_a_file_that_fails_costs_a_line_and_the_others_go_on(transcriber: FakeTranscriber) -> None:
    done = invoke("transcribe", "a.wav", "bad.wav", "c.wav", "--model", "m")
    assert done.exit_code == 2
    assert done.stdout == "a.wav\t말 a\nc.wav\t말 c\n"
    assert "error: bad.wav: there is no such file\n" in done.stderr


SUBTITLE = "1\n00:00:00,000 --> 00:00:05,500\n말 a\n\n"


def test_one_file_gives_one_subtitle_file_on_standard_output(transcriber: FakeTranscriber) -> None:
    assert invoke("transcribe", "a.wav", "--model", "m", "--format", "srt").stdout == SUBTITLE


def test_subtitles_of_several_recordings_never_stand_in_one_file(
    transcriber: FakeTranscriber,
) -> None:
    done = invoke("transcribe", "a.wav", "b.wav", "--model", "m", "--format", "srt")
    assert done.exit_code == 2
    assert "add --out DIR" in done.stderr
    assert transcriber.asked == []


@pytest.mark.parametrize(
    ("format_", "name", "content"),
    [
        ("srt", "a.srt", SUBTITLE),
        ("text", "a.txt", "말 a\n"),
        ("json", "a.json", '{"file": "x/a.wav", "text": "말 a", "duration_s": 61.5}\n'),
    ],
)
def test_out_takes_a_file_for_each_recording(
    transcriber: FakeTranscriber, tmp_path: Path, format_: str, name: str, content: str
) -> None:
    out = tmp_path / "new" / "out"
    options = ["--model", "m", "--format", format_, "--out", str(out)]
    done = invoke("transcribe", "x/a.wav", "bad.wav", "b.c.flac", *options)
    assert done.exit_code == 2
    assert (out / name).read_text(encoding="utf-8") == content
    other = f"b.c{Path(name).suffix}"
    assert {path.name for path in out.iterdir()} == {name, other, "results.jsonl"}
    assert done.stdout == f"{out / name}\n{out / other}\n"


def test_two_recordings_never_share_a_file(transcriber: FakeTranscriber, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = invoke("transcribe", "x/a.wav", "y/a.wav", "--model", "m", "--out", str(out))
    assert done.exit_code == 2
    assert "x/a.wav and y/a.wav would both be written to" in done.stderr
    assert transcriber.asked == []
    assert not out.exists()


@pytest.mark.parametrize(
    ("to", "hint"),
    [
        ("korea", 'did you mean "korean"?'),
        ("xx", "codes are like en or de"),
        ("", "codes are like"),
    ],
)
def test_an_unknown_language_is_told_before_a_model_is_loaded(
    transcriber: FakeTranscriber, to: str, hint: str
) -> None:
    done = invoke("transcribe", "a.wav", "--model", "m", "--task", "ast", "--to", to)
    assert done.exit_code == 2
    assert f'"{to}" is not a language that soritune knows' in done.stderr
    assert hint in done.stderr
    assert transcriber.asked == []


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, "00:00:00,000"),
        (3661.0005, "01:01:01,000"),
        (59.9996, "00:01:00,000"),
        (7.25, "00:00:07,250"),
    ],
)
def test_subtitle_times_carry_over(seconds: float, written: str) -> None:
    assert clock(seconds) == written


def test_a_line_break_in_a_transcript_does_not_end_its_subtitle() -> None:
    said = Transcript("a.wav", "a\n\nb", 1.0, None, (Segment(0.0, 1.0, "a\n\nb", -0.1, 0.0),))
    assert shown(said, Format.SRT).splitlines()[2] == "a b"


def test_check_tells_the_steps_of_the_published_baseline(tmp_path: Path) -> None:
    """22,263 utterances in batches of 128 are 174 steps, as its card says."""
    recipe = Path(__file__).parent.parent / "recipes" / "phi4-korean.yaml"
    done = invoke("run", str(recipe), "--check")
    assert done.exit_code == 0, done.stderr
    (baseline,) = [line for line in done.stdout.splitlines() if line.strip().startswith("baseline")]
    assert "174" in baseline
    assert "22,263" in baseline
    assert "5,574,460,224" in done.stdout
    # What the other sources hold: 592 rows, and 270 sentences each way.
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    (minds14,) = [words for words in lines if words[:2] == ["minds14", "minds14"]]
    assert "592" in minds14
    (en2ko,) = [words for words in lines if words[0] == "en2ko"]
    assert "270" in en2ko
    assert "by hand" in " ".join(done.stdout.split())


def test_check_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Path(__file__).parent.parent / "recipes" / "phi4-korean.yaml"
    monkeypatch.chdir(tmp_path)
    assert invoke("run", str(recipe), "--check").exit_code == 0
    assert list(tmp_path.iterdir()) == []
