"""Fixed facts of Qwen3-ASR, each derived from the last.

Source: `models/qwen3_asr` of transformers 5.23, and the published configurations.
"""

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms: 100 frames a second
MIN_SAMPLES = 8_000  # shorter clips are followed by zeros, which the encoder hears
MELS = 128
# The encoder cuts a clip into chunks, each convolved alone, and attends within windows of chunks.
HALF_CHUNK = 50  # `n_window`
CHUNK_FRAMES = 2 * HALF_CHUNK
WINDOW_FRAMES = 8 * CHUNK_FRAMES  # `n_window_infer`
CHUNK_TOKENS = 13
# What one call takes in the first release (qwen_asr/inference/utils.py, MAX_ASR_INPUT_SECONDS).
MAX_CLIP_S = 1_200

AUDIO_TOKEN = "<|audio_pad|>"
END_TOKEN = "<|im_end|>"
DOCUMENT_END_TOKEN = "<|endoftext|>"  # the other end token of generation_config.json
TIMESTAMP_TOKEN = "<timestamp>"
TEXT_TOKEN = "<asr_text>"  # between the language and the transcript


def num_frames(samples: int) -> int:
    """Return the number of mel frames of a clip."""
    return max(samples, MIN_SAMPLES) // HOP_SAMPLES


def num_audio_tokens(frames: int) -> int:
    """Return the number of tokens that mel frames make: 13 a second, the rest by itself."""
    chunks, rest = divmod(frames, CHUNK_FRAMES)
    for _ in range(3):  # convolutions of stride 2
        rest = (rest + 1) // 2
    return chunks * CHUNK_TOKENS + rest
