"""Whatever is wrong with a model folder is one line that names it, and nothing hangs."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from soritune.errors import UserError
from soritune.models import describe, load, tokenizers
from soritune.models.lora import Lora
from soritune.models.registry import family_of
from soritune.models.stored import open_stored


@pytest.fixture
def model(small_base: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(small_base, folder)
    return folder


def one_line(action: object, model: Path) -> str:
    started_s = time.monotonic()
    with pytest.raises(UserError) as caught:
        action(str(model))  # type: ignore[operator]
    assert time.monotonic() - started_s < 60
    assert "\n" not in str(caught.value)
    assert str(model) in str(caught.value)
    return str(caught.value)


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"[" * 100_000),
        ("config.json", b'{"model_type": ["phi4_multimodal"]}'),
        ("config.json", b"\xff\xfe\0"),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b""),
        ("tokenizer_config.json", b"[1]"),
        ("chat_template.jinja", b"\xff"),
        ("model.safetensors", b"\xff" * 64),
        ("soritune.json", b"null"),
        ("config.json", b'{"model_type": "phi4_multimodal", "rms_norm_eps": 1e999}'),
        *[
            (
                "soritune.json",
                b'{"family": "phi4mm", "base": "builtin:tiny", "tensors": {}, %s}' % key,
            )
            for key in (b'"lora_start": "x"', b'"revision": 5', b'"base_beside": ["x"]')
        ],
        *[
            (
                "soritune.json",
                b'{"family": "phi4mm", "base": "builtin:tiny", "tensors": {%s}}' % key,
            )
            for key in (b'"../../pipe": {}', b'"/dev/zero": {}', b'"trained.safetensors": 5')
        ],
        ("soritune.json", b'{"family": "phi4mm", "base": "x", "tensors": {"a": 5}}'),
    ],
)
def test_damaged_files_are_one_line(model: Path, name: str, content: bytes) -> None:
    (model / name).write_bytes(content)
    one_line(load, model)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "soritune.json"])
@pytest.mark.parametrize("action", [load, describe, open_stored, family_of])
def test_a_pipe_is_not_waited_for(model: Path, action: object, name: str) -> None:
    (model / name).unlink(missing_ok=True)
    os.mkfifo(model / name)
    assert f"{name}: is a pipe or a device" in one_line(action, model)


@pytest.mark.parametrize(
    "values",
    [
        {"r": 0},
        {"r": 4.7},
        {"r": [4]},
        {"lora_alpha": "nan"},
        {"lora_alpha": 10**400},
        {"lora_dropout": 2},
        {"lora_dropout": "x"},
    ],
)
def test_the_size_of_a_lora_is_a_number(
    native: Path, tmp_path: Path, values: dict[str, object]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(native, folder)
    change(folder / "speech-lora/adapter_config.json", **values)
    assert 'needs a whole number "r"' in one_line(open_stored, folder)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
        "{{ 'a' * 1000000000000000 }}",
        "{% for %}",
        "{{ missing.key.key }}",
    ],
)
def test_a_chat_template_that_does_not_end_or_fails_is_one_line(
    small_qwen3_asr: Path, tmp_path: Path, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizers, "TEMPLATE_TIMEOUT_S", 0.3)
    folder = tmp_path / "model"
    shutil.copytree(small_qwen3_asr, folder)
    (folder / "chat_template.jinja").write_text(template)
    assert "its chat template cannot be used" in one_line(load, folder)


def test_a_tokenizer_whose_pattern_takes_years_is_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizers, "PATTERN_TIMEOUT_S", 0.3)
    settings = json.loads((model / "tokenizer.json").read_text())
    split = {"type": "Split", "behavior": "Isolated", "invert": False}
    slow = {**split, "pattern": {"Regex": "(a|aa)+$"}}
    both = {"type": "Sequence", "pretokenizers": [slow, settings["pre_tokenizer"]]}
    change(model / "tokenizer.json", pre_tokenizer=both)
    assert "takes too long over short texts" in one_line(load, model)


@pytest.mark.parametrize("action", [load, describe, open_stored, family_of])
def test_a_link_to_itself_is_one_line(model: Path, action: object) -> None:
    (model / "config.json").unlink()
    (model / "config.json").symlink_to(model / "config.json")
    one_line(action, model)


@pytest.mark.parametrize(
    "values",
    [
        {"hidden_size": "48"},
        {"num_attention_heads": 0},
        {"num_hidden_layers": -1},
        {"vocab_size": None},
        {"audio_config": 5},
        {"audio_config": {"num_blocks": "x"}},
        {"rms_norm_eps": float("nan")},
        {"rms_norm_eps": float("inf")},
    ],
)
def test_values_of_a_wrong_type_are_one_line(model: Path, values: dict[str, object]) -> None:
    change(model / "config.json", **values)
    one_line(load, model)
    one_line(open_stored, model)


@pytest.mark.parametrize("key", ["hidden_size", "intermediate_size", "num_hidden_layers"])
def test_a_configuration_that_does_not_fit_its_weights_is_not_exported(
    model: Path, key: str
) -> None:
    value = json.loads((model / "config.json").read_text())[key]
    change(model / "config.json", **{key: 2 * value})
    one_line(open_stored, model)


@pytest.mark.parametrize("action", [load, open_stored])
def test_a_configuration_of_200_000_layers_does_not_hang(model: Path, action: object) -> None:
    change(model / "config.json", num_hidden_layers=200_000)
    one_line(action, model)


def test_a_pattern_that_takes_years_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch import nn

    from soritune.models import peft_adapter

    monkeypatch.setattr(peft_adapter, "PATTERN_TIMEOUT_S", 0.3)
    module = nn.ModuleDict({"a" * 60 + "b": nn.Linear(1, 1)})
    started_s = time.process_time()  # a busy machine takes longer by the clock
    for pattern in ("(a|aa)+", "(a+)+c", "((a*)*)*c|x", "("):
        lora = Lora(1, 1, 0.0, {}, tmp_path, pattern)
        try:
            assert peft_adapter._targets(module, lora, "a+b") == "a+b"
        except UserError as error:
            assert 'adapter_config.json: "target_modules" is not a pattern' in str(error)  # noqa: PT017
        else:
            assert pattern != "("
    assert time.process_time() - started_s < 5
    monkeypatch.setattr(peft_adapter, "PATTERN_TIMEOUT_S", 0.0)
    with pytest.raises(UserError, match="takes too long"):
        peft_adapter._targets(module, Lora(1, 1, 0.0, {}, tmp_path, "a+b"), "a+b")
