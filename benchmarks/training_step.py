"""Our training step beside the behaviour of the reference loop, on one model and one set of clips.

reference    random batches padded to their longest row, features made by the native extractor one
             utterance at a time inside the step, native model, logits of all positions in fp32
ours         steps of like lengths, own features, logits only where a target stands
ours, later  the same from the second epoch on: features are kept in memory

All see the same utterances with the same prompts and answers and do a whole optimizer step. They
take turns pass by pass, so that a busy machine slows all alike; memory is measured in a process of
its own for each. Run `python benchmarks/training_step.py --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import Phi4MultimodalConfig, Phi4MultimodalFeatureExtractor
from transformers import Phi4MultimodalForCausalLM as NativeModel

from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus
from soritune.models.phi4mm.family import FAMILY
from soritune.models.phi4mm.model import Phi4mm
from soritune.models.phi4mm.modeling import ATTENTION, Phi4SpeechForCausalLM
from soritune.models.phi4mm.processor import Phi4mmProcessor
from soritune.models.speech_model import ModelInput
from soritune.recipe import TrainPart
from soritune.sources.corpora.demo.sentences import pairs
from soritune.sources.corpora.demo.source import DemoSource
from soritune.training.batching import DEFAULT_MAX_TOKENS
from soritune.training.data import StepDataset
from soritune.training.examples import Example
from soritune.training.trainability import set_trainable

sys.path.insert(0, str(Path(__file__).parent.parent / "tools/make_tiny_base"))
import small

NAMES = ("reference", "ours", "ours, later")
MODES = ("lora", "lora+audio")
SEED = 7
# The checkpoint's own sizes, from its config.json.
FULL_LANGUAGE = {
    "vocab_size": 200_064,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 24,
    "num_key_value_heads": 8,
}
FULL_AUDIO = {
    "hidden_size": 1024,
    "intermediate_size": 1536,
    "num_blocks": 24,
    "num_attention_heads": 16,
    "ext_pw_out_channel": 1024,
    "depthwise_separable_out_channel": 1024,
    "nemo_conv_channels": 1024,
    "bias_max_distance": 500,
}


@dataclass(frozen=True)
class Settings:
    """What is compared; the same in every process of one run."""

    mode: str
    vocabulary: int | None
    full_size: bool
    clips: int
    batch_size: int

    @property
    def device(self) -> torch.device:
        return torch.device("cuda" if self.full_size else "cpu")


def base_config(settings: Settings) -> tuple[Phi4MultimodalConfig, Phi4mmProcessor]:
    """The small configuration, with other sizes where asked for, and its tokenizer."""
    texts = (text for pair in pairs("train")[:4000] for text in (pair.korean, pair.english))
    tokenizer = small.train_tokenizer(texts, small.SmallSize().vocabulary)
    config = small.small_config(small.SmallSize(), tokenizer)
    if settings.full_size:
        for key, value in FULL_LANGUAGE.items():
            setattr(config, key, value)
        for key, value in FULL_AUDIO.items():
            setattr(config.audio_config, key, value)
        return Phi4MultimodalConfig.from_dict(config.to_dict()), Phi4mmProcessor(tokenizer)
    if settings.vocabulary is not None:
        config.vocab_size = settings.vocabulary
    return config, Phi4mmProcessor(tokenizer)


def build(settings: Settings, *, native: bool) -> tuple[Phi4mm, torch.optim.Optimizer]:
    """The model with random weights, native or ours, with LoRA and the mode's optimizer."""
    config, processor = base_config(settings)
    torch.manual_seed(SEED)
    dtype = torch.bfloat16 if settings.full_size else torch.float32
    kind = NativeModel if native else Phi4SpeechForCausalLM
    with settings.device:
        module = kind._from_config(config, attn_implementation=ATTENTION, dtype=dtype)
    module.model.embed_tokens_extend.image_embed = None  # speech alone, for both
    model = Phi4mm(FAMILY, module, processor)
    rank = 320 if settings.full_size else 32
    model.add_lora(r=rank, alpha=2 * rank, dropout=0.0, seed=SEED)
    trainable = set_trainable(model, settings.mode)
    module.to(settings.device).train()
    named = dict(module.named_parameters())
    if settings.full_size:
        if native:
            # The reference trains in bfloat16 and lets its language model alone recompute.
            for name in trainable.names:
                named[name].data = named[name].data.bfloat16()
            module.gradient_checkpointing_enable({"use_reentrant": False})
        else:
            model.checkpoint_layers()
    optimizer = torch.optim.AdamW([named[n] for n in trainable.names], lr=1e-5, fused=True)
    return model, optimizer


def dataset_of(settings: Settings, model: Phi4mm, corpus: Corpus) -> StepDataset:
    tasks = {"asr": 0.5, "ast": 0.25, "ast-cot": 0.25}
    part = TrainPart.model_validate({"corpus": "korean", "tasks": tasks})
    return StepDataset(
        [part],
        {"korean": corpus},
        model.processor,
        batch_size=settings.batch_size,
        epochs=1,
        max_tokens=DEFAULT_MAX_TOKENS,
        seed=SEED,
    )


