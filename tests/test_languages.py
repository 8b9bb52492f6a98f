"""Languages by code and name: what stands in a prompt is always a language's name."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter
from sacrebleu.metrics.bleu import BLEU

from soritune.errors import UserError
from soritune.languages import find_language, languages_with_modules
from soritune.languages.encoding import decode_text
from soritune.languages.names import LANGUAGE_NAMES, is_language, known_language, language_code
from soritune.models.phi4mm.prompts import instruction
from soritune.models.whisper.prompts import check_request
from soritune.recipe.schema import Evaluation, TrainPart
from soritune.sources import SourceConfig
from soritune.tasks import Request, Task


def test_the_two_letter_codes_are_those_of_iso_639_1() -> None:
    codes = [code for code in LANGUAGE_NAMES if len(code) == 2]
    # 184 with the withdrawn Serbo-Croatian (sh) and with Kanuri (kr), which is kau here.
    assert len(codes) == 182
    # Languages that Phi-4-multimodal writes, by its model card.
    card = {
        *("Arabic", "Chinese", "Czech", "Danish", "Dutch", "English", "Finnish", "French"),
        *("German", "Hebrew", "Hungarian", "Italian", "Japanese", "Korean", "Norwegian"),
        *("Polish", "Portuguese", "Russian", "Spanish", "Swedish", "Thai", "Turkish"),
        "Ukrainian",
    }
    assert card <= set(LANGUAGE_NAMES.values())
    assert len(set(LANGUAGE_NAMES.values())) == len(LANGUAGE_NAMES)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        *[("ko", "Korean"), ("Korean", "Korean"), ("korean", "Korean")],
        *[("ko-KR", "Korean"), ("kor_Hang", "Korean"), ("KO", "Korean"), ("한국어", "Korean")],
        *[("yue", "Cantonese"), ("Jejueo", "Jejueo"), ("kau", "Kanuri")],
    ],
)
def test_codes_and_names_give_the_name(given: str, name: str) -> None:
    assert known_language(given) == name
    assert instruction(Request(Task.AST, "ko", given)) == f"Translate the audio to {name}."


@pytest.mark.parametrize(
    ("code", "written"),
    [
        # Tags, separators, scripts and marks that cannot be seen.
        (
            "ko",
            ["ko_KR.UTF-8", "ko-Kore-KR", "KO-kr", "ｋｏ", "kor-Hang", "\ufeffko", "ko\u200b"],
        ),
        (
            "ko",
            ["Korean-KR", "ko KR", "Korean (South)", "Korean, South Korea", " Korean\n", "한국말"],
        ),
        ("zh", ["Mandarin", "Chinese (Simplified)", "cmn-Hans", "普通话", "zh_TW"]),
        # Second names of ISO 639-2 and of Whisper.
        ("es", ["Castilian", "Español"]),
        ("pa", ["Punjabi", "pan", "panjabi"]),
        ("ky", ["Kyrgyz", "Kirghiz"]),
        ("km", ["Khmer", "Central Khmer"]),
        ("ht", ["haitian creole", "Haitian"]),
        ("fr", ["Français", "fre", "fra"]),
        ("ro", ["mo", "Moldavian", "rum"]),
        ("nan", ["nan", "Southern Min Chinese"]),
        # What Whisper writes, and what Koreans and others write in their lists.
        ("jv", ["jw", "jav"]),
        ("ko", ["<|ko|>", "조선어", "한글", "韓国語", "South Korean", "Korean language"]),
        ("en", ["영어", "American English", "British English"]),
        ("zh", ["중국어", "Mandarin Chinese", "Simplified Chinese"]),
        ("pt", ["Brazilian Portuguese", "포르투갈어"]),
    ],
)
def test_however_a_language_is_written_it_has_one_code(code: str, written: list[str]) -> None:
    assert {language_code(each) for each in written} == {code}
    assert is_language(code)


@pytest.mark.parametrize(
    "text", ["und", "Unknown", "null", "None", "N/A", "", "-", "1", "kp", "ko,en", "ko/en", "i-ko"]
)
def test_what_names_no_language_is_none(text: str) -> None:
    assert not is_language(language_code(text))


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        *[("koraen", 'did you mean "korean"?'), ("engl", 'did you mean "english"?')],
        *[
            ("kr-KR", "write ko for Korean"),
            ("jp", "write ja for Japanese"),
            ("EN USUAL", "codes are like"),
            ("zz", "codes are like"),
        ],
    ],
)
def test_what_is_not_a_language_never_stands_in_a_prompt(given: str, hint: str) -> None:
    for act in (known_language, lambda code: instruction(Request(Task.AST_COT, "ko", code))):
        with pytest.raises(UserError, match=f'"{given}" is not a language') as caught:
            act(given)
        assert hint in str(caught.value)


def test_a_recipe_translates_into_known_languages_only() -> None:
    TrainPart.model_validate({"corpus": "c", "tasks": {"ast": 1}, "to": "sw"})
    Evaluation.model_validate({"corpus": "c", "task": "ast", "from": "ko", "to": "sw"})
    with pytest.raises(ValueError, match='"qq" is not a language'):
        TrainPart.model_validate({"corpus": "c", "tasks": {"ast": 1}, "to": "qq"})
    with pytest.raises(ValueError, match='"qq" is not a language'):
        Evaluation.model_validate({"corpus": "c", "task": "ast", "from": "ko", "to": "qq"})


@pytest.mark.parametrize("given", ["ko", "ko-KR", "ko_kr", "kor", "korean", "Korean"])
def test_a_recipe_takes_a_language_in_any_form(given: str) -> None:
    source: TypeAdapter[Any] = TypeAdapter(SourceConfig)
    for settings, key, kept in (
        ({"source": "manifest", "path": "l.csv", "language": given}, "language", "ko"),
        ({"source": "folder", "path": "d", "translation_language": given}, "", ""),
        ({"source": "demo", "language": given}, "language", "ko"),
        ({"source": "fleurs", "languages": [given]}, "languages", ["ko_kr"]),
        ({"source": "minds14", "locale": given}, "locale", "ko-KR"),
        ({"source": "common-voice", "path": "cv", "locale": given}, "locale", "ko"),
    ):
        read = source.validate_python(settings)
        assert getattr(read, key or "translation_language") == (kept or "ko")
    evaluation = {"corpus": "c", "task": "ast", "from": given, "to": "english"}
    read = Evaluation.model_validate(evaluation)
    assert (read.source_language, read.to) == ("ko", "en")
    assert check_request(Request(Task.AST, given, "English")) is None
    with pytest.raises(ValueError, match="write ko for Korean"):
        source.validate_python({"source": "manifest", "path": "l.csv", "language": "kr"})


def test_a_language_is_found_by_its_code_its_tag_or_its_name() -> None:
    assert {find_language(given).code for given in ("ko", "ko-KR", "ko_kr", "Korean")} == {"ko"}
    assert [language.code for language in languages_with_modules()] == ["en", "ja", "ko", "zh"]
    # Swahili has no module: letters are counted, files are UTF-8, no rules for its texts.
    swahili = find_language("sw")
    assert swahili.spoken_units("Habari, dunia!") == 11
    assert swahili.normalize is None


@pytest.mark.parametrize(
    ("content", "language", "text"),
    [
        ("habari".encode("utf-8-sig"), "sw", "habari"),
        ("habari".encode("utf-16"), "sw", "habari"),
        ("한글".encode("cp949"), "ko", "한글"),
        ("한글".encode("cp949"), "sw", None),
        (b"\xff\xfea", "sw", None),
    ],
)
def test_a_file_is_read_in_the_encodings_of_its_language(
    content: bytes, language: str, text: str | None
) -> None:
    assert decode_text(content, language) == text


def test_bleu_tokenizers_are_those_of_sacrebleu() -> None:
    for code in LANGUAGE_NAMES:
        theirs = BLEU._TOKENIZER_MAP.get(code, "13a")
        assert find_language(code).bleu_tokenizer == theirs
