"""What one step does to a clip: our effects, and those of audiomentations.

The signatures of our classes are what a recipe may write (`transforms`).
"""

from __future__ import annotations

import inspect
import os
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from pydantic import Field

from soritune.audio import SAMPLE_RATE_HZ, Samples
from soritune.augment import room, telephone
from soritune.augment.babble import Clip, mixed
from soritune.augment.files import sound_files
from soritune.errors import UserError
from soritune.seeding import generator

Drawn = Mapping[str, Any]
"""What was drawn, as JSON values, for people to read."""

Key = tuple[Any, ...]
"""What a draw depends on: a seed, and names."""

# Modules of their own that audiomentations imports only when it applies a transform.
EXTRA_MODULES = {
    "Limiter": "numpy_audio_limiter",
    "LoudnessNormalization": "loudness",
    "Mp3Compression": "fast_mp3_augment",
    "RoomSimulator": "pyroomacoustics",
}


class Effect(Protocol):
    """A change of a clip."""

    def apply(self, samples: Samples, clip: Clip, key: Key) -> tuple[Samples, Drawn]:
        """Return the changed clip (16 kHz) and what was drawn; `samples` are not changed."""
        ...

    def duration_s(self, duration_s: float, key: Key) -> float:
        """Return the length of the changed clip (at most, where only the audio would tell)."""
        ...


class _SameLength:
    def duration_s(self, duration_s: float, key: Key) -> float:
        return duration_s


class Telephone(_SameLength):
    """See `telephone`."""

    def __init__(
        self, codec: Literal["any", "mu-law", "a-law", "gsm", "mp3", "none"] = "any"
    ) -> None:
        self._codecs = telephone.CODECS if codec == "any" else (codec,)

    def apply(self, samples: Samples, clip: Clip, key: Key) -> tuple[Samples, Drawn]:
        codec = self._codecs[int(generator(*key).integers(len(self._codecs)))]
        return telephone.through_telephone(samples, codec), {"codec": codec}


class Room(_SameLength):
    """See `room`."""

    def __init__(
        self,
        impulse_responses: Sequence[str] | str | None = None,
        min_rt60_s: Annotated[float, Field(ge=0.05)] = 0.2,
        max_rt60_s: Annotated[float, Field(ge=0.05)] = 0.6,
    ) -> None:
        self._files = room.recorded_responses(impulse_responses) if impulse_responses else ()
        self._rt60_s = (min_rt60_s, max_rt60_s)

    def apply(self, samples: Samples, clip: Clip, key: Key) -> tuple[Samples, Drawn]:
        draws = generator(*key)
        if self._files:
            file = self._files[int(draws.integers(len(self._files)))]
            return room.in_room(samples, room.recorded_response(file)), {"impulse_response": file}
        rt60_s = float(draws.uniform(*self._rt60_s))
        # Even on a logarithmic scale: small rooms are more common than halls.
        volume_m3 = float(np.exp(draws.uniform(*np.log(room.VOLUME_M3))))
        distance_m = float(draws.uniform(*room.DISTANCE_M))
        response = room.simulated_response(rt60_s, volume_m3, distance_m, draws)
        drawn = {"rt60_s": rt60_s, "volume_m3": volume_m3, "distance_m": distance_m}
        return room.in_room(samples, response), drawn


class Babble(_SameLength):
    """See `babble`."""

    def __init__(
        self,
        min_snr_db: float = 5.0,
        max_snr_db: float = 20.0,
        voices: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        self._snr_db = (min_snr_db, max_snr_db)
        self._voices = voices

    def apply(self, samples: Samples, clip: Clip, key: Key) -> tuple[Samples, Drawn]:
        if clip.background is None:
            return samples, {"skipped": "no corpus to take other voices from"}
        draws = generator(*key)
        snr_db = float(draws.uniform(*self._snr_db))
        offset = float(draws.random())
        found = [clip.background.voice(clip, draws) for _ in range(self._voices)]
        voices = [voice for voice in found if voice is not None]
        if not voices:
            return samples, {"skipped": "the corpus has no other utterance"}
        drawn = {"snr_db": snr_db, "voices": [name for name, _ in voices]}
        return mixed(samples, [sound for _, sound in voices], snr_db, offset), drawn


class Audiomentation:
    """A transform of audiomentations, drawn again for each key.

    Raises:
        UserError: a package or files are missing, or the parameters do not fit together.
    """

    def __init__(self, name: str, parameters: Mapping[str, Any]) -> None:
        module = EXTRA_MODULES.get(name)
        if module is not None and find_spec(module) is None:
            package = module.replace("_", "-")
            raise UserError(
                f"augment: {name} needs the package {package}; run: pip install {package}"
            )
        given = dict(parameters)
        self._files: set[str] = set()
        for path in ("sounds_path", "ir_path"):
            if path in given:
                # Found by us: the package takes folders in the order of the file system.
                given[path] = sound_files(given[path])
                self._files.update(given[path])
                if not given[path]:
                    raise UserError(f"{parameters[path]}: holds no sound files; {name} needs some")
        self.name = name
        self._parameters = given
        try:
            self._transform = getattr(load_audiomentations(), name)(**given, p=1.0)
        except (ValueError, AssertionError, TypeError) as error:
            reason = " ".join(str(error).split()) or "its parameters do not fit together"
            raise UserError(f"augment: {name}: {reason}") from error

    def apply(self, samples: Samples, clip: Clip, key: Key) -> tuple[Samples, Drawn]:
        with global_draws(*key), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a line for each file that is resampled
            try:
                changed = self._transform(samples.copy(), SAMPLE_RATE_HZ)
            except Exception as error:
                # Each decoder of the package has errors of its own.
                if not self._files:
                    raise
                drawn_files = self._files & set(map(str, self._transform.parameters.values()))
                folders = {os.path.dirname(file) for file in self._files}
                where = " or ".join(drawn_files or (f"a file in {each}" for each in folders))
                reason = " ".join(str(error).split()) or type(error).__name__
                raise UserError(
                    f"augment: {self.name} cannot read {where} ({reason}). Remove what is damaged"
                ) from error
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
        """Return what `apply` will draw first: for these transforms it depends on the key alone."""
        silence = np.zeros(max(1, round(duration_s * SAMPLE_RATE_HZ)), dtype=np.float32)
        with global_draws(*key):
            self._transform.randomize_parameters(silence, SAMPLE_RATE_HZ)
        return dict(self._transform.parameters)


class FastSlow(Audiomentation):
    """Another speed at the same pitch (signalsmith-stretch)."""

    def __init__(
        self,
        min_rate: Annotated[float, Field(ge=0.5)] = 0.8,
        max_rate: Annotated[float, Field(ge=0.5)] = 1.3,
    ) -> None:
        rates = {"min_rate": min_rate, "max_rate": max_rate}
        super().__init__("TimeStretch", rates | {"leave_length_unchanged": False})


def load_audiomentations() -> Any:
    """Return the package. Raises UserError where it is not installed."""
    try:
        import audiomentations
    except ImportError as error:
        raise UserError(
            "augment: audiomentations is not installed; run: pip install 'soritune[augment]'"
        ) from error
    return audiomentations


@contextmanager
def global_draws(*key: Any) -> Iterator[None]:
    """Seed Python's and numpy's global generators by a key, and restore them afterwards.

    audiomentations draws from these two and from nothing else (0.43.1). Not for several threads.
    """
    seed = int(generator(*key).integers(2**63))
    python_state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def _plain(value: Any) -> Any:
    """Return a drawn value as JSON has it; arrays by their shape."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}"
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)
