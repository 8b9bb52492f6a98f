"""HTML pages that open from disk: one file each, nothing from elsewhere, no text taken as markup.

The doctor's page and the report share styles, macros and this way of rendering.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

SHARED_STYLE = "pages/shared.css"
# What would end the element that holds the data, and halves of characters, which UTF-8 has not.
_NOT_IN_SCRIPT = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
_HALVES = re.compile("[\ud800-\udfff]")


def render(
    template: str, *, styles: Sequence[str] = (), scripts: Sequence[str] = (), **values: Any
) -> str:
    """Return a page.

    The template gets `style` and `script`, the texts of the files joined, and `policy`, a content
    security policy under which nothing else runs and nothing is loaded from a network.

    Args:
        template, styles, scripts: files of this package, such as "doctor/page.html.j2".
    """
    style = "\n" + "\n".join(_text(name) for name in (SHARED_STYLE, *styles))
    script = "\n" + "\n".join(_text(name) for name in scripts)
    policy = (
        f"default-src 'none'; style-src {_source(style)}; "
        f"script-src {_source(script) if scripts else _NOTHING}; "
        "media-src 'self' file: data: blob:; base-uri 'none'; form-action 'none'"
    )
    page = (
        _environment()
        .get_template(template)
        .render(style=style, script=script, policy=policy, **values)
    )
    return _HALVES.sub("\ufffd", page)


_NOTHING = "'none'"


@cache
def _environment() -> Environment:
    """Return the one environment: a run writes its report often, and templates compile slowly."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("soritune", ""),
    )
    filters: dict[str, Any] = {
        "hours": hours_text,
        "count": lambda value: f"{value:,}",
        "share": share_text,
        "number": lambda value: f"{value:g}",
        "data": script_data,
    }
    environment.filters.update(filters)
    return environment


def script_data(value: object) -> str:
    """Return a value as JSON that may stand inside a `<script>` element, as it is (`| safe`)."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _NOT_IN_SCRIPT.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


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


def _text(name: str) -> str:
    return resources.files("soritune").joinpath(name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
