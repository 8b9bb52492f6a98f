"""The terms under which the known data sets are published, as their own pages state them.

Zeroth-Korean: openslr.org/40 and the card of kresnik/zeroth_korean. Common Voice:
commonvoice.mozilla.org; the Mozilla Data Collective, where releases are downloaded, asks not to
host copies elsewhere. MInDS-14: the card of PolyAI/minds14. FLEURS: the card of google/fleurs.
KsponSpeech: the terms of AI-Hub (aihub.or.kr), which has no licence of the Creative Commons kind
and gives data to those who apply for it.
"""

from __future__ import annotations

UNKNOWN = "unknown (add license to the corpus in the recipe)"

LICENSES = {
    "zeroth": "CC BY 4.0",
    "common-voice": "CC0 1.0 (no copies elsewhere: terms of the Mozilla Data Collective)",
    "minds14": "CC BY 4.0",
    "fleurs": "CC BY 4.0",
    "ksponspeech": "terms of AI-Hub (no redistribution)",
    "aihub": "terms of AI-Hub (no redistribution)",
    "demo": "made here by espeak-ng, free",
    "non-speech": "computed here, free",
}


def license_of(source: str, given: str | None) -> str:
    """Return what the recipe gives, else what is known of the source."""
    return given or LICENSES.get(source, UNKNOWN)
