"""Take the picture of a report's list of utterances that stands in the README; needs Chromium.

python tools/report_picture.py runs/tiny-korean/report.html docs/report.png
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import chromium


def main() -> None:
    """Open the page named first, write the picture named second."""
    report, picture = map(Path, sys.argv[1:3])
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        chromium.opened(Path(profile)) as page,
    ):
        page.resize(1280, 860)
        page.open(report)
        page.run("document.getElementById('utterances').scrollIntoView()")
        page.run("new Promise(done => setTimeout(done, 300))")
        page.picture(picture)


if __name__ == "__main__":
    main()
