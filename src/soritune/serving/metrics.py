"""Counters for Prometheus. A registry per server, so that tests do not share them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """What a server counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "soritune_requests",
            "Requests by path and status",
            ("path", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "soritune_request_seconds",
            "Time until the answer has been sent",
            ("path",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.audio_seconds = Counter(
            "soritune_audio_seconds", "Seconds of recordings answered", registry=self.registry
        )
        self.batch_clips = Histogram(
            "soritune_batch_clips", "Clips in a batch", buckets=ROWS, registry=self.registry
        )
        self.batch_seconds = Histogram(
            "soritune_batch_seconds", "Time of a batch", buckets=SECONDS, registry=self.registry
        )
        self.busy = Gauge("soritune_requests_busy", "Requests at work", registry=self.registry)
        self.waiting = Gauge(
            "soritune_clips_waiting", "Clips that wait for the model", registry=self.registry
        )
        self.sessions = Gauge("soritune_live_sessions", "Live connections", registry=self.registry)

    def on_batch(self, num_clips: int, seconds: float) -> None:
        """Count a batch."""
        self.batch_clips.observe(num_clips)
        self.batch_seconds.observe(seconds)

    def text(self) -> bytes:
        """Return all of them in Prometheus' text format."""
        return generate_latest(self.registry)
