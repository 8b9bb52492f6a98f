"""`soritune transcribe --engine ray` on a cluster of this machine writes the local texts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from serving_server import english_clips

import soritune
from soritune.decoding.engine_ray import GROUP

NUM_CLIPS = 5 * GROUP


def transcripts(out: Path) -> list[dict[str, Any]]:
    _, *lines = out.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["transcript"] for line in lines]


def within(seconds: float, what: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


@pytest.mark.slow
def test_a_cluster_writes_the_same_texts_once_whatever_kills_the_command(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    clips = tmp_path / "clips"
    clips.mkdir()
    for number, (samples, _) in enumerate(english_clips(NUM_CLIPS)):
        soundfile.write(clips / f"{number}.wav", samples, 16_000)
    (clips / "bad.wav").write_bytes(b"not a recording")
    out = tmp_path / "texts.jsonl"
    command = [sys.executable, "-m", "soritune.cli", "transcribe", str(clips), "--out", str(out)]
    command += ["--model", "builtin:tiny", "--engine", "ray", "--workers", "1"]
    # Ray's processes find the packages where this one does.
    variables = os.environ | {"PYTHONPATH": ":".join(filter(None, sys.path))}
    first = subprocess.Popen(command, env=variables, start_new_session=True)
    try:
        # The first group is written while the second is at work.
        assert within(300, lambda: out.exists() and len(transcripts(out)) > 0)
    finally:
        first.kill()
        first.wait()
    done = len(transcripts(out))
    assert 0 < done < NUM_CLIPS
    again = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert again.returncode == 2  # of the one that cannot be read
    assert f"{done} of {NUM_CLIPS + 1} recordings are done" in again.stderr
    assert "bad.wav" in again.stderr
    found = transcripts(out)
    assert set(Counter(each["file"] for each in found).values()) == {1}
    local = soritune.load("builtin:tiny", device="cpu")
    names = sorted(clips.glob("[0-9]*.wav"))
    wanted = {each.file: each.text for each in local.transcribe(names)}
    assert {each["file"]: each["text"] for each in found} == wanted
    assert any(wanted.values())


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from soritune.decoding import engine_ray
    from soritune.errors import UserError

    monkeypatch.setattr(engine_ray, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r'pip install "soritune\[ray\]"'):
        engine_ray.RayRun("builtin:tiny", None, 1)
