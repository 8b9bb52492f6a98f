"""`python -m soritune.cli`, and `torchrun … -m soritune.cli`."""

from soritune.cli import main

if __name__ == "__main__":
    main()
