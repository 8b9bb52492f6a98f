"""The benchmark at the official sizes runs from end to end at the size of the small base."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture
def full_size(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
    return importlib.import_module("full_size")


def test_its_steps_go_through_and_it_notices_logits_that_differ(
    full_size: ModuleType, tmp_path: Path
) -> None:
    found = {name: run(tmp_path, "cpu", True) for name, run in full_size.STEPS.items()}
    assert found["compare"]["difference"] == 0 < found["compare"]["moved"]
    for name, figures in found.items():
        line = full_size.row(name, {**figures, **full_size.peaks("cpu")})
        assert line.count("|") == 7, line
    torch.save(torch.zeros(1), tmp_path / "logits.pt")
    with pytest.raises(AssertionError, match="logits differ"):
        full_size.compare(tmp_path, "cpu", True)


def test_the_official_sizes_have_as_many_values_as_published(full_size: ModuleType) -> None:
    tensors = full_size.checkpoint_tensors(
        full_size.configuration(False), full_size.SPEECH_LORA, full_size.VISION_LORA
    )
    total = sum(math.prod(tensor.shape) for tensor in tensors.values())
    assert total == full_size.OFFICIAL_VALUES
