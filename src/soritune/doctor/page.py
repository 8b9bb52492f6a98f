"""The audit as one self-contained HTML file: tables, plots and players, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from soritune.doctor.audit import Audited
from soritune.doctor.catalogue import CHECKS
from soritune.doctor.findings import OUTDATED, SEVERITIES, Audit
from soritune.doctor.players import players
from soritune.doctor.remedies import remedy
from soritune.files import write_atomically
from soritune.pages import render

SEVERITY_NAMES = {"error": "error", "warning": "warning", "info": "note"}


def write_page(path: Path, audited: Audited, *, with_audio: bool = True) -> None:
    """Write the page, whole or not at all. Raises UserError where the folder cannot be written."""
    found = players(audited) if with_audio else {}
    write_atomically(path, page(audited.audit, found).encode("utf-8"))


def page(audit: Audit, audio: Mapping[tuple[int, int], str]) -> str:
    """HTML of an audit; `audio` are the URIs of players (`soritune.doctor.players`)."""
    return render(
        "doctor/page.html.j2",
        audit=audit,
        audio=audio,
        outdated=OUTDATED,
        names=SEVERITY_NAMES,
        remedies=[remedy(finding, audit.corpora, audit.recipe) for finding in audit.findings],
        counts=count_by_severity(audit),
        clean=[CHECKS[check].title for check in clean_checks(audit)],
    )


def count_by_severity(audit: Audit) -> dict[str, int]:
    """How many findings there are of each severity, also of those without any."""
    return {
        severity: sum(finding.severity == severity for finding in audit.findings)
        for severity in SEVERITIES
    }


def clean_checks(audit: Audit) -> list[str]:
    """What was looked for and not found."""
    found = {finding.check for finding in audit.findings}
    return [check for check in audit.checks if check not in found]
