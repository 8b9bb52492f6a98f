"""What all routes of one server share."""

from __future__ import annotations

from dataclasses import dataclass

from soritune.serving.metrics import Metrics
from soritune.serving.served import ServedModels
from soritune.serving.settings import ServerSettings
from soritune.serving.work import Workers


@dataclass
class State:
    """The models, the threads and the counters of a server.

    Attributes:
        sessions: live connections that are open.
    """

    settings: ServerSettings
    models: ServedModels
    workers: Workers
    metrics: Metrics
    sessions: int = 0
