"""Other voices of a prepared corpus, for the background of its clips."""

from __future__ import annotations

import numpy as np

from soritune.audio import Samples
from soritune.augment.babble import Clip, choose
from soritune.corpus.store import Corpus


class CorpusBackground:
    """A `soritune.augment.babble.Background` of one split of a prepared corpus."""

    def __init__(self, corpus: Corpus, split: str) -> None:
        self._corpus = corpus
        self._records = corpus.records(split)
        # Made once: a training asks for each voice of each clip.
        self._speakers = [(record.id, record.speaker) for record in self._records]

    def voice(self, clip: Clip, random: np.random.Generator) -> tuple[str, Samples] | None:
        """Return an utterance of another speaker if some draws find one, else any other one."""
        index = choose(clip, self._speakers, random)
        if index is None:
            return None
        record = self._records[index]
        return record.id, self._corpus.samples(record)
