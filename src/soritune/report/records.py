"""What a report says of cases and utterances, beside the scores."""

from __future__ import annotations

from dataclasses import dataclass, field

from soritune.training.curve import CurvePoint


@dataclass(frozen=True)
class CaseSummary:
    """What one case is and what it cost; None where it is not known (yet).

    Attributes:
        title: its name in the table, with the settings in which the cases of the recipe differ.
        mode: the recipe's ("lora", "lora+audio"); None for the untrained base.
        trained: number of trained parameters by part ("LoRA", "encoder").
        parameters: of the whole model.
        trained_tensors: that the optimizer held.
        moved_tensors: those of them that differ after the run.
        model: folder or hub id that `soritune transcribe --model` takes.
        learning_rate, batch_size: of the training; None for the untrained base.
        audio_learning_rate: of encoder and projector, where it is not `learning_rate`.
        curve: loss, learning rate and scores on dev, by step; empty for the untrained base.
        augmentation: what was done to the clips while training, in words; "" for nothing.
        excluded: utterances by corpus and split that were not trained on, because another corpus
            is tested with their sentences.
    """

    name: str
    title: str
    mode: str | None = None
    trained: dict[str, int] = field(default_factory=dict)
    parameters: int | None = None
    trained_tensors: int | None = None
    moved_tensors: int | None = None
    training_s: float | None = None
    evaluating_s: float | None = None
    model: str | None = None
    excluded: dict[str, int] = field(default_factory=dict)
    learning_rate: float | None = None
    audio_learning_rate: float | None = None
    batch_size: int | None = None
    augmentation: str = ""
    curve: tuple[CurvePoint, ...] = ()

    @property
    def trained_parameters(self) -> int:
        return sum(self.trained.values())

    @property
    def trained_share(self) -> float | None:
        """Trained over all parameters, 0–1; None where the model's size is not known."""
        return self.trained_parameters / self.parameters if self.parameters else None


@dataclass(frozen=True)
class Sample:
    """What one case wrote for one utterance, with its reference."""

    case: str
    evaluation: str
    reference: str
    hypothesis: str
