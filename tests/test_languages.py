"""Languages by code and name: what stands in a prompt is always a language's name."""

from __future__ import annotations

import pytest

from soritune.errors import UserError
from soritune.languages.names import LANGUAGE_NAMES, known_language
from soritune.models.phi4mm.prompts import instruction
from soritune.recipe.schema import Evaluation, TrainPart
from soritune.tasks import Request, Task


def test_the_two_letter_codes_are_those_of_iso_639_1() -> None:
    codes = [code for code in LANGUAGE_NAMES if len(code) == 2]
    assert len(codes) == 183  # 184 with the withdrawn Serbo-Croatian (sh)
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
        *[("yue", "Cantonese"), ("Jejueo", "Jejueo")],
    ],
)
def test_codes_and_names_give_the_name(given: str, name: str) -> None:
    assert known_language(given) == name
    assert instruction(Request(Task.AST, "ko", given)) == f"Translate the audio to {name}."


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        *[("koraen", 'did you mean "ko"?'), ("engl", 'did you mean "en"?')],
        *[("kr-KR", "codes are like"), ("EN US", "codes are like"), ("zz", "codes are like")],
    ],
)
def test_what_is_no_language_never_stands_in_a_prompt(given: str, hint: str) -> None:
    for act in (known_language, lambda code: instruction(Request(Task.AST_COT, "ko", code))):
        with pytest.raises(UserError, match=f'"{given}" is no language') as caught:
            act(given)
        assert hint in str(caught.value)


def test_a_recipe_translates_into_known_languages_only() -> None:
    TrainPart.model_validate({"corpus": "c", "tasks": {"ast": 1}, "to": "sw"})
    Evaluation.model_validate({"corpus": "c", "task": "ast", "from": "ko", "to": "sw"})
    with pytest.raises(ValueError, match='"qq" is no language'):
        TrainPart.model_validate({"corpus": "c", "tasks": {"ast": 1}, "to": "qq"})
    with pytest.raises(ValueError, match='"qq" is no language'):
        Evaluation.model_validate({"corpus": "c", "task": "ast", "from": "ko", "to": "qq"})
