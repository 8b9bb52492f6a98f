"""The loss is the one of full logits, and the cut into micro-batches leaves no trace."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from small_model import ASR, noise, said

from soritune.models.causal import num_targets, shifted_labels
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.speech_model import ModelInput

TARGETS = ("네", "오늘 날씨가 좋습니다.", "와! 정말!", "The weather is nice today!", "아니요")
Gradients = dict[str, torch.Tensor]


@pytest.fixture
def model(load_small: Callable[[], Phi4mm]) -> Phi4mm:
    return load_small()


def items(model: Phi4mm) -> list[ModelInput]:
    return [
        model.processor.encode(noise(3_000 + 2_500 * i, i), ASR, said(target))
        for i, target in enumerate(TARGETS)
    ]


def test_labels_move_one_place_to_the_left() -> None:
    labels = torch.tensor([[-100, 5, 6], [7, 8, -100]])
    assert shifted_labels(labels).tolist() == [[5, 6, -100], [8, -100, -100]]
    assert num_targets({"labels": labels}) == 3


def test_all_target_tokens_count_both_ends_included(model: Phi4mm) -> None:
    batch = model.processor.collate(items(model))
    assert num_targets(batch) == sum(len(item.target_ids or []) for item in items(model))


def test_the_loss_over_supervised_positions_is_that_of_full_logits(model: Phi4mm) -> None:
    batch = model.processor.collate(items(model))
    full = model.module(**batch, use_cache=False).loss
    torch.testing.assert_close(model.loss(batch, num_targets(batch)), full)


def test_logits_are_made_at_supervised_positions_only(model: Phi4mm) -> None:
    shapes: list[torch.Size] = []
    model.module.lm_head.register_forward_hook(lambda *args: shapes.append(args[2].shape))
    batch = model.processor.collate(items(model))
    model.loss(batch, 1)
    vocabulary = len(model.processor.tokenizer)
    assert [(s.numel() // vocabulary, s[-1]) for s in shapes] == [(num_targets(batch), vocabulary)]


def step(model: Phi4mm, cut: list[list[int]]) -> tuple[float, Gradients]:
    """Loss and gradients of one optimizer step, cut into micro-batches of these rows."""
    rows = items(model)
    batches = [model.processor.collate([rows[i] for i in part]) for part in cut]
    targets = sum(num_targets(batch) for batch in batches)
    model.module.zero_grad()
    total = 0.0
    for batch in batches:
        loss = model.loss(batch, targets)
        loss.backward()
        total += float(loss.detach())
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in model.module.named_parameters()
        if parameter.grad is not None
    }
    return total, gradients


@pytest.mark.parametrize(
    "cut", [[[0, 1], [2, 3, 4]], [[4, 0], [3], [1, 2]], [[0], [1], [2], [3], [4]]]
)
def test_a_step_has_one_gradient_however_it_is_cut(model: Phi4mm, cut: list[list[int]]) -> None:
    loss, whole = step(model, [[0, 1, 2, 3, 4]])
    cut_loss, pieces = step(model, cut)
    assert cut_loss == pytest.approx(loss, rel=1e-5)
    assert whole.keys() == pieces.keys()
    assert any("audio_embed.encoder" in name for name in whole)
    for name, gradient in whole.items():
        torch.testing.assert_close(pieces[name], gradient, atol=2e-5, rtol=1e-3, msg=name)


def test_pads_have_no_say_in_the_loss(model: Phi4mm) -> None:
    """The reference labels pads with token 0, so a longer neighbour changed what is trained."""
    rows = items(model)
    alone = model.processor.collate(rows[:1])
    beside = model.processor.collate([rows[0], rows[3]])
    labels = beside["labels"].clone()
    beside["labels"][1] = -100
    targets = num_targets(alone)
    assert num_targets(beside) == targets
    assert labels.shape[1] > alone["labels"].shape[1]
    torch.testing.assert_close(
        model.loss(beside, targets),
        model.loss(alone, targets),
        atol=1e-5,
        rtol=1e-5,
    )
