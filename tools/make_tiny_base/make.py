"""Make the small base that the package ships (builtin:tiny) from nothing but demo speech.

    python tools/make_tiny_base/make.py --out runs/tiny-base

The model is in OUT/base, with its card. It takes about 20 minutes on two cores; the same command
continues an interrupted run. See docs/training.md, "The small base".
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from card import write_base_card
from pretrain import pretrain
from soritune.errors import UserError
from soritune.files import locked


def main() -> int:
    """Parse the command line, pre-train and write the card."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipe", type=Path, default=Path(__file__).parent / "recipe.yaml")
    parser.add_argument("--out", type=Path, required=True, help="folder to work in")
    arguments = parser.parse_args()
    try:
        with locked(arguments.out):
            base = pretrain(arguments.recipe, arguments.out)
            card = write_base_card(arguments.recipe, arguments.out, base)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"base model: {base}\ncard: {card}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
