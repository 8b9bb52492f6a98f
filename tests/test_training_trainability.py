"""A mode trains exactly its parts; anything else stops with an error that says what."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from soritune.models.phi4mm.model import Phi4mm
from soritune.training.trainability import (
    TrainabilityError,
    Trainable,
    check_gradients,
    check_moved,
    check_optimizer,
    checksums,
    set_trainable,
    share_text,
)

# By name in the native model: what each mode is to train, and nothing else.
ENCODER = "embed_tokens_extend.audio_embed.encoder."
PROJECTOR = ("up_proj_for_speech", "down_proj_for_speech")


@pytest.fixture
def model(load_small: Callable[[], Phi4mm]) -> Phi4mm:
    return load_small()


def parameters(model: Phi4mm) -> dict[str, torch.nn.Parameter]:
    return dict(model.module.named_parameters())


def give_gradients(model: Phi4mm, trainable: Trainable, value: float = 1.0) -> None:
    for name in trainable.names:
        parameter = parameters(model)[name]
        parameter.grad = torch.full_like(parameter, value)


def optimizer_of(model: Phi4mm, names: tuple[str, ...]) -> torch.optim.Optimizer:
    return torch.optim.AdamW([parameters(model)[name] for name in names], lr=1e-3)


def test_projector_mode_frees_the_four_tensors_of_the_speech_projector(model: Phi4mm) -> None:
    trainable = set_trainable(model, "projector")
    free = {name for name, p in parameters(model).items() if p.requires_grad}
    assert free == set(trainable.names)
    assert len(free) == 4
    assert all(name.split(".")[-2] in PROJECTOR for name in free)


def test_audio_mode_frees_encoder_and_speech_projector_only(model: Phi4mm) -> None:
    set_trainable(model, "audio")
    for name, parameter in parameters(model).items():
        wanted = ENCODER in name or name.split(".")[-2] in PROJECTOR
        assert parameter.requires_grad == wanted, name


def test_lora_mode_frees_two_matrices_in_four_places_of_every_layer(model: Phi4mm) -> None:
    model.add_lora(r=4, alpha=8, dropout=0.0, seed=0)
    trainable = set_trainable(model, "lora")
    layers = len(model.module.model.layers)
    assert len(trainable.names) == 2 * 4 * layers
    assert all(".lora_" in name and ".model.layers." in f".{name}" for name in trainable.names)


def test_what_a_mode_freed_before_is_frozen_by_the_next(model: Phi4mm) -> None:
    set_trainable(model, "full")
    trainable = set_trainable(model, "projector")
    assert {n for n, p in parameters(model).items() if p.requires_grad} == set(trainable.names)


def test_share_counts_parameters_not_tensors(model: Phi4mm) -> None:
    trainable = set_trainable(model, "projector")
    counted = sum(parameters(model)[name].numel() for name in trainable.names)
    assert trainable.by_part == {"projector": counted}
    assert trainable.parameters == sum(p.numel() for p in model.module.parameters())
    assert f"{counted:,} of {trainable.parameters:,}" in share_text(trainable)


def test_mode_without_parameters_in_the_model_stops(model: Phi4mm) -> None:
    # A LoRA mode on a model that no LoRA was put on.
    with pytest.raises(TrainabilityError, match=r'"lora" trains the LoRA.*has none'):
        set_trainable(model, "lora")


def test_half_of_a_sum_of_modes_without_parameters_stops(model: Phi4mm) -> None:
    with pytest.raises(TrainabilityError, match="LoRA"):
        set_trainable(model, "lora+audio")


def test_optimizer_that_lacks_a_tensor_stops(model: Phi4mm) -> None:
    trainable = set_trainable(model, "projector")
    check_optimizer(model, optimizer_of(model, trainable.names), trainable)
    with pytest.raises(TrainabilityError, match=r"optimizer holds no .*must train") as caught:
        check_optimizer(model, optimizer_of(model, trainable.names[:-1]), trainable)
    assert trainable.names[-1] in str(caught.value)


def test_optimizer_that_holds_a_frozen_tensor_stops(model: Phi4mm) -> None:
    trainable = set_trainable(model, "projector")
    stray = next(name for name in parameters(model) if ENCODER in name)
    with pytest.raises(TrainabilityError, match="must stay frozen") as caught:
        check_optimizer(model, optimizer_of(model, (*trainable.names, stray)), trainable)
    assert stray in str(caught.value)


def test_gradient_on_a_parameter_freed_by_mistake_stops(model: Phi4mm) -> None:
    trainable = set_trainable(model, "projector")
    give_gradients(model, trainable)
    check_gradients(model, trainable)
    name, stray = next((n, p) for n, p in parameters(model).items() if "layers.0" in n)
    stray.requires_grad_(True)
    stray.sum().backward()
    with pytest.raises(TrainabilityError, match=r"gradients reach .*must stay frozen") as caught:
        check_gradients(model, trainable)
    assert name in str(caught.value)


def test_tensor_without_a_gradient_stops(model: Phi4mm) -> None:
    trainable = set_trainable(model, "projector")
    give_gradients(model, trainable)
    parameters(model)[trainable.names[0]].grad = None
    with pytest.raises(TrainabilityError, match=r"gradients reach no .*must train"):
        check_gradients(model, trainable)


def test_part_whose_gradients_are_all_zero_stops(model: Phi4mm) -> None:
    trainable = set_trainable(model, "audio")
    give_gradients(model, trainable)
    for name in trainable.names:
        if model.part_of(name) == "projector":
            parameters(model)[name].grad = torch.zeros_like(parameters(model)[name])
    with pytest.raises(TrainabilityError, match="every gradient of the projector is zero"):
        check_gradients(model, trainable)


def test_zero_gradient_of_lora_a_is_no_fault_while_b_has_one(model: Phi4mm) -> None:
    # B starts at zero, so dL/dA = Bᵀ(…) is zero in the first step of every healthy run.
    model.add_lora(r=4, alpha=8, dropout=0.0, seed=0)
    trainable = set_trainable(model, "lora")
    give_gradients(model, trainable)
    for name in trainable.names:
        if ".lora_A." in name:
            parameters(model)[name].grad = torch.zeros_like(parameters(model)[name])
    check_gradients(model, trainable)


def test_frozen_tensor_that_changed_stops(model: Phi4mm) -> None:
    trainable = set_trainable(model, "projector")
    before = checksums(model)
    with torch.no_grad():
        for name in trainable.names:
            parameters(model)[name].add_(1.0)
    assert set(check_moved(model, before, checksums(model), trainable)) == set(trainable.names)
    stray = next(name for name in parameters(model) if ENCODER in name)
    with torch.no_grad():
        parameters(model)[stray].view(-1)[0] += 1e-3
    with pytest.raises(TrainabilityError, match="must stay frozen") as caught:
        check_moved(model, before, checksums(model), trainable)
    assert stray in str(caught.value)


def test_part_that_did_not_change_in_a_run_stops(model: Phi4mm) -> None:
    trainable = set_trainable(model, "projector")
    sums = checksums(model)
    with pytest.raises(TrainabilityError, match="no tensor of the projector changed"):
        check_moved(model, sums, sums, trainable)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_smallest_change_of_one_weight_changes_its_checksum(
    model: Phi4mm, dtype: torch.dtype
) -> None:
    model.module.to(dtype)
    before = checksums(model)
    with torch.no_grad():
        for parameter in model.module.parameters():
            last = parameter.view(-1)[-1:]
            last.copy_(torch.nextafter(last, torch.full_like(last, 1e9)))
    after = checksums(model)
    assert [name for name in before if before[name] == after[name]] == []


def test_weights_that_train_are_held_in_fp32_and_frozen_ones_stay_as_they_are(
    model: Phi4mm,
) -> None:
    model.module.to(torch.bfloat16)
    trainable = set_trainable(model, "audio")
    for name, parameter in parameters(model).items():
        wanted = torch.float32 if name in trainable.names else torch.bfloat16
        assert parameter.dtype == wanted, name


def test_update_of_the_reference_learning_rate_is_not_rounded_away(model: Phi4mm) -> None:
    model.module.to(torch.bfloat16)
    # In bfloat16 the next number below 1 is 1 - 2^-8: a step of 4e-5 leaves it where it was.
    one = torch.ones((), dtype=torch.bfloat16)
    assert one - torch.tensor(4e-5, dtype=torch.bfloat16) == one
    trainable = set_trainable(model, "projector")
    weight = parameters(model)[trainable.names[0]]
    with torch.no_grad():
        weight.fill_(1.0)
    optimizer = torch.optim.AdamW([weight], lr=4e-5, weight_decay=0.0)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    # Adam's first step has the size of the learning rate.
    torch.testing.assert_close(weight.detach(), torch.full_like(weight, 1 - 4e-5))
