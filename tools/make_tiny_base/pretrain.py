"""Pre-training of the small base, which hears English, writes Korean and never heard Korean.

Three phases. Each is saved when it is done, with checkpoints before (`phase_checkpoint`), so that a
killed run continues:
1. audio: the encoder alone learns English letters (CTC with a flat start);
2. text: the language model alone learns to translate sentences both ways;
3. joint: both together learn to transcribe and translate English speech.
The first two share no weights and run in parallel, one process and one thread each.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
import torch
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedTokenizerFast, get_cosine_schedule_with_warmup

import small
from ctc import CtcHead
from phase_checkpoint import PhaseCheckpoint
from soritune.corpus.prepare import prepare
from soritune.corpus.store import Corpus, Record
from soritune.errors import UserError
from soritune.files import write_atomically
from soritune.languages.names import language_name
from soritune.models import causal
from soritune.models.phi4mm.processor import Phi4mmProcessor
from soritune.models.phi4mm.prompts import SEPARATOR, instruction
from soritune.models.speech_model import ModelInput
from soritune.models.weights import save_tensors
from soritune.progress import track
from soritune.seeding import generator
from soritune.sources.corpora.demo.sentences import SentencePair, pairs
from soritune.sources.corpora.demo.source import DemoSource
from soritune.tasks import Answer, Request, Task

Loss = Callable[[int, np.random.Generator], torch.Tensor]


class Phase(BaseModel):
    """One phase: AdamW with a cosine schedule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int = 100


