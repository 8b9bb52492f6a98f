"""How `--help` looks: two examples for each command, and no types where a name says more."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand, TyperGroup

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("soritune run recipes/tiny-korean.yaml", "the miniature, needs no recordings"),
        ("soritune run recipes/own-recordings.yaml --check", "what a run with yours would do"),
    ),
    "run": (
        ("soritune run recipes/own-recordings.yaml --check", "what it would do, and how much"),
        ("soritune run recipes/own-recordings.yaml --only lora-4", "one case, and what it needs"),
    ),
    "prepare": (
        ("soritune prepare recipes/own-recordings.yaml", "all its recordings"),
        ("soritune prepare recipes/whisper-korean.yaml --corpus zeroth --workers 8", "one corpus"),
    ),
    "doctor": (
        ("soritune doctor recipes/own-recordings.yaml", "what was prepared"),
        ("soritune doctor recordings.csv --language ko", "a list, before there is a recipe"),
    ),
    "train": (
        ("soritune train recipes/own-recordings.yaml --case lora-4", "on this machine"),
        (
            "torchrun --nproc-per-node 4 -m soritune.cli train RECIPE --case lora-4",
            "on four GPUs",
        ),
    ),
    "evaluate": (
        ("soritune evaluate recipes/own-recordings.yaml --case lora-4", "one case"),
        ("soritune evaluate recipes/own-recordings.yaml --model blend-0.7", "any other model"),
    ),
    "report": (
        ("soritune report recipes/own-recordings.yaml", "what is done with this recipe"),
        ("soritune report runs/own-recordings", "the same, without the recipe"),
    ),
    "transcribe": (
        ("soritune transcribe talk.wav --model runs/mine/cases/lora-4/model", "a recording"),
        (
            "soritune transcribe *.flac --model MODEL --language ko --format srt --out subtitles",
            "subtitles for several",
        ),
    ),
    "serve": (
        ("soritune serve runs/mine/cases/lora-4/model", "on this machine; a page is at /"),
        (
            "soritune serve openai/whisper-base --host 0.0.0.0 --api-key-file keys.txt",
            "for others",
        ),
    ),
    "preview": (
        ("soritune augment preview clip.wav --augment telephone --out preview", "a ready set"),
        (
            "soritune augment preview clip.wav --augment recipes/mine.yaml:mine --out preview",
            "what a recipe says",
        ),
    ),
    "score": (
        ("soritune score said.txt written.txt --language ko", "line by line"),
        ("soritune score ref.stm hyp.ctm --language en --format json", "records, for programs"),
    ),
    "compare": (
        ("soritune compare runs/first runs/second", "all cases in one table"),
        ("soritune compare runs/mine --case lora-1 --case lora-4", "who is right where"),
    ),
    "inspect": (
        ("soritune inspect runs/mine/cases/lora-4/model", "what a training made"),
        ("soritune inspect builtin:tiny --format json", "a base, for programs"),
    ),
    "export": (
        ("soritune export runs/mine/cases/lora-4/model --to adapter --out lora", "for PEFT"),
        (
            "soritune export runs/mine/cases/lora-4/model --to transformers --out whole",
            "with the LoRA folded in; `soritune inspect` says which layouts a model has",
        ),
    ),
    "publish": (
        ("soritune publish runs/mine/cases/lora-4 --to owner/name --dry-run", "to read it first"),
        ("soritune publish runs/mine/cases/lora-4 --to owner/name --private", "to upload it"),
    ),
    "blend": (
        (
            "soritune blend runs/mine/cases/lora-4/model builtin:tiny --weight 0.7 --out blend",
            "back towards the base",
        ),
        (
            "soritune blend runs/mine/cases/a/model runs/mine/cases/b/model --weight 0.5 --out ab",
            "the mean of two",
        ),
    ),
}
"""Commands and what they are for, by the command's name."""


PLAIN_TYPES = {int: "NUMBER", float: "NUMBER", str: "TEXT"}
"""What stands for a value whose option names nothing better."""


def examples(name: str) -> str:
    """Return the end of a command's help; each example is a paragraph, which keeps its line."""
    lines = [f"  {command}   [dim]# {words}[/dim]" for command, words in EXAMPLES[name]]
    return "\n\n".join(["[bold]Examples[/bold]", *lines])


class Command(TyperCommand):
    """A command whose help names types only where they say something."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.help = _flowing(self.help)
        _without_types(self.get_params(ctx))
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A group of commands, whose help is like theirs."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _without_types(self.get_params(ctx))
        super().format_help(ctx, formatter)


def _flowing(text: str | None) -> str | None:
    """Return paragraphs without the line breaks of the source, which a terminal breaks again."""
    return text and re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def _without_types(params: list[Any]) -> None:
    """Leave out the types of flags, arguments and of what has a name for its value."""
    for param in params:
        is_flag = getattr(param, "is_flag", False)
        if is_flag or param.param_type_name == "argument":
            param.display_type_rich = lambda ctx: None
        elif (
            shown := param.metavar or PLAIN_TYPES.get(param.type_descriptor.annotation)
        ) is not None:
            param.display_type_rich = lambda ctx, shown=shown: shown
