"""Fixed facts of the Whisper family, each derived from the last.

Source: `audio.py` and `tokenizer.py` of openai/whisper, and `preprocessor_config.json` of
openai/whisper-base.
"""

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms: 100 frames a second
MAX_DURATION_S = 30  # the encoder always hears that much, silence included
MAX_SAMPLES = MAX_DURATION_S * SAMPLE_RATE_HZ
NUM_FRAMES = MAX_SAMPLES // HOP_SAMPLES
FRAMES_PER_POSITION = 2  # stride of the second convolution
ENCODER_POSITIONS = NUM_FRAMES // FRAMES_PER_POSITION
POSITION_S = FRAMES_PER_POSITION * HOP_SAMPLES / SAMPLE_RATE_HZ

START_TOKEN = "<|startoftranscript|>"
END_TOKEN = "<|endoftext|>"
TRANSCRIBE_TOKEN = "<|transcribe|>"
TRANSLATE_TOKEN = "<|translate|>"
NO_TIMESTAMPS_TOKEN = "<|notimestamps|>"
PREVIOUS_TOKEN = "<|startofprev|>"

_LANGUAGES = """
en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr
bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn
yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su
yue
"""
LANGUAGES = frozenset(_LANGUAGES.split())
"""Codes in language tokens; `yue` from large-v3 on only."""
CODES = {"jv": "jw", "nb": "no", "fil": "tl"}
"""Codes in language tokens that are not those of ISO 639."""
UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages written without spaces between words (openai/whisper, `split_to_word_tokens`)."""
MULTILINGUAL_VOCABULARY = 51_865
"""From this size on a checkpoint knows languages; the English ones have a token less."""
