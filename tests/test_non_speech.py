"""The suite without speech: its sounds, its place in a recipe, and what is counted."""

from pathlib import Path

import numpy as np
import pytest

from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.errors import RecipeProblem
from soritune.recipe import Recipe
from soritune.recipe.schema import Evaluation
from soritune.scoring.error_rates import invented_table
from soritune.scoring.failures import failures_of
from soritune.sources.corpora.non_speech import SOUNDS, NonSpeechSource, read

RECIPE = {
    "name": "suite",
    "output": "out",
    "language": "ko",
    "model": {"base": "builtin:tiny"},
    "corpora": {"mine": {"source": "manifest", "path": "list.jsonl"}},
    "evaluate": {"silence": {"suite": "non-speech"}},
}


def test_a_recipe_asks_for_it_with_one_word() -> None:
    recipe = Recipe.model_validate(RECIPE)
    evaluation = recipe.evaluate["silence"]
    assert (evaluation.corpus, evaluation.metric_names) == ("non-speech", ("invented",))
    source = recipe.corpora["non-speech"]
    assert isinstance(source, NonSpeechSource)
    assert source.language == "ko"
    # A run keeps the recipe as it was understood, and reads it again.
    assert Recipe.model_validate_json(recipe.model_dump_json(by_alias=True)) == recipe


def test_a_suite_has_a_corpus_and_a_task_of_its_own() -> None:
    with pytest.raises(ValueError, match='"corpus" does not go with "suite"'):
        Evaluation.model_validate({"suite": "non-speech", "corpus": "mine"})
    with pytest.raises(ValueError, match="is for a suite without speech"):
        Evaluation.model_validate({"corpus": "mine", "task": "asr", "metrics": ["invented"]})
    assert issubclass(RecipeProblem, ValueError)


def test_every_sound_is_itself_and_the_same_each_time() -> None:
    clips = list(read(NonSpeechSource(source="non-speech", language="ko")))
    assert {clip.id.rpartition("-")[0] for clip in clips} == set(SOUNDS)
    rendered = {}
    for clip in clips:
        if not clip.id.endswith("-2s"):
            continue
        samples, rate_hz = clip.audio.render()  # type: ignore[union-attr]
        again, _ = clip.audio.render()  # type: ignore[union-attr]
        assert np.array_equal(samples, again)
        assert (rate_hz, len(samples)) == (16_000, 32_000)
        assert float(np.abs(samples).max()) <= 1
        rendered[clip.id.rpartition("-")[0]] = samples
    assert not rendered["silence"].any()
    # Power of noise below 1 kHz over that from 4 kHz on: white 1/4, pink more, brown most.
    slopes = []
    for name in ("white-noise", "pink-noise", "brown-noise"):
        power = np.abs(np.fft.rfft(rendered[name])) ** 2
        slopes.append(power[20:2000].sum() / power[8000:].sum())
    assert slopes[0] == pytest.approx(0.25, rel=0.1)
    assert slopes[0] < slopes[1] < slopes[2]
    hum = np.abs(np.fft.rfft(rendered["hum"]))
    assert np.argmax(hum) == 120  # 60 Hz in 2 s
    # Of the speech that is cut off, a tenth of a second is loud.
    loud = np.abs(rendered["cut-off"]) > 0.01
    assert 0 < loud.sum() < 0.13 * 16_000


def test_it_is_prepared_with_empty_transcripts(tmp_path: Path) -> None:
    source = NonSpeechSource(source="non-speech", language="ko")
    prepare("non-speech", source, tmp_path / "corpus", workers=0)
    corpus = Corpus.open(tmp_path / "corpus")
    records = corpus.records("test")
    assert len(records) == 3 * len(SOUNDS)
    assert {record.text for record in records} == {""}


def test_words_a_minute_counted_by_hand() -> None:
    # Four words in 30 and 10 seconds: six a minute.
    assert invented_table(["감사합니다", "Thank you 네"], [30, 10]).value == pytest.approx(6)
    assert failures_of("", "감사합니다", "ko") == ("insertion",)
