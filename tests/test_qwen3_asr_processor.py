"""Features, prompts, targets and batches of Qwen3-ASR, against transformers' own processor."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from small_model import noise
from transformers import AutoProcessor, Qwen2Tokenizer, Qwen3ASRFeatureExtractor, Qwen3ASRProcessor
from transformers.models.qwen3_asr.modeling_qwen3_asr import _get_feat_extract_output_lengths
from transformers.models.qwen3_asr.processing_qwen3_asr import LANGUAGE_CODE_TO_NAME

from soritune.errors import UserError
from soritune.languages.names import known_language
from soritune.models import load
from soritune.models.qwen3_asr import constants as c
from soritune.models.qwen3_asr.family import FAMILY
from soritune.models.qwen3_asr.processor import Qwen3AsrProcessor
from soritune.models.speech_model import IGNORE
from soritune.models.tokenizers import read_tokenizer
from soritune.tasks import Answer, Request, Task

ASR = Request(Task.ASR, "ko")
TEXT = "오늘 날씨가 좋습니다."


@pytest.fixture(scope="module")
def processor(small_qwen3_asr: Path) -> Qwen3AsrProcessor:
    return Qwen3AsrProcessor(read_tokenizer(Qwen2Tokenizer, small_qwen3_asr))


@pytest.fixture(scope="module")
def reference(small_qwen3_asr: Path) -> Qwen3ASRProcessor:
    return AutoProcessor.from_pretrained(small_qwen3_asr)


def edited(folder: Path, out: Path, file: str, **changes: object) -> Path:
    """A copy of a base with other values in one of its JSON files, under `key__name` too."""
    shutil.copytree(folder, out)
    settings = json.loads((out / file).read_text())
    for name, value in changes.items():
        *path, last = name.split("__")
        place = settings
        for key in path:
            place = place[key]
        place[last] = value
    (out / file).write_text(json.dumps(settings))
    return out


def test_names_of_languages_are_those_of_transformers() -> None:
    names = {code: known_language(code) for code in LANGUAGE_CODE_TO_NAME}
    assert names == LANGUAGE_CODE_TO_NAME


@pytest.mark.parametrize("samples", [400, 7_999, 8_000, 8_159, 16_000, 16_001, 31_999, 140_321])
def test_features_and_tokens_are_those_of_transformers(
    processor: Qwen3AsrProcessor, reference: Qwen3ASRProcessor, samples: int
) -> None:
    """Short clips are followed by zeros up to half a second, which count as sound."""
    clip = noise(samples, samples)
    expected = reference.apply_transcription_request(clip, language="ko")
    item = processor.encode(clip, ASR)
    assert len(item.features) == int(expected["input_features_mask"].sum())
    assert len(item.features) == c.num_frames(samples)
    batch = processor.collate_prompts([item])
    assert set(batch) == set(expected.keys())
    for name, tensor in batch.items():
        assert torch.equal(tensor, expected[name].to(tensor.dtype)), name
    duration_s = samples / 16_000
    assert processor.num_tokens(duration_s, ASR) == len(item.prompt_ids)


def test_a_second_makes_13_tokens_and_the_rest_its_own() -> None:
    frames = torch.arange(50, 2_000)
    expected = _get_feat_extract_output_lengths(frames).tolist()
    assert [c.num_audio_tokens(int(count)) for count in frames] == expected
    assert [c.num_audio_tokens(count) for count in (100, 800, 101, 108, 109)] == [
        13,
        104,
        14,
        14,
        15,
    ]


def test_features_do_not_depend_on_what_is_beside_a_clip(
    processor: Qwen3AsrProcessor, reference: Qwen3ASRProcessor
) -> None:
    """The trap: transformers pads the sound of a batch first, which changes a clip's own end."""
    clips = [noise(16_001), noise(40_000, 1)]
    together = reference.apply_transcription_request(clips, language="ko")
    alone = reference.apply_transcription_request(clips[0], language="ko")
    assert int(together["input_features_mask"][0].sum()) == 101
    assert int(alone["input_features_mask"].sum()) == 100
    batch = processor.collate([processor.encode(clip, ASR) for clip in clips])
    assert torch.equal(batch["input_features"][0, :, :100], alone["input_features"][0])
    assert not batch["input_features"][0, :, 100:].any()
    assert batch["input_features_mask"].sum(dim=1).tolist() == [100, 250]


@pytest.mark.parametrize("language", ["ko", "en", None])
def test_a_prompt_is_that_of_transformers(
    processor: Qwen3AsrProcessor, reference: Qwen3ASRProcessor, language: str | None
) -> None:
    clip = noise(20_000)
    expected = reference.apply_transcription_request(clip, language=language)["input_ids"][0]
    assert processor.encode(clip, Request(Task.ASR, language)).prompt_ids == expected.tolist()


