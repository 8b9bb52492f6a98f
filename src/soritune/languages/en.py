"""English."""

from __future__ import annotations

import re

from soritune.languages.language import Language, NumberForms

LANGUAGE = Language(
    "en",
    number_forms={
        "": NumberForms(
            re.compile(r"\d"),
            re.compile(
                r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|"
                r"fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|"
                r"sixty|seventy|eighty|ninety|hundred|thousand|million)\b",
                re.IGNORECASE,
            ),
        )
    },
)
