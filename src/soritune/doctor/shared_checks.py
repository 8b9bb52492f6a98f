"""Findings across splits and corpora: sentences, speakers and recordings that stand in both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from soritune.corpus.leakage import HELD_OUT
from soritune.doctor.duplicates import Copy
from soritune.doctor.findings import Finding
from soritune.doctor.make import Hit, make_finding
from soritune.doctor.scan import ScannedUtterance
from soritune.doctor.sentences import near_sentences
from soritune.utterance import sentence_key

OTHER_TEXT_WORST_RATE = 0.18
"""Of the bits in the worst quarter of a second, for copies whose words differ. Codecs and cuts stay
under 0.14; where a synthetic voice says another word in the same sentence, 0.21 and more differ
(docs/doctor.md)."""


def sentence_findings(
    utterances: Sequence[ScannedUtterance],
    names: Sequence[str],
    advance: Callable[[float], None] = lambda amount: None,
) -> Iterator[Finding]:
    """Find sentences of dev and test, of each corpus, that are in a training split."""
    trained: dict[int, dict[str, list[ScannedUtterance]]] = {
        place: {} for place in range(len(names))
    }
    for utterance in utterances:
        if utterance.split == "train":
            own = trained[utterance.corpus]
            own.setdefault(sentence_key(utterance.text), []).append(utterance)
    for split in HELD_OUT:
        for place in range(len(names)):
            held_out: defaultdict[str, list[ScannedUtterance]] = defaultdict(list)
            for utterance in utterances:
                if utterance.corpus == place and utterance.split == split:
                    held_out[sentence_key(utterance.text)].append(utterance)
            held_out.pop("", None)
            size = sum(map(len, held_out.values()))
            for other, of_train in trained.items():
                if held_out and of_train:
                    where = f"{split} against train of {names[other]}"
                    yield from _compare(held_out, of_train, names, size, where, advance)


def _compare(
    held_out: dict[str, list[ScannedUtterance]],
    trained: dict[str, list[ScannedUtterance]],
    names: Sequence[str],
    size: int,
    where: str,
    advance: Callable[[float], None],
) -> Iterator[Finding]:
    shared = [key for key in held_out if key in trained]
    exact = [
        Hit(utterance, f"trained as {trained[key][0].id}", 0)
        for key in shared
        for utterance in held_out[key]
    ]
    left = [key for key in held_out if key not in trained]
    others = list(trained)
    found = list(near_sentences(left, others, advance=advance))
    near = [
        Hit(
            utterance,
            f"{each.ratio:.0f} % as {trained[others[each.other]][0].id}: "
            f"{trained[others[each.other]][0].text}",
            each.ratio,
        )
        for each in found
        for utterance in held_out[left[each.one]]
    ]
    alike = [others[place] for place in sorted({place for each in found for place in each.others})]
    for check, hits, keys in (("shared-sentence", exact, shared), ("near-sentence", near, alike)):
        leave_out = [utterance for key in keys for utterance in trained[key]]
        finding = make_finding(check, names, hits, size, where=where, leave_out=leave_out)
        if finding is not None:
            yield finding


def speaker_findings(
    utterances: Sequence[ScannedUtterance], names: Sequence[str]
) -> Iterator[Finding]:
    """Find dev and test utterances of speakers who are in the training of the same corpus.

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
    utterances: Sequence[ScannedUtterance], copies: Sequence[Copy], names: Sequence[str]
) -> Iterator[Finding]:
    """Recordings that are there again: across the splits, with other words, or just again."""
    groups: defaultdict[int, list[Copy]] = defaultdict(list)
    for copy in copies:
        one, other = utterances[copy.utterance], utterances[copy.original]
        same = sentence_key(one.text) == sentence_key(other.text)
        if same or copy.worst_rate <= OTHER_TEXT_WORST_RATE:
            groups[copy.original].append(copy)
    hits: defaultdict[tuple[str, int], list[Hit]] = defaultdict(list)
    leave_out: defaultdict[tuple[str, int], list[ScannedUtterance]] = defaultdict(list)
    for original, own in groups.items():
        members = [(original, own[0].error_rate), *((c.utterance, c.error_rate) for c in own)]
        trained = [utterances[place] for place, _ in members if utterances[place].split == "train"]
        for place, rate in members:
            utterance = utterances[place]
            if trained and utterance.split in HELD_OUT:
                detail = _detail(rate, trained[0], names)
                hits["shared-audio", utterance.corpus].append(Hit(utterance, detail, -rate))
                leave_out["shared-audio", utterance.corpus] += trained
        key = sentence_key(utterances[original].text)
        for copy in own:
            utterance, other = utterances[copy.utterance], utterances[original]
            detail = _detail(copy.error_rate, other, names)
            if sentence_key(utterance.text) != key:
                hit = Hit(utterance, f"{detail}: {other.text}", -copy.error_rate)
                hits["other-text", utterance.corpus].append(hit)
                leave_out["other-text", utterance.corpus] += [other, utterance]
            elif (utterance.split in HELD_OUT) == (other.split in HELD_OUT):
                hit = Hit(utterance, detail, -copy.error_rate)
                hits["duplicate-audio", utterance.corpus].append(hit)
    sizes = [0] * len(names)
    for utterance in utterances:
        sizes[utterance.corpus] += 1
    for (check, corpus), own_hits in sorted(hits.items()):
        once = list({hit.utterance.id: hit for hit in own_hits}.values())
        finding = make_finding(
            check, names, once, sizes[corpus], leave_out=leave_out[check, corpus]
        )
        if finding is not None:
            yield finding


def _detail(rate: float, other: ScannedUtterance, names: Sequence[str]) -> str:
    how = "the same samples" if rate == 0 else f"alike ({100 * rate:.0f} % of the bits differ)"
    return f"{how} as {names[other.corpus]}/{other.split}/{other.id}"
