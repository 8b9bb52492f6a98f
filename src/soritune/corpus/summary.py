"""The sums of a card, added up chunk by chunk, so that no corpus is too large for them."""

from __future__ import annotations

from collections import Counter

from soritune.audio import SAMPLE_RATE_HZ
from soritune.corpus.card import Shard, SplitSummary
from soritune.corpus.chunk import ChunkResult
from soritune.corpus.hashes import DigestSet, digest64

SPLITS = ("train", "dev", "test")


class CardSums:
    """What the results of chunks come to; speakers are kept as digests."""

    def __init__(self) -> None:
        self.read = 0
        self.reasons: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self.shards: list[Shard] = []
        self._utterances: Counter[str] = Counter()
        self._num_samples: Counter[str] = Counter()
        self._speakers = {split: DigestSet() for split in SPLITS}
        self._all_speakers = DigestSet()

    def add(self, result: ChunkResult) -> None:
        """Count what came of one chunk."""
        self.read += result.read
        self.reasons.update(line.reason for line in result.quarantined)
        self.notes.update(result.notes)
        if result.shard is not None:
            self.shards.append(result.shard)
        for group in result.taken:
            self.languages[group.language] += group.utterances
            self._utterances[group.split] += group.utterances
            self._num_samples[group.split] += group.num_samples
            if group.speaker is not None:
                digest = digest64(group.speaker)
                self._speakers[group.split].add(digest)
                self._all_speakers.add(digest)

    @property
    def taken(self) -> int:
        """Utterances of all splits."""
        return self._utterances.total()

    @property
    def duration_s(self) -> float:
        """Speech of all splits."""
        return self._num_samples.total() / SAMPLE_RATE_HZ

    @property
    def speakers(self) -> int:
        """Speakers that are named, each once, whatever splits they are in."""
        return len(self._all_speakers)

    def splits(self) -> dict[str, SplitSummary]:
        """The splits that hold something."""
        return {
            split: SplitSummary(
                utterances=self._utterances[split],
                duration_s=self._num_samples[split] / SAMPLE_RATE_HZ,
                speakers=len(self._speakers[split]),
            )
            for split in SPLITS
            if self._utterances[split]
        }
