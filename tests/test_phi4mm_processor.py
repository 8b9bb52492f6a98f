"""Prompts, labels and masks as token ids, each fault of the reference code turned into a fact."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_model import ASR, SENTENCES, SIZE, noise, said
from transformers import AutoTokenizer, PreTrainedTokenizerFast

import small
from soritune.errors import UserError
from soritune.models.phi4mm.processor import Phi4mmProcessor
from soritune.models.phi4mm.prompts import instruction
from soritune.tasks import Request, Task


@pytest.fixture(scope="module")
def tokenizer(small_base: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(str(small_base))


@pytest.fixture(scope="module")
def processor(tokenizer: PreTrainedTokenizerFast) -> Phi4mmProcessor:
    return Phi4mmProcessor(tokenizer)


def ids_of(tokenizer: PreTrainedTokenizerFast, *tokens: str) -> list[int]:
    return [tokenizer.get_vocab()[token] for token in tokens]


def test_the_prompt_is_user_audio_instruction_end_assistant(
    processor: Phi4mmProcessor, tokenizer: PreTrainedTokenizerFast
) -> None:
    written = f"<|user|>{'<|endoftext11|>' * 13}{instruction(ASR)}<|end|><|assistant|>"
    prompt = processor.encode(noise(16_000), ASR).prompt_ids
    assert tokenizer.decode(prompt) == written
    assert prompt == tokenizer.encode(written, add_special_tokens=False)
    assert prompt.count(ids_of(tokenizer, "<|endoftext11|>")[0]) == 13


def test_training_and_inference_prompts_are_one_and_the_same(processor: Phi4mmProcessor) -> None:
    asked = processor.encode(noise(8_000), ASR)
    trained = processor.encode(noise(8_000), ASR, said("네"))
    assert asked.prompt_ids == trained.prompt_ids
    rows = processor.collate([trained])["input_ids"][0].tolist()
    assert rows == asked.prompt_ids + (trained.target_ids or [])


def test_the_target_ends_with_both_end_tokens(
    processor: Phi4mmProcessor, tokenizer: PreTrainedTokenizerFast
) -> None:
    target = processor.target_ids(ASR, said("안녕"))
    assert target[-2:] == ids_of(tokenizer, "<|end|>", "<|endoftext|>")
    assert tokenizer.decode(target) == "안녕<|end|><|endoftext|>"


def test_labels_are_the_target_alone_and_pads_are_ignored_though_they_look_like_an_end(
    processor: Phi4mmProcessor,
) -> None:
    long = processor.encode(noise(16_000), ASR, said("아주 긴 문장이 여기에 있습니다"))
    short = processor.encode(noise(3_000), ASR, said("네"))
    batch = processor.collate([long, short])
    for row, item in enumerate((long, short)):
        prompt, target = len(item.prompt_ids), item.target_ids or []
        total = prompt + len(target)
        labels = batch["labels"][row]
        assert labels[:prompt].eq(-100).all()
        assert labels[prompt:total].tolist() == target
        assert labels[total:].eq(-100).all()
        assert batch["attention_mask"][row].tolist() == [1] * total + [0] * (len(labels) - total)
    assert processor.ids.pad in processor.ids.ends  # the case that tempts to mask by id
    assert batch["labels"][1].eq(processor.ids.pad).sum() == 1
    assert batch["input_ids"][1].eq(processor.ids.pad).sum() > 1


def test_a_genuine_token_0_and_an_exclamation_mark_stay_attended(
    processor: Phi4mmProcessor,
) -> None:
    item = processor.encode(noise(3_000), ASR, said("와!"))
    assert processor.text_ids("!")[0] in (item.target_ids or [])
    assert 0 in (item.target_ids or [])  # here <|endoftext|> is token 0
    assert processor.collate([item])["attention_mask"].all()
    longer = processor.encode(noise(16_000), ASR, said("와! 정말 좋아요!"))
    mask = processor.collate([item, longer])["attention_mask"]
    assert mask.sum(1).tolist() == [
        len(i.prompt_ids) + len(i.target_ids or []) for i in (item, longer)
    ]


@pytest.mark.parametrize("token", small.SPECIAL_TOKENS)
def test_words_that_look_like_special_tokens_stay_words(
    processor: Phi4mmProcessor, token: str
) -> None:
    text = f"그는 {token} 라고 썼다"
    ids = processor.text_ids(text)
    special = {processor.tokenizer.get_vocab()[name] for name in small.SPECIAL_TOKENS}
    assert not special & set(ids)
    assert processor.decode(ids) == text
    prompt = processor.prompt_ids(f"Say {token}.", 3)
    assert prompt.count(processor.ids.audio) == 3
    assert not special & set(processor.target_ids(ASR, said(token))[:-2])


@pytest.mark.parametrize(
    "text", [*SENTENCES, "값을 읽고 닭과 삶을, 뷁!", "3.5% – 서울/Seoul 漢字 🙂", "a <sep> b"]
)
def test_text_comes_back_from_its_ids(processor: Phi4mmProcessor, text: str) -> None:
    assert processor.decode(processor.target_ids(ASR, said(text))) == text


@pytest.mark.parametrize("text", ["the friend", "fox", "extend", "|tofd>", "text<", "end|e"])
def test_last_letters_are_never_stripped_with_the_end_tokens(
    processor: Phi4mmProcessor, text: str
) -> None:
    """`str.rstrip` with the end tokens as its argument takes any of their letters away."""
    assert text[-1] in "<|end|><|endoftext|>"
    assert processor.decode(processor.target_ids(ASR, said(text))) == text


@pytest.mark.parametrize("end", ["<|end|>", "<|endoftext|>"])
def test_decoding_stops_at_either_end_token(
    processor: Phi4mmProcessor, tokenizer: PreTrainedTokenizerFast, end: str
) -> None:
    ids = processor.text_ids("앞") + ids_of(tokenizer, end) + processor.text_ids("뒤")
    assert processor.decode(ids) == "앞"


def test_special_tokens_inside_an_answer_are_left_out(
    processor: Phi4mmProcessor, tokenizer: PreTrainedTokenizerFast
) -> None:
    ids = processor.text_ids("앞") + ids_of(tokenizer, "<|user|>") + processor.text_ids("뒤")
    assert processor.decode(ids) == "앞뒤"


def test_prompts_to_generate_from_are_padded_on_the_left(processor: Phi4mmProcessor) -> None:
    items = [processor.encode(noise(n), ASR) for n in (3_000, 16_000)]
    batch = processor.collate_prompts(items)
    assert "labels" not in batch
    for row, item in enumerate(items):
        pads = batch["input_ids"].shape[1] - len(item.prompt_ids)
        assert batch["input_ids"][row, pads:].tolist() == item.prompt_ids
        assert batch["attention_mask"][row].tolist() == [0] * pads + [1] * len(item.prompt_ids)


def test_audio_masks_and_sizes_follow_the_frames(processor: Phi4mmProcessor) -> None:
    batch = processor.collate(
        [processor.encode(noise(n), ASR, said("네")) for n in (400, 3_000, 16_000)]
    )
    assert batch["audio_input_features"].shape == (3, 98, 80)
    assert batch["audio_attention_mask"].sum(1).tolist() == [1, 17, 98]
    assert batch["audio_embed_sizes"].tolist() == [1, 3, 13]
    counted = batch["input_ids"].eq(processor.ids.audio).sum(1)
    assert torch.equal(counted, batch["audio_embed_sizes"])


@pytest.mark.parametrize("num_samples", [400, 1_680, 16_000, 37_123])
def test_the_length_is_known_without_the_audio(
    processor: Phi4mmProcessor, num_samples: int
) -> None:
    item = processor.encode(noise(num_samples), ASR, said("안녕하세요"))
    prompt, target = len(item.prompt_ids), len(item.target_ids or [])
    assert processor.num_tokens(num_samples / 16_000, ASR) == prompt
    assert processor.num_tokens(num_samples / 16_000, ASR, said("안녕하세요")) == prompt + target


def test_a_clip_over_40_s_is_refused(processor: Phi4mmProcessor) -> None:
    with pytest.raises(ValueError, match="over 40 s"):
        processor.encode(noise(640_400), ASR)


def test_a_long_korean_answer_has_room() -> None:
    """The reference's 64 tokens cut a line of Zeroth's mean length, 61 characters in 8 s."""
    room = Phi4mmProcessor.max_new_tokens(None, 8.3)  # type: ignore[arg-type]
    assert room == 32 + 208


def test_a_tokenizer_of_another_family_is_named_as_such() -> None:
    tokenizer = small.train_tokenizer(SENTENCES, SIZE.vocabulary)
    other = PreTrainedTokenizerFast(
        tokenizer_object=type(tokenizer.backend_tokenizer).from_str(
            tokenizer.backend_tokenizer.to_str().replace("<|user|>", "<|human|>")
        ),
        unk_token="<|endoftext|>",
    )
    with pytest.raises(UserError, match=r"no token <\|user\|>"):
        Phi4mmProcessor(other)


def test_prompts_and_keywords_are_refused() -> None:
    from soritune.models.phi4mm.family import FAMILY

    with pytest.raises(UserError, match="neither a prompt nor keywords"):
        FAMILY.check_request(Request(Task.ASR, "ko", prompt="날씨"))
