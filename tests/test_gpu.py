"""What only a GPU can show; skipped without one (`pytest tests/test_gpu.py` on a machine with one).

`test_attention.py` and `test_decoding_sound.py` guard the same on a CPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made_training import case_of, train_on
from small_model import ASR, noise, said
from torch import nn
from torch.nn import functional

from soritune.corpus.store import Corpus
from soritune.models import load
from soritune.models.attention import attention
from soritune.models.speech_model import SpeechModel
from soritune.training.curve import read_curve

DEVICE = os.environ.get("SORITUNE_TEST_DEVICE", "cuda")
pytestmark = pytest.mark.skipif(
    DEVICE == "cuda" and not torch.cuda.is_available(), reason="needs a GPU"
)
FAMILIES = ("phi4mm", "whisper", "qwen3_asr")
LENGTHS = (3_000, 9_000, 16_000, 31_000)

Base = Callable[[str], Path]


@pytest.fixture
def base(small_base: Path, small_whisper: Path, small_qwen3_asr: Path) -> Base:
    return dict(
        zip(FAMILIES, (small_base, small_whisper, small_qwen3_asr), strict=True)
    ).__getitem__


def answers(model: SpeechModel, beams: int, lengths: tuple[int, ...]) -> list[str]:
    inputs = [model.processor.encode(noise(n, n), ASR) for n in lengths]
    return [each.text for each in model.generate(inputs, [8] * len(inputs), beams=beams)]


@pytest.mark.parametrize(
    ("family", "mode"),
    [
        *(("phi4mm", mode) for mode in ("lora", "projector", "audio", "lora+audio", "full")),
        *(("whisper", mode) for mode in ("lora", "encoder", "decoder", "full")),
        *(("qwen3_asr", mode) for mode in ("lora", "audio", "full")),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_mode_trains(
    base: Base, small_corpus: Corpus, tmp_path: Path, family: str, mode: str, dtype: str
) -> None:
    changes = {} if family == "phi4mm" else {"train": ["talks"]}  # the others cannot translate
    case = case_of(mode, lora={"r": 4} if "lora" in mode else None, **changes)
    trained = train_on(base(family), small_corpus, case, tmp_path, dtype=dtype)
    assert trained.model.device.type == DEVICE
    losses = [point.loss for point in read_curve(tmp_path) if point.loss is not None]
    assert losses
    assert all(0 < loss < 20 for loss in losses)
    assert all(tensor.isfinite().all() for tensor in trained.tensors().values())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rows_padded_on_the_left_are_never_empty(
    base: Base, family: str, beams: int, dtype: str
) -> None:
    model = load(base(family), device=DEVICE, dtype=dtype)
    together = answers(model, beams, LENGTHS)
    alone = [answers(model, beams, (length,))[0] for length in LENGTHS]
    assert all(together)
    if dtype == "float32":
        assert together == alone


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_the_cpu(base: Base, family: str) -> None:
    losses = []
    for device in (DEVICE, "cpu"):
        model = load(base(family), device=device, dtype="float32")
        rows = [model.processor.encode(noise(n, n), ASR, said("오늘")) for n in LENGTHS]
        batch = {name: part.to(device) for name, part in model.processor.collate(rows).items()}
        model.module.train()
        losses.append(float(model.loss(batch, model.num_targets(batch)).detach()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("length", [64, 192, 320, 448])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gradients_are_those_of_double_precision(length: int, dtype: torch.dtype) -> None:
    """With a mask and T % 128 == 64, where cuDNN's are reported to be NaN on H100 and H200."""
    generator = torch.Generator().manual_seed(length)
    shape = (2, 4, length, 64)
    parts = [torch.randn(shape, generator=generator) for _ in range(3)]
    bias = torch.randn((2, 4, length, length), generator=generator)
    bias[:, :, :, length // 2 :] = -1e4  # what is padded
    weight = torch.randn((2, length, 4, 64), generator=generator)

    found = []
    for device, kind in ((DEVICE, dtype), ("cpu", torch.float64)):
        leaves = [part.to(dtype).to(device, kind).requires_grad_(True) for part in (*parts, bias)]
        *qkv, mask = leaves
        if kind == torch.float64:
            result = functional.scaled_dot_product_attention(*qkv, attn_mask=mask).transpose(1, 2)
        else:
            module = nn.Module()
            module.is_causal = False  # type: ignore[assignment]
            module.training = True
            result, _ = attention(module, *qkv, mask)
        (result * weight.to(device, kind)).sum().backward()
        found.append([leaf.grad.double().cpu() for leaf in leaves if leaf.grad is not None])
    assert len(found[0]) == 4
    for ours, exact in zip(*found, strict=True):
        assert ours.isfinite().all()
        assert float((ours - exact).norm() / exact.norm()) < 0.03
