"""The audit of one or more prepared corpora, step by step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from soritune.corpus.store import Corpus
from soritune.doctor.audio_checks import audio_findings
from soritune.doctor.catalogue import CHECKS
from soritune.doctor.duplicates import find_copies
from soritune.doctor.facts import facts_of
from soritune.doctor.findings import FORMAT_VERSION, SEVERITIES, Audit, Finding
from soritune.doctor.losses import loss_findings, mean_losses
from soritune.doctor.make import Hit, make_finding
from soritune.doctor.remedies import RECIPE
from soritune.doctor.scan import AuditedCorpus, ScannedUtterance, ShardResult, scan
from soritune.doctor.shared_checks import copy_findings, sentence_findings, speaker_findings
from soritune.doctor.text_checks import text_findings
from soritune.errors import UserError

if TYPE_CHECKING:
    from soritune.models.speech_model import SpeechModel

Advance = Callable[[float], None]
Track = Callable[[str, float | None, str], AbstractContextManager[Advance]]
"""Shows the progress of a step, as `soritune.progress.track` does."""


@dataclass(frozen=True)
class Audited:
    """The audit, and the way back to the audio of its examples."""

    audit: Audit
    sources: tuple[AuditedCorpus, ...]
    places: dict[tuple[str, str], ScannedUtterance]
    """Utterances of the examples, by the names of their corpora and their ids."""


def open_sources(folders: Sequence[Path], outdated: Collection[Path] = ()) -> list[AuditedCorpus]:
    """The corpora in `folders`, each with a name of its own.

    `outdated` are those that are not what their recipe says now.

    Raises UserError where one is not prepared, not whole, or given twice.
    """
    cards = [Corpus.open(folder).card for folder in folders]
    resolved = [folder.resolve() for folder in folders]
    for place, folder in enumerate(resolved):
        if folder in resolved[:place]:
            raise UserError(f"{folders[place]}: given twice; give each corpus once")
    names = [card.name for card in cards]
    shown = [
        str(folder) if names.count(name) > 1 else name
        for folder, name in zip(folders, names, strict=True)
    ]
    return [
        AuditedCorpus(name, folder, card, folder in outdated)
        for name, folder, card in zip(shown, folders, cards, strict=True)
    ]


def audit(
    sources: Sequence[AuditedCorpus],
    *,
    track: Track,
    workers: int = 1,
    model: SpeechModel | None = None,
    model_name: str | None = None,
    recipe: str = RECIPE,
) -> Audited:
    """Audit corpora together; the result does not depend on `workers`.

    Memory grows with the number of utterances (about 5 kB each), not with their hours. With a
    `model` every transcript's loss is computed as well. Raises UserError where a corpus cannot be
    read.
    """
    names = [source.name for source in sources]
    total = sum(source.card.taken for source in sources)

    # 1. All audio and text, once.
    with track("listening", total, "utterances") as advance:
        shards = scan(sources, workers, advance)
    utterances = [utterance for shard in shards for utterance in shard.utterances]
    of_corpus: list[list[ScannedUtterance]] = [[] for _ in sources]
    for utterance in utterances:
        of_corpus[utterance.corpus].append(utterance)

    # 2. Each corpus by itself.
    findings: list[Finding] = _changed(shards, names)
    for own in of_corpus:
        findings += audio_findings(own, names)
        findings += text_findings(own, names)

    # 3. Across splits and corpora.
    with track("comparing sentences", None, "sentences") as advance:
        findings += sentence_findings(utterances, names, advance)
    findings += speaker_findings(utterances, names)
    with track("comparing recordings", None, "clips") as advance:
        copies = find_copies(utterances, sources, workers, advance)
    findings += copy_findings(utterances, copies, names)

    # 4. What a model says.
    if model is not None:
        with track("listening with the model", total, "utterances") as advance:
            losses = mean_losses(utterances, sources, model, advance=advance)
        findings += loss_findings(utterances, losses, names)

    ordered = _ordered(findings, names)
    shown = {(example.corpus, example.id) for each in ordered for example in each.examples}
    checks = [check for check in CHECKS if check != "high-loss" or model is not None]
    result = Audit(
        format_version=FORMAT_VERSION,
        corpora=[facts_of(source, own) for source, own in zip(sources, of_corpus, strict=True)],
        findings=ordered,
        checks=checks,
        model=model_name if model is not None else None,
        recipe=recipe,
    )
    places = {
        (names[utterance.corpus], utterance.id): utterance
        for utterance in utterances
        if (names[utterance.corpus], utterance.id) in shown
    }
    return Audited(result, tuple(sources), places)


def _changed(shards: Sequence[ShardResult], names: Sequence[str]) -> list[Finding]:
    found = []
    for place in range(len(names)):
        own = [shard for shard in shards if shard.corpus == place]
        hits = [
            Hit(utterance, f"shard {shard.shard:05d}", 0)
            for shard in own
            if shard.changed
            for utterance in shard.utterances
        ]
        size = sum(len(shard.utterances) for shard in own)
        found.append(make_finding("changed-shard", names, hits, size))
    return [finding for finding in found if finding is not None]


def _ordered(findings: Sequence[Finding], names: Sequence[str]) -> list[Finding]:
    """Errors first; then by check, corpus and part."""
    order = list(CHECKS)
    return sorted(
        findings,
        key=lambda f: (
            SEVERITIES.index(f.severity),
            order.index(f.check),
            names.index(f.corpus),
            f.where,
        ),
    )
