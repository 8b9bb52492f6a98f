"""A Ray cluster gives the bytes that this machine alone gives."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from made_source import contents, prepare_made

from soritune.corpus.chunk import Chunk, make_chunk
from soritune.corpus.folder import CorpusFolder
from soritune.corpus.job import versions
from soritune.corpus.ray_cluster import NodeResult, RayExecutor, _store, connect
from soritune.corpus.selection import Entry, Note
from soritune.errors import UserError
from soritune.utterance import Rejected, Utterance

NUM_ENTRIES = 22
CHUNK_SIZE = 3


def entries() -> Iterator[Entry | Note]:
    rng = np.random.default_rng(0)
    for index in range(NUM_ENTRIES):
        buffer = io.BytesIO()
        soundfile.write(buffer, 0.1 * rng.standard_normal(2000 + index), 22_050, format="WAV")
        if index % 5 == 2:
            yield Note("beyond-cap")
        elif index % 7 == 3:
            yield Rejected(f"u{index}", "bad-line", "no JSON", f"line {index}")
        else:
            speaker = f"s{index % 4}"
            yield Utterance(f"u{index}", buffer.getvalue(), f"문장 {index}", "ko", "train", speaker)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    path = {"env_vars": {"PYTHONPATH": ":".join([str(Path(__file__).parent), *sys.path])}}
    ray.init(
        num_cpus=2,
        object_store_memory=100 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env=path,
    )
    yield ray
    ray.shutdown()


def test_a_cluster_gives_the_same_bytes_and_goes_on_where_another_stopped(
    tmp_path: Path, cluster: Any
) -> None:
    told: list[float] = []
    for name, executor in (("local", None), ("ray", RayExecutor())):
        given = {} if executor is None else {"executor": executor}
        prepare_made(
            "c", entries(), tmp_path / name, chunk_size=CHUNK_SIZE, advance=told.append, **given
        )
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
    assert sum(told[: len(told) // 2]) == sum(told[len(told) // 2 :])

    def broken() -> Iterator[Any]:
        for number, entry in enumerate(entries()):
            if number == 15:
                raise UserError("the network is gone")
            yield entry

    with pytest.raises(UserError, match="network"):
        prepare_made("c", broken(), tmp_path / "b", chunk_size=CHUNK_SIZE, executor=RayExecutor())
    prepare_made("c", entries(), tmp_path / "b", chunk_size=CHUNK_SIZE)
    assert contents(tmp_path / "b") == contents(tmp_path / "local")


def made_of(tmp_path: Path, name: str) -> Chunk:
    entries = (Utterance("a", tmp_path / name, "글", "ko", "train"), Rejected("b", "bad", "x", "y"))
    return Chunk(0, (0, 1), entries, CorpusFolder(tmp_path))


def test_a_node_that_does_not_see_the_recordings_is_no_reason_to_leave_them_out(
    tmp_path: Path,
) -> None:
    chunk = made_of(tmp_path, "a.wav")
    made = NodeResult(*make_chunk(chunk), versions(), "n1")  # as on a node: the file is not there
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    with pytest.raises(UserError, match=r"node n1: does not see .*a\.wav"):
        _store(made, chunk, versions())


def test_a_node_with_other_libraries_is_refused(tmp_path: Path) -> None:
    chunk = made_of(tmp_path, "a.wav")
    made = NodeResult(*make_chunk(chunk), {**versions(), "soxr": "0.1"}, "n1")
    with pytest.raises(UserError, match=r"node n1: has soxr 0\.1"):
        _store(made, chunk, versions())


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://[::1]:1", "127.0.0.1:99999"])
def test_an_address_where_nothing_listens_is_one_line_at_once(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Ray itself tries for minutes; here it is not even asked."""
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=r"no Ray cluster at .*:\d+ \(.*\)\. Check it"):
        connect(None, None, "Check it")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install soritune\[ray\]"):
        prepare_made("c", entries(), tmp_path, executor=RayExecutor())