class BaseRecipe(BaseModel):
    """How a small base is made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    seed: int = 0
    english: DemoSource
    size: small.SmallSize = small.SmallSize()
    flat_start_steps: int = 300
    ctc_weight: float = 0.5
    tasks: dict[Task, float] = {Task.ASR: 0.5, Task.AST: 0.3, Task.AST_COT: 0.2}
    audio: Phase
    text: Phase
    joint: Phase
    text_every: int = 4  # in the joint phase, every n-th step is a step of text


def read_base_recipe(path: Path) -> BaseRecipe:
    """Read a recipe of a small base. Raises UserError naming the key that is wrong."""
    try:
        return BaseRecipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {key}: {first['msg']}") from None


@dataclass(frozen=True)
class Clip:
    """An English training clip with its features made once."""

    record: Record
    features: torch.Tensor


CHECKPOINT_SUFFIX = ".checkpoint"

# Times that the tokenizer sees each instruction, beside some twenty thousand sentences.
INSTRUCTION_COPIES = 300

PhaseName = Literal["audio", "text", "joint"]
ALONE: tuple[PhaseName, ...] = ("audio", "text")  # phases that start from nothing


def pretrain(recipe_path: Path, out: Path, *, workers: int = 2) -> Path:
    """Make a small base in `out/base` and return that folder.

    With several workers, the two phases that start from nothing are trained at the same time.

    Raises UserError for a wrong recipe.
    """
    recipe = read_base_recipe(recipe_path)
    out.mkdir(parents=True, exist_ok=True)
    _remove_phases_of_other_recipe(recipe, out)
    source = recipe.english
    with track("prepare English", source.train + source.dev + source.test, "clips") as advance:
        prepare("english", source, out / "english", workers=workers, advance=advance)
    waiting = [name for name in ALONE if not _Pretrainer.is_done(out, name)]
    if workers > 1 and len(waiting) == len(ALONE):
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(len(ALONE), mp_context=spawn) as pool:
            list(pool.map(partial(_run_alone, recipe, out), waiting))
    trainer = _Pretrainer.open(recipe, out)
    for name in ("audio", "text", "joint"):
        trainer.run(name)
    small.save_base(trainer.model, trainer.tokenizer, out / "base")
    return out / "base"


def _remove_phases_of_other_recipe(recipe: BaseRecipe, out: Path) -> None:
    """Remove phases that another recipe trained in this folder."""
    path, content = out / "recipe.json", recipe.model_dump_json(indent=2).encode()
    if not path.is_file() or path.read_bytes() != content:
        for phase in (*ALONE, "joint"):
            (out / f"{phase}.safetensors").unlink(missing_ok=True)
            (out / f"{phase}{CHECKPOINT_SUFFIX}").unlink(missing_ok=True)
        write_atomically(path, content)


def _run_alone(recipe: BaseRecipe, out: Path, name: PhaseName) -> PhaseName:
    torch.set_num_threads(1)
    _Pretrainer.open(recipe, out).run(name)
    return name


def _tokenizer_texts(sentences: tuple[SentencePair, ...]) -> Iterator[str]:
    for pair in sentences:
        yield pair.korean
        yield pair.english
    # Instructions stand in every prompt: often enough here, their words become single pieces and
    # prompts short (the chain-of-thought one 84 tokens otherwise).
    for _ in range(INSTRUCTION_COPIES):
        for to in ("ko", "en"):
            yield from (instruction(Request(task, target_language=to)) for task in Task)
            yield _text_instruction(to)
        yield f"a {SEPARATOR} a"


def _translation(to: str, text: str) -> tuple[Request, Answer]:
    return Request(Task.AST, target_language=to), Answer(translation=text)


def _text_instruction(to: str) -> str:
    return f"Translate the text to {language_name(to)}."


def _log_until(path: Path, step: int) -> TextIO:
    """Open the log of a phase for more lines, without those after `step`."""
    lines = path.read_text(encoding="utf-8").splitlines() if step and path.is_file() else []
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
    log = path.open("w", encoding="utf-8")
    log.writelines(f"{line}\n" for line in kept)
    return log


def _belongs(key: str, name: PhaseName) -> bool:
    """Whether a phase wrote this tensor; the head is tied to the embeddings and left out."""
    if key == "model.lm_head.weight":
        return False
    of_audio = key.startswith("ctc.") or ".audio_embed.encoder." in key
    return name == "joint" or of_audio == (name == "audio")


class _Pretrainer:
    """Model, data and CTC head of the three phases."""

    def __init__(
        self,
        recipe: BaseRecipe,
        out: Path,
        clips: list[Clip],
        processor: Phi4mmProcessor,
        tokenizer: PreTrainedTokenizerFast,
    ) -> None:
        self.recipe = recipe
        self.out = out
        self.clips = clips
        self.processor = processor
        self.tokenizer = tokenizer
        self.sentences = pairs("train")
        self.model = small.build(small.small_config(recipe.size, tokenizer), recipe.seed)
        small.set_feature_statistics(self.model, (clip.features for clip in clips[::10]))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            texts = [clip.record.text for clip in clips]
            self.ctc = CtcHead(recipe.size.audio_hidden, texts)
        self.modules = nn.ModuleDict({"model": self.model, "ctc": self.ctc})

    @classmethod
    def open(cls, recipe: BaseRecipe, out: Path) -> _Pretrainer:
        """Make tokenizer, features and initial weights; nothing of the test set is read."""
        tokenizer = small.train_tokenizer(_tokenizer_texts(pairs("train")), recipe.size.vocabulary)
        processor = Phi4mmProcessor(tokenizer)
        corpus = Corpus.open(out / "english")
        clips = [
            Clip(record, processor.features(corpus.samples(record)))
            for record in corpus.records("train")
        ]
        return cls(recipe, out, clips, processor, tokenizer)

    @staticmethod
    def is_done(out: Path, name: PhaseName) -> bool:
        return (out / f"{name}.safetensors").is_file()

    def run(self, name: PhaseName) -> None:
        """Train one phase, or load it if it is done."""
        path = self.out / f"{name}.safetensors"
        if self.is_done(self.out, name):
            self.modules.load_state_dict(load_file(path), strict=False)
            return
        trained: nn.Module = self.model.audio_encoder if name == "audio" else self.model
        loss_of: Loss = getattr(self, f"{name}_loss")
        phase: Phase = getattr(self.recipe, name)
        parameters = [*trained.parameters(), *self.ctc.parameters()]
        optimizer = torch.optim.AdamW(
            parameters, lr=phase.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
        )
        schedule = get_cosine_schedule_with_warmup(optimizer, phase.warmup_steps, phase.steps)
        random = generator(self.recipe.seed, "pretrain", name)
        checkpoint = PhaseCheckpoint(
            self.out / f"{name}{CHECKPOINT_SUFFIX}", self.modules, optimizer, schedule, random
        )
        progress = checkpoint.load()
        log = _log_until(self.out / f"{name}.jsonl", progress.step)
        self.modules.train()
        start, losses = time.monotonic() - progress.seconds, progress.losses
        with log, track(f"pre-train: {name}", phase.steps, "steps") as advance:
            advance(progress.step)
            for step in range(progress.step, phase.steps):
                loss = loss_of(step, random)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                losses.append(loss.item())
                if (step + 1) % 50 == 0:
                    seconds = round(time.monotonic() - start, 1)
                    line: Mapping[str, float] = {
                        "step": step + 1,
                        "loss": round(sum(losses) / len(losses), 4),
                        "seconds": seconds,
                    }
                    log.write(json.dumps(line) + "\n")
                    log.flush()
                    losses.clear()
                advance(1)
                progress.step, progress.seconds = step + 1, time.monotonic() - start
                checkpoint.save_if_due(progress)
        self.modules.eval()
        state = {
            key: tensor for key, tensor in self.modules.state_dict().items() if _belongs(key, name)
        }
        part = path.with_suffix(".part")
        save_tensors(state, part)
        part.replace(path)
        checkpoint.remove()

    def _draw(self, random: np.random.Generator, phase: Phase) -> list[Clip]:
        # Clips of like length: draw a pool, sort it, take a window.
        pool = random.integers(0, len(self.clips), 8 * phase.batch_size)
        chosen = sorted((self.clips[i] for i in pool), key=lambda clip: len(clip.features))
        first = int(random.integers(0, 8)) * phase.batch_size
        return chosen[first : first + phase.batch_size]

    def audio_loss(self, step: int, random: np.random.Generator) -> torch.Tensor:
        """CTC on the encoder, with the fading flat start."""
        clips = self._draw(random, self.recipe.audio)
        batch = self.processor.collate([ModelInput(clip.features, [0]) for clip in clips])
        states = self.model.audio_encoder(
            batch["audio_input_features"], batch["audio_attention_mask"]
        )
        flat = max(0.0, 1.0 - step / max(1, self.recipe.flat_start_steps))
        texts = [clip.record.text for clip in clips]
        return self.ctc.loss(states, batch["audio_embed_sizes"], texts, flat)

    def text_loss(self, step: int, random: np.random.Generator) -> torch.Tensor:
        """Translation of text, both ways in turn."""
        to = ("ko", "en")[step % 2]
        rows = []
        for i in random.integers(0, len(self.sentences), self.recipe.text.batch_size):
            pair = self.sentences[i]
            source, answer = pair.english, pair.korean
            if to == "en":
                source, answer = answer, source
            prompt = self.processor.prompt_ids(f"{_text_instruction(to)}\n{source}", 0)
            rows.append(
                ModelInput(
                    torch.zeros(1, 80), prompt, self.processor.target_ids(*_translation(to, answer))
                )
            )
        batch = {
            name: tensor
            for name, tensor in self.processor.collate(rows).items()
            if not name.startswith("audio")
        }
        return causal.loss(self.model, batch, causal.num_targets(batch))

    def joint_loss(self, step: int, random: np.random.Generator) -> torch.Tensor:
        """English speech to English and Korean with CTC; every `text_every`-th step is text."""
        if (step + 1) % self.recipe.text_every == 0:
            return self.text_loss(step // self.recipe.text_every, random)
        clips = self._draw(random, self.recipe.joint)
        tasks = sorted(self.recipe.tasks)
        weights = np.array([self.recipe.tasks[task] for task in tasks])
        drawn = random.choice(len(tasks), len(clips), p=weights / weights.sum())
        rows = []
        for clip, index in zip(clips, drawn, strict=True):
            task, record = tasks[index], clip.record
            request = Request(task, record.language, record.translation_language)
            answer = Answer(record.text, record.translation)
            rows.append(self.processor.encode_features(clip.features, request, answer))
        batch = self.processor.collate(rows)
        states: list[torch.Tensor] = []
        hook = self.model.audio_encoder.register_forward_hook(
            lambda _module, _inputs, output: states.append(output)
        )
        try:
            loss = causal.loss(self.model, batch, causal.num_targets(batch))
        finally:
            hook.remove()
        texts = [clip.record.text for clip in clips]
        ctc = self.ctc.loss(states[0], batch["audio_embed_sizes"], texts)
        return loss + self.recipe.ctc_weight * ctc
