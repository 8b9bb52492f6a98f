"""Nothing but a UserError comes out of what reads files, whatever is in them; nothing hangs.

Good inputs are damaged by a seed: SORITUNE_FUZZ sets the number of cases of each kind (`make fuzz`
runs ten thousand), SORITUNE_FUZZ_FROM the first seed, so that they can be run in parts. A failure
prints the seed and the input.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import shutil
import tarfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soritune.audio import load_mono_16k
from soritune.errors import UserError
from soritune.experiment.stage import Stage
from soritune.models import describe, load
from soritune.models.registry import family_of
from soritune.recipe import load_recipe
from soritune.sources.clips import archive_errors, read_archive
from soritune.sources.formats.tables import json_lines, table_lines
from soritune.training.summary import TrainingSummary

CASES = int(os.environ.get("SORITUNE_FUZZ", "200"))
FIRST = int(os.environ.get("SORITUNE_FUZZ_FROM", "0"))
MAX_S = 10.0  # of the processor for one case, so that a busy machine counts for nothing
MAX_GROWTH_BYTES = 500 * 2**20
# What breaks parsers: extreme numbers, marks of formats, bytes that are not text.
ODD = (
    *(b"NaN", b"1e999", b"-1", b"9" * 40, b"null", b"[]", b"{", b'"', b"\xff", b"\0", b"\xf0\x9f"),
    *(b"[" * 3000, b"..", b"~", b"*a", b"&a", b"!!python/object:os.system", b"\xe2\x80\xae", b"\r"),
)

RECIPE = b"""\
name: t
language: ko
output: runs/t
model: {base: builtin:tiny, lora: {r: 4, alpha: 8}}
corpora: {c: {source: demo, train: 10}}
cases: {a: {mode: lora, train: [c], epochs: 3, learning_rate: 1e-3, batch_size: 4}}
evaluate: {e: {corpus: c, task: asr, metrics: [cer]}}
"""
MANIFEST = b'{"audio": "a.wav", "text": "\xea\xb0\x80", "offset": 1.5, "duration": 2}\n' * 3
TABLE = b'audio,text,speaker\na.wav,"b ""c""",1\nd.wav,e,2\n'
STAMP = b'{"fingerprint": "f", "state": "done", "seconds": 1.0, "outcome": {"mode": "lora"}}'


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Return `content` with a few bytes changed, removed, repeated or replaced."""
    made = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(made) + 1)
        end = min(len(made), place + draw.choice((1, 1, 4, 40)))
        what = draw.randrange(5)
        if what == 0:
            made[place:end] = draw.choice(ODD)
        elif what == 1:
            made[place:end] = b""
        elif what == 2:
            made[place:place] = made[place:end] * draw.choice((1, 2, 50))
        elif what == 3:
            made[place:end] = bytes(draw.randrange(256) for _ in range(end - place))
        else:
            del made[place:]
    return bytes(made)


def fuzz(path: Path, content: bytes, read: Callable[[Path], object], *, share: float = 1.0) -> None:
    """Read damaged `content` from `path`: a result or a UserError of one line, soon, in bounds.

    Args:
        share: of the cases, where one takes long.
    """
    path.write_bytes(content)
    read(path)  # the good one
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for seed in range(FIRST, FIRST + max(1, round(CASES * share))):
        made = damaged(content, random.Random(f"{path.name} {seed}"))
        path.write_bytes(made)
        started_s = time.process_time()
        try:
            read(path)
        except UserError as error:
            assert "\n" not in str(error), (seed, made[:2000])  # noqa: PT017
        except Exception as error:
            raise AssertionError(f"case {seed}: {error!r} for {made[:2000]!r}") from error
        assert time.process_time() - started_s < MAX_S, (seed, made[:2000])
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
        assert grown < MAX_GROWTH_BYTES, (seed, made[:2000])


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a.wav", "가.txt"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    return file.getvalue()


def read_tar(path: Path) -> None:
    with archive_errors(path):
        for _, num_bytes, file in read_archive(path):
            file.read(min(num_bytes, 2**20))


def sound(form: str) -> bytes:
    file = io.BytesIO()
    samples = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    soundfile.write(file, samples, 16_000, format=form)
    return file.getvalue()


def test_recipes(tmp_path: Path) -> None:
    fuzz(tmp_path / "r.yaml", RECIPE, load_recipe)


def test_lists(tmp_path: Path) -> None:
    fuzz(tmp_path / "l.jsonl", MANIFEST, lambda path: list(json_lines(path)))
    fuzz(tmp_path / "l.csv", TABLE, lambda path: list(table_lines(path, [])))


def test_archives(tmp_path: Path) -> None:
    fuzz(tmp_path / "a.tar", tar(), read_tar)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
def test_audio(tmp_path: Path, form: str, capfd: pytest.CaptureFixture[str]) -> None:
    fuzz(tmp_path / f"a.{form.lower()}", sound(form), load_mono_16k)
    assert "callback" not in capfd.readouterr().err


def test_stamps(tmp_path: Path) -> None:
    fuzz(tmp_path / "s.json", STAMP, lambda path: Stage(path, "f", TrainingSummary).done())


def test_model_folders(small_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(small_base, folder)
    config = (folder / "config.json").read_bytes()
    read = partial(read_model, folder)
    fuzz(folder / "config.json", config, read, share=0.2)
    (folder / "config.json").write_bytes(config)
    record = json.dumps({"format": 1, "family": "phi4mm", "base": "builtin:tiny", "tensors": {}})
    fuzz(folder / "soritune.json", record.encode(), lambda path: describe(folder))


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]
)
@pytest.mark.parametrize("family", ["small_whisper", "small_qwen3_asr"])
def test_bases_of_other_families(
    family: str, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(request.getfixturevalue(family), folder)
    if not (folder / name).is_file():
        pytest.skip(f"{family} has no {name}")
    content = (folder / name).read_bytes()
    fuzz(folder / name, content, partial(read_model, folder), share=0.02)


@pytest.mark.parametrize(
    "name",
    [
        *("tokenizer.json", "tokenizer_config.json", "model.safetensors"),
        *("speech-lora/adapter_config.json", "speech-lora/adapter_model.safetensors"),
    ],
)
def test_files_of_a_base(native: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(native, folder)
    content = (folder / name).read_bytes()
    fuzz(folder / name, content, partial(read_model, folder), share=0.05)


def read_model(folder: Path, _path: Path) -> None:
    """Look at a model, find its family, load it: each on its own, whatever the others say."""
    refusals = 0
    loading = partial(load, device="cpu", dtype="float32")
    readers: list[Callable[[str], object]] = [describe, family_of, loading]
    for read in readers:
        try:
            read(str(folder))
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
            refusals += 1
    if refusals:
        raise UserError("refused")
