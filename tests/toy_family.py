"""A third model family, as small as one can be: an encoder–decoder that writes bytes.

It has what a family must have and nothing else; `test_toy_family.py` registers it.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from soritune.models import family
from soritune.models.encoder_decoder import EncoderDecoderModel
from soritune.models.loaded import fill_module
from soritune.models.speech_model import IGNORE, Generated, ModelInput, Processor
from soritune.tasks import Answer, Task

WINDOW, BANDS, SIZE, START, END = 400, 8, 16, 256, 257


class ToyModule(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(BANDS, SIZE)
        self.embedding = nn.Embedding(END + 1, SIZE)
        self.decoder = nn.GRU(SIZE, SIZE, batch_first=True)
        self.head = nn.Linear(SIZE, END + 1)

    def forward(self, features, decoder_input_ids, use_cache=False):
        state = self.encoder(features)[None]
        return SimpleNamespace(
            logits=self.head(self.decoder(self.embedding(decoder_input_ids), state)[0])
        )


class ToyProcessor(Processor):
    def features(self, samples):
        frames = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
        bands = np.abs(np.fft.rfft(frames))[:, 1:].reshape(len(frames), BANDS, -1)
        return torch.from_numpy(np.log1p(bands.mean(axis=2)).astype(np.float32))

    def encode_features(self, features, request, answer=None):
        target = None if answer is None else [*answer.scored.encode(), END]
        return ModelInput(features, [START], target)

    def num_tokens(self, duration_s, request, answer=None):
        return 1 if answer is None else 1 + len(answer.scored.encode())

    def max_new_tokens(self, duration_s):
        return 8

    def collate(self, inputs):
        rows = [torch.tensor([START, *(item.target_ids or [])[:-1]]) for item in inputs]
        labels = [torch.tensor(item.target_ids or []) for item in inputs]
        pad = nn.utils.rnn.pad_sequence
        return {
            "features": torch.stack([item.features.mean(dim=0) for item in inputs]),
            "decoder_input_ids": pad(rows, batch_first=True, padding_value=END),
            "labels": pad(labels, batch_first=True, padding_value=IGNORE),
        }

    def parse(self, request, text):
        return Answer(translation=text) if request.task is Task.AST else Answer(text)


class ToyModel(EncoderDecoderModel):
    @property
    def feature_fill(self):
        return torch.zeros(BANDS)

    def checkpoint_layers(self):
        pass

    @torch.inference_mode()
    def generate(self, inputs, limits, *, beams=1):
        found = []
        for item, limit in zip(inputs, limits, strict=True):
            ids, scores = [START], []
            while len(ids) <= limit and ids[-1] != END:
                features = item.features.mean(dim=0)[None]
                logits = self.module(features, torch.tensor([ids])).logits[0, -1]
                ids.append(int(logits.argmax()))
                scores.append(float(logits.log_softmax(-1).max()))
            text = bytes(index for index in ids if index < START).decode(errors="replace")
            found.append(Generated(text.strip(), float(np.mean(scores))))
        return found


class ToyFamily(family.Family):
    name = title = "toy"
    model_types = ("toy",)
    clip_limits = family.ClipLimits(WINDOW, 30)
    modes = {  # noqa: RUF012
        "voice": family.Mode(frozenset({"encoder"})),
        "full": family.Mode(frozenset({"encoder", "decoder"}), alone=True),
    }
    lora = family.LoraDefaults(r=1, alpha=1, dropout=0, layers="head", target_modules=("head",))

    def part_of(self, name):
        return "encoder" if name.startswith("encoder.") else "decoder"

    def build(self, base, *, dtype, device):
        with torch.device("meta"):
            module = ToyModule()
        fill_module(module, base.weights, base.folder, dtype=dtype, device=device)
        return ToyModel(self, module.eval(), ToyProcessor())


FAMILY = ToyFamily()


def save_toy_base(folder: Path) -> Path:
    torch.manual_seed(0)
    save_file(ToyModule().state_dict(), folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"model_type": "toy"}))
    return folder
