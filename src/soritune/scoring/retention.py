"""Skills that must not be lost: a test of non-inferiority against the untrained base.

A case keeps a skill where the whole 95 % interval of its loss is within what is allowed. That its
loss may also be no larger is not enough: a small test set would then let everything pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from soritune.scoring.records import PairedTest, RetentionVerdict
from soritune.scoring.score import LOWER_IS_BETTER


def retention_verdicts(
    tests: Sequence[PairedTest], base: str, allowed: Mapping[tuple[str, str, str], float]
) -> list[RetentionVerdict]:
    """Return a verdict for each case and each marked evaluation.

    Args:
        tests: of all cases against `base`, among others.
        allowed: points by evaluation, metric and variant.
    """
    found = []
    for test in tests:
        worse_by = allowed.get((test.evaluation, test.metric, test.variant))
        if worse_by is None or test.case_a != base:
            continue
        sign = 1 if LOWER_IS_BETTER[test.metric] else -1
        low, high = sorted((sign * test.low, sign * test.high))
        found.append(
            RetentionVerdict(
                case=test.case_b,
                evaluation=test.evaluation,
                metric=test.metric,
                variant=test.variant,
                worse_by=worse_by,
                loss=sign * test.difference,
                low=low,
                high=high,
                verdict="kept" if high <= worse_by else "lost" if low > worse_by else "not shown",
            )
        )
    return found
