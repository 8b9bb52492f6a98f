"""Likely label errors: transcripts that a model finds unlikely for their audio."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from soritune.doctor.catalogue import LOSS_Z, MIN_FOR_STATISTICS
from soritune.doctor.findings import Finding
from soritune.doctor.make import Hit, make_finding
from soritune.doctor.scan import AuditedCorpus, ScannedUtterance, read_samples
from soritune.doctor.text_checks import robust_z
from soritune.tasks import Answer, Request, Task
from soritune.training.batching import DEFAULT_MAX_TOKENS, micro_batches

if TYPE_CHECKING:
    from soritune.models.speech_model import ModelInput, SpeechModel

# Nats; the least spread that is assumed. Losses of a model that is sure of most clips are close
# together, and those of clips that are hard to hear are a few tenths higher (docs/doctor.md).
MIN_SPREAD = 0.25


def mean_losses(
    utterances: Sequence[ScannedUtterance],
    sources: Sequence[AuditedCorpus],
    model: SpeechModel,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    advance: Callable[[float], None] = lambda amount: None,
) -> list[float | None]:
    """Return the mean cross-entropy of each transcript in nats per token; None without audio.

    Shard by shard, in batches of similar lengths. The transcript is what the model would be trained
    to answer, end tokens included. `advance` is called with the number of utterances done.
    """
    losses: list[float | None] = [None] * len(utterances)
    by_shard: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for place, utterance in enumerate(utterances):
        by_shard[utterance.corpus, utterance.shard].append(place)
    for (corpus, shard), places in by_shard.items():
        source = sources[corpus]
        path = source.folder / source.card.shards[shard].file
        samples = read_samples(path, [utterances[place].row for place in places])
        inputs: list[tuple[int, ModelInput]] = []
        for place in places:
            utterance = utterances[place]
            if utterance.row in samples:
                clip = samples[utterance.row]
                request = Request(Task.ASR, utterance.language)
                answer = Answer(transcript=utterance.text)
                inputs.append((place, model.processor.encode(clip, request, answer)))
        for batch in micro_batches(inputs, max_tokens, _num_tokens):
            found = batch_losses(model, [item for _, item in batch])
            for (place, _), loss in zip(batch, found, strict=True):
                losses[place] = loss
        advance(len(places))
    return losses


def batch_losses(model: SpeechModel, inputs: Sequence[ModelInput]) -> list[float]:
    """Return the mean cross-entropy of each row's target tokens."""
    batch = {name: part.to(model.device) for name, part in model.processor.collate(inputs).items()}
    model.module.eval()
    return [float(value) for value in model.row_losses(batch).cpu()]


def loss_findings(
    utterances: Sequence[ScannedUtterance], losses: Sequence[float | None], names: Sequence[str]
) -> Iterator[Finding]:
    """Yield, per corpus and language, the utterances whose loss is far above that of the others."""
    groups: defaultdict[tuple[int, str], list[tuple[ScannedUtterance, float]]] = defaultdict(list)
    for utterance, loss in zip(utterances, losses, strict=True):
        if loss is not None:
            groups[utterance.corpus, utterance.language].append((utterance, loss))
    several = len({language for _, language in groups}) > 1
    for (_, language), own in sorted(groups.items()):
        if len(own) < MIN_FOR_STATISTICS:
            continue
        far = robust_z([loss for _, loss in own], MIN_SPREAD)
        hits = [
            Hit(utterance, f"loss {loss:.2f} per token", loss)
            for (utterance, loss), z in zip(own, far, strict=True)
            if z > LOSS_Z
        ]
        # The most unlikely first: here the order of the ids has a meaning.
        hits.sort(key=lambda hit: -hit.weight)
        where = language if several else ""
        finding = make_finding("high-loss", names, hits, len(own), where=where)
        if finding is not None:
            yield finding


def _num_tokens(item: tuple[int, ModelInput]) -> int:
    return len(item[1].prompt_ids) + len(item[1].target_ids or ())
