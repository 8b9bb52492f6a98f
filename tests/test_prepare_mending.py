"""What the doctor finds and `prepare` mends: ids left out, silent ends, constant offsets."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from made_source import is_prepared

from soritune.corpus.prepare import prepare
from soritune.corpus.selection import Note, select
from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.recipe import load_recipe
from soritune.sources.exclude import read_ids
from soritune.sources.formats.manifest import ManifestSource
from soritune.sources.options import SourceOptions, described_options
from soritune.sources.sound import SoundForm
from soritune.utterance import Rejected, Utterance

RATE_HZ = 16_000
Samples = npt.NDArray[np.float32]


def tone(seconds: float, amplitude: float = 0.3) -> Samples:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * 300 * times)).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def recordings(folder: Path, clips: dict[str, Samples], **of_each: str) -> ManifestSource:
    lines = []
    for name, samples in clips.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE_HZ)
        split = of_each.get(name, "train")
        row = {"id": name, "audio": f"{name}.wav", "text": f"문장 {name}", "split": split}
        lines.append(json.dumps(row))
    path = folder / "list.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return ManifestSource(source="manifest", language="ko", path=path)


def given(source: ManifestSource, **options: Any) -> ManifestSource:
    return ManifestSource.model_validate({**source.model_dump(), **options})


def stored(folder: Path) -> dict[str, Samples]:
    corpus = Corpus.open(folder)
    return {
        record.id: corpus.samples(record)
        for split in ("train", "dev", "test")
        for record in corpus.records(split)
    }


def ids_in(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


# -- silence and offset


@pytest.mark.parametrize(("before_s", "after_s"), [(1.5, 0.0), (0.2, 2.0), (0.0, 0.0)])
def test_so_much_silence_is_left_at_each_end(before_s: float, after_s: float) -> None:
    speech = tone(1.0)
    clip = np.concatenate([silence(before_s), speech, silence(after_s)])
    left = SoundForm(trim_silence_s=0.3).apply(clip)
    expected_s = 1.0 + min(before_s, 0.3) + min(after_s, 0.3)
    assert len(left) / RATE_HZ == pytest.approx(expected_s, abs=0.02)
    start = round(min(before_s, 0.3) * RATE_HZ)
    # What is kept is what was there, not moved by more than a frame.
    assert np.abs(np.correlate(left, speech, "valid")).argmax() == pytest.approx(start, abs=160)


def test_speech_and_noise_are_never_cut() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32)
    for clip in (tone(1.0), noise, tone(0.025), silence(1.0)):
        assert np.array_equal(SoundForm(trim_silence_s=0.05).apply(clip), clip)


def test_a_quiet_end_of_speech_stays() -> None:
    """30 dB under the rest, as a last consonant may be."""
    clip = np.concatenate([tone(1.0, 0.5), tone(0.2, 0.5 * 10 ** (-30 / 20)), silence(1.0)])
    left = SoundForm(trim_silence_s=0.1).apply(clip)
    assert len(left) / RATE_HZ == pytest.approx(1.3, abs=0.02)


def test_an_offset_is_taken_off_and_nothing_exceeds_full_scale() -> None:
    clip = tone(1.0)
    assert np.allclose(
        SoundForm(remove_offset=True).apply(clip + np.float32(0.05)), clip, atol=1e-6
    )
    one_sided = np.clip(tone(1.0, 2.0), -1.0, 0.0)
    mended = SoundForm(remove_offset=True).apply(one_sided)
    assert mended.mean() == pytest.approx(0, abs=1e-6)
    assert np.abs(mended).max() <= 1.0


def test_prepare_stores_clips_in_the_form_that_was_asked_for(tmp_path: Path) -> None:
    clip = np.concatenate([silence(1.5), tone(1.0), silence(1.0)]) + np.float32(0.05)
    source = recordings(tmp_path, {"a": clip.astype(np.float32)})
    prepare("plain", source, tmp_path / "plain")
    assert len(stored(tmp_path / "plain")["a"]) == len(clip)
    card = prepare(
        "mended", given(source, trim_silence_s=0.3, remove_offset=True), tmp_path / "mended"
    )
    samples = stored(tmp_path / "mended")["a"]
    assert len(samples) / RATE_HZ == pytest.approx(1.6, abs=0.02) == card.duration_s
    assert samples[:1_000].max() < 0.001


def test_options_of_before_and_new_ones_left_out_give_the_same_description(tmp_path: Path) -> None:
    source = recordings(tmp_path, {"a": tone(1.0)})
    described = described_options(source)
    assert not {"exclude", "trim_silence_s", "remove_offset"} & set(described)
    changed = [
        described_options(given(source, **option))
        for option in (
            {"trim_silence_s": 0.3},
            {"trim_silence_s": 0.5},
            {"remove_offset": True},
            {"exclude": ids_in(tmp_path / "ids.txt", "a")},
        )
    ]
    assert all(one != other for one in changed for other in [described] if one != described)
    assert len({json.dumps(each, sort_keys=True) for each in [described, *changed]}) == 5


@pytest.mark.parametrize("seconds", [0, 0.01, -1, float("nan"), float("inf")])
def test_a_trim_that_would_cut_speech_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="trim_silence_s"):
        SourceOptions(trim_silence_s=seconds)


# -- exclude


def test_excluded_ids_are_quarantined_with_their_note(tmp_path: Path) -> None:
    names = ("a", "b", "c", "다")
    source = recordings(tmp_path, {name: tone(1.0 + 0.1 * i) for i, name in enumerate(names)})
    decomposed = unicodedata.normalize("NFD", "다")  # as macOS writes it
    ids = ids_in(tmp_path / "ids.txt", "b\tother-text", decomposed, "", "gone")
    card = prepare("mine", given(source, exclude=ids), tmp_path / "out")
    assert set(stored(tmp_path / "out")) == {"a", "c"}
    assert (card.read, card.taken, card.reasons) == (4, 2, {"excluded": 2})
    assert card.notes == {"excluded-not-there": 1}
    lines = (tmp_path / "out" / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["b", "다"]
    assert "other-text" in json.loads(lines[0])["detail"]


def test_the_corpus_is_made_again_when_the_list_changes_and_only_then(tmp_path: Path) -> None:
    source = recordings(tmp_path, {name: tone(1.0 + 0.1 * i) for i, name in enumerate("abc")})
    ids = ids_in(tmp_path / "ids.txt", "a", "b")
    prepare("mine", given(source, exclude=ids), tmp_path / "out")
    moved = ids_in(tmp_path / "other.txt", "b", "a")
    assert is_prepared("mine", given(source, exclude=moved), tmp_path / "out")
    ids_in(ids, "a")
    assert not is_prepared("mine", given(source, exclude=ids), tmp_path / "out")


def entry(name: str, text: str, split: str = "train") -> Utterance:
    return Utterance(name, b"", text, "ko", split)  # type: ignore[arg-type]


def taken(entries: list[Utterance], **options: Any) -> list[str]:
    found = select(lambda: entries, SourceOptions(**options))
    return [each.id for each in found if isinstance(each, Utterance)]


def test_what_is_excluded_holds_nothing_out_and_takes_no_room_under_a_cap(tmp_path: Path) -> None:
    entries = [entry("a", "하나"), entry("b", "둘"), entry("c", "하나", "test"), entry("d", "셋")]
    assert taken(entries) == ["b", "c", "d"]
    without_test = ids_in(tmp_path / "test.txt", "c")
    assert taken(entries, exclude=without_test) == ["a", "b", "d"]
    capped = taken(entries, exclude=without_test, max_utterances=2)
    first = ids_in(tmp_path / "first.txt", "c", capped[0])
    after = taken(entries, exclude=first, max_utterances=2)
    assert len(after) == 2
    assert capped[0] not in after


@pytest.mark.parametrize("cap", [None, 1])
def test_ids_that_are_not_there_are_counted_once_at_the_end(
    tmp_path: Path, cap: int | None
) -> None:
    ids = ids_in(tmp_path / "ids.txt", "x", "a", "y", "r")
    entries = [entry("a", "하나"), entry("b", "둘"), Rejected("r", "empty-text", "", "")]
    options = SourceOptions(exclude=ids, max_utterances=cap)
    found = list(select(lambda: entries, options))
    assert found.count(Note("excluded-not-there")) == 2
    assert found[-1] == Note("excluded-not-there")


def test_a_list_is_read_as_lines_of_any_system(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes("\ufeff가 나\r\nclip 1.wav\tnoise\r\n\r\na\u2028b".encode())
    assert read_ids(path) == {"가 나": "", "clip 1.wav": "noise", "a\u2028b": ""}


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe\x00", "not a list of ids"), (b'{"findings": []}', "is JSON, not a list of ids")],
)
def test_what_is_no_list_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_ids(path)
    with pytest.raises(UserError, match="not a list of ids"):
        read_ids(tmp_path)


RECIPE = """
name: mending
language: ko
output: out
model: {base: "builtin:tiny"}
corpora:
  mine: {source: manifest, path: list.jsonl, exclude: LIST}
cases: {a: {mode: lora, train: [mine]}}
evaluate: {mine: {corpus: mine, task: asr}}
"""


def test_a_list_is_looked_for_beside_the_recipe_and_must_be_there(tmp_path: Path) -> None:
    recordings(tmp_path, {"a": tone(1.0)})
    ids = ids_in(tmp_path / "ids.txt", "a")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("LIST", "ids.txt"), encoding="utf-8")
    assert load_recipe(recipe).corpora["mine"].exclude == ids
    recipe.write_text(RECIPE.replace("LIST", "no.txt"), encoding="utf-8")
    with pytest.raises(UserError, match=r'recipe.yaml:7: "exclude" in corpus "mine": no.txt'):
        load_recipe(recipe)
