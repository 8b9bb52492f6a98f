"""The training set as a sequence of optimizer steps, each ready for the model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch.utils.data import Dataset

from soritune.augment.babble import Clip
from soritune.augment.chain import Augmenter
from soritune.corpus.store import Corpus
from soritune.models.speech_model import IGNORE, Processor
from soritune.recipe import TrainPart
from soritune.seeding import generator
from soritune.training.background import CorpusBackground
from soritune.training.batching import micro_batches, plan_steps
from soritune.training.examples import Example, epoch_examples
from soritune.training.mixture import NOTHING_EXCLUDED, ExcludedIds

# Features kept from epoch to epoch, per process: four hours of speech take 0.5 GiB.
CACHE_BYTES = 2**30

MicroBatch = dict[str, torch.Tensor]


class StepDataset(Dataset[list[MicroBatch]]):
    """Item k is what one rank takes in one optimizer step: a list of micro-batches.

    Steps are numbered through all epochs, so a resumed run asks for the next number and gets what
    an uninterrupted one would get. With several ranks, item `step * world_size + rank` is a rank's
    share of a step.
    """

    def __init__(
        self,
        parts: Sequence[TrainPart],
        corpora: Mapping[str, Corpus],
        processor: Processor,
        *,
        batch_size: int,
        epochs: float,
        max_tokens: int,
        seed: int,
        world_size: int = 1,
        mask_value: torch.Tensor | None = None,
        excluded: ExcludedIds = NOTHING_EXCLUDED,
    ) -> None:
        """Plan the first epoch.

        Args:
            mask_value: value of features that augmentation masks, shape (mels,); None: 0.
            excluded: ids of utterances that are never trained on.
        """
        self.parts = parts
        self.corpora = corpora
        self.processor = processor
        self.batch_size = batch_size
        self.max_tokens = max_tokens
        self.seed = seed
        self.world_size = world_size
        self.augmenters = {
            number: Augmenter(part.augment)
            for number, part in enumerate(parts)
            if part.augment is not None and part.augment.use
        }
        self._mask_value = mask_value
        self._left_out = excluded
        self._backgrounds = {
            number: CorpusBackground(corpora[parts[number].corpus], parts[number].split)
            for number in self.augmenters
        }
        self._features: dict[tuple[str, str], torch.Tensor] = {}
        self._room = CACHE_BYTES
        self._epoch = -1
        self._steps: list[list[Example]] = []
        self.steps_per_epoch = len(self._plan(0))
        self.num_steps = max(1, round(self.steps_per_epoch * epochs))
        first = [example for step in self._steps for example in step]
        self.examples_per_epoch = len(first)
        self.audio_s_per_epoch = math.fsum(example.record.duration_s for example in first)
        self.longest_s = max(example.record.duration_s for example in first)
        requests = Counter(example.request for example in first)
        self.main_request = requests.most_common(1)[0][0]

    def _plan(self, epoch: int) -> list[list[Example]]:
        if epoch != self._epoch:
            examples = epoch_examples(
                self.parts,
                self.corpora,
                self.processor,
                seed=self.seed,
                epoch=epoch,
                augmenters=self.augmenters,
                excluded=self._left_out,
            )
            random = generator(self.seed, "order", epoch)
            self._steps = plan_steps(examples, self.batch_size, random)
            self._epoch = epoch
        return self._steps

    def __len__(self) -> int:
        return self.num_steps * self.world_size

    def examples(self, index: int) -> list[Example]:
        """Return the examples of item `index`; reads no audio."""
        number, rank = divmod(index, self.world_size)
        epoch, step = divmod(number, self.steps_per_epoch)
        examples = sorted(self._plan(epoch)[step], key=lambda e: -e.num_tokens)
        return examples[rank :: self.world_size]

    def __getitem__(self, index: int) -> list[MicroBatch]:
        found = self.examples(index)
        if not found:
            return [self._idle_batch(index)]
        return [self.collate(batch) for batch in self.micro_batches(found)]

    def micro_batches(self, examples: Sequence[Example]) -> list[list[Example]]:
        """Return the examples of an item as they are cut into micro-batches."""
        return list(micro_batches(examples, self.max_tokens, lambda each: each.num_tokens))

    def _idle_batch(self, index: int) -> MicroBatch:
        """Return what a rank takes that a last step has no utterance for: one without targets.

        Its gradient is zero, and the other ranks need not wait for it.
        """
        number = index // self.world_size
        batch = self.collate(self.examples(number * self.world_size)[:1])
        return batch | {"labels": torch.full_like(batch["labels"], IGNORE)}

    def collate(self, batch: Sequence[Example]) -> MicroBatch:
        """Read the audio of a micro-batch and return its tensors."""
        return self.processor.collate(
            [
                self.processor.encode_features(self._features_of(e), e.request, e.answer)
                for e in batch
            ]
        )

    def _features_of(self, example: Example) -> torch.Tensor:
        if example.draw is None:
            return self._plain_features(example)
        augmenter, key = self.augmenters[example.draw.part], example.draw.key
        if augmenter.changes_samples:
            record = example.record
            clip = Clip(record.id, record.speaker, self._backgrounds[example.draw.part])
            samples = self.corpora[example.corpus].samples(record)
            features = self.processor.features(augmenter.samples(samples, clip, key).samples)
        else:
            features = self._plain_features(example)
        if augmenter.masks_features:
            fill = self._mask_value
            fill = torch.zeros(features.shape[1]) if fill is None else fill
            features = augmenter.features(features, fill, key)
        return features

    def _plain_features(self, example: Example) -> torch.Tensor:
        key = (example.corpus, example.record.id)
        features = self._features.get(key)
        if features is None:
            samples = self.corpora[example.corpus].samples(example.record)
            features = self.processor.features(samples)
            size = features.numel() * features.element_size()
            # Every epoch reads all clips once, so the first are as good to keep as any.
            if size <= self._room:
                self._features[key] = features
                self._room -= size
        return features


def first_item(items: list[list[MicroBatch]]) -> list[MicroBatch]:
    """Return the item of the loader, which is a whole step already."""
    return items[0]
