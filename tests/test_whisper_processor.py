"""Features, prompts, targets and batches of Whisper against transformers' own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_model import noise
from small_whisper import save_small_whisper
from transformers import WhisperFeatureExtractor
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from soritune.errors import UserError
from soritune.models import load
from soritune.models.speech_model import IGNORE
from soritune.models.whisper import constants
from soritune.models.whisper.family import FAMILY
from soritune.models.whisper.features import fill_window, log_mel
from soritune.models.whisper.processor import DETECT, WhisperProcessor
from soritune.tasks import Answer, Request, Task

ASR = Request(Task.ASR, "ko")
TO_ENGLISH = Request(Task.AST, "ko", "en")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture
def processor(folder: Path) -> WhisperProcessor:
    return load(folder, device="cpu").processor


@pytest.mark.parametrize("mels", [80, 128])
@pytest.mark.parametrize("num_samples", [400, 16_000, 100_003, 479_000, 480_000])
def test_features_are_those_of_transformers(mels: int, num_samples: int) -> None:
    extractor = WhisperFeatureExtractor(feature_size=mels)
    samples = noise(num_samples)
    expected = extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features[0]
    found = fill_window(log_mel(extractor, samples))
    assert found.shape == (mels, 3_000)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_features_of_silence_are_those_of_transformers() -> None:
    extractor = WhisperFeatureExtractor()
    samples = np.zeros(16_000, np.float32)
    expected = extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features[0]
    assert torch.equal(fill_window(log_mel(extractor, samples)), expected)


def test_a_clip_over_30_s_is_refused_not_cut(processor: WhisperProcessor) -> None:
    with pytest.raises(ValueError, match=r"30\.1 s is over 30 s"):
        processor.encode(noise(481_000), ASR)


def test_languages_are_those_of_transformers() -> None:
    assert set(LANGUAGES) == constants.LANGUAGES


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (ASR, "<|startoftranscript|><|ko|><|transcribe|><|notimestamps|>"),
        (TO_ENGLISH, "<|startoftranscript|><|ko|><|translate|><|notimestamps|>"),
        (Request(Task.ASR, "jv"), "<|startoftranscript|><|jw|><|transcribe|><|notimestamps|>"),
    ],
)
def test_prompts_name_language_task_and_no_timestamps(
    processor: WhisperProcessor, request_: Request, tokens: str
) -> None:
    """Training without <|notimestamps|> would teach the model to forget timestamps; with it the
    model keeps them for prompts that do not have it."""
    tokenizer = processor.tokenizer
    assert tokenizer.decode(processor.prompt_ids(request_)) == tokens


def test_an_unknown_language_is_left_to_the_model_but_not_trained(
    processor: WhisperProcessor,
) -> None:
    unknown = Request(Task.ASR)
    assert processor.prompt_ids(unknown)[1] == DETECT
    with pytest.raises(UserError, match="Give the corpus a language"):
        processor.encode(noise(8_000), unknown, Answer("말"))
    processor.language = "ko"
    assert processor.prompt_ids(unknown) == processor.prompt_ids(ASR)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(Task.AST_COT, "ko", "en"), "no chain of thought"),
        (Request(Task.AST, "en", "ko"), "English only"),
        (Request(Task.ASR, "kab"), "no language token"),
    ],
)
def test_what_whisper_cannot_do_costs_one_line(
    processor: WhisperProcessor, request_: Request, message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        FAMILY.check_request(request_)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=message):
        processor.prompt_ids(request_)


def test_a_language_of_newer_checkpoints_is_refused_by_older_ones(
    processor: WhisperProcessor,
) -> None:
    with pytest.raises(UserError, match="large-v3"):
        processor.prompt_ids(Request(Task.ASR, "yue"))


def test_english_checkpoints_have_neither_languages_nor_tasks(tmp_path: Path) -> None:
    processor = load(
        save_small_whisper(tmp_path / "base.en", multilingual=False), device="cpu"
    ).processor
    for request in (Request(Task.ASR), Request(Task.ASR, "en")):
        tokens = processor.tokenizer.decode(processor.prompt_ids(request))
        assert tokens == "<|startoftranscript|><|notimestamps|>"
    for request in (ASR, TO_ENGLISH):
        with pytest.raises(UserError, match="transcribes English only"):
            processor.prompt_ids(request)


def test_the_end_token_is_trained_though_it_is_also_the_padding(
    processor: WhisperProcessor,
) -> None:
    """Labels that are masked where they equal the padding lose their end: the model then never
    stops."""
    assert processor.tokenizer.pad_token_id in (None, processor.ids.end)
    inputs = [
        processor.encode(noise(8_000), ASR, Answer(text)) for text in ("오늘", "오늘 날씨가 좋다")
    ]
    batch = processor.collate(inputs)
    assert batch["decoder_input_ids"].shape == batch["labels"].shape
    for item, labels, ids in zip(inputs, batch["labels"], batch["decoder_input_ids"], strict=True):
        target = labels[labels != IGNORE].tolist()
        assert target == item.target_ids
        assert target[-1] == processor.ids.end
        length = len(item.prompt_ids) + len(target) - 1
        assert ids[:length].tolist() == item.prompt_ids + target[:-1]
        # Position t reads what stands before label t.
        assert labels[len(item.prompt_ids) - 1] == target[0]


def test_no_start_or_end_token_is_doubled(processor: WhisperProcessor) -> None:
    """The tokenizer alone would add a start and an end token to what already has them."""
    plain = processor.tokenizer.encode("오늘")
    item = processor.encode(noise(8_000), ASR, Answer("오늘"))
    row = processor.collate([item])["decoder_input_ids"][0].tolist()
    assert row.count(processor.ids.start) == 1
    assert item.target_ids is not None
    assert item.target_ids.count(processor.ids.end) == 1
    assert plain != item.target_ids


def test_targets_begin_with_the_space_that_whisper_writes(processor: WhisperProcessor) -> None:
    def text(request: Request, answer: Answer) -> str:
        return processor.tokenizer.decode(processor.target_ids(request, answer)[:-1])

    assert text(ASR, Answer("오늘 날씨가 좋습니다.")) == " 오늘 날씨가 좋습니다."
    assert text(TO_ENGLISH, Answer(None, "The weather")) == " The weather"
    assert text(Request(Task.ASR, "ja"), Answer("今日")) == "今日"


def test_special_tokens_in_a_transcript_stay_text(processor: WhisperProcessor) -> None:
    ids = processor.target_ids(ASR, Answer("<|ko|> <|endoftext|>"))
    assert max(ids) == ids[-1] == processor.ids.end
    assert processor.decode(ids) == "<|ko|> <|endoftext|>"


def test_targets_over_448_tokens_are_refused_with_the_prompt_counted(
    processor: WhisperProcessor,
) -> None:
    def length(count: int) -> int:
        return len(processor.target_ids(ASR, Answer("a" + "b" * (count - 2))))

    # 4 of the prompt, then the text; the end token is predicted and never read.
    count = next(c for c in range(400, 500) if length(c) == 445)
    item = processor.encode(noise(8_000), ASR, Answer("a" + "b" * (count - 2)))
    assert processor.collate([item])["decoder_input_ids"].shape == (1, 448)
    with pytest.raises(UserError, match="449 tokens with its prompt, but Whisper reads 448"):
        processor.num_tokens(1.0, ASR, Answer("a" + "b" * (count - 1)))


def test_a_clip_costs_the_encoder_30_s_whatever_its_length(processor: WhisperProcessor) -> None:
    assert processor.num_tokens(1.0, ASR) == processor.num_tokens(20.0, ASR) == 1_504
    item = processor.encode(noise(8_000), ASR, Answer("오늘"))
    row = processor.collate([item])["decoder_input_ids"]
    assert processor.num_tokens(0.5, ASR, Answer("오늘")) == 1_500 + row.shape[1]


def test_text_is_decoded_without_special_tokens_and_timestamps(
    processor: WhisperProcessor,
) -> None:
    text = processor.target_ids(ASR, Answer("오늘"))[:-1]
    timestamp = processor.ids.no_timestamps + 1
    ids = [timestamp, *text, timestamp + 50, processor.ids.end, *text]
    assert processor.decode(ids) == "오늘"


def test_a_prompt_is_that_of_transformers(processor: WhisperProcessor) -> None:
    request = Request(Task.ASR, "ko", prompt="오늘 날씨", keywords=("비", "바람"))
    bare = processor.prompt_ids(ASR)
    said = processor.tokenizer.get_prompt_ids("오늘 날씨 비, 바람").tolist()
    assert processor.prompt_ids(request) == [*said, *bare]
    long = processor.prompt_ids(Request(Task.ASR, "ko", prompt="날씨 " * 2_000))
    assert len(long) == processor.max_positions // 2 + len(bare)
    assert long[0] == said[0]
    typed = processor.prompt_ids(Request(Task.ASR, "ko", prompt="<|endoftext|>"))
    assert processor.ids.end not in typed


def test_the_language_is_detected_without_what_a_prompt_says(folder: Path) -> None:
    model = load(folder, device="cpu", dtype="float32")
    encoded = torch.randn(1, 1500, 16)
    asked = (Request(Task.ASR), Request(Task.ASR, prompt="오늘 날씨"))
    bare, after = (
        model._with_languages(torch.tensor([model.processor.prompt_ids(each)]), encoded)
        for each in asked
    )
    assert DETECT not in bare
    assert after[0, -4:].tolist() == bare[0].tolist()
