"""Server-sent events of a transcript that grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from soritune.decoding.joining import one_text
from soritune.decoding.records import Segment
from soritune.serving.responses import delta_event, segment_event


@dataclass(frozen=True)
class Growth:
    """The text of a clip so far.

    Attributes:
        clip: its number in the recording.
    """

    clip: int
    text: str


@dataclass
class TextStream:
    """Turns growing clips and finished segments into events.

    Text that was sent cannot be taken back, so the first clip is sent token by token and all
    further text by segments, when nothing can change it any more. The text of the last event is
    the one that counts: the guard may have held back what was sent.

    Attributes:
        token_by_token: whether the first clip may be sent before it is whole; not where the
            next clip may take from its end.
    """

    token_by_token: bool
    sent: str = ""
    texts: list[str] = field(default_factory=list)
    first_clip: int | None = None

    def grow(self, growth: Growth) -> Iterator[str]:
        """Yield the event of a growing clip, if it has one."""
        if self.first_clip is None:
            self.first_clip = growth.clip
        if self.texts or not self.token_by_token or growth.clip != self.first_clip:
            return
        yield from self._send(growth.text.rstrip("\ufffd "))  # half a character waits

    def add(self, segment: Segment) -> Iterator[str]:
        """Yield the events of a finished segment."""
        if segment.unsure is not None:
            return
        self.texts.append(segment.text if segment.translation is None else segment.translation)
        yield from self._send(one_text(self.texts))
        yield segment_event(len(self.texts) - 1, segment)

    def _send(self, whole: str) -> Iterator[str]:
        if whole.startswith(self.sent) and whole != self.sent:
            yield delta_event(whole[len(self.sent) :])
            self.sent = whole
