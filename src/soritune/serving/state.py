"""What all routes of one server share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from soritune.serving.metrics import Metrics
from soritune.serving.served import ServedModels
from soritune.serving.settings import ServerSettings
from soritune.serving.work import Workers


@dataclass
class State:
    """The models, the threads and the counters of a server.

    Attributes:
        requests: HTTP requests that have come and are not answered.
        sessions: live connections that are open.
        stopping: set when the server is asked to stop; what has begun is finished, no more taken.
    """

    settings: ServerSettings
    models: ServedModels
    workers: Workers
    metrics: Metrics
    requests: int = 0
    sessions: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def begun(self) -> int:
        """Number of requests and live connections that are not finished."""
        return self.requests + self.sessions
