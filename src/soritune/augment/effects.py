"""One step at work on a clip: ours, and those of audiomentations."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.augment import room, telephone
from soritune.augment.babble import Clip, mixed
from soritune.augment.config import Step
from soritune.augment.files import sound_files
from soritune.augment.seeding import generator, global_draws
from soritune.errors import UserError

Drawn = Mapping[str, Any]
"""What was drawn, as JSON values, for people to read."""

Key = tuple[object, ...]
"""Names that a draw depends on."""


class Effect(Protocol):
    """A step whose turn has come."""

    def apply(self, samples: Samples, clip: Clip, key: Key) -> tuple[Samples, Drawn]:
        """The changed clip (16 kHz) and what was drawn; `samples` stay as they are."""
        ...

    def duration_s(self, duration_s: float, key: Key) -> float:
        """How long the changed clip will be (at most, where only the audio would tell)."""
        ...


class Stretch:
    """Other speed, same pitch (signalsmith-stretch)."""

    def __init__(self, min_rate: float, max_rate: float) -> None:
        self._inner = Audiomentation(
            "TimeStretch",
            {"min_rate": min_rate, "max_rate": max_rate, "leave_length_unchanged": False},
        )

    def apply(self, samples: Samples, clip: Clip, key: Key) -> tuple[Samples, Drawn]:
        return self._inner.apply(samples, clip, key)

    def duration_s(self, duration_s: float, key: Key) -> float:
        return self._inner.duration_s(duration_s, key)


class _SameLength:
    def duration_s(self, duration_s: float, key: Key) -> float:
        return duration_s


class Telephone(_SameLength):
    """See `telephone`."""

    def __init__(self, codec: str) -> None:
        self._codecs = telephone.CODECS if codec == "any" else (codec,)

    def apply(self, samples: Samples, clip: Clip, key: Key) -> tuple[Samples, Drawn]:
        codec = self._codecs[int(generator(*key).integers(len(self._codecs)))]
        return telephone.through_telephone(samples, codec), {"codec": codec}


class Room(_SameLength):
    """See `room`."""

    def __init__(self, impulse_responses: Any, min_rt60_s: float, max_rt60_s: float) -> None:
        self._files = room.recorded_responses(impulse_responses) if impulse_responses else ()
        self._rt60_s = (min_rt60_s, max_rt60_s)

    def apply(self, samples: Samples, clip: Clip, key: Key) -> tuple[Samples, Drawn]:
        random = generator(*key)
        if self._files:
            file = self._files[int(random.integers(len(self._files)))]
            return room.in_room(samples, room.recorded_response(file)), {"impulse_response": file}
        rt60_s = float(random.uniform(*self._rt60_s))
        # Even on a logarithmic scale: small rooms are more common than halls.
        volume_m3 = float(np.exp(random.uniform(*np.log(room.VOLUME_M3))))
        distance_m = float(random.uniform(*room.DISTANCE_M))
        response = room.simulated_response(rt60_s, volume_m3, distance_m, random)
        drawn = {"rt60_s": rt60_s, "volume_m3": volume_m3, "distance_m": distance_m}
        return room.in_room(samples, response), drawn


class Babble(_SameLength):
    """See `babble`."""

    def __init__(self, min_snr_db: float, max_snr_db: float, voices: int) -> None:
        self._snr_db = (min_snr_db, max_snr_db)
        self._voices = voices

    def apply(self, samples: Samples, clip: Clip, key: Key) -> tuple[Samples, Drawn]:
        if clip.background is None:
            return samples, {"skipped": "no corpus to take other voices from"}
        random = generator(*key)
        snr_db = float(random.uniform(*self._snr_db))
        offset = float(random.random())
        found = [clip.background.voice(clip, random) for _ in range(self._voices)]
        voices = [voice for voice in found if voice is not None]
        if not voices:
            return samples, {"skipped": "the corpus has no other utterance"}
        drawn = {"snr_db": snr_db, "voices": [name for name, _ in voices]}
        return mixed(samples, [sound for _, sound in voices], snr_db, offset), drawn


class Audiomentation:
    """A transform of audiomentations, drawn anew for each key."""

    def __init__(self, name: str, parameters: Mapping[str, Any]) -> None:
        given = dict(parameters)
        for path in ("sounds_path", "ir_path"):
            if path in given:
                # Found by us: the package takes folders in the order of the file system.
                given[path] = sound_files(given[path])
                if not given[path]:
                    raise UserError(f"{parameters[path]}: holds no sound files; {name} needs some")
        self.name = name
        self._parameters = given
        try:
            self._transform = getattr(_package(), name)(**given, p=1.0)
        except (ValueError, AssertionError, TypeError) as error:
            reason = " ".join(str(error).split()) or "its parameters do not fit together"
            raise UserError(f"augment: {name}: {reason}") from error

    def apply(self, samples: Samples, clip: Clip, key: Key) -> tuple[Samples, Drawn]:
        with global_draws(*key), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a line for each file that is resampled
            changed = self._transform(samples.copy(), SAMPLE_RATE_HZ)
        drawn = {name: _plain(value) for name, value in self._transform.parameters.items()}
        drawn.pop("should_apply", None)
        return np.asarray(changed, dtype=np.float32), drawn

    def duration_s(self, duration_s: float, key: Key) -> float:
        value = self._value
        if self.name == "TimeStretch" and not value("leave_length_unchanged"):
            return duration_s / float(self._drawn(duration_s, key)["rate"])
        if self.name == "Resample":
            rate_hz = float(self._drawn(duration_s, key)["target_sample_rate"])
            return duration_s * rate_hz / SAMPLE_RATE_HZ
        if self.name == "RepeatPart" and value("mode") == "insert":
            return duration_s + float(value("max_repeats") * value("max_part_duration"))
        if self.name == "AdjustDuration":
            seconds = value("duration_seconds")
            return float(seconds or value("duration_samples") / SAMPLE_RATE_HZ)
        if self.name in ("RoomSimulator", "ApplyImpulseResponse") and not value(
            "leave_length_unchanged"
        ):
            return duration_s + room.MAX_RESPONSE_S
        return duration_s

    def _value(self, name: str) -> Any:
        if name in self._parameters:
            return self._parameters[name]
        return inspect.signature(type(self._transform).__init__).parameters[name].default

    def _drawn(self, duration_s: float, key: Key) -> Drawn:
        """What `apply` will draw first, which for these transforms hangs on the key alone."""
        silence = np.zeros(max(1, round(duration_s * SAMPLE_RATE_HZ)), dtype=np.float32)
        with global_draws(*key):
            self._transform.randomize_parameters(silence, SAMPLE_RATE_HZ)
        return dict(self._transform.parameters)


def effect(step: Step) -> Effect:
    """The effect of a step that is no group and no mask of features.

    Raises UserError where a package that it needs is missing or its parameters do not fit.
    """
    values = step.kind.values(step.parameters)
    if step.transform == "fast-slow":
        return Stretch(**values)
    if step.transform == "telephone":
        return Telephone(**values)
    if step.transform == "room":
        return Room(**values)
    if step.transform == "babble":
        return Babble(**values)
    if step.kind.needs and find_spec(step.kind.needs) is None:
        raise UserError(
            f"augment: {step.transform} needs the package {step.kind.needs}; "
            f"run: pip install {step.kind.needs.replace('_', '-')}"
        )
    return Audiomentation(step.transform, step.parameters)


def _package() -> Any:
    try:
        import audiomentations
    except ImportError as error:
        raise UserError(
            "augment: audiomentations is not installed; run: pip install 'soritune[augment]'"
        ) from error
    return audiomentations


def _plain(value: Any) -> Any:
    """A drawn value as JSON has it; arrays by their shape."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}"
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)
