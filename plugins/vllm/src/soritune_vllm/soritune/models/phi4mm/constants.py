# Copied from src/soritune/models/phi4mm/constants.py by tools/copy_to_vllm.py: change it there.
"""Fixed facts of the Phi-4-multimodal family, each derived from the last.

Source: `preprocessor_config.json` and `config.json` of microsoft/Phi-4-multimodal-instruct.
"""

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms: 100 frames a second
FFT_SIZE = 512
NUM_MELS = 80
MEL_MIN_HZ = 0.0
MEL_MAX_HZ = 7690.0
PREEMPHASIS = 0.97
SAMPLE_SCALE = 32_768.0  # the filter bank was made for 16-bit integers
FRAMES_PER_TOKEN = 8  # 80 ms: 12.5 tokens a second
# The encoder cuts longer audio into chunks that do not see each other (see docs/data.md).
MAX_AUDIO_TOKENS = 500
# Longest clip that is trained on or transcribed in one piece; the encoder itself takes 40 s.
MAX_CLIP_S = 30.0

AUDIO_TOKEN = "<|endoftext11|>"
IMAGE_TOKEN = "<|endoftext10|>"
END_TOKENS = ("<|end|>", "<|endoftext|>")
USER_TOKEN = "<|user|>"
ASSISTANT_TOKEN = "<|assistant|>"


def num_frames(num_samples: int) -> int:
    """Return the log-mel frames of a clip in samples at 16 kHz (0 under 400 samples)."""
    if num_samples < WINDOW_SAMPLES:
        return 0
    return (num_samples - WINDOW_SAMPLES) // HOP_SAMPLES + 1


def num_audio_tokens(num_samples: int) -> int:
    """Return the audio tokens that a clip in samples at 16 kHz takes in the prompt."""
    return -(-num_frames(num_samples) // FRAMES_PER_TOKEN)
