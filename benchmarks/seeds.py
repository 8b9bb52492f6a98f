"""Run a recipe with several seeds and print the spread of every figure.

python benchmarks/seeds.py recipes/tiny-korean.yaml 7 8 9
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path

from soritune.experiment.run import Experiment
from soritune.files import locked
from soritune.recipe import load_recipe


def main() -> None:
    """Run what is not done yet and print a Markdown table of all seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("seeds", type=int, nargs="+")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for seed in arguments.seeds:
        # The recipe's own seed keeps the recipe's own folder, so that a demo run counts.
        output = recipe.output if seed == recipe.seed else Path(f"{recipe.output}-seed{seed}")
        seeded = recipe.model_copy(update={"seed": seed, "output": output})
        output.mkdir(parents=True, exist_ok=True)
        with locked(output):
            report = Experiment(seeded, print).run()
        for result in report.results:
            values[result.case, result.evaluation, result.metric].append(result.value)
    print(f"\nseeds {', '.join(map(str, arguments.seeds))}\n")
    print(
        "| case | evaluation | metric | " + " | ".join(map(str, arguments.seeds)) + " | mean | sd |"
    )
    print("|---" * (5 + len(arguments.seeds)) + "|")
    for (case, evaluation, metric), found in values.items():
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        cells = [f"{value:.1f}" for value in (*found, statistics.mean(found), spread)]
        print(f"| {case} | {evaluation} | {metric} | " + " | ".join(cells) + " |")
    path = recipe.output.with_name(f"{recipe.output.name}-seeds.json")
    rows = [
        {"case": c, "evaluation": e, "metric": m, "values": v} for (c, e, m), v in values.items()
    ]
    path.write_text(json.dumps({"seeds": arguments.seeds, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
