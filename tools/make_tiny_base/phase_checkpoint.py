"""The checkpoint of a phase of pre-training: weights, optimizer and random states in one file.

The format is safetensors; what is not a tensor is JSON in its metadata. A phase that continues from
it ends in the same bits as one that was never stopped.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

MIN_SAVE_INTERVAL_S = 30.0
SAVE_SHARE = 0.02  # of the time at most
_TIED = "model.lm_head.weight"  # the embeddings once more


@dataclass
class Progress:
    """How far a phase is: steps done, losses since the last line of the log, seconds worked."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0


class PhaseCheckpoint:
    """The checkpoint of one phase at `path`, written at most every half minute."""

    def __init__(
        self,
        path: Path,
        modules: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LambdaLR,
        random: np.random.Generator,
    ) -> None:
        self.path = path
        self.modules = modules
        self.optimizer = optimizer
        self.schedule = schedule
        self.random = random
        self._saved_s = time.monotonic()
        self._save_took_s = 0.0

    def save_if_due(self, progress: Progress) -> None:
        """Write the state after `progress.step` steps, if the last one is old enough."""
        waited_s = time.monotonic() - self._saved_s
        if waited_s <= max(MIN_SAVE_INTERVAL_S, self._save_took_s / SAVE_SHARE):
            return
        started_s = time.monotonic()
        self._save(progress)
        self._saved_s = time.monotonic()
        self._save_took_s = self._saved_s - started_s

    def _save(self, progress: Progress) -> None:
        tensors = {
            f"modules.{name}": tensor.detach().contiguous()
            for name, tensor in self.modules.state_dict().items()
            if name != _TIED
        }
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
        tensors["torch_random"] = torch.get_rng_state()
        about = {**asdict(progress), "random": self.random.bit_generator.state}
        part = self.path.with_suffix(".part")
        save_file(tensors, part, metadata={"progress": json.dumps(about)})
        part.replace(self.path)

    def load(self) -> Progress:
        """Restore the saved state; return a new `Progress` where no whole checkpoint exists."""
        try:
            with safe_open(str(self.path), framework="pt") as file:
                about: dict[str, Any] = json.loads(file.metadata()["progress"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (FileNotFoundError, SafetensorError):
            return Progress()
        torch.set_rng_state(tensors.pop("torch_random"))
        self.random.bit_generator.state = about.pop("random")
        modules: dict[str, torch.Tensor] = {}
        states: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            owner, _, rest = name.partition(".")
            if owner == "modules":
                modules[rest] = tensor
            else:
                number, _, key = rest.partition(".")
                states.setdefault(int(number), {})[key] = tensor
        self.modules.load_state_dict(modules, strict=False)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": states, "param_groups": groups})
        progress = Progress(**about)
        self.schedule.last_epoch = progress.step
        rates = zip(self.schedule.base_lrs, self.schedule.lr_lambdas, strict=True)
        for group, (rate, factor) in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor(progress.step)
        return progress

    def remove(self) -> None:
        """Remove the file once the phase is done."""
        self.path.unlink(missing_ok=True)