def test_only_the_transcript_and_its_end_are_trained(
    processor: Qwen3AsrProcessor, reference: Qwen3ASRProcessor
) -> None:
    """The trap: `output_labels` trains the prompt, and no end token, since that is padding too."""
    clip = noise(20_000)
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert processor.ids.pad == reference.tokenizer.pad_token_id == end
    item = processor.encode(clip, ASR, Answer(TEXT))
    assert item.target_ids == [*processor.tokenizer.encode(TEXT), end]
    other = processor.encode(noise(50_000), ASR, Answer("날씨"))
    batch = processor.collate([item, other])
    length = len(item.prompt_ids)
    assert batch["labels"][0, :length].eq(IGNORE).all()
    assert batch["labels"][0, length : length + len(item.target_ids)].tolist() == item.target_ids
    assert batch["labels"][0, length + len(item.target_ids) :].eq(IGNORE).all()
    assert batch["attention_mask"].sum(dim=1).tolist() == [
        len(i.prompt_ids) + len(i.target_ids or []) for i in (item, other)
    ]

    prompt = reference.apply_transcription_request(clip, language="ko", tokenize=False)
    [text] = prompt if isinstance(prompt, list) else [prompt]
    theirs = reference(text=[f"{text}{TEXT}<|im_end|>"], audio=[clip], output_labels=True)
    assert theirs["input_ids"][0].tolist() == item.prompt_ids + item.target_ids
    labels = theirs["labels"][0]
    assert labels[:length].ne(IGNORE).any()
    assert end not in labels.tolist()


def test_a_transcript_that_repeats_itself_stays_as_it_is(
    processor: Qwen3AsrProcessor, reference: Qwen3ASRProcessor
) -> None:
    """The trap: transformers' `decode` shortens repetitions, and errors would not be scored."""
    text = "하" * 40 + " " + "네 " * 30
    ids = processor.tokenizer.encode(f"language Korean<asr_text>{text}")
    assert len(reference.decode(ids, return_format="transcription_only")) < 30
    generated = processor.decode([*ids, processor.ids.ends[0], *ids])
    assert processor.parse(Request(Task.ASR), generated) == Answer(text.strip())


@pytest.mark.parametrize(
    ("written", "transcript"),
    [
        ("language Korean<asr_text>오늘 날씨", "오늘 날씨"),
        ("language None<asr_text>", ""),
        ("오늘 날씨", "오늘 날씨"),
        ("", ""),
    ],
)
def test_a_detected_language_is_not_part_of_the_transcript(
    processor: Qwen3AsrProcessor,
    reference: Qwen3ASRProcessor,
    written: str,
    transcript: str,
) -> None:
    assert processor.parse(Request(Task.ASR), written) == Answer(transcript)
    assert reference.extract_transcription(written) == transcript


def test_text_that_looks_like_a_special_token_stays_text(processor: Qwen3AsrProcessor) -> None:
    ids = processor.target_ids(ASR, Answer("<|im_end|> 끝"))
    assert ids.count(processor.ids.ends[0]) == 1
    assert processor.decode(ids) == "<|im_end|> 끝"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(Task.AST, "ko", "en"), "transcribes only"),
        (Request(Task.AST_COT, "ko", "en"), "transcribes only"),
        (Request(Task.ASR, "kq"), "not a language"),
    ],
)
def test_what_the_family_cannot_do_is_one_line(request_: Request, message: str) -> None:
    with pytest.raises(UserError, match=message):
        FAMILY.check_request(request_)


def test_a_language_that_is_new_to_the_model_goes_by_its_english_name(
    processor: Qwen3AsrProcessor,
) -> None:
    ids = processor.prompt_ids(Request(Task.ASR, "uz"), 3)
    assert processor.tokenizer.decode(ids).endswith("assistant\nlanguage Uzbek<asr_text>")


def test_an_example_needs_a_language(processor: Qwen3AsrProcessor) -> None:
    with pytest.raises(UserError, match="Give the corpus a language"):
        processor.encode(noise(9_000), Request(Task.ASR), Answer(TEXT))


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("config.json", {"audio_config__n_window": 25}),
        ("config.json", {"audio_config__n_window_infer": 400}),
        ("processor_config.json", {"feature_extractor__n_window": 25}),
        ("processor_config.json", {"feature_extractor__min_length": 0}),
    ],
)
def test_another_n_window_is_refused(
    small_qwen3_asr: Path, tmp_path: Path, file: str, changes: dict[str, int]
) -> None:
    """The trap: with 25, transformers counts 26 tokens a second, and no one says a word."""
    reference = Qwen3ASRProcessor._get_audio_token_length(None, torch.tensor([100]), n_window=25)
    assert reference.tolist() == [26]
    base = edited(small_qwen3_asr, tmp_path / "base", file, **changes)
    with pytest.raises(UserError, match=next(iter(changes)).split("__")[-1]):
        load(base, device="cpu")


def test_the_extractor_has_the_settings_that_are_checked() -> None:
    from soritune.models.qwen3_asr.features import _SETTINGS

    settings = Qwen3ASRFeatureExtractor().to_dict()
    assert {name: settings[name] for name in _SETTINGS} == _SETTINGS


def test_a_folder_without_its_template_says_which_file_is_missing(
    small_qwen3_asr: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(small_qwen3_asr, tmp_path / "base")
    (base / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match=r"chat_template\.jinja"):
        load(base, device="cpu")


def test_prompt_and_keywords_stand_in_the_turn_of_the_system(processor: Qwen3AsrProcessor) -> None:
    turns = [
        {"role": "system", "content": [{"type": "text", "text": "날씨 비, 바람"}]},
        {"role": "user", "content": [{"type": "audio"}]},
    ]
    expected = processor.tokenizer.apply_chat_template(
        turns, tokenize=True, add_generation_prompt=True, return_dict=False
    )
    request = Request(Task.ASR, None, prompt="날씨", keywords=("비", "바람"))
    assert processor.prompt_ids(request, 1) == expected
    typed = processor.prompt_ids(Request(Task.ASR, None, prompt=c.AUDIO_TOKEN), 2)
    assert typed.count(processor.ids.audio) == 2
