"""Making a small base: phases, what is kept, what is never looked at."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import phase_checkpoint
from ctc import CtcHead, units_of
from pretrain import _Pretrainer, _tokenizer_texts, pretrain, read_base_recipe
from soritune.errors import UserError
from soritune.models import load
from soritune.sources.corpora.demo.sentences import pairs

RECIPE = """
name: mini
seed: 1
english: {source: demo, language: en, train: 24, dev: 0, test: 4}
size: {vocabulary: 300, hidden: 32, layers: 1, mlp: 32, audio_hidden: 16, audio_blocks: 1,
       audio_mlp: 16, conv_channels: 4}
audio: {steps: 3, batch_size: 4, learning_rate: 1e-3, warmup_steps: 0}
text: {steps: 3, batch_size: 4, learning_rate: 1e-3, warmup_steps: 0}
joint: {steps: 3, batch_size: 4, learning_rate: 1e-3, warmup_steps: 0}
text_every: 3
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    (folder / "mini.yaml").write_text(RECIPE.replace("1e-3", "0.001"), encoding="utf-8")
    return pretrain(folder / "mini.yaml", folder / "out", workers=1)


def test_base_loads_and_holds_no_ctc_head(made: Path) -> None:
    tensors = load_file(made / "model.safetensors")
    assert tensors
    assert not [name for name in tensors if "ctc" in name or "image_embed" in name]
    model = load(made)
    kept = model.module.state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in tensors.items())


def test_input_statistics_are_those_of_the_data(made: Path) -> None:
    tensors = load_file(made / "model.safetensors")
    prefix = "model.embed_tokens_extend.audio_embed.encoder.encoder_embedding"
    mean = tensors[f"{prefix}.global_mean"]
    # Log-mel of 16-bit-scaled speech lies between the floor 0 and about 25.
    assert bool(((mean > 1) & (mean < 25)).all())
    assert bool((tensors[f"{prefix}.global_invstd"] != 1).all())


