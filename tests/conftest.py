"""What several test files share: a tiny random base, saved once, and corpora for it."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

# Before torch is imported: small tensors gain nothing from threads, least of all beside another
# worker of pytest-xdist, and a process without them can fork.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests in the background of a script or under nohup: what they start would ignore these as well.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def imports_out_of_the_garbage_collectors_way() -> None:
    """Each training collects garbage several times; to look at all of torch takes half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random base; not to be written to."""
    from small_model import save_small_base

    return save_small_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def native(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with the speech LoRA beside its weights; not to be written to."""
    from original_checkpoint import write_native

    return write_native(small_base, tmp_path_factory.mktemp("native") / "base")


@pytest.fixture
def load_small(small_base: Path) -> Callable[[], object]:
    """Loads the tiny base anew, in fp32 on the CPU."""
    from soritune.models import load

    return lambda: load(small_base, device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """40 clips to train and 9 to test, all with a translation."""
    from small_model import make_corpus

    return make_corpus(tmp_path_factory.mktemp("corpus"), "talks", train=40, test=9)


@pytest.fixture(scope="session")
def other_corpus(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """12 clips to train, without translations."""
    from small_model import make_corpus

    return make_corpus(tmp_path_factory.mktemp("other"), "other", train=12, translated=False)


@pytest.fixture(scope="session")
def small_qwen3_asr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random Qwen3-ASR; not to be written to."""
    from small_qwen3_asr import save_small_qwen3_asr

    return save_small_qwen3_asr(tmp_path_factory.mktemp("qwen3-asr"))


@pytest.fixture(scope="session")
def small_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random Whisper; not to be written to."""
    from small_whisper import save_small_whisper

    return save_small_whisper(tmp_path_factory.mktemp("whisper"))
