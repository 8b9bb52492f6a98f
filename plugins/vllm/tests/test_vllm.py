"""vLLM writes what soritune writes: both layouts, LoRA in the weights and beside, all endpoints."""

from __future__ import annotations

import math
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import soundfile
from conftest import INSTRUCTIONS, REQUESTS, Made, answers, offline, whole
from running import Refused, Server, run

from soritune.tasks import Request, Task

ENGLISH = Request(Task.AST, target_language="en")


@pytest.mark.parametrize("to", ["original", "native", "merged", "weighted"])
def test_the_offline_engine_writes_what_soritune_writes(
    made: Made, clips: list[Path], tmp_path: Path, to: str
) -> None:
    """In the first two vLLM adds the LoRA to the weights; in the others the export did."""
    if to == "weighted":
        model = made.exported(to, made.trained, "original", 1.0)
    else:
        model = made.exported(to, made.trained, to)
    assert offline(model, clips, tmp_path / "texts.json") == [
        answers(made.trained, clips, request) for request in REQUESTS
    ]


def test_an_adapter_is_served_beside_the_base(
    made: Made, clips: list[Path], tmp_path: Path
) -> None:
    base = made.exported("base", "builtin:tiny", "original")
    adapter = made.exported("adapter", made.trained, "adapter")
    with_lora, without = (
        [answers(model, clips, request) for request in REQUESTS[:1]]
        for model in (made.trained, "builtin:tiny")
    )
    found = offline(
        base, clips, tmp_path / "texts.json", adapter=adapter, instructions=INSTRUCTIONS[:1]
    )
    assert found == with_lora + without
    assert sum(a != b for a, b in zip(*with_lora, *without, strict=True)) > len(clips) // 3


def test_longrope_is_not_lost(
    made: Made, longrope: Path, clips: list[Path], tmp_path: Path
) -> None:
    """As long as --max-model-len is not above the 4,096 positions of the short factors."""
    wanted = answers(longrope, clips)
    plain = answers(made.trained, clips)
    assert sum(a != b for a, b in zip(wanted, plain, strict=True)) > len(clips) // 3
    found = offline(longrope, clips, tmp_path / "texts.json", instructions=INSTRUCTIONS[:1])
    assert found == [wanted]


def test_more_positions_than_those_of_the_short_factors_are_refused(
    longrope: Path, clips: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        offline(longrope, clips[:1], tmp_path / "texts.json", max_model_len=8192)
    assert "Add --max-model-len 4096" in "".join(capfd.readouterr())


def test_the_server_names_base_and_adapter(served: Server) -> None:
    assert [model["id"] for model in served.get("/v1/models")["data"]] == [served.model, "speech"]


@pytest.mark.parametrize("at_once", [1, 8])
def test_transcriptions_are_those_of_soritune(
    served: Server, made: Made, clips: list[Path], at_once: int
) -> None:
    with ThreadPoolExecutor(at_once) as pool:
        found = pool.map(lambda clip: served.audio("transcriptions", clip, model="speech"), clips)
        assert [whole(text) for text in found] == answers(made.trained, clips)


def test_a_request_without_the_adapter_is_answered_by_the_base(
    served: Server, clips: list[Path]
) -> None:
    found = [whole(served.audio("transcriptions", clip)) for clip in clips[:8]]
    assert found == answers("builtin:tiny", clips[:8])


def test_a_stream_is_the_same_text_in_pieces(served: Server, clips: list[Path]) -> None:
    found = [whole(served.audio_stream("transcriptions", clip)) for clip in clips[:4]]
    assert found == answers("builtin:tiny", clips[:4])


def test_translations_are_those_of_soritune(served: Server, made: Made, clips: list[Path]) -> None:
    def translated(clip: Path, **fields: str) -> str:
        # As long as soritune's answer may be: the small model does not end all that it was not
        # trained for.
        limit = str(32 + math.ceil(25 * soundfile.info(clip).duration))
        fields = {"model": "speech", "max_completion_tokens": limit} | fields
        return whole(served.audio("translations", clip, **fields))

    assert [translated(clip) for clip in clips] == answers(made.trained, clips, ENGLISH)
    korean = [translated(clip, to_language="ko") for clip in clips[:8]]
    assert korean == answers(made.trained, clips[:8], REQUESTS[1])


@pytest.mark.parametrize("before", ["", "<|audio_1|>"], ids=["automatic", "own"])
@pytest.mark.parametrize("place", range(len(REQUESTS)), ids=[r.task.value for r in REQUESTS])
def test_a_chat_has_the_prompt_of_training(
    served: Server, made: Made, clips: list[Path], before: str, place: int
) -> None:
    """Whether the client writes where the clip is, or vLLM does, with a newline after it."""
    some = clips if before == "" else clips[:6]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(
            lambda clip: served.chat(before + INSTRUCTIONS[place], clip, model="speech"), some
        )
        assert [whole(text) for text in found] == answers(made.trained, some, REQUESTS[place])


def test_recordings_over_30_s_are_cut_and_the_texts_joined(
    served: Server, made: Made, recordings: list[Path], tmp_path: Path
) -> None:
    run(Path(__file__).with_name("cut.py"), str(tmp_path), *map(str, recordings))
    for recording in recordings:
        pieces = sorted((tmp_path / recording.stem).glob("*.wav"))
        assert len(pieces) == {"28": 1, "35": 2, "76": 3}[recording.stem]
        wanted = " ".join(answers(made.trained, pieces))
        found = served.audio(
            "transcriptions", recording, model="speech", max_completion_tokens="700"
        )
        assert whole(found) == wanted


def test_what_the_model_cannot_take_is_refused_with_a_reason(
    served: Server, clips: list[Path], recordings: list[Path]
) -> None:
    with pytest.raises(Refused, match="no place for a `prompt`") as caught:
        served.audio("transcriptions", clips[0], prompt="names: Kim")
    assert caught.value.status == 400
    with pytest.raises(Refused, match="over 40 s") as caught:
        served.chat(INSTRUCTIONS[0], recordings[-1])
    assert caught.value.status == 400
    for text in ("<|audio_2|>", "<|audio_1|><|endoftext11|>"):
        with pytest.raises(Refused, match="2 places for 1 clip") as caught:
            served.chat(text + INSTRUCTIONS[0], clips[0])
        assert caught.value.status == 400
