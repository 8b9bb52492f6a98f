"""The code on the cards of exports, run as it stands, says what soritune says."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from functools import cache
from pathlib import Path

import pytest
import soundfile
import torch
from exported import train
from original_checkpoint import native_tensors, write_original
from safetensors.torch import save_file
from small_model import noise
from small_whisper import save_small_whisper

from soritune.export.export import export
from soritune.models import load
from soritune.models.registry import builtin_folder
from soritune.tasks import Request, Task

ASR = Request(Task.ASR, "ko")
SAMPLES = noise(9_000, 3)
NUM_TOKENS = 12  # of what soritune says; a random model does not end by itself


@pytest.fixture(scope="module")
def bases(
    small_base: Path, small_qwen3_asr: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A tiny base of each family, as transformers itself writes and loads them."""
    folder = tmp_path_factory.mktemp("bases")
    phi = Path(shutil.copytree(small_base, folder / "phi"))
    save_file(native_tensors(small_base), phi / "model.safetensors", metadata={"format": "pt"})
    whisper = save_small_whisper(folder / "whisper")
    settings = json.loads((whisper / "generation_config.json").read_text())
    (whisper / "generation_config.json").write_text(json.dumps({**settings, "max_length": 32}))
    return {"phi": phi, "whisper": whisper, "qwen": small_qwen3_asr}


def lora_on(base: Path, folder: Path) -> Path:
    """A model with a LoRA that changes what the base says."""
    model = load(base, device="cpu", dtype="float32")
    model.add_lora(r=4, alpha=8, dropout=0, seed=1, mode="lora")
    torch.manual_seed(3)  # one with which the models write letters
    names = [name for name, _ in model.module.named_parameters() if ".lora_" in name]
    with torch.no_grad():
        for name, parameter in model.module.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(0, 0.2)
    about = {"case": "c", "mode": "lora", "language": "ko", "task": "asr"}
    model.save(folder, trained=names, about=about)
    return folder


@cache
def said(folder: Path) -> str:
    model = load(folder, device="cpu", dtype="float32")
    text = model.generate([model.processor.encode(SAMPLES, ASR)], [NUM_TOKENS])[0].text
    return text.rstrip("\ufffd")  # half a letter


@pytest.fixture(scope="module")
def trained(bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("trained")
    return {family: lora_on(base, folder / family) for family, base in bases.items()}


@pytest.mark.parametrize(
    ("family", "target"),
    [
        ("phi", "native"),
        ("phi", "merged"),
        ("phi", "adapter"),
        ("whisper", "transformers"),
        ("whisper", "adapter"),
        ("qwen", "transformers"),
        ("qwen", "adapter"),
    ],
)
def test_the_code_on_a_card_says_what_the_model_says(
    bases: dict[str, Path],
    trained: dict[str, Path],
    family: str,
    target: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = trained[family]
    out = tmp_path / "out"
    export(str(model), target, out)
    soundfile.write(out / "recording.wav", SAMPLES, 16_000, subtype="FLOAT")
    card = (out / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    assert "soritune" not in code
    (tmp_path / "card.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(out)
    capsys.readouterr()
    runpy.run_path(str(tmp_path / "card.py"))
    printed = capsys.readouterr().out.strip()
    expected = said(model)
    assert expected
    assert printed.startswith(expected)
    assert expected != said(bases[family])
    # What makes the inputs is in the folder itself.
    assert (out / "tokenizer.json").is_file()
    assert any((out / f"{name}or_config.json").is_file() for name in ("process", "preprocess"))


def test_an_adapter_on_an_original_base_says_how_its_base_becomes_readable(
    small_base: Path, tmp_path: Path
) -> None:
    base = write_original(small_base, tmp_path / "base")
    export(str(train(base, tmp_path / "model", (), r=4)), "adapter", tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert f"soritune export {base} --to native --out native-base" in card
    assert "base, revision = 'native-base', None" in card
    settings = json.loads((tmp_path / "out/tokenizer_config.json").read_text())
    assert settings["audio_token"] == "<|endoftext11|>"


def test_peft_finds_a_built_in_base_and_soritune_too_on_another_machine(tmp_path: Path) -> None:
    export(str(train("builtin:tiny", tmp_path / "model", (), r=4)), "adapter", tmp_path / "out")
    path = tmp_path / "out/adapter_config.json"
    settings = json.loads(path.read_text())
    assert settings["base_model_name_or_path"] == str(builtin_folder("builtin:tiny"))
    settings["base_model_name_or_path"] = "/another/machine/tiny"
    path.write_text(json.dumps(settings))
    assert load(tmp_path / "out", device="cpu").base == "builtin:tiny"
