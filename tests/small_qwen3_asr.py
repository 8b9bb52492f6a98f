"""A tiny random Qwen3-ASR in the layout of the published `-hf` ones, special tokens included."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import (
    GenerationConfig,
    Qwen2Tokenizer,
    Qwen3ASRConfig,
    Qwen3ASRFeatureExtractor,
    Qwen3ASRForConditionalGeneration,
    Qwen3ASRProcessor,
)

SENTENCES = ("오늘 날씨가 좋습니다.", "The weather is nice today!", "내일은 비가 온다고 해요.")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_end|>")
SPECIAL += ("<|audio_pad|>",)
NOT_SPECIAL = ("<timestamp>", "<asr_text>")  # so that decoding does not drop them
# The turns of the published template: one of the system, empty without a context; one of the user
# with its audio; the assistant's as they are.
TEMPLATE = """\
{%- set turn = namespace(system='', audio='') -%}
{%- for message in messages -%}
{%- for part in ([] if message.content is string else message.content) -%}
{%- if part.type == 'audio' -%}
{%- set turn.audio = turn.audio + '<|audio_start|><|audio_pad|><|audio_end|>' -%}
{%- elif message.role == 'system' -%}
{%- set turn.system = turn.system + part.text -%}
{%- endif -%}
{%- endfor -%}
{%- endfor -%}
{{- '<|im_start|>system\\n' + turn.system + '<|im_end|>\\n' -}}
{{- '<|im_start|>user\\n' + turn.audio + '<|im_end|>\\n' -}}
{%- for message in messages if message.role == 'assistant' -%}
{{- '<|im_start|>assistant\\n' -}}
{%- for part in message.content -%}{{- part.text -}}{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


def save_small_qwen3_asr(folder: Path, *, seed: int = 0) -> Path:
    """Write config.json, generation_config.json, processor_config.json, tokenizer and weights.

    Padding is `<|im_end|>`, one of the two end tokens, as in the published configuration.
    """
    tokenizer = _tokenizer()
    vocabulary = tokenizer.get_vocab()
    ends = [vocabulary["<|endoftext|>"], vocabulary["<|im_end|>"]]
    config = Qwen3ASRConfig(
        audio_config={
            "model_type": "qwen3_asr_encoder",
            "d_model": 16,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "downsample_hidden_size": 4,
            "output_dim": 32,
        },
        text_config={
            "model_type": "qwen3",
            "vocab_size": len(tokenizer) + 8,  # the published ones have a few rows more, too
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "tie_word_embeddings": True,
        },
        audio_token_id=vocabulary["<|audio_pad|>"],
        timestamp_token_id=vocabulary["<timestamp>"],
        eos_token_id=ends,
        pad_token_id=ends[1],
    )
    torch.manual_seed(seed)
    model = Qwen3ASRForConditionalGeneration(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                # So that what it hears counts, and it writes more than one token over and over.
                parameter.normal_(0, 0.5 if "conv" in name else 0.25)
    model.generation_config = GenerationConfig(
        eos_token_id=ends, pad_token_id=ends[1], do_sample=False, max_new_tokens=512
    )
    model.save_pretrained(folder)
    Qwen3ASRProcessor(
        feature_extractor=Qwen3ASRFeatureExtractor(), tokenizer=tokenizer, chat_template=TEMPLATE
    ).save_pretrained(folder)
    return folder


def _tokenizer() -> Qwen2Tokenizer:
    plain = Tokenizer(models.BPE())
    plain.normalizer = normalizers.NFC()
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    plain.train_from_iterator(SENTENCES, trainer)
    plain.add_special_tokens([AddedToken(token) for token in SPECIAL])
    plain.add_tokens([AddedToken(token) for token in NOT_SPECIAL])
    return Qwen2Tokenizer(
        tokenizer_object=plain,
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        extra_special_tokens={
            "audio_token": "<|audio_pad|>",
            "audio_bos_token": "<|audio_start|>",
            "audio_eos_token": "<|audio_end|>",
        },
    )
