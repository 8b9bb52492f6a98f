"""The processes of one training, as torchrun starts them: rank, device and broadcasts from rank 0.

Rank 0 alone holds the output folder, prepares, evaluates, reports and writes. The other ranks wait
for the name of the case to train. Without torchrun there is one process, and nothing here imports
torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from soritune.errors import UserError

# Ranks wait while rank 0 prepares speech and evaluates, which may take days.
TIMEOUT = timedelta(days=30)


@dataclass(frozen=True)
class World:
    """The processes of one training, seen from this one.

    Attributes:
        rank: of this process; 0 is the main one.
        local_rank: among those of this machine, which is the number of its GPU.
        size: number of processes; 1 without torchrun.
    """

    rank: int = 0
    local_rank: int = 0
    size: int = 1

    @classmethod
    def from_environment(cls) -> World:
        """Read the variables that torchrun sets.

        https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
        """
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        return cls(int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"]), size)

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def device(self) -> str | None:
        """Return the device of this process; None without torchrun, where `load` decides."""
        if self.size == 1:
            return None
        import torch

        return f"cuda:{self.local_rank}" if torch.cuda.is_available() else "cpu"

    @contextmanager
    def process_group(self) -> Iterator[None]:
        """Connect all processes, which must all enter it. Does nothing for one process."""
        if self.size == 1:
            yield
            return
        import torch
        from torch import distributed

        gpu = torch.cuda.is_available()
        if gpu:
            torch.cuda.set_device(self.local_rank)
        # Broadcasts go over gloo, so that waiting for days needs no GPU.
        backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
        distributed.init_process_group(backend, timeout=TIMEOUT)
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def broadcast(self, text: str | None = None) -> str | None:
        """Return rank 0's `text` in every process; that of the other ranks is ignored.

        All processes must call it, and wait here for the last one.

        Raises:
            UserError: rank 0 has ended.
        """
        if self.size == 1:
            return text
        try:
            return _broadcast(text if self.is_main else None, self.is_main)
        except RuntimeError as error:
            if self.is_main:
                raise
            raise UserError(f"rank {self.rank}: rank 0 ended. See its message ({error}).") from None

    def wait(self) -> None:
        """Wait here until all processes have come."""
        if self.size == 1:
            return
        import torch
        from torch import distributed

        distributed.all_reduce(torch.zeros(1))  # of the CPU: no GPU waits


def _broadcast(text: str | None, is_main: bool) -> str | None:
    """Send length, then UTF-8, as tensors of the CPU: no pickle, no GPU."""
    import torch
    from torch import distributed

    # The first byte distinguishes "" from None.
    content = b"" if text is None else b"=" + text.encode()
    length = torch.tensor([len(content)])
    distributed.broadcast(length, src=0)
    if int(length) == 0:
        return None
    buffer = torch.zeros(int(length), dtype=torch.uint8)
    if is_main:
        buffer = torch.tensor(list(content), dtype=torch.uint8)
    distributed.broadcast(buffer, src=0)
    return bytes(buffer.tolist()).removeprefix(b"=").decode()
