"""A tiny random Whisper in the layout of the published ones, special tokens included."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizerFast,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES

SENTENCES = ("오늘 날씨가 좋습니다.", "The weather is nice today!", "내일은 비가 온다고 해요.")
NUM_TIMESTAMPS = 1501


def save_small_whisper(
    folder: Path, *, mels: int = 80, multilingual: bool = True, seed: int = 0
) -> Path:
    """Write config.json, generation_config.json, preprocessor_config.json, tokenizer and weights.

    The order of the special tokens, and that padding is the end token, are those of
    openai/whisper-base.
    """
    tokenizer = _tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _special_tokens()}
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    config = WhisperConfig(
        vocab_size=len(tokenizer) + NUM_TIMESTAMPS,
        num_mel_bins=mels,
        d_model=16,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.model.decoder.parameters():
            parameter.mul_(3)  # so that it writes more than one token over and over
    languages = {f"<|{code}|>": ids[f"<|{code}|>"] for code in LANGUAGES if code != "yue"}
    several = {
        "lang_to_id": languages,
        "task_to_id": {"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
    }
    model.generation_config = GenerationConfig(
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        max_length=448,
        is_multilingual=multilingual,
        no_timestamps_token_id=ids["<|notimestamps|>"],
        max_initial_timestamp_index=50,
        prev_sot_token_id=ids["<|startofprev|>"],
        # A random model would write timestamps, at which transformers cuts its output.
        suppress_tokens=[1, 2, 7, *range(start, config.vocab_size)],
        begin_suppress_tokens=[tokenizer.convert_tokens_to_ids("Ġ"), end],
        return_timestamps=False,
        **(several if multilingual else {}),
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=mels).save_pretrained(folder)
    return folder


def _special_tokens() -> list[str]:
    languages = [code for code in LANGUAGES if code != "yue"]
    names = ["endoftext", "startoftranscript", *languages, "translate", "transcribe"]
    names += ["startoflm", "startofprev", "nospeech", "notimestamps"]
    return [f"<|{name}|>" for name in names]


def _tokenizer() -> WhisperTokenizerFast:
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    plain.train_from_iterator(SENTENCES, trainer)
    plain.add_special_tokens(_special_tokens())
    return WhisperTokenizerFast(tokenizer_object=plain)
