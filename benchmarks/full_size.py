"""A checkpoint of the official sizes from end to end: seconds, peak memory, and the same logits.

python benchmarks/full_size.py [--folder DIR] [--device cuda|cpu] [--tiny]

1. write    random bfloat16 weights in the original layout: vision, both LoRAs, shards, index
2. load     without vision, as for transcribing
3. step     one optimizer step on the base's own speech LoRA (r 320), then saved
4. again    what was saved, on its base: the logits of a clip
5. generate 16 clips, 32 tokens each, together and one at a time
6. export   to the original layout
7. compare  the export loaded, its logits beside those of step 4

Each in a process of its own, so that peaks are its own. It takes 30 GB of disk and, without a GPU,
20 GB of memory. `--tiny` does all of it at the size of the small base.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

sys.path.insert(0, str(Path(__file__).parent))
from export import random_tensor
from training_step import FULL_AUDIO, FULL_LANGUAGE

from soritune.export.export import export
from soritune.models import load, resolve
from soritune.models.phi4mm import layout
from soritune.models.phi4mm.configuration import LoraShape, original_config
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.shards import write_weights
from soritune.models.tensors import LazyTensor
from soritune.tasks import Answer, Request, Task
from soritune.training.trainability import check_gradients, check_optimizer, set_trainable

SPEECH_LORA, VISION_LORA = LoraShape(320, 640, 0.0), LoraShape(256, 512, 0.0)
TINY_LORA = LoraShape(4, 8, 0.0)
# Parameters with both LoRAs and vision, the tied head not counted; mean and deviation of the 80 mel
# channels are tensors, but no parameters.
OFFICIAL_VALUES = 5_574_460_224 + 2 * 80
CLIP_S = 4.0
CLIPS, TOKENS = 16, 32
TEXT = "i would like a table for two please"
SEED = 7
Found = dict[str, float]


def configuration(tiny: bool) -> Phi4MultimodalConfig:
    """The small base's, or with the official sizes (vision has them by default)."""
    config = Phi4MultimodalConfig.from_pretrained(resolve("builtin:tiny"))
    if tiny:
        return config
    for key, value in FULL_LANGUAGE.items():
        setattr(config, key, value)
    for key, value in FULL_AUDIO.items():
        setattr(config.audio_config, key, value)
    config.vision_config = type(config.vision_config)()
    return Phi4MultimodalConfig.from_dict(config.to_dict())


def checkpoint_tensors(
    config: Phi4MultimodalConfig, speech: LoraShape, vision: LoraShape
) -> dict[str, LazyTensor]:
    """Every tensor of the original layout by its name there, read when it is written."""
    with torch.device("meta"):
        state = Phi4MultimodalForCausalLM(config).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items() if name != layout.TIED_HEAD}
    wanted = {layout.to_original(name): shape for name, shape in shapes.items()}
    for name in filter(layout.is_adapted, shapes):
        rows, columns = shapes[name]
        path = name.removesuffix(".weight")
        for adapter, lora in (("speech", speech), ("vision", vision)):
            wanted[f"{path}.lora_A.{adapter}.weight"] = (lora.r, columns)
            wanted[f"{path}.lora_B.{adapter}.weight"] = (rows, lora.r)
    return {
        name: random_tensor(shape, torch.bfloat16, seed)
        for seed, (name, shape) in enumerate(sorted(wanted.items()))
    }


def write(folder: Path, device: str, tiny: bool) -> Found:
    """Step 1; raises AssertionError where the values are not as many as the official ones."""
    base = folder / "base"
    config = configuration(tiny)
    lora = (TINY_LORA, TINY_LORA) if tiny else (SPEECH_LORA, VISION_LORA)
    files = shutil.ignore_patterns("*.safetensors", "*.md")
    shutil.copytree(resolve("builtin:tiny"), base, ignore=files)
    tensors = checkpoint_tensors(config, *lora)
    values = sum(math.prod(tensor.shape) for tensor in tensors.values())
    assert tiny or values == OFFICIAL_VALUES, values
    start = time.perf_counter()
    write_weights(tensors, base)
    seconds = time.perf_counter() - start
    record = original_config(config, speech_lora=lora[0], vision_lora=lora[1])
    (base / "config.json").write_text(json.dumps(record), encoding="utf-8")
    return {"seconds": seconds, "values": values, "bytes": size_of(base)}


def load_base(folder: Path, device: str, tiny: bool) -> Found:
    """Step 2."""
    model, seconds = timed_load(folder / "base", device)
    held = sum(parameter.nbytes for parameter in model.module.parameters())
    return {"seconds": seconds, "bytes": held}


def step(folder: Path, device: str, tiny: bool) -> Found:
    """Step 3."""
    model, _ = timed_load(folder / "base", device)
    trainable = set_trainable(model, "lora")
    model.checkpoint_layers()
    model.module.train()
    named = dict(model.module.named_parameters())
    optimizer = torch.optim.AdamW([named[name] for name in trainable.names], lr=1e-3)
    check_optimizer(model, optimizer, trainable)
    start = time.perf_counter()
    batch = model.processor.collate([example(model, TEXT)])
    batches = [{name: part.to(model.device) for name, part in batch.items()}]
    with torch.autocast(model.device.type, torch.bfloat16):
        loss = model.loss(batches[0], model.num_targets(batches[0]))
    loss.backward()  # type: ignore[no-untyped-call]
    check_gradients(model, trainable)
    optimizer.step()
    seconds = time.perf_counter() - start
    model.save(folder / "trained", trained=trainable.names, about={"mode": "lora"})
    values = sum(named[name].numel() for name in trainable.names)
    return {"seconds": seconds, "values": values, "loss": float(loss.detach())}


