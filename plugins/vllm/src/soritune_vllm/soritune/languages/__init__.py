"""Parts of soritune, copied by tools/copy_to_vllm.py: change them there."""
