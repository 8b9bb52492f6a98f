"""The Trainer of transformers for steps of several micro-batches; saves only what trains."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from soritune.distributed import World
from soritune.errors import UserError
from soritune.files import storage_error, write_atomically
from soritune.interrupts import StopRequest
from soritune.models.speech_model import SpeechModel
from soritune.models.weights import save_tensors
from soritune.recipe import Case
from soritune.training.checkpoints import (
    ELAPSED_FILE,
    TRAINED_FILE,
    checkpoint_folder,
    remove_oldest,
    seal,
)
from soritune.training.curve import CurveLog, DevScore
from soritune.training.data import MicroBatch, StepDataset, first_item
from soritune.training.trainability import (
    Trainable,
    check_gradients,
    check_optimizer,
    parameter_groups,
)

MIN_SAVE_INTERVAL_S = 30.0
# Share of the time that saving may take: large models save rarely, small ones often.
SAVE_SHARE = 0.02
MAX_NAMED = 10  # utterances in a message
_PROBE_BYTES = 2**20

ScoreDev = Callable[[SpeechModel], DevScore]
"""Scores the model as it is on a sample of dev."""


class SpeechTrainer(Trainer):
    """Trains a `StepDataset`: one item is one optimizer step of one or more micro-batches."""

    def __init__(
        self,
        model: SpeechModel,
        case: Case,
        dataset: StepDataset,
        trainable: Trainable,
        arguments: TrainingArguments,
        advance: Callable[[float], None],
        stop: StopRequest | None = None,
        curve: CurveLog | None = None,
        score_dev: ScoreDev | None = None,
    ) -> None:
        self.speech_model = model
        self.case = case
        self.trainable = trainable
        self.steps = dataset
        self._score_dev = score_dev
        watcher = _Watcher(
            model,
            trainable,
            advance,
            stop or StopRequest(),
            curve,
            case.dev.every if case.dev and score_dev else None,
            self._dev_score,
        )
        super().__init__(
            model=model.module,
            args=arguments,
            train_dataset=dataset,
            callbacks=[watcher],
        )
        self.watcher = watcher
        self.remove_callback(PrinterCallback)  # its lines would break into the progress bar

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return items in their order: the data set has shuffled already."""
        loader: DataLoader[Any] = DataLoader(
            self.steps,
            batch_size=1,
            shuffle=False,
            collate_fn=first_item,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory and torch.cuda.is_available(),
            persistent_workers=self.args.dataloader_num_workers > 0,
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Return AdamW with a separate learning rate for the audio parts."""
        if self.optimizer is None:
            case = self.case
            audio_rate = case.audio_learning_rate or case.learning_rate
            groups = parameter_groups(
                self.speech_model,
                self.trainable.names,
                decay=frozenset(self.get_decay_parameter_names(self.speech_model.module)),
                audio_parts=self.speech_model.family.audio_parts,
            )
            self.optimizer = torch.optim.AdamW(
                [
                    {
                        "params": parameters,
                        "lr": audio_rate if of_audio else case.learning_rate,
                        "weight_decay": case.weight_decay if decays else 0.0,
                    }
                    for (of_audio, decays), parameters in groups.items()
                ],
                betas=case.betas,
                eps=case.eps,
                fused=True,
            )
            check_optimizer(self.speech_model, self.optimizer, self.trainable)
        return self.optimizer

    def training_step(
        self,
        model: nn.Module,
        inputs: Any,  # list[MicroBatch]: a step, where the Trainer expects one batch
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Compute the gradient of one step: sums of micro-batches over the targets of all ranks."""
        model.train()
        batches: list[MicroBatch] = cast("Any", self._prepare_inputs(inputs))
        world = self.accelerator.num_processes
        targets = torch.tensor(
            float(sum(self.speech_model.num_targets(batch) for batch in batches)),
            device=self.args.device,
        )
        if world > 1:
            targets = self.accelerator.reduce(targets, reduction="sum")
        # Gradients are averaged over ranks, but their sum is needed.
        divisor = float(targets) / world
        total = torch.zeros((), device=self.args.device)
        losses = []
        for index, batch in enumerate(batches):
            last = index == len(batches) - 1
            waiting = contextlib.nullcontext() if last else self.accelerator.no_sync(model)
            with waiting:
                with self.compute_loss_context_manager():
                    loss = self.speech_model.loss(batch, divisor, module=model)
                self.accelerator.backward(loss)
            losses.append(loss.detach())
            total += losses[-1]
        if not bool(total.isfinite()):
            first = next(i for i, each in enumerate(losses) if not bool(each.isfinite()))
            self._stop(f"the loss is {float(losses[first])}", first)
        return total

    def _clip_grad_norm(self, model: nn.Module) -> torch.Tensor:
        """Clip, and stop before weights are changed by a gradient that is not finite."""
        norm: torch.Tensor = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        if not bool(torch.as_tensor(norm).isfinite()):
            self._stop(f"the norm of the gradient is {float(norm)}")
        return norm

    def _dev_score(self) -> DevScore:
        """Return the score on dev; weights and random numbers stay as they are."""
        assert self._score_dev is not None
        self.speech_model.module.eval()  # training_step trains again
        # Of no other GPU: to ask for its random state takes memory of it, and of another's rank.
        device = self.args.device
        devices = [] if device.type == "cpu" else [device]
        with (
            torch.random.fork_rng(devices),
            torch.no_grad(),
            self.autocast_smart_context_manager(),
        ):
            return self._score_dev(self.speech_model)

    def _stop(self, what: str, number: int | None = None) -> NoReturn:
        """Raise UserError that names the utterances of this step, or of one micro-batch of it."""
        world = self.watcher.world
        examples = self.steps.examples(self.state.global_step * world.size + world.rank)
        if number is not None and examples:
            examples = self.steps.micro_batches(examples)[number]
        names = [f"{each.corpus}/{each.record.id}" for each in examples]
        shown = ", ".join(names[:MAX_NAMED])
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        raise UserError(
            f"step {self.state.global_step + 1}: {what}, which would destroy the weights. Lower "
            f"learning_rate, or exclude what is wrong among these utterances: {shown}{more}"
        )

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save all that a training continues from. Raises UserError where the disk is full."""
        folder = Path(self.args.output_dir or ".")
        try:
            super()._save_checkpoint(model, trial)
        except OSError as error:
            raise storage_error(error, folder) from error
        except RuntimeError as error:
            # torch.save reports a full disk without the system's error number.
            if "PytorchStreamWriter" not in str(error) and "inline_container" not in str(error):
                raise
            raise storage_error(_write_error(folder, error), folder) from error

    def _save(
        self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None
    ) -> None:
        """Save the tensors that train; the frozen base is on disk already."""
        folder = Path(output_dir or self.args.output_dir or ".")
        folder.mkdir(parents=True, exist_ok=True)
        named = dict(self.speech_model.module.named_parameters())
        save_tensors({n: named[n] for n in self.trainable.names}, folder / TRAINED_FILE)

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        found = load_file(Path(resume_from_checkpoint) / TRAINED_FILE)
        named = dict(self.speech_model.module.named_parameters())
        with torch.no_grad():
            for name in self.trainable.names:
                named[name].copy_(found[name])


class _Watcher(TrainerCallback):
    """Shows progress, saves by time, and checks the first gradients."""

    def __init__(
        self,
        model: SpeechModel,
        trainable: Trainable,
        advance: Callable[[float], None],
        stop: StopRequest,
        curve: CurveLog | None,
        dev_every: int | None,
        score_dev: Callable[[], DevScore],
    ) -> None:
        self.stop = stop
        self.dev_every = dev_every  # steps; None: never
        self.score_dev = score_dev
        self.curve = curve  # None where another rank writes it
        self.stopping = False
        self.model = model
        self.trainable = trainable
        self.advance = advance
        self.world = World.from_environment()
        self.gradients_seen = False
        self.started = self.last_save = self.save_started = time.monotonic()
        self.save_s = 0.0
        self.elapsed_before_s = 0.0  # in the runs that this one continues

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.advance(state.global_step)
        self.started = self.last_save = time.monotonic()
        if self.curve is not None:
            self.curve.begin(state.log_history)
        if not self.world.is_main and state.global_step == 0:
            # A dropout of its own; a checkpoint restores each rank's random state later.
            torch.manual_seed(args.seed + self.world.rank)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if not self.gradients_seen:
            check_gradients(self.model, self.trainable)
            self.gradients_seen = True

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.advance(1)
        if self.dev_every and self.world.is_main and state.global_step % self.dev_every == 0:
            self._log_dev(state)
        waited = time.monotonic() - self.last_save
        done = state.global_step >= state.max_steps
        due = waited > max(MIN_SAVE_INTERVAL_S, self.save_s / SAVE_SHARE)
        # Each rank saves its random state, so all save in the same step.
        task = "stop" if self.stop.requested else "save" if due else None
        if not done and (task := self.world.broadcast(task)) is not None:
            control.should_save = True
            self.stopping = task == "stop"
            self.save_started = time.monotonic()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self.curve is not None:
            self.curve.append(state.log_history[-1])

    def _log_dev(self, state: TrainerState) -> None:
        """Score on dev, which takes no time of the training; a checkpoint keeps the score."""
        begun = time.monotonic()
        entry = {
            "epoch": state.epoch,
            "step": state.global_step,
            "dev": asdict(self.score_dev()),
        }
        state.log_history.append(entry)  # type: ignore[arg-type]
        if self.curve is not None:
            self.curve.append(entry)
        self.started += time.monotonic() - begun

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.world.wait()  # for the random state of each rank
        if self.world.is_main:
            folder = checkpoint_folder(Path(args.output_dir or "."), state.global_step)
            write_atomically(folder / ELAPSED_FILE, json.dumps({"elapsed_s": self.elapsed_s}))
            seal(folder)
            remove_oldest(folder.parent)
        self.last_save = time.monotonic()
        self.save_s = self.last_save - self.save_started
        if self.stopping:
            raise self.stop.interruption()

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far, those before an interruption included."""
        return self.elapsed_before_s + time.monotonic() - self.started


def elapsed_s(checkpoint: Path) -> float:
    """Return the seconds of training up to a checkpoint."""
    path = checkpoint / ELAPSED_FILE
    return float(json.loads(path.read_bytes())["elapsed_s"]) if path.is_file() else 0.0


def _write_error(folder: Path, error: RuntimeError) -> OSError:
    """Return why nothing more can be written into `folder`, as the system says it."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as found:
        return found
    return OSError(" ".join(str(error).split()))
