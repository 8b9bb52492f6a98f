"""Every export, loaded again, answers as the model did; its names are those that others read."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from exported import ENCODER, LANGUAGE_MODEL, PROJECTOR, logits, open_cpu, train
from original_checkpoint import native_tensors, write_original
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

from soritune.errors import UserError
from soritune.export.export import export

AUDIO = (ENCODER, PROJECTOR)
WHOLE = (*AUDIO, LANGUAGE_MODEL)


@pytest.fixture(scope="module")
def original_base(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the official folder lies on the hub: three shards, both LoRAs, vision, code beside."""
    folder = write_original(small_base, tmp_path_factory.mktemp("official") / "base")
    (folder / "processing_phi4mm.py").write_text("raise SystemExit('remote code ran')\n")
    (folder / "README.md").write_text("the base's card\n")
    (folder / "training_args.bin").write_bytes(b"\x80pickle")
    return folder


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        found |= load_file(path)
    return found


@pytest.mark.parametrize(
    ("layout", "target", "names"),
    [
        ("native", "native", AUDIO),
        ("native", "original", WHOLE),
        ("native", "merged", AUDIO),
        ("original", "native", ()),
        ("original", "original", WHOLE),
        ("original", "merged", AUDIO),
    ],
    ids=lambda value: str(len(value)) if isinstance(value, tuple) else str(value),
)
def test_a_whole_export_answers_as_the_model_did(
    small_base: Path,
    original_base: Path,
    tmp_path: Path,
    layout: str,
    target: str,
    names: tuple[str, ...],
) -> None:
    base = small_base if layout == "native" else original_base
    model = train(base, tmp_path / "model", names, r=4)
    export(str(model), target, tmp_path / "out")
    assert not torch.allclose(logits(model), logits(base), atol=1e-3)
    tolerance = 1e-4 if target == "merged" else 0
    torch.testing.assert_close(logits(tmp_path / "out"), logits(model), atol=tolerance, rtol=0)


@pytest.mark.parametrize("layout", ["native", "original"])
def test_an_adapter_export_answers_as_the_model_did(
    small_base: Path, original_base: Path, tmp_path: Path, layout: str
) -> None:
    model = train(small_base if layout == "native" else original_base, tmp_path / "model", (), r=4)
    export(str(model), "adapter", tmp_path / "out")
    assert torch.equal(logits(tmp_path / "out"), logits(model))


def test_peft_takes_the_adapter_as_it_is(small_base: Path, tmp_path: Path) -> None:
    model = train(small_base, tmp_path / "model", (), r=4)
    export(str(model), "adapter", tmp_path / "out")
    base = open_cpu(small_base)
    before = logits(base)
    adapted = PeftModel.from_pretrained(base.module, str(tmp_path / "out"))
    touched = {n.split(".lora_")[0] for n, _ in adapted.named_parameters() if ".lora_" in n}
    assert all(re.search(r"model\.layers\.\d+\.(self_attn|mlp)\.\w+$", name) for name in touched)
    assert len(touched) == 4 * base.module.config.num_hidden_layers
    assert torch.equal(logits(base), logits(model))
    assert not torch.allclose(before, logits(model), atol=1e-3)


def test_an_adapter_is_written_as_vllm_reads_it(small_base: Path, tmp_path: Path) -> None:
    """PEFTHelper and parse_fine_tuned_lora_name of vLLM 0.33."""
    model = train(small_base, tmp_path / "model", (), r=12)
    export(str(model), "adapter", tmp_path / "out")
    config = json.loads((tmp_path / "out/adapter_config.json").read_text())
    assert config["target_modules"] == ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
    assert (config["r"], config["lora_alpha"], config["bias"]) == (12, 24, "none")
    assert config["modules_to_save"] is None
    assert not config["use_dora"]
    for key in load_file(tmp_path / "out/adapter_model.safetensors"):
        assert re.fullmatch(
            r"base_model\.model\.model\.layers\.\d+\.(self_attn\.(qkv|o)_proj"
            r"|mlp\.(gate_up|down)_proj)\.lora_[AB]\.weight",
            key,
        )
    assert "--max-lora-rank 16 " in (tmp_path / "out/README.md").read_text()


