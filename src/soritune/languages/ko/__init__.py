"""Korean: encodings, letters, numerals in digits and in words, punctuation, spacing.

docs/korean-text.md has each rule with its source and what was measured.
"""

from __future__ import annotations

import re

from soritune.languages.ko.characters import unify
from soritune.languages.ko.encoding import decode_korean
from soritune.languages.ko.normalization import normalize, syllables
from soritune.languages.ko.readings import VERSION as READINGS_VERSION
from soritune.languages.ko.readings import readings
from soritune.languages.ko.spacing import spacing_version
from soritune.languages.ko.spell import spell_numbers
from soritune.languages.language import Language, NumberForms

__all__ = ["LANGUAGE", "normalize", "spell_numbers", "syllables", "unify"]

_NATIVE = "한|두|세|네|다섯|여섯|일곱|여덟|아홉|열|스무|스물|서른|마흔|쉰|예순|일흔|여든|아흔"
_NATIVE_UNITS = "개|명|시간|시|살|마리|권|장|잔|병|달|송이|켤레"
_SINO = "일이삼사오육칠팔구십백천만억"
_SINO_UNITS = "년|월|일|분|초|원|층|호|인분|킬로|미터|퍼센트|프로|주일|호선|박"
_ENDS = "(?![가-힣]{3})"  # a particle may follow, a longer word was another one

LANGUAGE = Language(
    "ko",
    scripts=("HANGUL SYLLABLE", "LATIN"),
    combining_marks=False,
    # Native numerals and those from Chinese have their own counters, and it is usual to write
    # "세 개" and "30분" in one text; so each kind is compared with itself.
    number_forms={
        "세 개": NumberForms(
            re.compile(rf"\d ?(?:{_NATIVE_UNITS}){_ENDS}"),
            re.compile(rf"(?<![가-힣])(?:{_NATIVE})+ ?(?:{_NATIVE_UNITS}){_ENDS}"),
        ),
        "삼십 분": NumberForms(
            re.compile(rf"\d ?(?:{_SINO_UNITS}){_ENDS}"),
            re.compile(rf"(?<![가-힣])[{_SINO}]{{2,}} ?(?:{_SINO_UNITS}){_ENDS}"),
        ),
    },
    spoken_units=syllables,
    spoken_unit="syllables",
    decode=decode_korean,
    normalize=normalize,
    spacing_version=spacing_version,
    bleu_tokenizer="ko-mecab",
    readings=readings,
    readings_version=READINGS_VERSION,
    headings={
        "audio": ("파일", "파일명", "파일 이름", "파일경로", "파일 경로", "오디오", "음성"),
        "text": ("전사", "전사문", "전사 내용", "텍스트", "문장", "발화", "대본"),
        "speaker": ("화자", "발화자", "화자명", "화자 이름"),
        "translation": ("번역", "번역문"),
        "language": ("언어",),
    },
)
