"""Runs in vLLM's environment: what vLLM's offline `LLM` answers to clips, as JSON.

Usage: offline.py MODEL OUT ADAPTER|- MAX_MODEL_LEN MAX_NUM_SEQS INSTRUCTIONS WAV…
INSTRUCTIONS is a JSON list. OUT gets, for each, a list of texts and the seconds that they took,
reading of the clips included; with an adapter, a second round without it follows.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import soundfile
from vllm import LLM, SamplingParams
from vllm.lora.request import LoRARequest


def main() -> None:
    model, out, adapter, max_model_len, max_num_seqs, instructions, *files = sys.argv[1:]
    llm = LLM(
        model,
        dtype="float32",
        max_model_len=int(max_model_len),
        max_num_seqs=int(max_num_seqs),
        enforce_eager=True,
        enable_lora=adapter != "-",
        max_lora_rank=32,
        seed=0,
    )
    greedy = SamplingParams(temperature=0, max_tokens=600)
    rounds = [None] if adapter == "-" else [LoRARequest("speech", 1, adapter), None]
    texts, seconds = [], []
    for lora in rounds:
        for instruction in json.loads(instructions):
            begin = time.perf_counter()
            prompts = [
                {
                    "prompt": f"<|user|><|audio_1|>{instruction}<|end|><|assistant|>",
                    "multi_modal_data": {"audio": soundfile.read(file, dtype="float32")},
                }
                for file in files
            ]
            answers = llm.generate(prompts, greedy, lora_request=lora, use_tqdm=False)
            seconds.append(time.perf_counter() - begin)
            texts.append([answer.outputs[0].text.strip() for answer in answers])
    Path(out).write_text(json.dumps({"texts": texts, "seconds": seconds}), encoding="utf-8")


if __name__ == "__main__":
    main()
