"""Synthetic speech by espeak-ng, in memory and bit for bit reproducible.

espeak-ng is a formant synthesizer under the GPL. It is not part of soritune: the package
`espeakng-loader`, installed separately by the user, brings the library, and it is called here
through its C interface (espeak-ng/speak_lib.h, version 1.52).
"""

from __future__ import annotations

import _ctypes
import ctypes
import itertools
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from soritune.errors import UserError

SAMPLE_RATE_HZ = 22_050  # what espeak-ng's own voices produce

# Values of speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_EE_OK = 0
_EVENT_LIST_ENDS, _EVENT_WORD = 0, 1
_INITIALIZE_DONT_EXIT = 0x8000
_PARAMETER_RATE, _PARAMETER_PITCH = 1, 3
_POS_CHARACTER = 1
_CHARS_UTF8 = 1

_RANDOM_SEED = 1
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)
_one_at_a_time = threading.Lock()  # the library keeps its state in globals


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("message", ctypes.c_uint),
        ("position", ctypes.c_int),  # of the letter in the text, from 1
        ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


def synthesize(text: str, voice: str, rate_wpm: int, pitch: int) -> npt.NDArray[np.float32]:
    """Speak `text` and return mono samples in [-1, 1] at `SAMPLE_RATE_HZ`, shape (num_samples,).

    `voice` is espeak-ng's name of a voice and variant ("ko+f2"), `rate_wpm` its words a minute
    (80 to 450), `pitch` its pitch from 0 to 99 (50 is normal). Equal arguments give equal samples
    in any process and after any other clip, as long as nothing else in the process holds the
    library open.

    Raises UserError where espeak-ng is missing or cannot be used, ValueError for an unknown voice.
    """
    return synthesize_timed(text, voice, rate_wpm, pitch)[0]


def synthesize_timed(
    text: str, voice: str, rate_wpm: int, pitch: int
) -> tuple[npt.NDArray[np.float32], list[tuple[int, float]]]:
    """As `synthesize`, with the place of each word in `text` and the second at which it begins."""
    library_path, data_path = _locate()
    chunks: list[bytes] = []
    words: list[tuple[int, float]] = []
    callback = _recorder(chunks, words)  # held until the end: the library keeps only its address
    with _one_at_a_time:
        # The flutter of the pitch and the noise of consonants go on from clip to clip in static
        # variables that no call resets; so each clip gets a library loaded afresh (some 2 ms).
        library = _load(library_path)
        try:
            _start(library, data_path)
            _choose_voice(library, voice, rate_wpm, pitch)
            library.espeak_SetSynthCallback(callback)
            _speak(library, text)
        finally:
            library.espeak_Terminate()
            _unload(library)
    samples = np.frombuffer(b"".join(chunks), dtype=np.int16).astype(np.float32)
    samples /= 32_768  # full scale of 16 bits
    return samples, words


def _recorder(chunks: list[bytes], words: list[tuple[int, float]]) -> Any:
    def keep(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, count * ctypes.sizeof(ctypes.c_short)))
        listed: Any = ctypes.cast(events, ctypes.POINTER(_Event))
        for event in itertools.takewhile(lambda each: each.type != _EVENT_LIST_ENDS, listed):
            if event.type == _EVENT_WORD:
                words.append((event.position - 1, event.sample / SAMPLE_RATE_HZ))
        return 0

    return _CALLBACK(keep)


def _locate() -> tuple[str, str]:
    try:
        import espeakng_loader
    except ImportError:
        raise UserError(
            "demo speech needs espeak-ng, which is not installed: pip install soritune[demo]"
        ) from None
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()


def _load(path: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        raise UserError(
            f"espeak-ng cannot be loaded from {path} ({error}); "
            "try: pip install --force-reinstall espeakng-loader"
        ) from None


def _unload(library: Any) -> None:
    # The standard library has no public name for this; both exist in CPython as built.
    close = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary  # type: ignore[attr-defined]
    close(library._handle)


def _start(library: ctypes.CDLL, data_path: str) -> None:
    rate = library.espeak_Initialize(
        _AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path.encode(), _INITIALIZE_DONT_EXIT
    )
    if rate != SAMPLE_RATE_HZ:
        raise UserError(
            f"espeak-ng cannot start with its data in {data_path} (answer {rate}); "
            "try: pip install --force-reinstall espeakng-loader"
        )
    library.espeak_ng_SetRandSeed(ctypes.c_long(_RANDOM_SEED))


def _choose_voice(library: ctypes.CDLL, voice: str, rate_wpm: int, pitch: int) -> None:
    if library.espeak_SetVoiceByName(voice.encode()) != _EE_OK:
        raise ValueError(f"espeak-ng has no voice {voice!r}")
    library.espeak_SetParameter(_PARAMETER_RATE, rate_wpm, 0)
    library.espeak_SetParameter(_PARAMETER_PITCH, pitch, 0)


def _speak(library: ctypes.CDLL, text: str) -> None:
    encoded = text.encode() + b"\0"
    library.espeak_Synth(
        encoded, ctypes.c_size_t(len(encoded)), 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
    )
    library.espeak_Synchronize()
