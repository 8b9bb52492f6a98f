"""`soritune transcribe`: files in, text, JSON or subtitles out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soritune.cli.errors import EXIT_USER_ERROR, plain_errors, show_error
from soritune.cli.output import echo
from soritune.errors import UserError
from soritune.languages.names import known_language
from soritune.progress import track
from soritune.tasks import Task

if TYPE_CHECKING:
    from soritune.decoding.transcriber import Transcript

# Files that are read, transcribed and printed together, in batches: results come while a long
# list is still at work.
BATCHES_AT_ONCE = 8


class Format(StrEnum):
    """What is printed."""

    TEXT = "text"
    JSON = "json"
    SRT = "srt"


@plain_errors
def transcribe(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Recordings: wav, flac, mp3, ogg, …")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="PATH",
            help="A trained model (runs/…/cases/…/model), a hub id, or builtin:tiny.",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder of the model's base, if it was moved."),
    ] = None,
    task: Annotated[
        Task,
        typer.Option(help="Transcribe (asr), translate (ast), or both, one after the other."),
    ] = Task.ASR,
    to: Annotated[
        str | None,
        typer.Option(metavar="LANGUAGE", help="Language to translate into, such as en or ko."),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="LANGUAGE",
            help="Language that is spoken, such as ko; default: the one that the model was "
            "trained for, else what it detects.",
        ),
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="Text lines, JSON records, or subtitles.")
    ] = Format.TEXT,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write a file for each recording there: a.wav to DIR/a.srt."
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="NUMBER", min=1, help="Files decoded together.")
    ] = 8,
) -> None:
    """Transcribe or translate short recordings with a model (most models take up to 30 s).

    A file that cannot be read is reported on standard error; the others are transcribed, and the
    exit code is 2.
    """
    if model is None:
        raise UserError(
            "no model given; add --model with the folder of a trained model (a run prints it at "
            "its end: runs/NAME/cases/CASE/model), a hub id, or builtin:tiny"
        )
    if task is Task.ASR and to is not None:
        raise UserError("--to is for translations: add --task ast or --task ast-cot")
    if task is not Task.ASR and to is None:
        raise UserError(f"--task {task.value} needs the language to translate into: add --to en")
    for code in (language, to):
        if code is not None:
            known_language(code)  # reports an unknown language before the model is loaded
    if format_ is Format.SRT and len(files) > 1 and out is None:
        raise UserError(
            "--format srt of several files: subtitles belong to one recording; add --out DIR for "
            "a .srt file each, or give one file"
        )
    places = [] if out is None else _places(files, out, format_)

    import soritune
    from soritune.decoding.transcriber import Failure
    from soritune.files import write_atomically

    transcriber = soritune.load(model, base=base)
    num_failed = 0
    at_once = batch_size * BATCHES_AT_ONCE
    with track("transcribe", len(files), "files") as advance:
        for start in range(0, len(files), at_once):
            group = files[start : start + at_once]
            results = transcriber.try_transcribe(
                group, task=task, to=to, language=language, batch_size=batch_size
            )
            for number, result in enumerate(results, start=start):
                if isinstance(result, Failure):
                    show_error(result.error)
                    num_failed += 1
                    continue
                shown = _shown(result, format_, named=out is None and len(files) > 1)
                if out is None:
                    echo(shown)
                else:
                    write_atomically(places[number], f"{shown}\n".encode())
                    echo(places[number])
            advance(len(group))
    if num_failed:
        raise typer.Exit(EXIT_USER_ERROR)


def _places(files: Sequence[Path], out: Path, format_: Format) -> list[Path]:
    """Return the file that each recording is written to.

    Raises:
        UserError: two would be one, or the folder cannot be made.
    """
    suffix = "txt" if format_ is Format.TEXT else format_.value
    places = [out / f"{file.stem}.{suffix}" for file in files]
    taken: dict[Path, Path] = {}
    for file, place in zip(files, places, strict=True):
        other = taken.setdefault(place, file)
        if other != file:
            raise UserError(
                f"{other} and {file} would both be written to {place}; transcribe them into "
                "different folders"
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror}; give a folder") from None
    return places


def _shown(transcript: Transcript, format_: Format, *, named: bool) -> str:
    if format_ is Format.JSON:
        record = {
            "file": transcript.file,
            "text": transcript.text,
            "translation": transcript.translation,
            "duration_s": round(transcript.duration_s, 3),
        }
        line = json.dumps(
            {key: value for key, value in record.items() if value is not None}, ensure_ascii=False
        )
        # A file name in another encoding: its bytes as escapes, which JSON has.
        return line.encode("utf-8", "backslashreplace").decode("utf-8")
    lines = [transcript.text]
    if transcript.translation is not None:
        lines.append(transcript.translation)
    if format_ is Format.SRT:
        return subtitle(1, 0.0, transcript.duration_s, lines)
    text = "\t".join(" ".join(line.split()) for line in lines)
    return f"{transcript.file}\t{text}" if named else text


def subtitle(number: int, start_s: float, end_s: float, lines: list[str]) -> str:
    """One cue of a SubRip file, with the empty line that ends it."""
    shown = "\n".join(" ".join(line.split()) for line in lines)
    return f"{number}\n{subtitle_time(start_s)} --> {subtitle_time(end_s)}\n{shown}\n"


def subtitle_time(seconds: float) -> str:
    """`01:02:03,456`, rounded to milliseconds."""
    total_ms = round(seconds * 1000)
    total_s, ms = divmod(total_ms, 1000)
    minutes, s = divmod(total_s, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{s:02d},{ms:03d}"
