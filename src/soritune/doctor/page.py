"""The audit as one self-contained HTML file: tables, plots and players, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from soritune.doctor.audit import Audited
from soritune.doctor.catalogue import CHECKS
from soritune.doctor.findings import OUTDATED, SEVERITIES, Audit
from soritune.doctor.players import players
from soritune.doctor.remedies import remedy
from soritune.files import write_atomically

TEMPLATE = "page.html.j2"
SEVERITY_NAMES = {"error": "error", "warning": "warning", "info": "note"}


def write_page(path: Path, audited: Audited, *, with_audio: bool = True) -> None:
    """Write the page, whole or not at all. Raises UserError where the folder cannot be written."""
    found = players(audited) if with_audio else {}
    write_atomically(path, page(audited.audit, found).encode("utf-8"))


def page(audit: Audit, audio: Mapping[tuple[int, int], str]) -> str:
    """HTML of an audit; `audio` are the URIs of players (`soritune.doctor.players`)."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["hours"] = hours_text
    environment.filters["count"] = lambda value: f"{value:,}"
    environment.filters["share"] = share_text
    environment.filters["number"] = lambda value: f"{value:g}"
    template = resources.files("soritune.doctor").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(template).render(
        audit=audit,
        audio=audio,
        outdated=OUTDATED,
        names=SEVERITY_NAMES,
        remedies=[remedy(finding, audit.corpora, audit.recipe) for finding in audit.findings],
        counts=count_by_severity(audit),
        clean=[CHECKS[check].title for check in clean_checks(audit)],
    )


def hours_text(seconds: float) -> str:
    """`0.52 h`, `51.6 h`, `1,204 h`; under six minutes `3.5 min`, under one `8.0 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 360:
        return f"{seconds / 60:.1f} min"
    hours = seconds / 3600
    if hours < 10:
        return f"{hours:.2f} h"
    return f"{hours:.1f} h" if hours < 1000 else f"{hours:,.0f} h"


def share_text(share: float) -> str:
    """`12 %`, `0.4 %`, `<0.01 %`."""
    if 0 < share < 0.0001:
        return "<0.01 %"
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"


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
