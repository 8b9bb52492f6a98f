"""How unlikely a model finds each transcript for its audio: mean loss of the target's tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from soritune.doctor.catalogue import LOSS_Z, MIN_FOR_STATISTICS
from soritune.doctor.findings import Finding
from soritune.doctor.make import Hit, make_finding
from soritune.doctor.scan import Source, Utterance, read_samples
from soritune.doctor.text_checks import robust_z
from soritune.tasks import Answer, Request, Task

if TYPE_CHECKING:
    from soritune.models.family import ModelInput, SpeechModel

MAX_TOKENS = 8_192
"""Of one batch with its padding, as in training."""
LEAST_SPREAD = 0.25
"""Nats: a spread that is always granted. Where a model is sure of most clips their losses lie close
together, but those that are hard to hear are some tenths above (docs/doctor.md)."""


def mean_losses(
    utterances: Sequence[Utterance],
    sources: Sequence[Source],
    model: SpeechModel,
    max_tokens: int = MAX_TOKENS,
    advance: Callable[[float], None] = lambda amount: None,
) -> list[float | None]:
    """Mean cross-entropy in nats a token of each transcript; None where there is no audio.

    Shard by shard, in batches of like lengths; the transcript is what the model would be trained
    to answer to "transcribe", end tokens included. `advance` is told of utterances that are done.
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
        for batch in _batches(inputs, max_tokens):
            found = batch_losses(model, [item for _, item in batch])
            for (place, _), loss in zip(batch, found, strict=True):
                losses[place] = loss
        advance(len(places))
    return losses


def batch_losses(model: SpeechModel, inputs: Sequence[ModelInput]) -> list[float]:
    """Mean cross-entropy of each row's target tokens; logits are made only for those."""
    batch = {name: part.to(model.device) for name, part in model.processor.collate(inputs).items()}
    model.module.eval()
    return [float(value) for value in model.row_losses(batch).cpu()]


def loss_findings(
    utterances: Sequence[Utterance], losses: Sequence[float | None], names: Sequence[str]
) -> Iterator[Finding]:
    """Per corpus and language, the utterances whose loss lies far above that of the others."""
    groups: defaultdict[tuple[int, str], list[tuple[Utterance, float]]] = defaultdict(list)
    for utterance, loss in zip(utterances, losses, strict=True):
        if loss is not None:
            groups[utterance.corpus, utterance.language].append((utterance, loss))
    several = len({language for _, language in groups}) > 1
    for (_, language), own in sorted(groups.items()):
        if len(own) < MIN_FOR_STATISTICS:
            continue
        far = robust_z([loss for _, loss in own], LEAST_SPREAD)
        hits = [
            Hit(utterance, f"loss {loss:.2f} a token", loss)
            for (utterance, loss), z in zip(own, far, strict=True)
            if z > LOSS_Z
        ]
        # Here the order of the ids says something: the most unlikely first.
        hits.sort(key=lambda hit: -hit.weight)
        where = language if several else ""
        finding = make_finding("high-loss", names, hits, len(own), where=where)
        if finding is not None:
            yield finding


def _batches(
    inputs: Sequence[tuple[int, ModelInput]], max_tokens: int
) -> Iterator[list[tuple[int, ModelInput]]]:
    """Batches of like lengths with rows × longest row within `max_tokens`."""
    ordered = sorted(inputs, key=lambda item: -_length(item[1]))
    batch: list[tuple[int, ModelInput]] = []
    for item in ordered:
        if batch and (len(batch) + 1) * _length(batch[0][1]) > max_tokens:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def _length(item: ModelInput) -> int:
    return len(item.prompt_ids) + len(item.target_ids or ())