def test_phases_that_are_done_are_not_trained_again(made: Path) -> None:
    out = made.parent
    before = {p.name: p.read_bytes() for p in out.glob("*.safetensors")}
    assert set(before) == {"audio.safetensors", "text.safetensors", "joint.safetensors"}
    log = (out / "joint.jsonl").stat().st_mtime_ns
    again = pretrain(out.parent / "mini.yaml", out, workers=1)
    assert {p.name: p.read_bytes() for p in out.glob("*.safetensors")} == before
    assert (out / "joint.jsonl").stat().st_mtime_ns == log
    assert (again / "model.safetensors").read_bytes() == (made / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_phases_side_by_side_end_in_the_same_bits(made: Path, tmp_path: Path) -> None:
    base = pretrain(made.parent.parent / "mini.yaml", tmp_path, workers=2)
    assert (base / "model.safetensors").read_bytes() == (made / "model.safetensors").read_bytes()


class Killed(Exception):  # noqa: N818
    """Stands for a kill -9: nothing is written after it."""


@pytest.mark.parametrize("phase", ["text", "joint"])
def test_a_phase_that_was_killed_goes_on_and_ends_in_the_same_bits(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    source = made.parent
    for name in ("english", "recipe.json", "audio.safetensors", "text.safetensors"):
        if name != f"{phase}.safetensors":
            copy = shutil.copytree if (source / name).is_dir() else shutil.copyfile
            copy(source / name, tmp_path / name)
    monkeypatch.setattr(phase_checkpoint, "MIN_SAVE_INTERVAL_S", 0.0)
    monkeypatch.setattr(phase_checkpoint, "SAVE_SHARE", 1e9)
    recipe = read_base_recipe(source.parent / "mini.yaml")
    loss_of = getattr(_Pretrainer, f"{phase}_loss")
    steps: list[int] = []

    def killed(self: _Pretrainer, step: int, random: np.random.Generator) -> torch.Tensor:
        steps.append(step)
        if step == 2 and len(steps) == 3:
            raise Killed
        return loss_of(self, step, random)  # type: ignore[no-any-return]

    def run() -> None:
        trainer = _Pretrainer.open(recipe, tmp_path)
        for name in ("audio", "text", "joint"):
            if name == phase or _Pretrainer.is_done(tmp_path, name):
                trainer.run(name)  # type: ignore[arg-type]

    monkeypatch.setattr(_Pretrainer, f"{phase}_loss", killed)
    with pytest.raises(Killed):
        run()
    torch.manual_seed(99)  # another process has another random state
    run()
    assert steps == [0, 1, 2, 2]
    one, other = (load_file(f / f"{phase}.safetensors") for f in (source, tmp_path))
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert not list(tmp_path.glob("*.checkpoint"))


def test_a_checkpoint_that_was_cut_short_is_a_new_beginning(made: Path, tmp_path: Path) -> None:
    (tmp_path / "text.checkpoint").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    module = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    random = np.random.default_rng(0)
    checkpoint = phase_checkpoint.PhaseCheckpoint(
        tmp_path / "text.checkpoint", module, optimizer, schedule, random
    )
    assert checkpoint.load() == phase_checkpoint.Progress()


def test_each_phase_moves_its_own_tensors_only(made: Path) -> None:
    audio = load_file(made.parent / "audio.safetensors")
    text = load_file(made.parent / "text.safetensors")
    assert not set(audio) & set(text)
    assert all(".audio_embed.encoder." in name or name.startswith("ctc.") for name in audio)


def test_tokenizer_sees_no_sentence_of_the_test() -> None:
    seen = set(_tokenizer_texts(pairs("train")))
    for split in ("dev", "test"):
        for pair in pairs(split):
            assert pair.korean not in seen
            assert pair.english not in seen


def test_a_wrong_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(RECIPE.replace("1e-3", "0.001") + "flat_strat_steps: 3\n", encoding="utf-8")
    with pytest.raises(UserError, match="flat_strat_steps"):
        read_base_recipe(path)
    with pytest.raises(UserError, match="No such file"):
        read_base_recipe(tmp_path / "absent.yaml")


def test_units_are_jamo_and_letters() -> None:
    # 한 = ᄒ (U+1112) + ᅡ (U+1161) + ᆫ (U+11AB), Unicode chapter 3.12.
    assert units_of("한a") == "\u1112\u1161\u11aba"


def test_ctc_loss_is_that_of_the_only_alignment() -> None:
    # One token, three sub-frames, the text "aba" fills them all: the loss is the sum of the three
    # negative log-probabilities, divided by three units.
    head = CtcHead(2, ["ab"])
    states = torch.randn(1, 1, 2)
    log_p = head(states)[0].log_softmax(-1)
    a, b = (head.alphabet.index(unit) + 1 for unit in "ab")
    expected = -(log_p[0, a] + log_p[1, b] + log_p[2, a]) / 3
    found = head.loss(states, torch.tensor([1]), ["aba"])
    torch.testing.assert_close(found, expected)


def test_flat_start_labels_spread_the_units_evenly() -> None:
    head = CtcHead(2, ["ab"])
    states = torch.randn(1, 2, 2)  # six sub-frames: a a a b b b
    log_p = head(states)[0].log_softmax(-1)
    a, b = (head.alphabet.index(unit) + 1 for unit in "ab")
    flat = -(log_p[:3, a].sum() + log_p[3:, b].sum()) / 6
    tokens = torch.tensor([2])
    difference = head.loss(states, tokens, ["ab"], 0.5) - head.loss(states, tokens, ["ab"])
    torch.testing.assert_close(difference, 0.5 * flat)


def test_ctc_does_not_look_past_the_tokens_of_a_row() -> None:
    torch.manual_seed(0)
    head = CtcHead(4, ["abc"])
    states = torch.randn(1, 6, 4)
    dirty = states.clone()
    dirty[:, 4:] = 100.0
    tokens = torch.tensor([4])
    losses = [head.loss(s, tokens, ["abca"], flat=1.0).item() for s in (states, dirty)]
    assert losses[0] == pytest.approx(losses[1])
