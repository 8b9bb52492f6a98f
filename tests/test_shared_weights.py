"""Models of one server hold equal weights once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from small_model import noise

from soritune.models.memory import share_weights
from soritune.tasks import Request, Task


def test_equal_weights_are_held_once_and_answers_stay(load_small: Callable[[], Any]) -> None:
    first, second = load_small(), load_small()
    total = sum(each.nbytes for each in second.module.parameters())
    changed = next(each for each in second.module.parameters() if each.ndim == 2)
    with torch.no_grad():
        changed.add_(0.01)
    kept = changed.clone()
    clip = first.processor.encode(noise(16_000), Request(Task.ASR, "en"))
    before = [each.generate([clip], [8])[0] for each in (first, second)]
    buffers = sum(each.nbytes for each in second.module.buffers())
    freed = share_weights(second.module, first.module)
    assert total - changed.nbytes <= freed <= total - changed.nbytes + buffers
    assert [each.generate([clip], [8])[0] for each in (first, second)] == before
    assert torch.equal(changed, kept)
    assert share_weights(second.module, first.module) == 0  # nothing is left to share
    addresses = {each.data_ptr() for each in first.module.parameters()}
    apart = [each for each in second.module.parameters() if each.data_ptr() not in addresses]
    assert [each is changed for each in apart] == [True]
