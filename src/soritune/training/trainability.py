"""Proof of what trains: before the first step, at the first gradients, after the last step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from soritune.errors import UserError
from soritune.models.speech_model import SpeechModel


class TrainabilityError(UserError):
    """A mode trains nothing, or something that it should not."""


@dataclass(frozen=True)
class Trainable:
    """What a mode trains: names of tensors and numbers of parameters by part."""

    names: tuple[str, ...]
    by_part: dict[str, int]
    parameters: int  # of the whole model


def set_trainable(model: SpeechModel, mode: str) -> Trainable:
    """Unfreeze exactly what `mode` trains and keep those weights in fp32.

    An update of 4e-5 on a weight near 1 is below the precision of bfloat16 (2^-8): without fp32
    master weights it rounds away.

    Raises:
        TrainabilityError: a part of the mode has no parameters in this model.
    """
    parts = model.parts_of_mode(mode)
    named = list(model.module.named_parameters())
    count: Counter[str] = Counter()
    names = []
    for name, parameter in named:
        part = model.part_of(name)
        parameter.requires_grad_(part in parts)
        if part in parts:
            parameter.data = parameter.data.float()
            names.append(name)
            count[part] += parameter.numel()
    for part in sorted(parts):
        if not count[part]:
            raise TrainabilityError(f'mode "{mode}" trains the {part}, but the model has none')
    return Trainable(tuple(names), dict(count), sum(p.numel() for _, p in named))


def check_optimizer(
    model: SpeechModel, optimizer: torch.optim.Optimizer, trainable: Trainable
) -> None:
    """Raise TrainabilityError unless the optimizer holds exactly what is to be trained."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    _same(
        {name for name, p in model.module.named_parameters() if id(p) in held},
        trainable.names,
        "the optimizer holds",
    )


def check_gradients(model: SpeechModel, trainable: Trainable) -> None:
    """Raise TrainabilityError unless exactly what is to be trained has a gradient.

    Called before the first optimizer step. A gradient of zero counts: that of LoRA's A is zero
    while B is. One that is not finite does not.
    """
    _same(
        {name for name, p in model.module.named_parameters() if p.grad is not None},
        trainable.names,
        "gradients reach",
    )
    named = dict(model.module.named_parameters())
    for name in trainable.names:
        grad = named[name].grad
        if grad is not None and not bool(grad.isfinite().all()):
            raise TrainabilityError(f"the gradient of {name} is not finite: nothing can be learnt")
    for part in trainable.by_part:
        grads = [named[n].grad for n in trainable.names if model.part_of(n) == part]
        if not any(grad is not None and bool(grad.any()) for grad in grads):
            raise TrainabilityError(f"every gradient of the {part} is zero: it cannot learn")


def _same(found: set[str], wanted: Iterable[str], what: str) -> None:
    wanted = set(wanted)
    extra, missing = sorted(found - wanted), sorted(wanted - found)
    if extra:
        raise TrainabilityError(f"{what} {extra[0]} ({len(extra)} such), which must stay frozen")
    if missing:
        raise TrainabilityError(f"{what} no {missing[0]} ({len(missing)} such), which must train")


@torch.no_grad()
def checksums(model: SpeechModel) -> dict[str, int]:
    """Return a sum of the bits of every parameter, which changes when any weight does."""
    sums = {}
    for name, parameter in model.module.named_parameters():
        bits = parameter.detach().contiguous().flatten().view(torch.uint8)
        rows = bits[: bits.numel() // 4 * 4].view(torch.int32)
        # Summed in 64 bits: one changed word always changes the sum.
        sums[name] = int(rows.sum(dtype=torch.int64)) + (int(bits[rows.numel() * 4 :].sum()) << 34)
    return sums


def check_moved(
    model: SpeechModel,
    before: Mapping[str, int],
    after: Mapping[str, int],
    trainable: Trainable,
) -> list[str]:
    """Return the names of the tensors that a run changed.

    Raises TrainabilityError where a frozen tensor changed, a trained part did not change at all,
    or a tensor changed to values that are not finite.
    """
    moved = [name for name in after if before[name] != after[name]]
    named = dict(model.module.named_parameters())
    lost = [name for name in moved if not bool(named[name].isfinite().all())]
    if lost:
        raise TrainabilityError(
            f"{lost[0]} ({len(lost)} such) is not finite after the run. Lower learning_rate and "
            "train again"
        )
    strays = sorted(set(moved) - set(trainable.names))
    if strays:
        raise TrainabilityError(f"{strays[0]} changed ({len(strays)} such), but must stay frozen")
    for part in trainable.by_part:
        if not any(model.part_of(name) == part for name in moved):
            raise TrainabilityError(
                f"no tensor of the {part} changed in the whole run; raise the learning rate or "
                "train for more steps"
            )
    return moved


def share_text(trainable: Trainable) -> str:
    """Return one line for people: what trains, and its share of the model."""
    count = sum(trainable.by_part.values())
    parts = ", ".join(f"{part} {number:,}" for part, number in trainable.by_part.items())
    share = count / trainable.parameters
    return f"{count:,} of {trainable.parameters:,} parameters ({share:.1%}): {parts}"


def parameter_groups(
    model: SpeechModel, names: Sequence[str], *, decay: frozenset[str], audio_parts: frozenset[str]
) -> dict[tuple[bool, bool], list[torch.nn.Parameter]]:
    """Return trained parameters by (is of the audio parts, decays)."""
    named = dict(model.module.named_parameters())
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name in names:
        key = (model.part_of(name) in audio_parts, name in decay)
        groups.setdefault(key, []).append(named[name])
    return groups
