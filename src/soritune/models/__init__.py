"""Loading a speech LLM by hub id, folder or `builtin:` name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soritune.errors import UserError

if TYPE_CHECKING:
    import torch

    from soritune.models.family import SpeechModel

BUILTIN_PREFIX = "builtin:"
_BUILTIN_FOLDER = Path(__file__).parent.parent / "bases"


def resolve(source: str, revision: str | None = None) -> Path:
    """Folder of a base or trained model: a path, `builtin:NAME`, or a hub id (downloaded).

    Raises UserError where nothing of that name is found.
    """
    if source.startswith(BUILTIN_PREFIX):
        folder = _BUILTIN_FOLDER / source.removeprefix(BUILTIN_PREFIX)
        if not folder.is_dir():
            names = ", ".join(
                BUILTIN_PREFIX + f.name for f in sorted(_BUILTIN_FOLDER.glob("*/")) if f.is_dir()
            )
            raise UserError(f"no built-in model {source}; there are: {names or 'none'}")
        return folder
    if Path(source).is_dir():
        return Path(source)
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise UserError(f"model {source}: no such folder, and no hub id of the form owner/name")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, revision=revision, ignore_patterns=["*.py", "*.bin"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip().splitlines() or ["no answer"])[0]
        raise UserError(
            f"model {source} cannot be downloaded ({reason}); check the name and the network, or "
            "give the folder of a downloaded copy"
        ) from None


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    merge: bool = False,
) -> SpeechModel:
    """Load a base or a model that soritune trained.

    Args:
        source: folder, hub id or `builtin:NAME`.
        revision: of a hub id.
        device: default: the GPU where there is one.
        dtype: default: bfloat16 on a GPU, float32 elsewhere.
        merge: add the LoRA to the weights (for decoding; only done in float32, where it changes
            nothing else).

    Raises:
        UserError: nothing there, another model, tensors missing or left over.
    """
    import torch

    from soritune.models.phi4mm import model as phi4mm

    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if dtype is None or dtype == "auto":
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    elif isinstance(dtype, str):
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]

    folder = resolve(str(source), revision)
    record = _trained_record(folder)
    if record is None:
        model = phi4mm.load_base(folder, str(source), dtype=dtype, device=device)
    else:
        base = str(record["base"])
        base_folder = resolve(base, record.get("revision"))
        own = not (folder / phi4mm.ADAPTER_FOLDER).is_dir()
        model = phi4mm.load_base(base_folder, base, dtype=dtype, device=device, own_lora=own)
        model.load_trained(folder)
    if merge and dtype == torch.float32:
        model.merge_lora()
    return model


def _trained_record(folder: Path) -> dict[str, Any] | None:
    path = folder / "soritune.json"
    if not path.is_file():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error}); train or download the model anew") from None
    if record.get("family") != "phi4mm":
        raise UserError(f"{path}: unknown model family {record.get('family')!r}")
    if "base" not in record:
        raise UserError(f'{path}: names no "base"; train or download the model anew')
    return record
