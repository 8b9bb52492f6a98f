"""`soritune transcribe`: recordings in, text, JSON or subtitles out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soritune.cli.errors import EXIT_USER_ERROR, plain_errors, show_error
from soritune.cli.output import echo, say
from soritune.decoding.formats import Format
from soritune.errors import UserError
from soritune.languages.names import known_language
from soritune.progress import track
from soritune.tasks import Task

if TYPE_CHECKING:
    from soritune.decoding.records import Transcript


@plain_errors
def transcribe(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE…",
            help="Recordings of any length (wav, flac, mp3, ogg, …; mp4, m4a, webm with the extra "
            "media), or folders of them.",
        ),
    ] = None,
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
    prompt: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What the recording is about, or text before it (Whisper, Qwen3-ASR).",
        ),
    ] = None,
    keywords: Annotated[
        str,
        typer.Option(metavar="A,B", help="Words and names that may occur (Whisper, Qwen3-ASR)."),
    ] = "",
    format_: Annotated[
        Format, typer.Option("--format", help="What is written of each recording.")
    ] = Format.TEXT,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Folder for a file of each recording (a.wav to PATH/a.srt), or a .jsonl file for "
            "all results; run again, and what is done is kept.",
        ),
    ] = None,
    lists: Annotated[
        list[Path] | None,
        typer.Option(
            "--list",
            metavar="FILE",
            help='A path a line, or JSON lines like {"audio": "a.wav", "start_s": 1, '
            '"duration_s": 4}.',
        ),
    ] = None,
    keep_unsure: Annotated[
        bool,
        typer.Option(
            "--keep-unsure", help="Keep texts for silence, music or noise that are held back."
        ),
    ] = False,
    window: Annotated[
        float | None,
        typer.Option(
            "--window",
            metavar="SECONDS",
            min=2,
            help="Longest stretch that the model hears at once. Default: as its training clips, "
            "or, of a base, as it can.",
        ),
    ] = None,
    word_times: Annotated[
        bool,
        typer.Option(
            "--word-times",
            help="Find when each word is spoken (Whisper): in verbose_json, and for the cues of "
            "srt and vtt, whose words are spread by their width otherwise.",
        ),
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            metavar="ENGINE",
            help="local; openai:URL for an OpenAI-compatible server (--model is its name there, "
            "OPENAI_API_KEY its key); ray for a cluster.",
        ),
    ] = "local",
    workers: Annotated[
        int,
        typer.Option(
            min=1, metavar="NUMBER", help="Requests to a server, or models on a cluster, at a time."
        ),
    ] = 4,
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size",
            metavar="NUMBER",
            min=1,
            help="Windows of the longest kind that are decoded together.",
        ),
    ] = 8,
) -> None:
    """Transcribe or translate recordings of any length with a model.

    A recording that cannot be read is reported on standard error; the others are transcribed, and
    the exit code is 2.
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

    from soritune.decoding.engines import check_engine, open_engine
    from soritune.decoding.inputs import counted, find_inputs
    from soritune.decoding.results import Job
    from soritune.decoding.server import OPENAI
    from soritune.decoding.transcriber import Failure, Options

    check_engine(engine)
    if word_times and engine.startswith(OPENAI):
        raise UserError("--word-times: a server does not give them; take --engine local or ray")
    if word_times and task is Task.AST:
        raise UserError("--word-times are those of a transcript: take --task asr or ast-cot")
    inputs = find_inputs(files or [], lists or [])
    if format_.has_times and len(inputs) > 1 and out is None:
        raise UserError(
            f"--format {format_.value} of several recordings: times belong to one; add --out DIR "
            "for a file each, or give one recording"
        )
    options: Options = {
        "task": task,
        "to": to,
        "language": language,
        "prompt": prompt,
        "keywords": tuple(word.strip() for word in keywords.split(",") if word.strip()),
        "keep_unsure": keep_unsure,
        "window_s": window,
    }
    if word_times:
        options["words"] = True
    settings = {"model": model, "base": base, "engine": engine, **options}
    options["batch_size"] = batch_size
    num_failed = 0
    with Job(inputs, out, format_, settings) as job:
        if len(job.waiting) < len(inputs):
            say(f"{len(inputs) - len(job.waiting):,} of {len(inputs):,} recordings are done")
        if not job.waiting:
            return
        run = open_engine(engine, model, base, workers=workers)
        with track("transcribe", counted(job.waiting), "audio s") as advance:
            results = run([each.source for each in job.waiting], options, advance)
            for place, result in results:
                each = job.waiting[place]
                if isinstance(result, Failure):
                    show_error(result.error)
                    num_failed += 1
                    continue
                for remark in _remarks(result):
                    say(remark)
                line = job.take(each, result, named=len(inputs) > 1)
                if line is not None:
                    echo(line)
    if num_failed:
        raise typer.Exit(EXIT_USER_ERROR)


def _remarks(transcript: Transcript) -> list[str]:
    """Return what the user should know of a transcript: its file's tracks, texts held back."""
    lines = [transcript.note] if transcript.note else []
    for segment in transcript.dropped:
        span = f"{segment.start_s:.1f} to {segment.end_s:.1f} s"
        text = f': "{segment.text[:60]}"' if segment.text else ""
        lines.append(f"{transcript.file}: held back {span} ({segment.unsure}){text}")
    if transcript.dropped:
        lines.append("what is held back is kept with --keep-unsure")
    return lines
