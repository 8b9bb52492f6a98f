"""Which clips train with which task: fixed by the seed, near the shares that were asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.models.phi4mm.processor import Phi4mmProcessor
from soritune.recipe import TrainPart
from soritune.text.tasks import Task, instruction
from soritune.training.examples import Example, choose_records, epoch_examples, generator

Loader = Callable[[], object]


@pytest.fixture(scope="module")
def corpora(small_corpus: Corpus, other_corpus: Corpus) -> dict[str, Corpus]:
    return {"talks": small_corpus, "other": other_corpus}


@pytest.fixture
def processor(load_small: Loader) -> Phi4mmProcessor:
    return load_small().processor  # type: ignore[attr-defined,no-any-return]


def part(corpus: str = "talks", **settings: object) -> TrainPart:
    return TrainPart.model_validate({"corpus": corpus, **settings})


def ids(parts: list[TrainPart], corpora: dict[str, Corpus], seed: int, epoch: int) -> list[str]:
    return [f"{p.corpus}/{r.id}" for p, r in choose_records(parts, corpora, seed, epoch)]


def test_a_generator_gives_the_same_numbers_in_any_process() -> None:
    assert generator(7, "share", "talks").integers(1000, size=3).tolist() == [405, 962, 878]
    assert generator(7, "share", "other").integers(1000, size=3).tolist() != [405, 962, 878]


def test_a_whole_part_takes_each_utterance_of_its_split_once(corpora: dict[str, Corpus]) -> None:
    found = ids([part()], corpora, 1, 0)
    assert found == [f"talks/train-{i}" for i in range(40)]


def test_a_share_keeps_its_utterances_in_every_epoch(corpora: dict[str, Corpus]) -> None:
    chosen = [ids([part(share=0.25)], corpora, 1, epoch) for epoch in range(3)]
    assert len(chosen[0]) == len(set(chosen[0])) == 10
    assert chosen[0] == chosen[1] == chosen[2]
    assert ids([part(share=0.25)], corpora, 2, 0) != chosen[0]


def test_translations_into_another_language_than_asked_for_are_refused(
    corpora: dict[str, Corpus], processor: Phi4mmProcessor
) -> None:
    ast = part(tasks={"ast": 1}, to="de")
    with pytest.raises(UserError, match=r'is translated into en, but the case trains "to: de"'):
        epoch_examples([ast], corpora, processor, seed=1, epoch=0)


def test_a_larger_share_contains_the_smaller(corpora: dict[str, Corpus]) -> None:
    small, large = (set(ids([part(share=s)], corpora, 1, 0)) for s in (0.25, 0.5))
    assert small < large


def test_replay_is_a_fraction_of_all_others_and_drawn_anew(corpora: dict[str, Corpus]) -> None:
    parts = [part("other", replay=0.1), part()]
    epochs = [ids(parts, corpora, 1, epoch) for epoch in range(3)]
    replayed = [[i for i in epoch if i.startswith("other/")] for epoch in epochs]
    assert [len(r) for r in replayed] == [4, 4, 4]
    assert all(len(set(r)) == 4 for r in replayed)
    assert len({tuple(r) for r in replayed}) > 1
    assert epochs[1] == ids(parts, corpora, 1, 1)


def test_replay_beyond_the_corpus_repeats_each_utterance_as_evenly_as_it_can(
    corpora: dict[str, Corpus],
) -> None:
    found = Counter(ids([part(), part("other", replay=0.75)], corpora, 1, 0))
    others = [count for name, count in found.items() if name.startswith("other/")]
    assert sum(others) == 30
    assert sorted(others) == [2] * 6 + [3] * 6


def test_an_empty_split_is_an_error(corpora: dict[str, Corpus]) -> None:
    with pytest.raises(UserError, match='"other" has no utterances in split "dev"'):
        choose_records([part("other", split="dev")], corpora, 1, 0)


def task_of(example: Example) -> str:
    by_words = {
        instruction(task, "en" if task is not Task.ASR else None): task.value for task in Task
    }
    return by_words[example.instruction]


def test_tasks_come_near_their_shares_and_differ_between_epochs_but_not_between_runs(
    corpora: dict[str, Corpus], processor: Phi4mmProcessor
) -> None:
    parts = [part(tasks={"asr": 2, "ast": 1, "ast-cot": 1})]

    def tasks(epoch: int) -> list[str]:
        found = epoch_examples(parts, corpora, processor, seed=3, epoch=epoch)
        return [task_of(example) for example in found]

    counts = Counter(task for epoch in range(25) for task in tasks(epoch))
    # 1,000 draws: three standard deviations of a share of one half are 0.047.
    assert counts["asr"] / 1000 == pytest.approx(0.5, abs=0.05)
    assert counts["ast"] / 1000 == pytest.approx(0.25, abs=0.05)
    assert tasks(0) == tasks(0)
    assert tasks(0) != tasks(1)


def test_the_order_of_tasks_in_a_recipe_does_not_matter(
    corpora: dict[str, Corpus], processor: Phi4mmProcessor
) -> None:
    first, second = (
        epoch_examples([part(tasks=tasks)], corpora, processor, seed=3, epoch=0)
        for tasks in ({"asr": 1, "ast": 1}, {"ast": 1, "asr": 1})
    )
    assert first == second


def test_an_example_holds_words_answer_and_the_length_of_its_sequence(
    corpora: dict[str, Corpus], processor: Phi4mmProcessor
) -> None:
    example = epoch_examples([part(tasks={"ast-cot": 1})], corpora, processor, seed=0, epoch=0)[5]
    assert example.instruction == instruction(Task.AST_COT, "en")
    assert example.target == "문장 5 입니다 <sep> this is sentence 5"
    item = processor.encode(
        corpora["talks"].samples(example.record), example.instruction, example.target
    )
    assert example.num_tokens == len(item.prompt_ids) + len(item.target_ids or [])


def test_a_translation_task_without_translations_names_the_utterance(
    corpora: dict[str, Corpus], processor: Phi4mmProcessor
) -> None:
    parts = [part("other", tasks={"ast": 1}, to="en")]
    with pytest.raises(UserError, match="utterance train-0 has no translation"):
        epoch_examples(parts, corpora, processor, seed=0, epoch=0)
