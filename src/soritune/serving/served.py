"""The models of a server by name: the base, and adapters beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from openai.types import AudioModel
from openai.types.audio.transcription import Logprob
from openai.types.realtime import AudioTranscription, RealtimeSessionCreateRequest

from soritune.decoding.engine import Engine
from soritune.decoding.records import Segment
from soritune.serving.batcher import Batcher
from soritune.serving.engines import Caller, RemoteEngine, SharedEngine, WatchedEngine
from soritune.serving.errors import ApiError
from soritune.serving.responses import token_logprobs


def _literals(kind: Any) -> set[str]:
    """Return the strings of a type's literals."""
    return {kind} if isinstance(kind, str) else set().union(*map(_literals, get_args(kind)))


OPENAI_NAMES = frozenset(
    _literals(AudioModel)
    | _literals(AudioTranscription.model_fields["model"].annotation)
    | _literals(RealtimeSessionCreateRequest.model_fields["model"].annotation)
    | {"gpt-realtime-translate"}  # has no literal in the package
)
"""Names that clients send unless they are told otherwise; the first model answers them."""


@dataclass(frozen=True)
class ServedModel:
    """One model that requests can name.

    Attributes:
        engine: returns the engine for one request.
        batcher: of a local model; None where another server answers.
        remote: where another server answers.
        decode: the text of token ids; None where no tokens come.
    """

    name: str
    engine: Callable[[Caller], Engine]
    batcher: Batcher | None = None
    remote: RemoteEngine | None = None
    decode: Callable[[Sequence[int]], str] | None = None
    created: int = field(default_factory=lambda: int(time.time()))

    def logprobs(self, segments: Sequence[Segment]) -> list[Logprob] | None:
        """Return tokens with their log-probabilities; None where no tokens come."""
        return None if self.decode is None else token_logprobs(segments, self.decode)

    @property
    def aligns(self) -> bool:
        """Whether it tells when words are spoken; otherwise their times are estimated."""
        return self.batcher is not None and self.batcher.model.family.aligns

    @property
    def waiting(self) -> int:
        """Number of clips in the line."""
        return 0 if self.batcher is None else self.batcher.waiting

    @property
    def ready(self) -> bool:
        """Whether requests are answered; another server is asked, which may take seconds."""
        if self.remote is not None:
            return self.remote.works()
        return self.batcher is None or self.batcher.answers

    @property
    def problem(self) -> str | None:
        """Why only a new process can help; None while this one can go on."""
        return None if self.batcher is None else self.batcher.problem

    def close(self, timeout_s: float) -> None:
        """Finish what is begun."""
        if self.batcher is not None:
            self.batcher.close(timeout_s)


def local_model(name: str, batcher: Batcher) -> ServedModel:
    """Return a model that runs in this process."""
    return ServedModel(
        name,
        lambda caller: SharedEngine(batcher, caller),
        batcher,
        decode=batcher.model.processor.decode,
    )


def remote_model(
    name: str, engine: RemoteEngine, decode: Callable[[Sequence[int]], str] | None = None
) -> ServedModel:
    """Return a model that another server runs.

    Args:
        decode: see `ServedModel`.
    """
    return ServedModel(
        name,
        lambda caller: WatchedEngine(engine.until(caller.gone), caller),
        remote=engine,
        decode=decode,
    )


class ServedModels:
    """Finds the model of a request; the first one is the default."""

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self.by_name: Mapping[str, ServedModel] = {model.name: model for model in models}
        if not models or len(self.by_name) != len(models):
            raise ValueError("models must be at least one, and have different names")
        self.default = models[0]

    def find(self, name: str | None) -> ServedModel:
        """Return the model of that name.

        Raises:
            ApiError: there is none; 404, as OpenAI has it.
        """
        if name is None or name in OPENAI_NAMES:
            return self.default
        if name not in self.by_name:
            raise ApiError(
                404,
                f"the model {name[:100]!r} does not exist; this server has "
                f"{', '.join(self.by_name)}",
                param="model",
                code="model_not_found",
            )
        return self.by_name[name]