@pytest.mark.parametrize("r", [0, 4])
def test_an_adapter_alone_is_refused_where_it_would_lose_what_was_trained(
    small_base: Path, tmp_path: Path, r: int
) -> None:
    model = train(small_base, tmp_path / "model", AUDIO, r=r)
    with pytest.raises(UserError, match=r"audio encoder and projector .* --to original") as caught:
        export(str(model), "adapter", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", ["adapter", "merged"])
def test_a_model_without_lora_has_none_to_export(
    small_base: Path, tmp_path: Path, target: str
) -> None:
    with pytest.raises(UserError, match="has no LoRA"):
        export(str(small_base), target, tmp_path / "out")


def test_what_lies_beside_the_weights_is_handed_on_byte_for_byte(
    original_base: Path, tmp_path: Path
) -> None:
    model = train(original_base, tmp_path / "model", AUDIO)
    out = export(str(model), "original", tmp_path / "out").out
    same = [
        path.relative_to(original_base)
        for path in original_base.rglob("*")
        if path.is_file() and not path.name.startswith(("model-", "model.", "README", "training_"))
    ]
    assert {"config.json", "modeling_phi4mm.py", "preprocessor_config.json", "tokenizer.json"} <= {
        str(path) for path in same
    }
    assert sum(path.parts[0] in ("speech-lora", "vision-lora") for path in same) == 4
    for path in same:
        assert (out / path).read_bytes() == (original_base / path).read_bytes(), path
    assert (out / "README.base.md").read_text() == "the base's card\n"
    assert not list(out.rglob("*.bin"))


def test_only_what_was_trained_differs_from_the_original(
    original_base: Path, tmp_path: Path
) -> None:
    """Vision tower and vision LoRA included: bit-equal, under the same names."""
    model = train(original_base, tmp_path / "model", AUDIO)
    export(str(model), "original", tmp_path / "out")
    before, after = tensors_of(original_base), tensors_of(tmp_path / "out")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {
        "model.embed_tokens_extend.audio_embed.encoder.encoders.0.self_attn.linear_q.weight",
        "model.embed_tokens_extend.audio_embed.audio_projection.speech.0.weight",
    }


def test_a_trained_lora_lies_among_the_weights_and_beside_them(
    original_base: Path, tmp_path: Path
) -> None:
    model = train(original_base, tmp_path / "model", (), r=4)
    export(str(model), "original", tmp_path / "out")
    weights = tensors_of(tmp_path / "out")
    beside = load_file(tmp_path / "out/speech-lora/adapter_model.safetensors")
    assert beside
    for key, tensor in beside.items():
        name = key.removeprefix("base_model.model.").replace(".weight", ".speech.weight")
        assert torch.equal(weights[name], tensor)
        assert not torch.equal(tensors_of(original_base)[name], tensor)
    assert (tmp_path / "out/vision-lora").is_dir()


def test_the_configuration_names_the_lora_that_is_there(
    original_base: Path, tmp_path: Path
) -> None:
    small = open_cpu(original_base, lora="fresh")
    small.add_lora(r=6, alpha=12, dropout=0.0, seed=0)
    names = [name for name, _ in small.module.named_parameters() if ".lora_" in name]
    with torch.no_grad():
        for name, parameter in small.module.named_parameters():
            if name in names:
                parameter.add_(0.1)
    small.save(tmp_path / "model", trained=names, about={"mode": "lora"})
    export(str(tmp_path / "model"), "original", tmp_path / "out")
    before = json.loads((original_base / "config.json").read_text())
    after = json.loads((tmp_path / "out/config.json").read_text())
    assert after.pop("speech_lora")["r"] == 6
    before.pop("speech_lora")
    assert before == after
    assert torch.equal(logits(tmp_path / "out"), logits(tmp_path / "model"))


def test_a_new_lora_over_a_merged_one_is_exported_as_their_sum(
    original_base: Path, tmp_path: Path
) -> None:
    """Otherwise vLLM, which drops the base's own, would serve another model."""
    model = open_cpu(original_base, lora="merge")
    model.add_lora(r=3, alpha=6, dropout=0.0, seed=0)
    names = [name for name, _ in model.module.named_parameters() if ".lora_" in name]
    with torch.no_grad():
        for name, parameter in model.module.named_parameters():
            if name in names:
                parameter.add_(0.1)
    model.save(tmp_path / "model", trained=names, about={"mode": "lora"})
    for target in ("adapter", "original"):
        export(str(tmp_path / "model"), target, tmp_path / target)
        torch.testing.assert_close(
            logits(tmp_path / target), logits(tmp_path / "model"), atol=1e-4, rtol=0
        )
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["r"] == 4 + 3


@pytest.mark.parametrize("target", ["native", "merged"])
def test_a_native_export_is_what_transformers_itself_loads(
    small_base: Path, tmp_path: Path, target: str
) -> None:
    """Every tensor of its own model is there, vision included, and no other."""
    base = Path(shutil.copytree(small_base, tmp_path / "base"))
    save_file(native_tensors(small_base), base / "model.safetensors", metadata={"format": "pt"})
    model = train(base, tmp_path / "model", AUDIO, r=4)
    export(str(model), target, tmp_path / "out")
    config = Phi4MultimodalConfig.from_pretrained(tmp_path / "out")
    _, info = Phi4MultimodalForCausalLM.from_pretrained(
        tmp_path / "out", config=config, output_loading_info=True
    )
    assert {key: list(value) for key, value in info.items() if value} == {}


def test_a_native_export_of_an_original_has_no_code_and_no_stale_adapter(
    original_base: Path, tmp_path: Path
) -> None:
    model = train(original_base, tmp_path / "model", AUDIO, r=4)
    export(str(model), "merged", tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.py"))
    assert not list((tmp_path / "out").glob("*-lora"))
    assert json.loads((tmp_path / "out/generation_config.json").read_text())["eos_token_id"] == [
        2,
        0,
    ]


def test_a_base_is_exported_to_the_other_layout_and_back_bit_for_bit(
    original_base: Path, tmp_path: Path
) -> None:
    export(str(original_base), "native", tmp_path / "native")
    export(str(tmp_path / "native"), "original", tmp_path / "original")
    before, after = tensors_of(original_base), tensors_of(tmp_path / "original")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(logits(tmp_path / "native"), logits(original_base))


def test_vllm_is_named_with_the_plugin_and_without_remote_code(
    small_base: Path, tmp_path: Path
) -> None:
    model = train(small_base, tmp_path / "model", (), r=4)
    for target in ("original", "native", "merged", "adapter"):
        export(str(model), target, tmp_path / target)
        card = (tmp_path / target / "README.md").read_text()
        assert "soritune-vllm" in card
        assert "--trust-remote-code" not in card
        assert ("--max-lora-rank 8" in card) == (target == "adapter")


def test_shards_are_of_limited_size_and_indexed(small_base: Path, tmp_path: Path) -> None:
    limit = 40_000
    export(str(small_base), "native", tmp_path / "out", max_shard_bytes=limit)
    shards = sorted((tmp_path / "out").glob("model-*.safetensors"))
    assert len(shards) > 2
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    for shard in shards:
        with safe_open(shard, framework="pt") as file:
            names = list(file.keys())
            sizes = [file.get_tensor(name).nbytes for name in names]
        assert sum(sizes) <= limit or len(sizes) == 1
        assert all(index["weight_map"][name] == shard.name for name in names)
    assert torch.equal(logits(tmp_path / "out"), logits(small_base))


def test_checksums_are_those_of_the_files(original_base: Path, tmp_path: Path) -> None:
    out = export(str(original_base), "original", tmp_path / "out").out
    lines = (out / "checksums.sha256").read_text().splitlines()
    listed = dict(reversed(line.split("  ", 1)) for line in lines)
    files = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert listed.keys() == files - {"checksums.sha256"}
    for name, digest in listed.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_weights_keep_the_dtype_of_the_base(small_base: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(small_base, tmp_path / "base"))
    half = {name: t.to(torch.bfloat16) for name, t in load_file(base / "model.safetensors").items()}
    save_file(half, base / "model.safetensors", metadata={"format": "pt"})
    model = train(base, tmp_path / "model", WHOLE, r=4)
    for target in ("native", "merged", "original"):
        export(str(model), target, tmp_path / target)
        dtypes = {tensor.dtype for tensor in tensors_of(tmp_path / target).values()}
        assert dtypes == {torch.bfloat16}


def test_the_card_has_the_figures_of_the_run(small_base: Path, tmp_path: Path) -> None:
    model = train(small_base, tmp_path / "runs/x/cases/mine/model", (), r=4)
    record = {
        "case": "mine",
        "evaluation": "zeroth",
        "metric": "CER",
        "value": 1.61,
        "low": 1.4,
        "high": 1.9,
        "utterances": 457,
        "signature": "cer|v1",
    }
    other = {**record, "case": "other", "value": 99.16}
    few = {**record, "evaluation": "mine", "utterances": 19}
    (tmp_path / "runs/x/results.json").write_text(
        json.dumps({"format": 2, "scores": [record, other, few]})
    )
    export(str(model), "native", tmp_path / "out")
    text = (tmp_path / "out/README.md").read_text()
    assert "| zeroth | CER | 1.61 | 1.40–1.90 | 457 |" in text
    assert "| mine | CER | 1.61 | too few to say | 19 |" in text
    assert "`cer|v1`" in text
    assert "99.16" not in text
