"""Exports of Whisper, its LoRA in the weights: for transformers and vLLM, and for CTranslate2."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from soritune.errors import UserError
from soritune.models import other_files, snippets
from soritune.models.checkpoint import ADAPTER_FOLDER, CONFIG_FILE
from soritune.models.exporting import ADAPTER, ExportPlan
from soritune.models.lora import Lora
from soritune.models.other_files import GENERATION_FILE
from soritune.models.shards import Advance, write_weights
from soritune.models.stored import StoredModel
from soritune.models.tensors import LazyTensor
from soritune.models.whisper import prompts
from soritune.models.whisper.loading import generation_settings, is_multilingual
from soritune.models.whisper.serving import CTRANSLATE2
from soritune.tasks import Task

# What faster-whisper reads beside the weights.
_CTRANSLATE2_FILES = ("tokenizer.json", "preprocessor_config.json")
_CTRANSLATE2_DTYPE = "float16"  # as in the published models of faster-whisper


def plan(model: StoredModel, target: str, lora_weight: float | None) -> ExportPlan:
    """Plan an export to transformers or CTranslate2; see `Family.plan_export`.

    Raises UserError where the ctranslate2 package is needed and not there.
    """
    tensors, share = model.merged(lora_weight)
    if target == CTRANSLATE2:
        _converter()
        notes = (f"the weights are in {_CTRANSLATE2_DTYPE}; faster-whisper can load them as int8",)
        return ExportPlan(tensors, None, notes, partial(_write_ctranslate2, model, tensors), share)
    return ExportPlan(tensors, None, (), partial(_write, model, tensors), share)


def _write(
    model: StoredModel,
    tensors: Mapping[str, LazyTensor],
    folder: Path,
    max_shard_bytes: int,
    advance: Advance | None,
) -> None:
    """Write weights, settings and tokenizer, the LoRA in the weights."""
    base = model.base.folder
    other_files.copy_all(base, folder, leave_out=(ADAPTER_FOLDER, CONFIG_FILE, GENERATION_FILE))
    _complete_processor(model, folder)
    config = {**model.base.config, "apply_spec_augment": False}
    config.pop("forced_decoder_ids", None)
    _write_json(config, folder / CONFIG_FILE)
    _write_json(generation(model), folder / GENERATION_FILE)
    write_weights(tensors, folder, max_shard_bytes=max_shard_bytes, advance=advance)


def generation(model: StoredModel) -> dict[str, Any]:
    """Return generation_config.json of an export: with the language and task of a trained model.

    Without a language transformers guesses that of every clip, and `forced_decoder_ids` of the base
    would name another one. Without a task, and without those ids, its prompt has none, which no
    Whisper has been trained on: it repeats words, or ends after a few.
    """
    settings = generation_settings(model.base.folder)
    if not is_multilingual(settings, model.base.config):
        return settings
    language, task = model.record.get("language"), model.record.get("task")
    if language is not None:
        settings["language"] = f"<|{prompts.language_code(language)}|>"
    if language is not None or task is not None:
        settings["task"] = "translate" if task == Task.AST else "transcribe"
        settings.pop("forced_decoder_ids", None)
    elif not settings.get("forced_decoder_ids"):
        settings.setdefault("task", "transcribe")
    return settings


def _write_ctranslate2(
    model: StoredModel,
    tensors: Mapping[str, LazyTensor],
    folder: Path,
    max_shard_bytes: int,
    advance: Advance | None,
) -> None:
    """Write the model for transformers beside the folder and convert that."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        whole = Path(temporary)
        _write(model, tensors, whole, max_shard_bytes, advance)
        present = [name for name in _CTRANSLATE2_FILES if (whole / name).is_file()]
        converter = _converter()(str(whole), copy_files=present)
        converter.convert(str(folder), quantization=_CTRANSLATE2_DTYPE, force=True)


def _converter() -> Any:
    try:
        from ctranslate2.converters import TransformersConverter
    except ImportError:
        raise UserError(
            "--to ctranslate2 needs the package ctranslate2: pip install 'soritune[ctranslate2]'"
        ) from None
    return TransformersConverter


def _write_json(settings: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def snippet(model: StoredModel, target: str, lora: Lora | None) -> str:
    """Return Python that transcribes with an export; see `Family.snippet`."""
    if target == CTRANSLATE2:
        return ""
    settings = generation(model)
    asked = "".join(
        f", {key}={settings[key].strip('<|>')!r}" for key in ("language", "task") if key in settings
    )
    body = f"""\
processor = WhisperProcessor.from_pretrained(folder)
inputs = processor(samples, sampling_rate=16_000, return_tensors="pt").to(dtype=model.dtype)
ids = model.generate(inputs.input_features{asked})
print(processor.batch_decode(ids, skip_special_tokens=True)[0].strip())
"""
    return snippets.snippet(
        "WhisperForConditionalGeneration", "WhisperProcessor", body, adapter=target == ADAPTER
    )


def write_processor(model: StoredModel, folder: Path) -> None:
    """Write tokenizer and feature extractor beside an adapter, those of the base."""
    other_files.copy_files(
        model.base.folder, folder, (*other_files.TOKENIZER_FILES, *other_files.PROCESSOR_FILES)
    )
    _complete_processor(model, folder)


def _complete_processor(model: StoredModel, folder: Path) -> None:
    """Write a feature extractor where the base has none; only its number of mels varies."""
    if not any((folder / name).is_file() for name in other_files.PROCESSOR_FILES):
        from transformers import WhisperFeatureExtractor

        mels = int(model.base.config["num_mel_bins"])
        WhisperFeatureExtractor(feature_size=mels).save_pretrained(folder)


def usage(model: StoredModel, target: str, lora: Lora | None) -> list[str]:
    """Return how other programs use an export; see `Family.usage`."""
    settings = generation(model)
    named = settings.get("language")
    language = "LANGUAGE" if named is None else named.strip("<|>")
    if target == ADAPTER:
        return []
    if target == CTRANSLATE2:
        return [
            f"faster-whisper: `WhisperModel(DIR).transcribe(FILE, language={language!r}, "
            "without_timestamps=True)`",
        ]
    return [
        f"vLLM: `vllm serve DIR`, then POST /v1/audio/transcriptions with `language={language}`",
    ]
