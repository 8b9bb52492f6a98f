"""Clips of the examples as data: URIs, few and short, so that the page stays one small file."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from soritune.audio import SAMPLE_RATE_HZ
from soritune.corpus.flac import encode_flac
from soritune.doctor.audit import Audited
from soritune.doctor.scan import read_samples

MAX_BYTES = 3 * 2**20
"""Of all players of a page together, in base64."""
MAX_CLIP_S = 6.0
PER_FINDING = 3
NOT_HEARD = frozenset(
    {"changed-shard", "unreadable", "shared-sentence", "near-sentence", "characters", "numbers"}
)
"""Checks of text alone, and what cannot be played."""


def players(audited: Audited, max_bytes: int = MAX_BYTES) -> Mapping[tuple[int, int], str]:
    """URIs of examples by the places of their finding and example, `max_bytes` at most in all.

    Every finding gets its first clip before any gets its second; a clip is cut to `MAX_CLIP_S`.
    """
    names = [source.name for source in audited.sources]
    chosen: dict[tuple[int, int], str] = {}
    left = max_bytes
    for number in range(PER_FINDING):
        for place, finding in enumerate(audited.audit.findings):
            if finding.check in NOT_HEARD or number >= len(finding.examples):
                continue
            example = finding.examples[number]
            utterance = audited.places[example.corpus, example.id]
            source = audited.sources[names.index(example.corpus)]
            path = source.folder / source.card.shards[utterance.shard].file
            samples = read_samples(path, [utterance.row]).get(utterance.row)
            if samples is None:
                continue
            flac = encode_flac(samples[: int(MAX_CLIP_S * SAMPLE_RATE_HZ)])
            uri = "data:audio/flac;base64," + base64.b64encode(flac).decode("ascii")
            if len(uri) <= left:
                chosen[place, number] = uri
                left -= len(uri)
    return chosen
