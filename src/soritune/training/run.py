"""Training of one case, from base to trained model, in numbered steps."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import TrainingArguments
from transformers.utils import logging as transformers_logging

from soritune.corpus.store import Corpus
from soritune.distributed import World
from soritune.errors import UserError, visible
from soritune.files import remove_files, write_atomically
from soritune.interrupts import StopRequest, postponed
from soritune.models import load
from soritune.models.family import LORA, ClipLimits
from soritune.models.memory import forget_frames, free_memory, peak_bytes, reset_peak
from soritune.progress import Advance, track
from soritune.recipe import Case, ModelConfig
from soritune.training.batching import DEFAULT_MAX_TOKENS
from soritune.training.checkpoints import checkpoint_files, last_checkpoint, remove_all_but
from soritune.training.curve import CURVE_FILE, CurveLog, steps_between_points
from soritune.training.data import StepDataset
from soritune.training.lora_size import lora_size
from soritune.training.mixture import NOTHING_EXCLUDED, ExcludedIds
from soritune.training.summary import TrainingSummary
from soritune.training.trainability import check_moved, checksums, set_trainable, share_text
from soritune.training.trainer import ScoreDev, SpeechTrainer, elapsed_s

LARGE_MODEL = 1_000_000_000  # parameters from which activations are recomputed by default
# Where the case gives no warm-up; a short run takes a share of its steps, or it would hardly learn.
WARMUP_STEPS = 50
WARMUP_SHARE = 0.1
# How torch passes on the error of a data loader's process: behind its traceback.
_OF_WORKER = re.compile(r"Caught \w+ in DataLoader worker .*\n[\w.]+: (.*)", re.DOTALL)


def train_case(
    case: Case,
    *,
    name: str,
    model: ModelConfig,
    corpora: Mapping[str, Corpus],
    out: Path,
    seed: int,
    excluded: ExcludedIds = NOTHING_EXCLUDED,
    score_dev: ScoreDev | None = None,
    stop: StopRequest | None = None,
) -> TrainingSummary:
    """Train one case, write `out/model`, `out/training.json` and `out/log.jsonl`, free its memory.

    Continues from `out/checkpoints` if an earlier run was interrupted; the result is that of an
    uninterrupted run.

    Args:
        excluded: utterances that are not trained on.
        score_dev: measures the model every `case.dev.every` steps, in rank 0; changes no weight.
        stop: remembers a signal that came in or after the last step, when all is done but to save;
            the caller ends then.

    Raises:
        UserError: the data do not fit the tasks.
        TrainabilityError: something would train that should not, or the reverse.
    """
    try:
        reset_peak()
        return _train(
            case,
            name=name,
            model=model,
            corpora=corpora,
            out=out,
            seed=seed,
            excluded=excluded,
            score_dev=score_dev,
            stop=stop or StopRequest(),
        )
    except BaseException as error:
        forget_frames(error)
        raise
    finally:
        # The evaluation loads a model of its own.
        free_memory()


def _train(
    case: Case,
    *,
    name: str,
    model: ModelConfig,
    corpora: Mapping[str, Corpus],
    out: Path,
    seed: int,
    excluded: ExcludedIds,
    score_dev: ScoreDev | None,
    stop: StopRequest,
) -> TrainingSummary:
    # 1. The base, with a LoRA where the mode trains one, and only the mode's parts unfrozen.
    lora = case.lora or model.lora
    world = World.from_environment()
    speech_model = load(
        model.base,
        revision=model.revision,
        dtype=model.dtype,
        device=world.device(),
        lora=lora.start,
    )
    if LORA in speech_model.parts_of_mode(case.mode):
        brought = speech_model.lora
        own = None if brought is None else (brought.r, brought.lora_alpha)
        size = lora_size(lora, speech_model.family.lora, own)
        speech_model.add_lora(**asdict(size), seed=seed, mode=case.mode)
    trainable = set_trainable(speech_model, case.mode)
    large = trainable.parameters >= LARGE_MODEL
    if case.gradient_checkpointing or (case.gradient_checkpointing is None and large):
        speech_model.checkpoint_layers()
    if world.is_main:
        print(f"  trains {share_text(trainable)}", file=sys.stderr)

    # 2. The data as optimizer steps.
    _check_lengths(case, corpora, speech_model.family.clip_limits)
    arguments = _arguments(case, model, out, seed)
    dataset = StepDataset(
        case.train,
        corpora,
        speech_model.processor,
        batch_size=case.batch_size,
        epochs=case.epochs,
        max_tokens=case.max_tokens or DEFAULT_MAX_TOKENS,
        seed=seed,
        world_size=arguments.world_size,
        mask_value=speech_model.feature_fill,
        excluded=excluded,
    )
    arguments.max_steps = dataset.num_steps
    arguments.logging_steps = steps_between_points(dataset.num_steps)
    arguments.warmup_steps = _warmup_steps(case, dataset.num_steps)

    # 3. Training, from the last complete checkpoint if there is one.
    before = checksums(speech_model)
    curve = CurveLog(out / CURVE_FILE) if world.is_main else None
    with (
        postponed(stop),
        _track(f"train {name}", dataset.num_steps, curve) as advance,
        _quiet(),
    ):
        trainer = SpeechTrainer(
            speech_model,
            case,
            dataset,
            trainable,
            arguments,
            advance,
            stop,
            curve,
            score_dev,
        )
        # Rank 0 decides: the others may not see its folder yet.
        found = _continue_from(out / "checkpoints", world.size) if world.is_main else None
        chosen = world.broadcast(str(found) if found else None)
        checkpoint = Path(chosen) if chosen else None
        if checkpoint is not None:
            trainer.watcher.elapsed_before_s = elapsed_s(checkpoint)
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except RuntimeError as error:
            if stop.requested:  # a data loader's process got the signal as well
                raise stop.interruption() from error
            raise
        except UserError as error:
            of_worker = _OF_WORKER.match(str(error))
            if of_worker is None:
                raise
            raise UserError(of_worker[1].strip()) from error
        seconds = trainer.watcher.elapsed_s

    # 4. What moved, and the model.
    moved = check_moved(speech_model, before, checksums(speech_model), trainable)
    epochs = dataset.num_steps / dataset.steps_per_epoch
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    summary = TrainingSummary(
        mode=case.mode,
        trained=trainable.by_part,
        parameters=trainable.parameters,
        trained_tensors=len(trainable.names),
        moved_tensors=len(moved),
        steps=dataset.num_steps,
        utterances=round(dataset.examples_per_epoch * epochs),
        audio_s=round(dataset.audio_s_per_epoch * epochs, 1),
        seconds=round(seconds, 1),
        audio_s_per_s=round(dataset.audio_s_per_epoch * epochs / seconds, 1),
        peak_memory_bytes=peak_bytes(speech_model.device),
        final_loss=float(losses[-1]) if losses else None,
        excluded={" ".join(part): len(ids) for part, ids in excluded.items()},
    )
    if world.is_main:
        about = {
            "case": name,
            "mode": case.mode,
            # What most examples ask for: a family may take it where nothing else is said.
            "task": dataset.main_request.task.value,
            "language": dataset.main_request.source_language,
            "longest_trained_s": round(dataset.longest_s, 3),
            "settings": json.loads(case.model_dump_json()),
        }
        with postponed(stop):
            speech_model.save(out / "model", trained=moved, about=about)
            _write(out, summary, moved)
    return summary


def _check_lengths(case: Case, corpora: Mapping[str, Corpus], limits: ClipLimits) -> None:
    """Raise UserError for an utterance that is too long for the model."""
    for part in case.train:
        for record in corpora[part.corpus].records(part.split):
            if record.duration_s > limits.max_duration_s:
                raise UserError(
                    f'corpus "{part.corpus}": utterance {record.id} lasts {record.duration_s:.1f} '
                    f"s, the model takes {limits.max_duration_s:g} s at most; exclude it"
                )


def _track(label: str, total: int, curve: CurveLog | None) -> AbstractContextManager[Advance]:
    """Show progress with the last loss in rank 0 alone, which has the curve."""
    if curve is None:
        return nullcontext(lambda _: None)
    return track(label, total, "steps", curve.remark)


def _warmup_steps(case: Case, num_steps: int) -> int:
    """Return the warm-up that a case gives, else the default, which a short run shortens.

    Raises UserError where the run would end within it.
    """
    if case.warmup_steps is None:
        return min(WARMUP_STEPS, int(num_steps * WARMUP_SHARE))
    if case.warmup_steps >= num_steps:
        raise UserError(
            f"warmup_steps is {case.warmup_steps}, but the training has {num_steps} steps and "
            "would never reach learning_rate. Give fewer, or leave it out: then it is "
            f"{WARMUP_STEPS}, or {WARMUP_SHARE:.0%} of the steps where that is less"
        )
    return case.warmup_steps


def _arguments(case: Case, model: ModelConfig, out: Path, seed: int) -> TrainingArguments:
    gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(out / "checkpoints"),
        per_device_train_batch_size=1,  # an item of the data set is a whole step
        learning_rate=case.learning_rate,
        lr_scheduler_type=case.schedule,
        weight_decay=case.weight_decay,
        max_grad_norm=case.max_grad_norm,
        # On a CPU as on a GPU: what trains is in fp32, what is frozen may be in bfloat16.
        bf16=model.dtype == "bfloat16" or (gpu and model.dtype != "float32"),
        use_cpu=not gpu,
        seed=seed,
        dataloader_num_workers=4 if gpu else 0,
        remove_unused_columns=False,
        save_strategy="no",  # by time, see trainer._Watcher
        logging_nan_inf_filter=False,  # it hides them; SpeechTrainer stops there
        report_to=[],
        disable_tqdm=True,
        # Every trained tensor has a gradient in every step: `check_gradients`.
        ddp_find_unused_parameters=False,
    )
    if arguments.n_gpu > 1:
        print(
            f"  {arguments.n_gpu} GPUs are visible, one is used. To use all, start with: torchrun "
            f"--nproc-per-node {arguments.n_gpu} -m soritune.cli run RECIPE",
            file=sys.stderr,
        )
        # Else the Trainer splits items among GPUs in nn.DataParallel, and an item is a whole step.
        arguments._n_gpu = 1
    return arguments


def _continue_from(folder: Path, num_ranks: int) -> Path | None:
    """Return the checkpoint to continue from; the ones that do not count are removed."""
    found = last_checkpoint(
        folder, num_ranks=num_ranks, say=lambda line: print(f"  {visible(line)}", file=sys.stderr)
    )
    remove_all_but(folder, found)
    return found


class _quiet:  # noqa: N801 - reads as a word in a with statement
    """Silences the Trainer, whose lines would break the progress bar."""

    def __enter__(self) -> None:
        self.verbosity = transformers_logging.get_verbosity()
        transformers_logging.set_verbosity_error()

    def __exit__(self, *_: object) -> None:
        transformers_logging.set_verbosity(self.verbosity)


def _write(out: Path, summary: TrainingSummary, moved: list[str]) -> None:
    record = {**asdict(summary), "moved": moved}
    write_atomically(out / "training.json", json.dumps(record, ensure_ascii=False, indent=2) + "\n")
    remove_files(checkpoint_files(out / "checkpoints"), out)