def again(folder: Path, device: str, tiny: bool) -> Found:
    """Step 4."""
    model, seconds = timed_load(folder / "trained", device)
    torch.save(logits(model), folder / "logits.pt")
    return {"seconds": seconds}


def generate(folder: Path, device: str, tiny: bool) -> Found:
    """Step 5; the seconds are those of all clips together."""
    model, _ = timed_load(folder / "trained", device)
    clip = example(model, None)
    model.generate([clip], [TOKENS])  # kernels are loaded
    seconds = []
    for batches in ([[clip]] * CLIPS, [[clip] * CLIPS]):
        start = time.perf_counter()
        for batch in batches:
            model.generate(batch, [TOKENS] * len(batch))
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1], "ratio": seconds[0] / seconds[1]}


def write_export(folder: Path, device: str, tiny: bool) -> Found:
    """Step 6."""
    start = time.perf_counter()
    export(str(folder / "trained"), "original", folder / "exported")
    return {"seconds": time.perf_counter() - start, "bytes": size_of(folder / "exported")}


def compare(folder: Path, device: str, tiny: bool) -> Found:
    """Step 7; raises AssertionError where the logits differ, or the step changed none."""
    model, seconds = timed_load(folder / "exported", device)
    before = torch.load(folder / "logits.pt", weights_only=True)
    found = logits(model)
    difference = float((found - before).abs().max())
    assert difference == 0, f"logits differ by {difference}"
    del model
    base, _ = timed_load(folder / "base", device)
    moved = float((logits(base) - before).abs().max())
    assert moved > 0, "the step changed no logits"
    return {"seconds": seconds, "difference": difference, "moved": moved}


STEPS: Mapping[str, Callable[[Path, str, bool], Found]] = {
    "write": write,
    "load": load_base,
    "step": step,
    "again": again,
    "generate": generate,
    "export": write_export,
    "compare": compare,
}


def timed_load(folder: Path, device: str) -> tuple[Phi4mm, float]:
    start = time.perf_counter()
    model = load(folder, device=device, dtype="bfloat16")
    if device == "cuda":
        torch.cuda.synchronize()
    assert isinstance(model, Phi4mm)
    return model, time.perf_counter() - start


def example(model: Phi4mm, target: str | None) -> Any:
    noise = np.random.default_rng(SEED).standard_normal(round(CLIP_S * 16_000))
    samples = (0.1 * noise).astype(np.float32)
    return model.processor.encode(
        samples, Request(Task.ASR, "ko"), None if target is None else Answer(target)
    )


def logits(model: Phi4mm) -> torch.Tensor:
    """Of every position of a clip with its transcript; float32, on the CPU."""
    batch = model.processor.collate([example(model, TEXT)])
    del batch["labels"]
    moved = {name: part.to(model.device) for name, part in batch.items()}
    moved["audio_input_features"] = moved["audio_input_features"].to(model.module.dtype)
    model.module.eval()
    with torch.inference_mode():
        found: torch.Tensor = model.module(**moved, use_cache=False).logits
    return found.float().cpu()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def peaks(device: str) -> Found:
    """Peak memory of this process and of the GPU so far, in bytes."""
    # Not ru_maxrss: a process inherits that from the one which started it.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = {"peak": float(int(status.split("VmHWM:")[1].split()[0]) * 1024)}
    if device == "cuda":
        found["gpu_peak"] = float(torch.cuda.max_memory_allocated())
    return found


def row(name: str, found: Found) -> str:
    notes = [
        f"{found[key]:,.0f} {what}" if key == "values" else f"{what} {found[key]:.4g}"
        for key, what in (
            ("values", "values"),
            ("loss", "loss"),
            ("difference", "largest difference of logits"),
            ("moved", "the step moved logits by up to"),
            ("ratio", "times as fast as one at a time:"),
        )
        if key in found
    ]
    size = f"{found['bytes'] / 1e9:.2f} GB" if "bytes" in found else ""
    gpu = f"{found['gpu_peak'] / 1e9:.2f} GB" if "gpu_peak" in found else ""
    return (
        f"| {name} | {found['seconds']:.1f} | {size} | {found['peak'] / 1e9:.2f} GB | {gpu} | "
        f"{'; '.join(notes)} |"
    )


def main() -> None:
    """Run the steps one after the other, print a row of each, remove the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tiny", action="store_true", help="the size of the small base")
    parser.add_argument("--only", choices=STEPS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        found = STEPS[given.only](given.folder, given.device, given.tiny)
        print(json.dumps({**found, **peaks(given.device)}))
        return
    where = torch.cuda.get_device_name() if given.device == "cuda" else platform.machine()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {where}, Python {platform.python_version()}, torch "
        f"{torch.__version__}, transformers {transformers.__version__}, "
        f"{torch.get_num_threads()} threads\n"
    )
    print("| step | seconds | size | peak memory | peak on the GPU | |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for name in STEPS:
            words = [sys.executable, __file__, "--only", name, "--folder", folder]
            words += ["--device", given.device, *(["--tiny"] if given.tiny else [])]
            done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
            print(row(name, json.loads(done.stdout.splitlines()[-1])), flush=True)


if __name__ == "__main__":
    main()
