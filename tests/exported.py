"""Models to open and to export, and what they answer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_model import ASR, noise, said

from soritune.errors import UserError
from soritune.models import load
from soritune.models.phi4mm.model import Phi4mm

ENCODER = "model.embed_tokens_extend.audio_embed.encoder.encoders.0.self_attn.q_proj.weight"
PROJECTOR = "model.embed_tokens_extend.audio_embed.up_proj_for_speech.weight"
LANGUAGE_MODEL = "model.layers.0.mlp.down_proj.weight"


def open_cpu(source: Path | str, **options: object) -> Phi4mm:
    return load(source, device="cpu", dtype="float32", **options)  # type: ignore[arg-type, return-value]


def refusal(source: Path, **options: object) -> str:
    """The one line with which a model is refused."""
    with pytest.raises(UserError) as caught:
        open_cpu(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@torch.inference_mode()
def logits(model: Phi4mm | Path | str) -> torch.Tensor:
    """What a model answers to one clip, fp32."""
    if not isinstance(model, Phi4mm):
        model = open_cpu(model)
    batch = model.processor.collate([model.processor.encode(noise(9_000), ASR, said("안녕하세요"))])
    batch.pop("labels")
    output: torch.Tensor = model.module.eval()(**batch).logits
    return output


def train(
    base: Path | str, folder: Path, names: tuple[str, ...], *, r: int = 0, seed: int = 1
) -> Path:
    """A model as training leaves it: a LoRA of rank r (0: none) and the named tensors changed."""
    model = open_cpu(base)
    if r and model.lora is None:
        model.add_lora(r=r, alpha=2 * r, dropout=0.0, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    trained = []
    with torch.no_grad():
        for name, parameter in model.module.named_parameters():
            plain = name.replace(".base_layer.", ".")
            if plain in names or (r and ".lora_" in name):
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
                trained.append(name)
    assert len(trained) >= len(names)
    model.save(folder, trained=trained, about={"case": "mine", "mode": "lora+audio"})
    return folder
