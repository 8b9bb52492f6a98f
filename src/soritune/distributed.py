"""Several processes at one training, as torchrun starts them: who they are, and how they agree.

Rank 0 leads: it alone holds the output folder, prepares, evaluates, reports and writes. The others
wait until they are told which case to train. Without torchrun there is one process, and nothing
here imports torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from soritune.errors import UserError

# Ranks wait while the first one prepares speech and evaluates, which may take days.
LONGEST_WAIT = timedelta(days=30)


@dataclass(frozen=True)
class Crew:
    """The place of this process among those of one training.

    Attributes:
        rank: 0 leads.
        local_rank: among those of this machine, which is the number of its GPU.
        size: number of processes; 1 without torchrun.
    """

    rank: int = 0
    local_rank: int = 0
    size: int = 1

    @classmethod
    def of_environment(cls) -> Crew:
        """By the variables that torchrun sets.

        https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
        """
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        return cls(int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"]), size)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def device(self) -> str | None:
        """Where this process computes; None without torchrun, where `load` decides."""
        if self.size == 1:
            return None
        import torch

        return f"cuda:{self.local_rank}" if torch.cuda.is_available() else "cpu"

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Connect all processes; they must all come here. Nothing for one process."""
        if self.size == 1:
            yield
            return
        import torch
        from torch import distributed

        gpu = torch.cuda.is_available()
        if gpu:
            torch.cuda.set_device(self.local_rank)
        # What is told goes over gloo, so that waiting for days needs no GPU.
        backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
        distributed.init_process_group(backend, timeout=LONGEST_WAIT)
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def told(self, words: str | None = None) -> str | None:
        """What rank 0 says, in every process; the others' `words` do not count.

        All processes must call it, and wait here for the last one.
        """
        if self.size == 1:
            return words
        try:
            return _broadcast(words if self.leads else None, self.leads)
        except RuntimeError as error:
            if self.leads:
                raise
            raise UserError(
                f"rank {self.rank}: the first process ended, see its message ({error})"
            ) from None

    def agreed(self, flag: bool) -> bool:
        """What rank 0 thinks, in every process."""
        return self.told("yes" if flag else None) is not None


def _broadcast(words: str | None, leads: bool) -> str | None:
    """Length, then UTF-8, as tensors of the CPU: no pickle, no GPU."""
    import torch
    from torch import distributed

    # A first byte tells "" from nothing.
    content = b"" if words is None else b"=" + words.encode()
    length = torch.tensor([len(content)])
    distributed.broadcast(length, src=0)
    if int(length) == 0:
        return None
    buffer = torch.zeros(int(length), dtype=torch.uint8)
    if leads:
        buffer = torch.tensor(list(content), dtype=torch.uint8)
    distributed.broadcast(buffer, src=0)
    return bytes(buffer.tolist()).removeprefix(b"=").decode()
