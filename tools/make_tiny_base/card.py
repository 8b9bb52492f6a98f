"""The model card of the small base: what it is, how it was made, its English error rate."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from soritune.corpus.store import Corpus
from soritune.files import write_atomically
from soritune.progress import track
from soritune.scoring.results import Results, write_results

CARD = """\
---
license: mit
language: [en, ko]
tags: [speech, synthetic, phi4_multimodal]
---
# A small base of the Phi-4-multimodal architecture

{parameters:,} parameters (vision tower absent), made by `tools/make_tiny_base/make.py` of the
soritune repository with the recipe beside this card. Features, 80 ms audio tokens, chat form and
special tokens are those of microsoft/Phi-4-multimodal-instruct; sizes, tokenizer and weights are
its own.

It hears English, writes English and Korean, and **has never heard Korean**. All its speech was
synthetic (espeak-ng), its sentences come from soritune's demo grammar; the test sentences and test
voices occur nowhere in its training. It is of use for the demo and for tests, for nothing else.

| evaluation | metric | value | 95 % interval | utterances | signature |
|---|---|---|---|---|---|
{rows}
"""


def write_base_card(recipe_path: Path, out: Path, base: Path) -> Path:
    """Measure the base in `base` on the unseen English sentences of `out/english`.

    Writes README.md, results.json and a copy of the recipe into `base`.

    Returns:
        Path of the README.
    """
    from soritune.decoding.evaluate import decode_records
    from soritune.models import load
    from soritune.scoring.evaluate import evaluate_hypotheses
    from soritune.tasks import Task

    model = load(base)
    corpus = Corpus.open(out / "english")
    records = corpus.records("test")
    hypotheses = out / "english-test.jsonl"
    hypotheses.unlink(missing_ok=True)
    with track("English test", len(records), "utterances") as advance:
        found = decode_records(
            model, corpus, records, task=Task.ASR, to=None, out=hypotheses, advance=advance
        )
    scores = evaluate_hypotheses(
        ("cer", "wer"), "en", [h.reference for h in found], [h.scored for h in found]
    )
    results = [replace(score, case="base", evaluation="english") for score in scores]
    rows = "\n".join(
        f"| unseen English sentences, unseen voices | {r.metric.upper()} | {r.value:.2f} % | "
        f"{r.low:.2f} to {r.high:.2f} | {r.utterances} | {_cell(r.signature)} |"
        for r in results
    )
    parameters = sum(p.numel() for p in model.module.parameters())
    write_results(base / "results.json", Results(scores=tuple(results)))
    shutil.copyfile(recipe_path, base / "recipe.yaml")
    card = base / "README.md"
    write_atomically(card, CARD.format(parameters=parameters, rows=rows).encode())
    return card


def _cell(signature: str) -> str:
    """Return code for a table cell: Markdown ends cells at a bar, even within code."""
    return "`" + signature.replace("|", "\\|") + "`"
