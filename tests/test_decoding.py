"""What a clip is decoded to does not depend on its batch; a killed run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from small_model import ASR, noise

from soritune.audio import AudioError
from soritune.corpus.store import Corpus
from soritune.decoding.evaluate import decode_records
from soritune.decoding.hypotheses import Hypothesis, read_hypotheses
from soritune.decoding.transcriber import Failure, Transcriber
from soritune.models import load
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.phi4mm.prompts import parse
from soritune.models.speech_model import IGNORE, Generated, ModelInput
from soritune.tasks import Request, Task


@pytest.fixture(scope="module")
def model(small_base: Path) -> Phi4mm:
    """A random model whose answers end at different places, some only at their limit."""
    model = load(small_base, device="cpu", dtype="float32")
    assert isinstance(model, Phi4mm)
    model.module.generation_config.repetition_penalty = 1.3
    return model


LENGTHS = (3_000, 9_000, 16_000, 5_000, 12_345, 3_100, 15_000, 8_000)


def decode(model: Phi4mm, batch_size: int, beams: int) -> list[str]:
    inputs = [model.processor.encode(noise(n, n), ASR) for n in LENGTHS]
    limits = [6 + n // 1_600 for n in LENGTHS]
    found: list[str] = []
    for start in range(0, len(inputs), batch_size):
        end = start + batch_size
        answers = model.generate(inputs[start:end], limits[start:end], beams=beams)
        found += [answer.text for answer in answers]
    return found


@pytest.mark.parametrize("beams", [1, 2])
def test_transcripts_are_the_same_for_every_batch_size(model: Phi4mm, beams: int) -> None:
    alone = decode(model, 1, beams)
    assert len(set(alone)) > 3  # not all the same, so there is something to compare
    assert decode(model, 3, beams) == alone
    assert decode(model, 8, beams) == alone


def test_a_row_ends_at_its_own_limit(model: Phi4mm) -> None:
    inputs = [model.processor.encode(noise(n, n), ASR) for n in (9_000, 9_001)]
    alone = model.generate(inputs[:1], [4])
    together = model.generate(inputs, [4, 30])
    assert together[0].text == alone[0].text
    assert together[0].mean_logprob == pytest.approx(alone[0].mean_logprob, abs=1e-4)
    assert model.generate(inputs[:1], [30])[0].text != alone[0].text  # the limit did cut


def test_a_watcher_sees_each_answer_grow_and_ends_one_without_a_trace(model: Phi4mm) -> None:
    inputs = [model.processor.encode(noise(n, n), ASR) for n in (9_000, 16_000)]
    alone = model.generate(inputs[1:], [12])[0]
    seen: list[tuple[str, ...]] = []

    def watch(texts: Sequence[str]) -> list[bool]:
        seen.append(tuple(texts))
        return [len(seen) >= 3, False]

    short, long = model.generate(inputs, [12, 12], watch=watch)
    assert len(short.tokens) == 3
    assert long.tokens == alone.tokens
    assert seen[-1] == (short.text, long.text)
    assert [len(texts[1]) for texts in seen] == sorted(len(texts[1]) for texts in seen)


def test_logprobs_are_those_of_a_forward_pass(
    model: Phi4mm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.module.generation_config, "repetition_penalty", None)
    item = model.processor.encode(noise(9_000, 9_000), ASR)
    answer = model.generate([item], [8])[0]
    targets = ModelInput(item.features, item.prompt_ids, list(answer.tokens))
    batch = model.processor.collate([targets])
    labels = batch.pop("labels")
    with torch.inference_mode():
        logits = model.module(**batch).logits[labels.roll(-1, 1) != IGNORE]
    expected = logits.log_softmax(-1)[range(len(answer.tokens)), list(answer.tokens)]
    assert answer.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
    assert answer.mean_logprob == pytest.approx(float(expected.mean()), abs=1e-4)


@pytest.mark.parametrize("end", ["<|end|>", "<|endoftext|>"])
@pytest.mark.parametrize("beams", [1, 2])
def test_generation_stops_at_either_end_token(
    load_small: Callable[[], Phi4mm], end: str, beams: int
) -> None:
    model = load_small()
    wanted = model.processor.tokenizer.get_vocab()[end]
    steps: list[int] = []

    def always_end(_: object, inputs: object, logits: torch.Tensor) -> torch.Tensor:
        steps.append(1)
        logits[..., wanted] = 100.0
        return logits

    model.module.lm_head.register_forward_hook(always_end)
    inputs = [model.processor.encode(noise(9_000), ASR)]
    assert [answer.text for answer in model.generate(inputs, [40], beams=beams)] == [""]
    assert len(steps) < 5


def run(model: Phi4mm, corpus: Corpus, out: Path, **options: object) -> list[Hypothesis]:
    records = corpus.records("test")
    return decode_records(model, corpus, records, task=Task.ASR, to=None, out=out, **options)  # type: ignore[arg-type]


@pytest.fixture
def short_answers(monkeypatch: pytest.MonkeyPatch, model: Phi4mm) -> None:
    monkeypatch.setattr(model.processor, "max_new_tokens", lambda duration_s: 5, raising=False)


@pytest.mark.usefixtures("short_answers")
def test_hypotheses_stand_in_the_order_of_the_records_and_on_disk(
    model: Phi4mm, small_corpus: Corpus, tmp_path: Path
) -> None:
    done: list[int] = []
    found = run(model, small_corpus, tmp_path / "h.jsonl", batch_size=4, advance=done.append)
    records = small_corpus.records("test")
    assert [h.id for h in found] == [r.id for r in records]
    assert [h.reference for h in found] == [r.text for r in records]
    assert sorted(read_hypotheses(tmp_path / "h.jsonl"), key=lambda h: h.id) == found
    assert sum(done) == len(records)


@pytest.mark.usefixtures("short_answers")
def test_translations_are_compared_with_the_translation(
    model: Phi4mm, small_corpus: Corpus, tmp_path: Path
) -> None:
    records = small_corpus.records("test")[:2]
    out = tmp_path / "h.jsonl"
    found = decode_records(model, small_corpus, records, task=Task.AST, to="en", out=out)
    assert [h.reference for h in found] == [r.translation for r in records]


@pytest.mark.usefixtures("short_answers")
def test_a_killed_run_goes_on_without_redoing_and_without_its_cut_last_line(
    model: Phi4mm,
    small_corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = run(model, small_corpus, tmp_path / "whole.jsonl", batch_size=2)
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    killed = tmp_path / "killed.jsonl"
    killed.write_bytes(b"".join(lines[:4]) + lines[4][: len(lines[4]) // 2])
    assert len(read_hypotheses(killed)) == 4

    decoded: list[int] = []
    original = model.generate

    def counting(inputs: Any, limits: Any, **options: Any) -> list[Generated]:
        decoded.append(len(inputs))
        return original(inputs, limits, **options)

    monkeypatch.setattr(model, "generate", counting)
    advanced: list[int] = []
    assert run(model, small_corpus, killed, batch_size=2, advance=advanced.append) == whole
    assert sum(decoded) == len(whole) - 4
    assert advanced[0] == 4
    assert sum(advanced) == len(whole)
    ids = [json.loads(line)["id"] for line in killed.read_text(encoding="utf-8").splitlines()]
    assert sorted(ids) == sorted({h.id for h in whole})

    decoded.clear()
    assert run(model, small_corpus, killed) == whole
    assert not decoded


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{index}.wav" for index in range(5)]
    for index, path in enumerate(paths):
        soundfile.write(path, noise(4_000 + 1_111 * (index * 3 % 5), index), 16_000)
    return paths


@pytest.mark.usefixtures("short_answers")
def test_a_bad_file_fails_in_its_place_and_the_others_go_on(
    model: Phi4mm, files: list[Path], tmp_path: Path
) -> None:
    files[2].write_bytes(b"no audio")
    paths = [*files, tmp_path / "absent.wav"]
    results = Transcriber(model).try_transcribe(paths, batch_size=2)
    assert [r.file for r in results] == [str(path) for path in paths]
    assert [isinstance(r, Failure) for r in results] == [False, False, True, False, False, True]
    for result, path in ((results[2], paths[2]), (results[5], paths[5])):
        assert isinstance(result, Failure)
        assert str(path) in result.error


@pytest.mark.usefixtures("short_answers")
def test_transcribe_raises_for_a_bad_file_and_keeps_the_order_otherwise(
    model: Phi4mm, files: list[Path]
) -> None:
    transcriber = Transcriber(model)
    together = transcriber.transcribe(files, batch_size=3, keep_unsure=True)
    alone = [transcriber.transcribe(path, keep_unsure=True)[0] for path in files]
    assert [(t.file, t.text) for t in together] == [(t.file, t.text) for t in alone]
    assert [t.duration_s for t in together] == pytest.approx(
        [soundfile.info(path).duration for path in files]
    )
    files[1].unlink()
    with pytest.raises(AudioError, match=r"1\.wav"):
        transcriber.transcribe(files)


def test_a_chain_of_thought_is_split_into_transcript_and_translation(
    model: Phi4mm, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "generate", lambda *_, **__: [Generated("안녕 <sep> hello", -0.1)])
    (found,) = Transcriber(model).transcribe(
        files[0],
        task="ast-cot",
        to="en",
        keep_unsure=True,  # noise: nobody speaks
    )
    assert (found.file, found.text, found.translation) == (str(files[0]), "안녕", "hello")


@pytest.mark.parametrize(
    ("output", "scored", "transcript", "translation"),
    [
        ("안녕 <sep> hello", "hello", "안녕", "hello"),
        ("안녕<sep>hello", "hello", "안녕", "hello"),
        ("안녕 <sep> <sep> hello ", "hello", "안녕", "hello"),
        ("안녕 <sep> hello <sep> 안녕", "hello", "안녕", "hello"),
        ("안녕 <sep>", "", "안녕", ""),
        ("안녕 < SEP > hello", "hello", "안녕", "hello"),
        ("안녕 [sep] hello", "hello", "안녕", "hello"),
        ("안녕 </sep> hello", "hello", "안녕", "hello"),
        ("안녕 <구분> hello", "hello", "안녕", "hello"),
        ("안녕 <<sep>> hello", "hello", "안녕", "hello"),
        ("안녕 <|sep|> hello", "hello", "안녕", "hello"),
        ("안녕 <se", "", "안녕", ""),
        ("<sep> hello", "hello", "", "hello"),
        (" hello ", "hello", "hello", None),
        ("", "", "", None),
    ],
)
def test_answers_of_a_chain_of_thought_are_read_tolerantly(
    output: str, scored: str, transcript: str, translation: str | None
) -> None:
    found = parse(Request(Task.AST_COT, "ko", "en"), output)
    assert found.scored == scored
    assert found.transcript == transcript
    assert found.translation == translation


@pytest.mark.parametrize("task", [Task.ASR, Task.AST])
def test_without_chain_of_thought_the_whole_output_is_the_answer(task: Task) -> None:
    request = Request(task, "ko", None if task is Task.ASR else "en")
    assert parse(request, " a <sep> b ").scored == "a <sep> b"
