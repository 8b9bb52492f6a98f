"""A model from the hub: only the files that are needed, from the cache where they are there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from soritune.errors import UserError

# Settings and tokenizer: small, and they say which weights are needed.
SETTINGS = ("*.json", "*.txt", "*.jinja")
WEIGHTS = ("*.safetensors",)
ADAPTER = "speech-lora/*"
# Never pickles, whatever their name; the vision LoRA is not needed for speech.
NEVER = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
NOT_NEEDED = ("vision-lora/*", "examples/*", "figures/*", "onnx/*")


def download(source: str, revision: str | None = None, *, whole: bool = False) -> Path:
    """Folder of a model on the hub, downloaded as far as needed.

    Offline, or with HF_HUB_OFFLINE=1, what is in the cache is taken.

    Args:
        source: hub id, owner/name.
        revision: branch, tag or commit; the repository's main branch if None.
        whole: all that lies beside the weights too (code files as text, the vision LoRA), for an
            export that hands them on.

    Raises:
        UserError: not there, no access, or no network and not in the cache.
    """
    if whole:
        return _snapshot(source, revision, None, NEVER)
    folder = _snapshot(source, revision, SETTINGS, (*NEVER, *NOT_NEEDED))
    needed = _needed_weights(folder)
    return _snapshot(source, revision, (*SETTINGS, *needed), (*NEVER, *NOT_NEEDED))


def cached(source: str, revision: str | None = None) -> Path | None:
    """Folder of a model on the hub that was downloaded before; None where it was not."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def _needed_weights(folder: Path) -> Sequence[str]:
    """Patterns of the weight files that speech needs, by the index where there is one."""
    from soritune.models.phi4mm.checkpoint import INDEX_FILE, weight_files
    from soritune.models.phi4mm.layout import is_vision, to_native

    if not (folder / INDEX_FILE).is_file():
        return (*WEIGHTS, ADAPTER)
    needed: list[str] = []
    has_lora = False
    for name, keys in weight_files(folder).items():
        names = [to_native(key) for key in keys]
        if not all(is_vision(native) for native in names):
            needed.append(name)
        has_lora = has_lora or any(native.kind == "lora" for native in names)
    # A LoRA among the weights comes before its copy beside them.
    return needed if has_lora else [*needed, ADAPTER]


def _snapshot(
    source: str, revision: str | None, allow: Sequence[str] | None, ignore: Sequence[str]
) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                source,
                revision=revision,
                allow_patterns=None if allow is None else list(allow),
                ignore_patterns=list(ignore),
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip().splitlines() or ["no answer"])[0]
        raise UserError(
            f"model {source} cannot be downloaded ({reason}); check the name and the network, or "
            "give the folder of a downloaded copy"
        ) from None