def to(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    return {name: tensor.to(device) for name, tensor in batch.items()}


def reference_pass(settings: Settings, corpus: Corpus) -> Callable[[], None]:
    """A pass over all clips as the reference makes it."""
    model, optimizer = build(settings, native=True)
    dataset = dataset_of(settings, model, corpus)
    extractor = Phi4MultimodalFeatureExtractor()
    examples = [e for step in range(len(dataset)) for e in dataset.examples(step)]
    random = np.random.default_rng(SEED)

    def encode(example: Example) -> ModelInput:
        found = extractor(
            [corpus.samples(example.record)], sampling_rate=16_000, return_tensors="pt"
        )
        features = found["audio_input_features"][0].float()
        return model.processor.encode_features(features, example.request, example.answer)

    def run() -> None:
        order = random.permutation(len(examples))
        for start in range(0, len(order), settings.batch_size):
            rows = [encode(examples[i]) for i in order[start : start + settings.batch_size]]
            batch = to(model.processor.collate(rows), settings.device)
            if settings.full_size:
                batch["audio_input_features"] = batch["audio_input_features"].bfloat16()
            # With labels and without a choice of positions: all logits, raised to fp32.
            model.module(**batch, use_cache=False).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return run


def our_pass(settings: Settings, corpus: Corpus, *, later: bool) -> Callable[[], None]:
    """A pass over all clips as `soritune train` makes it, in the first epoch or a later one."""
    model, optimizer = build(settings, native=False)
    dataset = dataset_of(settings, model, corpus)

    def run() -> None:
        if not later:
            dataset._features.clear()
        for step in range(len(dataset)):
            batches = [to(batch, settings.device) for batch in dataset[step]]
            targets = sum(model.num_targets(batch) for batch in batches)
            for batch in batches:
                with torch.autocast("cuda", torch.bfloat16, enabled=settings.full_size):
                    loss = model.loss(batch, targets)
                loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()

    return run


def make_pass(name: str, settings: Settings, corpus: Corpus) -> Callable[[], None]:
    if name == "reference":
        return reference_pass(settings, corpus)
    return our_pass(settings, corpus, later=name == "ours, later")


def synchronize(settings: Settings) -> None:
    if settings.full_size:
        torch.cuda.synchronize()


def measure_memory(name: str, settings: Settings, corpus: Corpus) -> None:
    """Print memory in MB of this process: with the model ready, and at its peak in one pass."""
    run = make_pass(name, settings, corpus)
    before = _peak_mb(settings)
    run()
    print(json.dumps({"ready_mb": before, "peak_mb": _peak_mb(settings)}))


def _peak_mb(settings: Settings) -> float:
    if settings.full_size:
        return torch.cuda.max_memory_allocated() / 1e6
    # Not ru_maxrss: a process inherits that from the one which started it.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def compare(settings: Settings, corpus: Corpus, repeats: int, work: Path) -> None:
    """Time all in turns, measure the memory of each, print a table."""
    audio_s = sum(record.duration_s for record in corpus.records("train"))
    passes = {name: make_pass(name, settings, corpus) for name in NAMES}
    for run in passes.values():
        run()  # warm: caches of the allocator, kept features
    rates: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(repeats):
        for name, run in passes.items():
            synchronize(settings)
            start = time.perf_counter()
            run()
            synchronize(settings)
            rates[name].append(audio_s / (time.perf_counter() - start))
    del passes
    print(f"\nmode {settings.mode}, {audio_s:.0f} s of audio a pass, {repeats} passes each")
    print("| | audio s/s, median | times the reference (min to max) | memory: ready | peak |")
    print("|---|---|---|---|---|")
    for name in NAMES:
        ratios = [a / b for a, b in zip(rates[name], rates["reference"], strict=True)]
        memory = _memory_of(name, settings, work)
        print(
            f"| {name} | {statistics.median(rates[name]):.1f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) | {memory['ready_mb']:,.0f} MB "
            f"| {memory['peak_mb']:,.0f} MB |",
            flush=True,
        )


def _memory_of(name: str, settings: Settings, work: Path) -> dict[str, float]:
    words = [sys.executable, __file__, "--memory-of", name, "--mode", settings.mode]
    words += ["--clips", str(settings.clips), "--batch-size", str(settings.batch_size)]
    words += ["--work", str(work)]
    if settings.vocabulary is not None:
        words += ["--vocabulary", str(settings.vocabulary)]
    if settings.full_size:
        words.append("--full-size")
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Training step: ours beside the reference's.")
    parser.add_argument("--mode", choices=MODES, help="default: one after the other")
    parser.add_argument("--vocabulary", type=int, help="rows of the embedding, such as 200064")
    parser.add_argument("--full-size", action="store_true", help="the official sizes, on a GPU")
    parser.add_argument("--clips", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work", type=Path, help="where clips are kept; default: nowhere")
    parser.add_argument("--memory-of", choices=NAMES, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.full_size and not torch.cuda.is_available():
        print("--full-size needs a GPU with 80 GB, and there is none here", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as nowhere:
        work = given.work or Path(nowhere)
        source = DemoSource(source="demo", language="ko", train=given.clips, dev=0, test=0)
        prepare("korean", source, work / "korean")
        corpus = Corpus.open(work / "korean")
        modes = [given.mode] if given.mode else list(MODES)
        if given.memory_of is None:
            print(
                f"python {platform.python_version()}, torch {torch.__version__}, transformers "
                f"{transformers.__version__}, {torch.get_num_threads()} threads of "
                f"{os.cpu_count()} cores, batches of {given.batch_size}, "
                f"vocabulary {given.vocabulary or ('200064' if given.full_size else 'small')}"
            )
        for mode in modes:
            settings = Settings(
                mode, given.vocabulary, given.full_size, given.clips, given.batch_size
            )
            if given.memory_of:
                measure_memory(given.memory_of, settings, corpus)
            else:
                compare(settings, corpus, given.repeats, work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
