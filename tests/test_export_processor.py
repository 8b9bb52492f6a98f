"""A native export of an original base brings what transformers' own loaders look for."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from original_checkpoint import write_original
from small_model import noise
from transformers import AutoFeatureExtractor, AutoProcessor, AutoTokenizer

from soritune.export.export import export
from soritune.models.phi4mm.features import log_mel


@pytest.fixture(scope="module")
def exported(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processor")
    base = write_original(small_base, folder / "base")
    settings = json.loads((base / "tokenizer_config.json").read_text())
    settings["auto_map"] = {"AutoTokenizer": "Xenova/gpt-4o"}
    (base / "tokenizer_config.json").write_text(json.dumps(settings))
    export(str(base), "native", folder / "native")
    return folder / "native"


def test_the_tokenizer_knows_the_sound_and_image_tokens(exported: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(exported, trust_remote_code=False)
    assert (tokenizer.audio_token, tokenizer.image_token) == ("<|endoftext11|>", "<|endoftext10|>")
    config = json.loads((exported / "config.json").read_text())
    assert tokenizer.audio_token_id == config["audio_config"]["audio_token_id"]
    assert tokenizer.image_token_id == config["vision_config"]["image_token_id"]
    assert "auto_map" not in (exported / "tokenizer_config.json").read_text()
    # Both are one token each, as before.
    text = "<|user|><|endoftext11|>문장<|end|>"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids.count(tokenizer.audio_token_id) == 1


def test_the_feature_extractor_loads_and_makes_our_features(exported: Path) -> None:
    extractor = AutoFeatureExtractor.from_pretrained(exported, trust_remote_code=False)
    samples = noise(16_000)
    found = extractor(samples, sampling_rate=16_000, return_tensors="pt")["audio_input_features"]
    torch.testing.assert_close(found[0], log_mel(samples), atol=5e-4, rtol=0)
    assert bool(torch.isfinite(found).all())


@pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None, reason="its image part wants torchvision"
)
def test_the_whole_processor_loads_without_remote_code(exported: Path) -> None:
    processor = AutoProcessor.from_pretrained(exported, trust_remote_code=False)
    assert type(processor).__name__ == "Phi4MultimodalProcessor"
    assert processor.audio_token == "<|endoftext11|>"


def test_a_native_base_keeps_its_tokenizer_files_as_they_are(
    small_base: Path, tmp_path: Path
) -> None:
    export(str(small_base), "native", tmp_path / "out")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (small_base / name).read_bytes()
