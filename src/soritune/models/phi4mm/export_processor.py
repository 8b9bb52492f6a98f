"""What transformers' AutoProcessor needs beside a native model that came from the original layout.

The original's own preprocessor_config.json names classes of its remote code. Here stand those of
transformers, with the values that they have by default there and in the official file, as
`Phi4MultimodalProcessor.save_pretrained` of transformers 5.23 writes them. AutoProcessor itself
needs torchvision for the image part; AutoFeatureExtractor and AutoTokenizer do not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from soritune.models.phi4mm import layout
from soritune.models.phi4mm.constants import AUDIO_TOKEN, IMAGE_TOKEN

PROCESSOR_FILE = "processor_config.json"
_TOKENIZER_FILE = "tokenizer_config.json"
_TOKENS = {"audio_token": AUDIO_TOKEN, "image_token": IMAGE_TOKEN}
_CLASS = "Phi4MultimodalProcessor"
PROCESSOR: dict[str, Any] = {
    "audio_processor": {
        "audio_compression_rate": 8,
        "audio_downsample_rate": 1,
        "audio_feat_stride": 1,
        "feature_extractor_type": "Phi4MultimodalFeatureExtractor",
        "feature_size": 80,
        "hop_length": 160,
        "n_fft": 512,
        "padding_side": "right",
        "padding_value": 0.0,
        "preemphasis": 0.97,
        "return_attention_mask": True,
        "sampling_rate": 16_000,
        "win_length": 400,
    },
    "image_processor": {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "dynamic_hd": 36,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "Phi4MultimodalImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "patch_size": 14,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"height": 448, "width": 448},
    },
    "processor_class": _CLASS,
}


def write_processor(folder: Path, base_layout: str) -> None:
    """Write processor_config.json, and name the sound and image tokens in tokenizer_config.json.

    The tokenizer's files are there already; a tokenizer_config.json that is missing is made. What
    a native base has stays as it is.
    """
    native = base_layout == layout.NATIVE
    if native and (folder / PROCESSOR_FILE).is_file():
        return
    (folder / PROCESSOR_FILE).write_text(json.dumps(PROCESSOR, indent=2) + "\n", encoding="utf-8")
    if native:
        return
    path = folder / _TOKENIZER_FILE
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    settings.pop("auto_map", None)  # code of the original
    settings |= {**_TOKENS, "model_specific_special_tokens": _TOKENS, "processor_class": _CLASS}
    text = json.dumps(settings, ensure_ascii=False, indent=2) + "\n"
    path.write_text(text, encoding="utf-8")
