"""Findings across splits and corpora: sentences, speakers and recordings that stand in both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from soritune.corpus.split import sentence_key
from soritune.doctor.duplicates import Copy
from soritune.doctor.findings import Finding
from soritune.doctor.make import Hit, make_finding
from soritune.doctor.scan import Utterance
from soritune.doctor.sentences import near_sentences

HELD_OUT = ("dev", "test")


def sentence_findings(
    utterances: Sequence[Utterance],
    names: Sequence[str],
    advance: Callable[[float], None] = lambda amount: None,
) -> Iterator[Finding]:
    """For dev and test of each corpus: sentences that the training of each corpus has, too."""
    trained: dict[int, dict[str, Utterance]] = {place: {} for place in range(len(names))}
    for utterance in utterances:
        if utterance.split == "train":
            trained[utterance.corpus].setdefault(sentence_key(utterance.text), utterance)
    for split in HELD_OUT:
        for place in range(len(names)):
            held_out: defaultdict[str, list[Utterance]] = defaultdict(list)
            for utterance in utterances:
                if utterance.corpus == place and utterance.split == split:
                    held_out[sentence_key(utterance.text)].append(utterance)
            held_out.pop("", None)
            size = sum(map(len, held_out.values()))
            for other, own in trained.items():
                if held_out and own:
                    where = f"{split} against train of {names[other]}"
                    yield from _compare(held_out, own, names, size, where, advance)


def _compare(
    held_out: dict[str, list[Utterance]],
    trained: dict[str, Utterance],
    names: Sequence[str],
    size: int,
    where: str,
    advance: Callable[[float], None],
) -> Iterator[Finding]:
    exact = [
        Hit(utterance, f"trained as {trained[key].id}", 0)
        for key, own in held_out.items()
        if key in trained
        for utterance in own
    ]
    left = [key for key in held_out if key not in trained]
    others = list(trained)
    near = [
        Hit(
            utterance,
            f"{found.ratio:.0f} % as {trained[others[found.other]].id}: "
            f"{trained[others[found.other]].text}",
            found.ratio,
        )
        for found in near_sentences(left, others, advance=advance)
        for utterance in held_out[left[found.one]]
    ]
    for check, hits in (("shared-sentence", exact), ("near-sentence", near)):
        finding = make_finding(check, names, hits, size, where=where)
        if finding is not None:
            yield finding


def speaker_findings(utterances: Sequence[Utterance], names: Sequence[str]) -> Iterator[Finding]:
    """Dev and test utterances of speakers whom the training of the same corpus has, too.

    Names of speakers of different corpora mean different people, so they are not compared.
    """
    trained: defaultdict[int, set[str]] = defaultdict(set)
    for utterance in utterances:
        if utterance.split == "train" and utterance.speaker is not None:
            trained[utterance.corpus].add(utterance.speaker)
    for place in range(len(names)):
        for split in HELD_OUT:
            own = [u for u in utterances if u.corpus == place and u.split == split]
            hits = [Hit(u, f"speaker {u.speaker}", 0) for u in own if u.speaker in trained[place]]
            where = f"{split} against train of {names[place]}"
            finding = make_finding("shared-speaker", names, hits, len(own), where=where)
            if finding is not None:
                yield finding


def copy_findings(
    utterances: Sequence[Utterance], copies: Sequence[Copy], names: Sequence[str]
) -> Iterator[Finding]:
    """Recordings that are there again: across the splits, with other words, or just again."""
    groups: defaultdict[int, list[Copy]] = defaultdict(list)
    for copy in copies:
        groups[copy.original].append(copy)
    hits: defaultdict[tuple[str, int], list[Hit]] = defaultdict(list)
    for original, own in groups.items():
        members = [(original, own[0].error_rate), *((c.utterance, c.error_rate) for c in own)]
        trained = [place for place, _ in members if utterances[place].split == "train"]
        for place, rate in members:
            utterance = utterances[place]
            if trained and utterance.split in HELD_OUT:
                detail = _detail(rate, utterances[trained[0]], names)
                hits["shared-audio", utterance.corpus].append(Hit(utterance, detail, -rate))
        key = sentence_key(utterances[original].text)
        for copy in own:
            utterance = utterances[copy.utterance]
            other = utterances[original]
            detail = _detail(copy.error_rate, other, names)
            if sentence_key(utterance.text) != key:
                hit = Hit(utterance, f"{detail}: {other.text}", -copy.error_rate)
                hits["other-text", utterance.corpus].append(hit)
            elif (utterance.split in HELD_OUT) == (other.split in HELD_OUT):
                hit = Hit(utterance, detail, -copy.error_rate)
                hits["duplicate-audio", utterance.corpus].append(hit)
    sizes = [0] * len(names)
    for utterance in utterances:
        sizes[utterance.corpus] += 1
    for (check, corpus), own_hits in sorted(hits.items()):
        order = {u.utterance.id: u for u in own_hits}
        finding = make_finding(check, names, list(order.values()), sizes[corpus])
        if finding is not None:
            yield finding


def _detail(rate: float, other: Utterance, names: Sequence[str]) -> str:
    how = "the same samples" if rate == 0 else f"alike ({100 * rate:.0f} % of the bits differ)"
    return f"{how} as {names[other.corpus]}/{other.split}/{other.id}"
