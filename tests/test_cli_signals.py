"""How the command ends by a signal, and what a hostile name does to the terminal (nothing)."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from soritune.cli.errors import show_error
from soritune.cli.output import PlainConsole, echo, echo_json, say
from soritune.decoding.formats import Format
from soritune.decoding.formats import shown as shown_as
from soritune.decoding.records import Transcript
from soritune.errors import UserError, visible
from soritune.files import write_atomically
from soritune.progress import _to_stderr

# A command that waits; `argv[1]` says whether in it or while it is imported.
WAITING = """
import sys, time
from soritune.cli import main

def wait(*_, **__):
    print("waiting", flush=True)
    time.sleep(60)

if sys.argv.pop(1) == "import":
    class Finder:
        find_spec = wait
    sys.meta_path.insert(0, Finder)
else:
    import soritune.experiment.loading as loading
    loading.load_experiment = wait
sys.argv[1:] = ["run", "r.yaml", "--check"]
main()
"""


@pytest.mark.parametrize(
    ("where", "number", "code"),
    [
        ("import", signal.SIGINT, 130),
        ("import", signal.SIGTERM, 143),
        ("command", signal.SIGINT, 130),
        ("command", signal.SIGHUP, 129),
    ],
)
def test_a_signal_is_one_line_and_its_exit_code(where: str, number: int, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (
        code,
        "\ninterrupted; run the same command to continue\n",
    )


# Sets the title of a window, clears it, and turns the order of letters.
HOSTILE = "a\x1b]0;mine\x07\x1b[2J\x9b1m\u202eb\udcff.wav"
SHOWN = r"a\x1b]0;mine\x07\x1b[2J\x9b1m\u202eb\xff.wav"


def test_control_characters_are_shown_and_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert visible(HOSTILE) == SHOWN
    assert visible("가\tb\nc") == "가\tb\nc"
    show_error(HOSTILE)
    echo(Path(HOSTILE))
    say(HOSTILE)
    _to_stderr(HOSTILE)
    shown = capsys.readouterr()
    assert shown.out == SHOWN + "\n"
    assert shown.err == f"error: {SHOWN}\n" + 2 * f"{SHOWN}\n"
    # What programs read keeps its form, and they get the name back.
    echo_json({"file": HOSTILE})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"file": HOSTILE}
    assert visible(printed) == printed
    line = shown_as(Transcript(HOSTILE, "가", 1.0), Format.JSON)
    assert json.loads(line)["file"] == HOSTILE
    assert visible(line) == line


def test_tables_show_them_as_well() -> None:
    file = io.StringIO()
    table = Table("name")
    table.add_row(Text(HOSTILE))
    PlainConsole(file=file, width=120, force_terminal=True).print(table, Text(HOSTILE))
    assert "]0;mine" in file.getvalue()
    assert "\x1b]0" not in file.getvalue()
    assert "\x1b[2J" not in file.getvalue()
    assert "\x9b" not in file.getvalue()


def test_a_read_only_file_system_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses to remove as well, even a file that is not there (EROFS of unlink(2))."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(UserError, match="cannot be written"):
        write_atomically(tmp_path / "a", "b")


def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "a", "b")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
