"""A model over several devices: which part goes where, and the hooks that carry between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from soritune.errors import UserError

DeviceMap = str | Mapping[str, str | int | torch.device]
"""As in transformers: "auto", or names of modules ("" for the rest) with their devices."""
AUTO = "auto"
WHOLE = ""


def resolve(
    module: nn.Module, wanted: DeviceMap, dtype: torch.dtype, whole: tuple[str, ...]
) -> dict[str, torch.device]:
    """The device of each named module, for a module that may still be on the meta device.

    "auto" spreads evenly over the GPUs and puts on the CPU what does not fit there; modules of
    the classes `whole` are never divided. Raises UserError: a module or a device that is not
    there, parts without a device, no room.
    """
    if isinstance(wanted, str):
        if wanted != AUTO:
            raise UserError(
                f'device_map "{wanted}": give "auto", or a device for each module by name'
            )
        chosen = _automatic(module, dtype, whole)
    else:
        chosen = {name: _device(name, place) for name, place in wanted.items()}
        there = torch.cuda.device_count()
        for name, device in chosen.items():
            if device.type == "cuda" and (device.index or 0) >= there:
                raise UserError(
                    f"device_map: {name!r} is to go to {device}, but there are {there} GPUs"
                )
    _check(module, chosen)
    return chosen


def device_of(name: str, places: Mapping[str, torch.device]) -> torch.device:
    """Device of a tensor: that of the longest of the names that it stands below."""
    while name not in places:
        if not name:
            raise KeyError(name)
        name = name.rpartition(".")[0]
    return places[name]


def spread(module: nn.Module, places: Mapping[str, torch.device]) -> None:
    """Let inputs follow the parts of a module, whose tensors lie where `places` says.

    Parts on the CPU beside a GPU are computed there: each goes to the GPU for its turn. To be
    called last: adapters and values must be in place.
    """
    if len(places) == 1:
        return
    from accelerate import dispatch_model

    # accelerate tells the CPU by its name only.
    plain = {name: _plain(place) for name, place in places.items()}
    dispatch_model(module, plain, main_device=_plain(main_device(places)), force_hooks=True)


def main_device(places: Mapping[str, torch.device]) -> torch.device:
    """Where inputs go first: the first device that is no CPU, else the CPU."""
    return next((each for each in places.values() if each.type != "cpu"), torch.device("cpu"))


def _plain(device: torch.device) -> str | torch.device:
    return "cpu" if device.type == "cpu" else device


def _automatic(
    module: nn.Module, dtype: torch.dtype, whole: tuple[str, ...]
) -> dict[str, torch.device]:
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    classes: Any = list(whole)
    room = get_balanced_memory(module, dtype=dtype, no_split_module_classes=classes)
    found = infer_auto_device_map(
        module, max_memory=room, dtype=dtype, no_split_module_classes=classes
    )
    if "disk" in found.values():
        raise UserError(
            "the model does not fit into the memory of the GPUs and of this machine together; "
            "take a machine with more, or dtype bfloat16"
        )
    return {name: _device(name, place) for name, place in found.items()}


def _device(name: str, place: str | int | torch.device) -> torch.device:
    try:
        device = torch.device("cuda", place) if isinstance(place, int) else torch.device(place)
    except RuntimeError as error:
        raise UserError(f"device_map: {name!r} has device {place!r}, which is none") from error
    return device


def _check(module: nn.Module, places: Mapping[str, torch.device]) -> None:
    modules = dict(module.named_modules())
    unknown = [name for name in places if name not in modules]
    if unknown:
        raise UserError(f"device_map: the model has no module {unknown[0]}")
    for name in module.state_dict():
        try:
            device_of(name, places)
        except KeyError:
            raise UserError(
                f'device_map: no device for {name}; name a module above it, or "" for all the rest'
            ) from None
