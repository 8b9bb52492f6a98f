"""Times of words: attention as transformers computes it, and words where they are spoken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from small_model import noise
from spoken_numbers import RATE_HZ, WORD_S, LevelDetector, LevelEngine, spoken, word
from transformers import WhisperForConditionalGeneration
from transformers.models.whisper.generation_whisper import _dynamic_time_warping

from soritune.audio.stream import Sound
from soritune.decoding import cutting
from soritune.decoding.engine import Decoded, LocalEngine, Piece
from soritune.decoding.listening import Listening, listen
from soritune.decoding.records import Transcript, Word
from soritune.decoding.transcriber import Transcriber
from soritune.decoding.word_times import timed
from soritune.errors import UserError
from soritune.models import load
from soritune.models.alignment import Looks, cheapest_path, token_spans
from soritune.models.phi4mm.model import Phi4mm
from soritune.tasks import Request, Task

ASR = Request(Task.ASR, "ko")


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 40), (40, 7)])
def test_the_path_is_that_of_transformers(shape: tuple[int, int]) -> None:
    costs = np.random.default_rng(sum(shape)).normal(size=shape)
    for found, expected in zip(cheapest_path(costs), _dynamic_time_warping(costs), strict=True):
        assert found.tolist() == expected.tolist()


def test_attention_is_that_of_transformers(small_whisper: Path) -> None:
    reference = WhisperForConditionalGeneration.from_pretrained(
        small_whisper, attn_implementation="eager"
    ).eval()
    model = load(small_whisper, device="cpu", dtype="float32")
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 80, 3000))).float()
    given = {"input_features": features, "decoder_input_ids": torch.arange(12).reshape(2, 6)}
    layers = [layer.encoder_attn for layer in model.module.model.decoder.layers]
    looks = Looks(layers, [range(1, 6), range(2, 4)])
    with torch.inference_mode():
        with looks.kept():
            model.module(**given, use_cache=False)
        expected = torch.stack(reference(**given, output_attentions=True).cross_attentions)
    torch.testing.assert_close(looks.weights(0), expected[:, 0, :, 1:6], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(looks.weights(1), expected[:, 1, :, 2:4], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("heads", [(), ((1, 0), (1, 1))])
def test_tokens_stand_where_heads_look(heads: tuple[tuple[int, int], ...]) -> None:
    """Two layers: heads of the first look at one place for ever, those of the second go forward."""
    weights = torch.full((2, 8, 4, 100), 1e-4)
    weights[0, :, :, 0] = 0.9
    for token, (first, last) in enumerate([(10, 30), (30, 40), (40, 80), (80, 100)]):
        weights[1, :, token, first:last] = 1 / (last - first)
    spans = token_spans(weights, 0.02, heads)
    for (start, _), expected in zip(spans[1:], (0.6, 0.8, 1.6), strict=True):
        assert start == pytest.approx(expected, abs=0.04)
    assert spans[-1][1] == pytest.approx(2.0)
    assert all(a[1] == b[0] for a, b in pairwise(spans))


def test_a_letter_of_several_tokens_is_one_word() -> None:
    """Korean letters have three bytes, which tokens may cut; punctuation takes no time."""
    parts = ["오늘 ".encode(), "날".encode()[:1], "날".encode()[1:], "씨".encode(), b".", b""]

    def decode(tokens: Iterable[int]) -> str:
        return b"".join(parts[token] for token in tokens).decode("utf-8", "replace").strip()

    spans = [(float(token), token + 1.0) for token in range(len(parts))]
    assert timed("오늘 날씨.", range(6), spans, decode) == (
        Word("오늘", 0.0, 1.0),
        Word("날씨.", 2.0, 4.0),
    )
    assert timed("날씨.", range(6), spans, decode) == (Word("날씨.", 2.0, 4.0),)
    assert timed("other", range(6), spans, decode) == ()
    assert timed("오늘", [], [], decode) == ()


class TimedEngine(LevelEngine):
    """Knows when each of its words is spoken."""

    def decode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Decoded]]:
        for piece, decoded in super().decode(pieces):
            texts = decoded.output.split()
            lead_s = len(piece.samples) / RATE_HZ - len(texts) * WORD_S  # what a cut left of a word
            starts = [max(0.0, lead_s + number * WORD_S) for number in range(len(texts))]
            words = tuple(
                Word(text, start_s, start_s + WORD_S)
                for text, start_s in zip(texts, starts, strict=True)
            )
            assert piece.words
            yield piece, Decoded(decoded.output, decoded.answer, -0.1, (), words)


def test_words_of_windows_that_overlap_stand_once_and_in_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cutting, "VoiceDetector", LevelDetector)
    recording = Sound(spoken(range(120)), RATE_HZ)
    (found,) = listen(TimedEngine(), [recording], Listening(ASR, window_s=11.3, words=True))
    assert isinstance(found, Transcript)
    words = [each for segment in found.segments for each in segment.words]
    assert [each.text for each in words] == [word(number) for number in range(120)]
    off = [abs(each.start_s - number * WORD_S) for number, each in enumerate(words)]
    assert max(off) <= 2 * WORD_S
    assert [segment.text for segment in found.segments] == [
        " ".join(each.text for each in segment.words) for segment in found.segments
    ]


def test_translations_have_no_word_times() -> None:
    asked = Listening(Request(Task.AST, "ko", "en"), words=True)
    with pytest.raises(UserError, match="transcript"):
        list(listen(LevelEngine(), [], asked))


def test_a_family_that_cannot_align_says_so(load_small: Callable[[], Phi4mm]) -> None:
    model = load_small()
    assert not model.family.aligns
    with pytest.raises(UserError, match="Leave word times out"):
        Transcriber(model).transcribe(noise(9_000), sampling_rate=RATE_HZ, words=True)
    with pytest.raises(UserError, match="Leave word times out"):
        model.align([], [])


def test_tokens_of_a_batch_have_the_times_that_they_have_alone(
    small_whisper: Path,
) -> None:
    model = load(small_whisper, device="cpu", dtype="float32")
    lengths = (9_000, 24_000)
    inputs = [model.processor.encode(noise(n, n), ASR) for n in lengths]
    tokens = [[5, 9, 7, 30], [8, 3, 12, 40, 6, 21]]
    together = model.align(inputs, tokens)
    for place, length in enumerate(lengths):
        (alone,) = model.align([inputs[place]], [tokens[place]])
        for found, expected in zip(together[place], alone, strict=True):
            assert found == pytest.approx(expected)
        assert len(alone) == len(tokens[place])
        assert alone[0][0] == 0.0
        assert alone[-1][1] == pytest.approx(length / RATE_HZ, abs=0.04)
        assert all(0 <= start <= end for start, end in alone)


def test_words_are_found_where_they_are_asked_for(
    small_whisper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(small_whisper, device="cpu", dtype="float32")
    monkeypatch.setattr(model.processor, "max_new_tokens", lambda _: 6, raising=False)
    pieces = [Piece((0, n), noise(9_000 + n, n), ASR, words=n == 1) for n in range(2)]
    found = {piece.key[1]: decoded for piece, decoded in LocalEngine(model).decode(pieces)}
    assert not found[0].words
    assert [each.text for each in found[1].words] == found[1].answer.scored.split()
