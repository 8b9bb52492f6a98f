"""Two processes train what one would, and only the first touches the output folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from small_model import noise

from soritune.distributed import World
from soritune.training.checkpoints import last_checkpoint, seal

RECIPE = """
name: two
seed: 3
language: ko
output: {output}
model: {{base: {base}, dtype: float32, lora: {{r: 4, alpha: 8, dropout: {dropout}}}}}
corpora:
  mine: {{source: manifest, path: {folder}/list.jsonl}}
  other: {{source: manifest, path: {folder}/other.jsonl}}
cases:
  first: {{mode: lora+audio, train: [mine], batch_size: 5, warmup_steps: 0,
          learning_rate: 1.0e-3, max_tokens: 200}}
evaluate:
  korean: {{corpus: mine, task: asr}}
  others: {{corpus: other, task: asr}}
"""

# The command line with a checkpoint after every step, whose first process dies in the fourth.
KILLED = """
import os, signal
from soritune.training import trainer

trainer.MIN_SAVE_INTERVAL_S, trainer.SAVE_SHARE = 0.0, 1e9
step = trainer.SpeechTrainer.training_step

def dying(self, *args, **kwargs):
    if self.state.global_step == 3 and os.environ["RANK"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)

trainer.SpeechTrainer.training_step = dying
if __name__ == "__main__":
    from soritune.cli import main
    main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """21 clips to train, one of them a step by itself, and two to test.

    Two more would train, if another corpus did not test their sentences.
    """
    folder = tmp_path_factory.mktemp("two")
    lines = []
    for number in range(25):
        samples = noise(4_000 + 500 * number, number)
        soundfile.write(folder / f"{number}.wav", samples.astype(np.float32), 16_000)
        split = "test" if number in (21, 22) else "train"
        entry = {"id": str(number), "audio": f"{number}.wav", "text": f"문장 {number} 번"}
        lines.append(json.dumps({**entry, "split": split}))
    (folder / "list.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    others = [{**json.loads(line), "split": "test"} for line in lines[-2:]]
    text = "".join(json.dumps(entry) + "\n" for entry in others)
    (folder / "other.jsonl").write_text(text, encoding="utf-8")
    return folder


def write_recipe(folder: Path, base: Path, name: str, dropout: float = 0.0) -> Path:
    path = folder / f"{name}.yaml"
    text = RECIPE.format(output=folder / name, base=base, folder=folder, dropout=dropout)
    path.write_text(text, encoding="utf-8")
    return path


def start(
    num_processes: int, *words: str, program: Sequence[str] = ("-m", "soritune.cli")
) -> subprocess.Popen[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = ["-m", "torch.distributed.run", "--master-port", str(port)]
    torchrun += ["--nproc-per-node", str(num_processes)]
    command = [sys.executable, *(torchrun if num_processes > 1 else [])]
    return subprocess.Popen(
        [*command, *program, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    try:
        output, _ = process.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return output


def trained(out: Path) -> dict[str, torch.Tensor]:
    model = out / "cases/first/model"
    files = (model / "trained.safetensors", model / "speech-lora/adapter_model.safetensors")
    found: dict[str, torch.Tensor] = {}
    for file in files:
        found |= load_file(file)
    return found


@pytest.fixture(scope="module")
def alone(folder: Path, small_base: Path) -> Path:
    """A run of one process."""
    process = start(1, "run", str(write_recipe(folder, small_base, "alone")))
    output = finish(process)
    assert process.returncode == 0, output
    return folder / "alone"


@pytest.mark.slow
def test_two_processes_end_in_the_weights_of_one(
    folder: Path, alone: Path, small_base: Path
) -> None:
    process = start(2, "run", str(write_recipe(folder, small_base, "both")))
    output = finish(process)
    assert process.returncode == 0, output
    # The lines of one process: each once, though two were at work.
    for line in ("corpus mine: ", "trains ", "train first ", "evaluate original, korean"):
        assert output.count(line) >= 1, output
    assert output.count("  trains ") == 1
    one, two = trained(alone), trained(folder / "both")
    assert one.keys() == two.keys()
    base = load_file(small_base / "model.safetensors")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=2e-4, rtol=1e-3, msg=name)
        if name in base and tensor.ndim > 1:  # the tolerance is far below what was learnt
            assert float((tensor - base[name]).abs().max()) > 2e-3, name
    records = [
        json.loads((f / "cases/first/training.json").read_text()) for f in (alone, folder / "both")
    ]
    assert records[0]["steps"] == records[1]["steps"] == 5
    assert records[0]["utterances"] == records[1]["utterances"] == 21
    assert records[0]["excluded"] == records[1]["excluded"] == {"mine train": 2}
    assert records[0]["moved"] == records[1]["moved"]
    assert records[0]["final_loss"] == pytest.approx(records[1]["final_loss"], rel=1e-3)
    results = [
        json.loads((run / "results.json").read_text())["scores"] for run in (alone, folder / "both")
    ]
    assert [r["case"] for r in results[0]] == [r["case"] for r in results[1]]


@pytest.mark.slow
def test_two_killed_processes_go_on_and_end_in_the_bits_of_two_that_were_not(
    folder: Path, small_base: Path
) -> None:
    """With dropout, so that each process must have its own random state back."""
    words = ["--case", "first"]
    whole = start(2, "train", str(write_recipe(folder, small_base, "whole", dropout=0.1)), *words)
    output = finish(whole)
    assert whole.returncode == 0, output
    recipe = str(write_recipe(folder, small_base, "killed", dropout=0.1))
    (folder / "killed.py").write_text(KILLED, encoding="utf-8")
    killed = start(2, "train", recipe, *words, program=[str(folder / "killed.py")])
    output = finish(killed)
    assert killed.returncode != 0
    found = last_checkpoint(folder / "killed/cases/first/checkpoints", num_ranks=2)
    assert found is not None, output
    assert found.name in ("checkpoint-2", "checkpoint-3")
    again = start(2, "train", recipe, *words)
    output = finish(again)
    assert again.returncode == 0, output
    one, two = trained(folder / "whole"), trained(folder / "killed")
    assert [name for name, tensor in one.items() if not torch.equal(tensor, two[name])] == []


@pytest.mark.slow
def test_a_mistake_ends_both_processes_with_one_line_of_it(folder: Path, small_base: Path) -> None:
    process = start(2, "train", str(write_recipe(folder, small_base, "wrong")), "--case", "frist")
    output = finish(process)
    assert process.returncode != 0
    assert output.count('error: the recipe has no case "frist": did you mean "first"?') == 1


@pytest.mark.parametrize("command", ["prepare", "evaluate"])
def test_other_commands_are_for_one_process(
    folder: Path, small_base: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    from test_cli import invoke

    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    done = invoke(command, str(write_recipe(folder, small_base, command)))
    assert done.exit_code == 2
    assert "under torchrun only run and train work" in done.stderr
    assert not (folder / command).exists()


def test_a_crew_is_read_from_torchruns_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    alone = World.from_environment()
    assert (alone.is_main, alone.size, alone.device()) == (True, 1, None)
    assert (alone.broadcast("words"), alone.broadcast(None)) == ("words", None)
    for name, value in {"WORLD_SIZE": "8", "RANK": "5", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    world = World.from_environment()
    assert (world.rank, world.local_rank, world.size, world.is_main) == (5, 1, 8, False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert world.device() == "cuda:1"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert world.device() == "cpu"


def test_a_checkpoint_without_each_ranks_random_state_does_not_count(tmp_path: Path) -> None:
    for step, ranks in ((3, 2), (4, 1)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
        for rank in range(ranks):
            (folder / f"rng_state_{rank}.pth").touch()
        seal(folder)
    assert last_checkpoint(tmp_path, num_ranks=2) == tmp_path / "checkpoint-3"
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-4"
