"""Which clips train with which task: fixed by the seed, near the shares that were asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from soritune.corpus.store import Corpus
from soritune.errors import UserError
from soritune.models.phi4mm.processor import Phi4mmProcessor
from soritune.recipe import TrainPart
from soritune.seeding import generator
from soritune.tasks import Answer, Request, Task
from soritune.training.examples import epoch_examples
from soritune.training.mixture import apportion, choose_records

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


def test_what_is_left_out_trains_in_no_epoch_and_the_rest_keeps_its_order(
    corpora: dict[str, Corpus],
) -> None:
    excluded = {("talks", "train"): {"train-3", "train-39"}, ("talks", "test"): {"train-0"}}
    parts = [part(), part("other", replay=0.5)]
    for epoch in range(2):
        chosen = choose_records(parts, corpora, 1, epoch, excluded)
        whole = [i for i in range(40) if i not in (3, 39)]
        assert [r.id for p, r in chosen if p.corpus == "talks"] == [f"train-{i}" for i in whole]
        assert len(chosen) == 38 + 19


def test_a_cap_is_filled_from_what_is_not_left_out(corpora: dict[str, Corpus]) -> None:
    first = ids([part(max_utterances=10)], corpora, 1, 0)
    excluded = {("talks", "train"): {name.removeprefix("talks/") for name in first}}
    found = choose_records([part(max_utterances=10)], corpora, 1, 0, excluded)
    assert len({record.id for _, record in found}) == 10
    assert not {f"talks/{record.id}" for _, record in found} & set(first)


def test_a_part_that_is_left_out_as_a_whole_is_an_error_that_names_the_key(
    corpora: dict[str, Corpus],
) -> None:
    excluded = {("talks", "train"): {f"train-{i}" for i in range(40)}}
    with pytest.raises(UserError, match=r'corpus "talks".*shared_sentences: keep'):
        choose_records([part()], corpora, 1, 0, excluded)


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


def test_weights_divide_an_epoch_that_is_as_long_as_their_utterances(
    corpora: dict[str, Corpus],
) -> None:
    # 40 + 12 utterances; 3 to 1 of 52 is 39 to 13.
    found = Counter(
        name.partition("/")[0]
        for name in ids([part(weight=3), part("other", weight=1)], corpora, 1, 0)
    )
    assert found == {"talks": 39, "other": 13}
    doubled = [part(weight=6), part("other", weight=2)]
    assert ids(doubled, corpora, 1, 0) == ids(
        [part(weight=3), part("other", weight=1)], corpora, 1, 0
    )


def test_a_weighted_part_repeats_nothing_before_all_had_their_turn(
    corpora: dict[str, Corpus],
) -> None:
    parts = [part(weight=1), part("other", weight=1)]  # 26 of 40, and 26 of 12
    epochs = [ids(parts, corpora, 1, epoch) for epoch in range(4)]
    talks = [name for epoch in epochs for name in epoch if name.startswith("talks/")]
    assert set(Counter(talks[:40]).values()) == {1}
    assert sorted(Counter(talks).values()) == [2] * 16 + [3] * 24  # 104 draws of 40
    other = Counter(name for name in epochs[0] if name.startswith("other/"))
    assert sorted(other.values()) == [2] * 10 + [3] * 2
    assert epochs[1] == ids(parts, corpora, 1, 1) != epochs[0]


def test_a_part_without_a_weight_is_whole_beside_those_with_one(
    corpora: dict[str, Corpus],
) -> None:
    parts = [part(), part("other", weight=5)]
    found = ids(parts, corpora, 1, 0)
    assert Counter(found) == Counter(ids([part(), part("other")], corpora, 1, 0))


def test_replay_counts_the_weighted_parts_too(corpora: dict[str, Corpus]) -> None:
    parts = [part(weight=1), part("other", replay=0.1)]
    assert len(ids(parts, corpora, 1, 0)) == 40 + 4


@pytest.mark.parametrize(
    ("total", "weights", "counts"),
    [
        (10, [1, 1, 1], [4, 3, 3]),  # 3.33 each: the first has the place that is left
        (10, [0.5, 0.3, 0.2], [5, 3, 2]),
        (7, [2, 1], [5, 2]),  # 4.67 and 2.33
        (5, [1000, 1, 1], [3, 1, 1]),  # nobody goes without
        (2, [1, 1, 1], [1, 1, 1]),
        (0, [], []),
    ],
)
def test_counts_are_divided_by_the_largest_remainders(
    total: int, weights: list[float], counts: list[int]
) -> None:
    assert apportion(total, weights) == counts


def test_a_cap_by_utterances_is_the_same_in_every_epoch_and_whatever_stands_beside_it(
    corpora: dict[str, Corpus],
) -> None:
    alone = ids([part(max_utterances=7)], corpora, 1, 0)
    assert len(alone) == 7
    assert ids([part(max_utterances=7)], corpora, 1, 5) == alone
    beside = ids([part("other", share=0.5), part(max_utterances=7)], corpora, 1, 2)
    assert [name for name in beside if name.startswith("talks/")] == alone
    assert set(alone) < set(ids([part(max_utterances=20)], corpora, 1, 0))
    assert ids([part(max_utterances=7)], corpora, 2, 0) != alone
    assert len(ids([part(max_utterances=1000)], corpora, 1, 0)) == 40


def test_a_cap_by_hours_takes_no_more_than_that(corpora: dict[str, Corpus]) -> None:
    records = {r.id: r.duration_s for r in corpora["talks"].records("train")}
    for max_s in (3.0, 10.0):
        chosen = choose_records([part(max_hours=max_s / 3600)], corpora, 1, 0)
        total_s = sum(record.duration_s for _, record in chosen)
        assert max_s - max(records.values()) < total_s <= max_s + 1e-6
    small, large = (set(ids([part(max_hours=s / 3600)], corpora, 1, 0)) for s in (3, 10))
    assert small < large


def test_a_cap_that_lets_nothing_through_is_an_error(corpora: dict[str, Corpus]) -> None:
    with pytest.raises(UserError, match="max_hours 1e-06 lets not one utterance"):
        ids([part(max_hours=1e-6)], corpora, 1, 0)


def test_a_replay_draws_from_what_its_cap_leaves(corpora: dict[str, Corpus]) -> None:
    capped = part("other", replay=0.2, max_utterances=3)
    found = {name for e in range(9) for name in ids([part(), capped], corpora, 1, e)}
    assert len([name for name in found if name.startswith("other/")]) == 3


@pytest.mark.parametrize("wrong", [{"weight": 1, "replay": 0.1}, {"weight": 0}, {"max_hours": -1}])
def test_weights_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"weight|greater than 0"):
        part(**wrong)


def test_an_empty_split_is_an_error(corpora: dict[str, Corpus]) -> None:
    with pytest.raises(UserError, match='"other" has no utterances in split "dev"'):
        choose_records([part("other", split="dev")], corpora, 1, 0)


def test_tasks_come_near_their_shares_and_differ_between_epochs_but_not_between_runs(
    corpora: dict[str, Corpus], processor: Phi4mmProcessor
) -> None:
    parts = [part(tasks={"asr": 2, "ast": 1, "ast-cot": 1})]

    def tasks(epoch: int) -> list[str]:
        found = epoch_examples(parts, corpora, processor, seed=3, epoch=epoch)
        return [example.request.task.value for example in found]

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
    assert example.request == Request(Task.AST_COT, "ko", "en")
    assert example.answer == Answer("문장 5 입니다", "this is sentence 5")
    item = processor.encode(
        corpora["talks"].samples(example.record), example.request, example.answer
    )
    assert example.num_tokens == len(item.prompt_ids) + len(item.target_ids or [])


def test_a_translation_task_without_translations_names_the_utterance(
    corpora: dict[str, Corpus], processor: Phi4mmProcessor
) -> None:
    parts = [part("other", tasks={"ast": 1}, to="en")]
    with pytest.raises(UserError, match="utterance train-0 has no translation"):
        epoch_examples(parts, corpora, processor, seed=0, epoch=0)
