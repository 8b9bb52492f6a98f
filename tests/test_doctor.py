"""The audit finds every planted fault and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from doctor_corpus import RATE_HZ, Clip, clean_clips, coded, ill_clips, prepared, speak

from soritune.doctor.audit import Audited, audit, open_sources
from soritune.doctor.catalogue import CHECKS
from soritune.doctor.duplicates import find_copies
from soritune.doctor.findings import Audit, Finding
from soritune.doctor.scan import scan
from soritune.doctor.shared_checks import OTHER_TEXT_WORST_RATE
from soritune.errors import UserError
from soritune.progress import track
from soritune.sources.formats.manifest import ManifestSource
from soritune.sources.options import SourceOptions
from soritune.utterance import sentence_key

CLIPS, PLANTED = ill_clips()
BY_MODEL = {"high-loss"}
BY_DAMAGE = {"changed-shard", "unreadable"}


def examine(*folders: Path, workers: int = 1) -> Audited:
    return audit(open_sources(folders), track=track, workers=workers)


def named(result: Audit, check: str) -> set[str]:
    return {name for finding in result.findings if finding.check == check for name in finding.ids}


def only(result: Audit, check: str) -> Finding:
    (finding,) = (finding for finding in result.findings if finding.check == check)
    return finding


@pytest.fixture(scope="module")
def ill_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("ill"), "ill", CLIPS)


@pytest.fixture(scope="module")
def ill(ill_folder: Path) -> Audited:
    return examine(ill_folder)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    root = tmp_path_factory.mktemp("clean")
    folders = [
        prepared(root / language, f"clean-{language}", clean_clips(language))
        for language in ("ko", "en")
    ]
    return examine(*folders)


def test_a_clean_corpus_has_no_finding(clean: Audited) -> None:
    assert [(f.check, f.corpus, f.ids) for f in clean.audit.findings] == []


@pytest.mark.parametrize("check", sorted(set(CHECKS) - BY_MODEL - BY_DAMAGE))
def test_every_planted_fault_is_found_and_nothing_else(ill: Audited, check: str) -> None:
    assert PLANTED[check]
    assert named(ill.audit, check) == PLANTED[check]


def test_the_numbers_of_a_finding_are_those_of_its_ids(ill: Audited) -> None:
    sizes = {"dev": 6, "test": 11}
    for finding in ill.audit.findings:
        of = sizes.get(finding.where.split()[0] if finding.where else "", len(CLIPS))
        assert finding.utterances == len(finding.ids) == len(set(finding.ids))
        assert finding.of == of
        assert finding.share == len(finding.ids) / of
        assert 0 < len(finding.examples) <= 5
        assert {example.id for example in finding.examples} <= set(finding.ids)


def test_errors_come_first(ill: Audited) -> None:
    order = [finding.severity for finding in ill.audit.findings]
    assert order == sorted(order, key=["error", "warning", "info"].index)
    assert ill.audit.errors == order.count("error") > 0


def test_a_copy_names_what_it_copies(ill: Audited) -> None:
    details = {
        example.id: example.detail
        for finding in ill.audit.findings
        if finding.check in ("duplicate-audio", "other-text", "shared-audio")
        for example in finding.examples
    }
    assert details["again-samples"] == "the same samples as ill/train/ko-train-11"
    assert details["again-mp3"].endswith("ill/train/ko-train-11")
    assert details["again-cut"].endswith("ill/train/ko-train-12")
    assert details["again-telephone"].endswith("ill/train/ko-train-13")
    assert details["again-test"].endswith("ill/train/ko-train-15")
    assert "ill/train/ko-train-14" in details["again-other"]


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("{} 평일에는 다섯 시에 일어나요", ("아내는", "친구는")),
        ("{} 백화점 건너편에 있어요", ("호텔은", "식당은")),
    ],
)
def test_another_word_by_the_same_synthetic_voice_is_no_wrong_transcript(
    tmp_path: Path, sentence: str, words: tuple[str, str]
) -> None:
    """Most of such clips is alike to the bit; they are different recordings all the same."""
    texts = [sentence.format(word) for word in words]
    clips = [
        Clip(f"c{place}", text, "ko", "train", "ko+m2", speak(text, "ko", "ko+m2", seed=5))
        for place, text in enumerate(texts)
    ]
    folder = prepared(tmp_path / "near", "near", clips)
    sources = open_sources([folder])
    (shard,) = scan(sources, 1, lambda amount: None)
    (copy,) = find_copies(shard.utterances, sources)  # so alike that it was compared
    assert copy.worst_rate > OTHER_TEXT_WORST_RATE + 0.04
    assert named(examine(folder).audit, "other-text") == set()


@pytest.mark.parametrize("codec", ["mp3", "ogg", "ulaw"])
def test_a_coded_copy_with_another_transcript_is_a_wrong_one(tmp_path: Path, codec: str) -> None:
    one, other = clean_clips("ko")[20], clean_clips("ko")[21]
    copy = coded(one.samples, codec, 8_000 if codec == "ulaw" else RATE_HZ)
    clips = [one, Clip("copy", other.text, "ko", "train", one.speaker, copy)]
    folder = prepared(tmp_path / "wrong", "wrong", clips)
    assert named(examine(folder).audit, "other-text") == {"copy"}


def test_the_result_does_not_depend_on_the_number_of_workers(
    ill: Audited, ill_folder: Path
) -> None:
    assert examine(ill_folder, workers=2).audit == ill.audit


def test_sentences_and_recordings_are_compared_between_corpora(tmp_path: Path) -> None:
    clips = clean_clips("ko")
    tests = [clip for clip in clips if clip.split == "test"]
    trained = [
        Clip(f"other-{clip.id}", clip.text, "ko", "train", "somebody", clip.samples)
        for clip in tests[:3]
    ]
    one = prepared(tmp_path / "one", "one", tests)
    other = prepared(tmp_path / "other", "other", trained)
    result = examine(one, other).audit
    expected = {clip.id for clip in tests[:3]}
    assert {f.check for f in result.findings} == {"shared-sentence", "shared-audio"}
    for check in ("shared-sentence", "shared-audio"):
        finding = only(result, check)
        assert finding.corpus == "one"
        assert set(finding.ids) == expected
    assert only(result, "shared-sentence").where == "test against train of other"


def test_corpora_of_one_name_keep_apart(tmp_path: Path) -> None:
    folders = [prepared(tmp_path / n, "mine", clean_clips("ko")[:2]) for n in ("a", "b")]
    result = examine(*folders).audit
    assert [corpus.name for corpus in result.corpora] == [str(folder) for folder in folders]
    assert named(result, "duplicate-audio") == {clip.id for clip in clean_clips("ko")[:2]}


def test_a_corpus_given_twice_is_a_mistake(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "a", "mine", clean_clips("ko")[:2])
    with pytest.raises(UserError, match="given twice"):
        examine(folder, tmp_path / "a" / ".." / "a")


def test_a_folder_without_a_corpus_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no prepared corpus"):
        examine(tmp_path)


def test_damaged_audio_and_changed_shards_are_found(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "mine", clean_clips("ko")[:8])
    shard = folder / "shards" / "00000.parquet"
    table = pq.read_table(shard)
    audio = table.column("audio").to_pylist()
    audio[3] = b"no flac"
    column = table.column_names.index("audio")
    pq.write_table(table.set_column(column, "audio", [audio]), shard, row_group_size=25)
    result = examine(folder).audit
    assert only(result, "unreadable").ids == [clean_clips("ko")[3].id]
    assert only(result, "changed-shard").utterances == 8
    assert only(result, "changed-shard").severity == "error"


def test_a_shard_that_is_no_parquet_is_one_line(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "mine", clean_clips("ko")[:2])
    (folder / "shards" / "00000.parquet").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"00000\.parquet: cannot be read"):
        examine(folder)


def test_facts_add_up(clean: Audited) -> None:
    for corpus, language in zip(clean.audit.corpora, ("ko", "en"), strict=True):
        clips = clean_clips(language)
        seconds = sum(len(clip.samples) for clip in clips) / 16_000
        assert corpus.utterances == len(clips) == sum(corpus.lengths.counts)
        assert corpus.duration_s == pytest.approx(seconds, abs=0.01)
        assert {name: split.utterances for name, split in corpus.splits.items()} == {
            "train": 44,
            "dev": 6,
            "test": 10,
        }
        (rate,) = corpus.rates
        assert rate.unit == {"ko": "syllables", "en": "letters"}[language]
        assert sum(rate.histogram.counts) == len(clips)
        shown = rate.histogram
        assert shown.low < shown.median < shown.high
        for histogram in (corpus.lengths, rate.histogram, corpus.snr):
            assert sum(histogram.durations_s) == pytest.approx(seconds, abs=0.01)
        most = corpus.speakers[0]
        own = [clip for clip in clips if clip.speaker == most.speaker]
        assert most.utterances == len(own)
        assert most.duration_s == pytest.approx(
            sum(len(clip.samples) for clip in own) / 16_000, abs=0.01
        )


def test_a_record_reads_back_as_it_was_written(ill: Audited) -> None:
    assert Audit.model_validate_json(ill.audit.model_dump_json()) == ill.audit


def test_each_mend_names_options_that_exist() -> None:
    known: dict[str, Any] = {**SourceOptions.model_fields, **ManifestSource.model_fields}
    named_options = set()
    for check in CHECKS.values():
        for span in re.findall(r"`([^`]+)`", check.fix):
            option = yaml.safe_load(span)
            if isinstance(option, dict):
                ManifestSource.model_validate({"source": "manifest", "path": "x", **option})
                (option,) = option
            assert option in known
            named_options.add(option)
    assert {"shared_sentences", "shared_speakers", "split_by", "exclude"} <= named_options
    assert {"text", "trim_silence_s", "remove_offset"} <= named_options


def test_the_planted_corpus_is_as_it_says() -> None:
    """Its own faults would let a check pass that does nothing."""
    keys = [sentence_key(clip.text) for clip in clean_clips("ko")]
    assert len(set(keys)) == len(keys)
    assert all(np.abs(clip.samples).max() < 0.99 for clip in clean_clips("ko"))
    assert set(PLANTED) | BY_MODEL | BY_DAMAGE == set(CHECKS)
