"""No kernel of attention that is wrong on a GPU is ever chosen; no query is without a key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from small_model import ASR, noise, said
from small_qwen3_asr import save_small_qwen3_asr
from small_whisper import save_small_whisper
from torch.nn import functional
from transformers.masking_utils import causal_mask_function, sdpa_mask

from soritune.models import load
from soritune.models.attention import attention, mask
from soritune.models.phi4mm.model import Phi4mm

Attention = Callable[..., torch.Tensor]
SDPA: Attention = functional.scaled_dot_product_attention


@pytest.fixture
def cudnn() -> Iterator[None]:
    """The kernel as PyTorch has it: allowed."""
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(True)
    yield
    torch.backends.cuda.enable_cudnn_sdp(before)


@pytest.mark.usefixtures("cudnn")
@pytest.mark.parametrize("family", ["phi4mm", "whisper", "qwen3_asr"])
def test_cudnn_is_never_chosen_in_any_layer_forward_or_recomputed(
    small_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    allowed: list[bool] = []

    def watched(*args: object, **kwargs: object) -> torch.Tensor:
        allowed.append(torch.backends.cuda.cudnn_sdp_enabled())
        return SDPA(*args, **kwargs)

    made = {"whisper": save_small_whisper, "qwen3_asr": save_small_qwen3_asr}
    base = made[family](tmp_path) if family in made else small_base
    model = load(base, device="cpu", dtype="float32")
    monkeypatch.setattr(functional, "scaled_dot_product_attention", watched)
    model.checkpoint_layers()
    model.module.train()
    model.module.requires_grad_(True)
    batch = model.processor.collate([model.processor.encode(noise(9_000), ASR, said("네"))])
    model.loss(batch, model.num_targets(batch)).backward()
    assert len(allowed) >= 8  # 2 layers each of encoder and decoder, each computed twice
    model.module.eval()
    model.generate([model.processor.encode(noise(9_000), ASR)], [3])
    assert not any(allowed)
    assert torch.backends.cuda.cudnn_sdp_enabled()  # other models of the process have it


@pytest.mark.usefixtures("cudnn")
def test_cudnn_stays_off_until_the_last_thread_has_attended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The switch is of the process: who leaves first must not turn it on for the others."""
    entered, left = threading.Event(), threading.Event()
    allowed: list[bool] = []
    layer, heads = torch.nn.Module(), torch.ones(1, 1, 2, 4)
    layer.is_causal = False

    def watched(*args: object, **kwargs: object) -> torch.Tensor:
        if threading.current_thread() is threading.main_thread():
            others.append(pool.submit(attention, layer, heads, heads, heads, None))
            assert entered.wait(10)
        else:
            entered.set()
            assert left.wait(10)
            allowed.append(torch.backends.cuda.cudnn_sdp_enabled())
        return SDPA(*args, **kwargs)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", watched)
    others: list[Future[object]] = []
    with ThreadPoolExecutor(1) as pool:
        attention(layer, heads, heads, heads, None)
        left.set()
        others[0].result()
    assert allowed == [False]
    assert torch.backends.cuda.cudnn_sdp_enabled()


def test_the_bias_of_the_encoder_is_trained_and_reaches_attention(
    load_small: Callable[[], Phi4mm], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why cuDNN would refuse: should this fail after an upgrade, it may come back."""
    biases: list[bool] = []

    def watched(*args: object, attn_mask: torch.Tensor, **kwargs: object) -> torch.Tensor:
        biases.append(attn_mask is not None and attn_mask.requires_grad)
        return SDPA(*args, attn_mask=attn_mask, **kwargs)

    model = load_small()
    model.module.audio_encoder.requires_grad_(True)
    batch = model.processor.collate([model.processor.encode(noise(9_000), ASR, said("네"))])
    monkeypatch.setattr(functional, "scaled_dot_product_attention", watched)
    model.loss(batch, 1.0)
    assert any(biases)


def test_a_query_of_padding_sees_itself_and_the_others_what_they_saw() -> None:
    padded = torch.tensor([[0, 0, 0, 1, 1], [1, 1, 1, 1, 1]]).bool()
    options = {"mask_function": causal_mask_function, "attention_mask": padded}
    theirs, ours = sdpa_mask(2, 5, 5, **options), mask(2, 5, 5, **options)
    assert theirs is not None
    assert ours is not None
    blind = ~theirs.any(dim=-1)
    assert int(blind.sum()) == 3  # the trap: without a key in transformers' own mask
    assert torch.equal(ours[0, 0, :3], torch.eye(5, dtype=torch.bool)[:3])
    assert torch.equal(ours[~blind], theirs[~blind])


@pytest.mark.parametrize("beams", [1, 2])
def test_a_kernel_that_gives_nan_where_no_key_is_seen_changes_no_transcript(
    load_small: Callable[[], Phi4mm], monkeypatch: pytest.MonkeyPatch, beams: int
) -> None:
    model = load_small()
    inputs = [model.processor.encode(noise(n, n), ASR) for n in (3_000, 9_000, 16_000)]
    expected = model.generate(inputs, [8] * 3, beams=beams)

    def strict(*args: object, attn_mask: torch.Tensor | None, **kwargs: object) -> torch.Tensor:
        result = SDPA(*args, attn_mask=attn_mask, **kwargs)
        if attn_mask is None or attn_mask.dtype != torch.bool:
            return result
        return result.masked_fill(~attn_mask.any(dim=-1, keepdim=True), torch.nan)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", strict)
    assert model.generate(inputs, [8] * 3, beams=beams) == expected
