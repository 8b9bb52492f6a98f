"""Exports of a generated checkpoint: seconds, and peak memory beside that of the imports.

python benchmarks/export.py [--gigabytes 2] [--folder DIR]

Random weights in bfloat16 in the native layout with a LoRA of rank 64, written into a temporary
folder that is removed afterwards. Each export runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import torch
import transformers

from soritune.models import resolve
from soritune.models.lora import Lora
from soritune.models.lora_folder import write_lora
from soritune.models.phi4mm.family import FAMILY
from soritune.models.phi4mm.layout import TIED_HEAD, is_adapted
from soritune.models.phi4mm.loading import read_config
from soritune.models.phi4mm.modeling import Phi4SpeechForCausalLM
from soritune.models.shards import write_weights
from soritune.models.tensors import LazyTensor

HIDDEN, MLP, RANK = 2048, 8192, 64
SHARD_BYTES = 500_000_000

# Peak memory counts from after the imports and a first look at the folder.
CHILD = """
import sys, time
from pathlib import Path
from soritune.export.export import export
from soritune.models.stored import open_stored

def memory(key):
    return int(Path('/proc/self/status').read_text().split(key)[1].split()[0]) * 1024

open_stored(sys.argv[1])
Path('/proc/self/clear_refs').write_text('5')
before, start = memory('VmRSS:'), time.perf_counter()
done = export(sys.argv[1], sys.argv[2], Path(sys.argv[3]), max_shard_bytes=int(sys.argv[4]))
seconds = time.perf_counter() - start
print(seconds, before, memory('VmHWM:'), done.num_bytes)
"""


def random_tensor(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> LazyTensor:
    """Values that are drawn again from their seed at each read."""

    def read() -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return (torch.rand(shape, generator=generator) - 0.5).mul_(0.04).to(dtype)

    return LazyTensor(shape, dtype, read)


def generate(folder: Path, gigabytes: float) -> None:
    """A native folder of about that size, its LoRA in speech-lora/."""
    tiny = resolve("builtin:tiny")
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.md"))
    record = json.loads((tiny / "config.json").read_text(encoding="utf-8"))
    record |= {"hidden_size": HIDDEN, "intermediate_size": MLP, "dtype": "bfloat16"}
    per_layer = 2 * (3 * HIDDEN * HIDDEN + 3 * HIDDEN * MLP)
    record["num_hidden_layers"] = max(1, round(gigabytes * 1e9 / per_layer))
    (folder / "config.json").write_text(json.dumps(record), encoding="utf-8")
    with torch.device("meta"):
        state = Phi4SpeechForCausalLM(read_config(record, folder)).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items() if name != TIED_HEAD}
    weights = {
        name: random_tensor(shape, torch.bfloat16, seed)
        for seed, (name, shape) in enumerate(sorted(shapes.items()))
    }
    write_weights(weights, folder, max_shard_bytes=SHARD_BYTES)
    tensors = {}
    for seed, name in enumerate(filter(is_adapted, sorted(shapes))):
        rows, columns = shapes[name]
        layer = name.removesuffix(".weight")
        tensors[f"{layer}.lora_A.weight"] = random_tensor((RANK, columns), torch.float32, seed)
        tensors[f"{layer}.lora_B.weight"] = random_tensor((rows, RANK), torch.float32, seed)
    write_lora(Lora(RANK, 2 * RANK, 0.0, tensors), folder / "speech-lora", FAMILY.lora, None)


def measure(source: Path, target: str, out: Path) -> str:
    """A row of the table."""
    command = [sys.executable, "-c", CHILD, str(source), target, str(out), str(SHARD_BYTES)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, before, peak, size = map(float, done.stdout.split())
    largest = max(entry.shape[0] * entry.shape[1] for entry in _matrices(out))
    return (
        f"| {source.name} → {target} | {size / 1e9:.2f} GB | {seconds:.1f} | "
        f"{size / 1e6 / seconds:.0f} | {before / 1e6:.0f} MB | {(peak - before) / 1e6:.0f} MB | "
        f"{largest * 2 / 1e6:.0f} MB |"
    )


def _matrices(folder: Path):  # type: ignore[no-untyped-def]
    from soritune.models.checkpoint import read_checkpoint

    return [entry for entry in read_checkpoint(folder) if len(entry.shape) == 2]


def main() -> None:
    """Generate, export, print, remove."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        generate(folder / "native", options.gigabytes)
        print(
            f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, torch "
            f"{torch.__version__}, transformers {transformers.__version__}, "
            f"{torch.get_num_threads()} threads\n"
        )
        print(
            "| export | size | seconds | MB/s | memory before | peak beside it | largest tensor |"
        )
        print("|---|---|---|---|---|---|---|")
        print(measure(folder / "native", "original", folder / "original"), flush=True)
        print(measure(folder / "original", "native", folder / "again"), flush=True)
        shutil.rmtree(folder / "again")
        print(measure(folder / "original", "merged", folder / "merged"), flush=True)


if __name__ == "__main__":
    main()
