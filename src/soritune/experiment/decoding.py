"""The decoding of one evaluation, by a case's model or by a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from soritune.decoding.server import ServerModel, server_model
from soritune.experiment.outcomes import DecodingOutcome
from soritune.experiment.stage import Done
from soritune.progress import track
from soritune.recipe.schema import ORIGINAL

if TYPE_CHECKING:
    from soritune.corpus.store import Corpus, Record
    from soritune.decoding.hypotheses import Hypothesis
    from soritune.experiment.plan import Plan
    from soritune.models.speech_model import SpeechModel

    Answering: TypeAlias = SpeechModel | ServerModel


def open_model(plan: Plan, case: str) -> Answering:
    """Load the model of a case, or of a row beside the recipe; a server only gets its name."""
    from soritune.models import load

    model = plan.recipe.model
    other = plan.other_models().get(case)
    if other is None and case != ORIGINAL:
        return load(plan.model_folder(case), dtype=model.dtype, merge=True)
    source = model.base if other is None else other.source
    revision = model.revision if other is None else None
    server = server_model(source)
    if server is not None:
        return server
    return load(source, revision=revision, dtype=model.dtype, merge=True)


def decode_evaluation(
    plan: Plan,
    case: str,
    name: str,
    corpus: Corpus,
    records: Sequence[Record],
    model: Answering | None,
) -> tuple[list[Hypothesis], Done[DecodingOutcome]]:
    """Return what a case answers to an evaluation; what is on disk is not asked again.

    `model` is opened where it is None and needed.
    """
    from soritune.decoding.hypotheses import read_hypotheses

    stage = plan.decode_stage(case, name)
    path = plan.hypotheses_path(case, name)
    done = stage.done()
    if done is not None:
        by_id = {hypothesis.id: hypothesis for hypothesis in read_hypotheses(path)}
        if all(record.id in by_id for record in records):
            return [by_id[record.id] for record in records], done
    opened = model or open_model(plan, case)
    settings = plan.recipe.evaluate[name]
    found: list[Hypothesis] = []

    def work() -> DecodingOutcome:
        with track(f"evaluate {case}, {name}", len(records), "utterances") as advance:
            asked: dict[str, Any] = {
                "task": settings.task,
                "to": settings.to,
                "out": path,
                "advance": advance,
            }
            if isinstance(opened, ServerModel):
                from soritune.decoding.evaluate import ask_server

                found.extend(ask_server(opened.engine(), corpus, records, **asked))
                return DecodingOutcome(len(records), None, opened.device)
            from soritune.decoding.evaluate import DEFAULT_BATCH_SIZE, decode_records

            found.extend(decode_records(opened, corpus, records, beams=settings.beams, **asked))
            return DecodingOutcome(len(records), DEFAULT_BATCH_SIZE, str(opened.device))

    return found, stage.run(work)
