"""What is downloaded from the hub, told by a hub that is a folder."""

from __future__ import annotations

import json
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from original_checkpoint import write_original

from soritune.errors import UserError
from soritune.models import load, resolve
from soritune.models.phi4mm.layout import is_vision, to_native
from soritune.models.stored import open_stored

SHARD = "model-0000{}-of-00003.safetensors"


class Hub:
    """Stands in for `snapshot_download`: copies what the patterns let through."""

    def __init__(self, content: Path, cache: Path) -> None:
        self.content, self.cache = content, cache
        self.calls: list[tuple[str, str | None]] = []

    def __call__(
        self,
        source: str,
        *,
        repo_type: str,
        revision: str | None,
        allow_patterns: list[str] | None,
        ignore_patterns: list[str],
    ) -> str:
        assert repo_type == "model"
        self.calls.append((source, revision))
        for path in sorted(p for p in self.content.rglob("*") if p.is_file()):
            name = str(path.relative_to(self.content))
            allowed = allow_patterns is None or any(fnmatch(name, p) for p in allow_patterns)
            if allowed and not any(fnmatch(name, p) for p in ignore_patterns):
                (self.cache / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, self.cache / name)
        return str(self.cache)

    @property
    def downloaded(self) -> set[str]:
        return {str(p.relative_to(self.cache)) for p in self.cache.rglob("*") if p.is_file()}


@pytest.fixture
def hub(small_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """An original-layout checkpoint whose second shard holds nothing but vision."""
    content = write_original(small_base, tmp_path / "content")
    split_vision_off(content)
    (content / "pytorch_model.bin").write_bytes(b"\x80")
    hub = Hub(content, tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    return hub


def split_vision_off(folder: Path) -> None:
    from original_checkpoint import write_shards
    from safetensors.torch import load_file, save_file

    tensors = {k: v for p in folder.glob("model-*.safetensors") for k, v in load_file(p).items()}
    write_shards(folder, tensors)
    vision = {key for key in tensors if is_vision(to_native(key))}
    others = sorted(set(tensors) - vision)
    groups = {1: others[::2], 2: sorted(vision), 3: others[1::2]}
    weight_map = {}
    for number, keys in groups.items():
        save_file({key: tensors[key] for key in keys}, folder / SHARD.format(number))
        weight_map |= dict.fromkeys(keys, SHARD.format(number))
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_neither_code_nor_pickles_nor_vision_are_downloaded(hub: Hub) -> None:
    resolve("owner/model", "v1")
    assert {SHARD.format(1), SHARD.format(3), "config.json", "tokenizer.json"} <= hub.downloaded
    assert SHARD.format(2) not in hub.downloaded
    # The LoRA lies among the weights already.
    assert "speech-lora/adapter_model.safetensors" not in hub.downloaded
    assert not {n for n in hub.downloaded if n.endswith((".py", ".bin")) or "vision-lora" in n}
    assert set(hub.calls) == {("owner/model", "v1")}


def test_what_was_downloaded_is_enough_to_load(hub: Hub) -> None:
    model = load("owner/model", device="cpu", dtype="float32")
    assert model.base == "owner/model"
    assert any("lora_A" in name for name, _ in model.module.named_parameters())


def test_an_export_gets_all_that_lies_beside_the_weights(hub: Hub) -> None:
    stored = open_stored("owner/model")
    assert any(is_vision(to_native(name)) for name in stored.weights)
    everything = {str(p.relative_to(hub.content)) for p in hub.content.rglob("*") if p.is_file()}
    assert everything - hub.downloaded == {"pytorch_model.bin"}


def test_a_native_repository_brings_its_lora_along(hub: Hub, small_base: Path) -> None:
    for path in hub.content.glob("model*"):
        path.unlink()
    shutil.copy(small_base / "model.safetensors", hub.content / "model.safetensors")
    resolve("owner/model")
    assert {"model.safetensors", "speech-lora/adapter_model.safetensors"} <= hub.downloaded


def test_no_network_and_no_cache_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("Cannot find an appropriate cached snapshot.\nMore words.")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(
        UserError, match=r"owner/model cannot be downloaded \(Cannot find"
    ) as caught:
        resolve("owner/model")
    assert "\n" not in str(caught.value)
