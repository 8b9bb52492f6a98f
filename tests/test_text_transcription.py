"""Marked transcripts become their words; what is wrongly marked is refused.

Lines with KsponSpeech's own words are utterances of its release as published documents and tests
of several projects quote them (sooftware/ksponspeech, README; espnet, egs2/ksponspeech); what
they should become follows the rules of Bang et al. 2020, Applied Sciences 10(19):6936, section
2.2, by hand.
"""

from __future__ import annotations

import pytest

from soritune.languages.ko.transcription import Policy, TranscriptionError, plain_words

README = "b/ 아/ 모+ 몬 소리야 (70%)/(칠 십 퍼센트) 확률이라니 n/"


def reason(transcript: str, **settings: str) -> str:
    with pytest.raises(TranscriptionError) as caught:
        plain_words(transcript, **settings)  # type: ignore[arg-type]
    assert str(caught.value) == caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("pronunciation", "아 모 몬 소리야 칠 십 퍼센트 확률이라니"),
        ("spelling", "아 모 몬 소리야 70% 확률이라니"),
    ],
)
def test_the_example_of_the_published_preprocessing_comes_out_as_there(
    policy: Policy, words: str
) -> None:
    assert plain_words(README, policy) == words


@pytest.mark.parametrize(
    ("marked", "spelling", "pronunciation"),
    [
        ("아/ 몬 소리야, 그건 또. b/", "아 몬 소리야, 그건 또.", None),
        (
            "나는 악습은 원래 없어진다+ 없어져야 된다고",
            "나는 악습은 원래 없어진다 없어져야 된다고",
            None,
        ),
        ("까* 오히려 사원 대신 돔* 먹+ 먹, 음식", "까 오히려 사원 대신 돔 먹 먹, 음식", None),
        (
            "o/ b/ 그게 (0.1프로)/(영 점 일 프로) 가정의 모습이야? b/",
            "그게 0.1프로 가정의 모습이야?",
            "그게 영 점 일 프로 가정의 모습이야?",
        ),
        ("한+ 한+ 한 시간에", "한 한 한 시간에", None),
        ("갈+ b/ 간다고", "갈 간다고", None),
        ("뭐/. 그래", "뭐. 그래", None),
        ("나 그/ (3G)/(쓰리 쥐)* 하나도", "나 그 3G 하나도", "나 그 쓰리 쥐 하나도"),
        ("(2월)/(이 월 )달에 가? 응.", "2월달에 가? 응.", "이 월 달에 가? 응."),
        ("(7명)/(일곱 명)+ (7명)/(일곱 명)? 끝", "7명 7명? 끝", "일곱 명 일곱 명? 끝"),
        ("(그래서)/(캐서*) 너는", "그래서 너는", "캐서 너는"),
        ("(7*7)/(칠 칠) 이야", "7*7 이야", "칠 칠 이야"),
        ("(21, 1학점)/(이십 일+ 일 학점)", "21, 1학점", "이십 일 일 학점"),
        ("(뭐)/(머)/ 그래", "뭐 그래", "머 그래"),
        ("그 club/ K-POP+ 노래가", "그 club K-POP 노래가", None),
    ],
)
def test_lines_of_the_corpus_keep_their_words_and_lose_their_marks(
    marked: str, spelling: str, pronunciation: str | None
) -> None:
    assert plain_words(marked) == spelling
    assert plain_words(marked, "pronunciation") == (pronunciation or spelling)


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("일부러 손 들어서.b/", "일부러 손 들어서."),  # KsponSpeech_E00300
        ("안 먹을래 b/.", "안 먹을래."),  # KsponSpeech_E00866
        ("그래서b/ 가", "그래서 가"),
        ("b/n/ 그래", "그래"),
        ("그 +그 사람", "그 그 사람"),  # the repair of the authors' script
        ("(3월) / (삼 월)에", "3월에"),
        (". 그래 b/ . 응", "그래. 응"),
        ("  아/\t몬  소리 ", "아 몬 소리"),
        ("24/7 열어", "24/7 열어"),
    ],
)
def test_slips_of_those_who_transcribed_are_repaired(marked: str, words: str) -> None:
    assert plain_words(marked) == words


@pytest.mark.parametrize(
    ("marked", "spelling", "pronunciation"),
    [
        ("(A/S)/(에이 에스) 받아", "A/S 받아", "에이 에스 받아"),
        ("(1+1)/(원 플러스 원) 행사", "1+1 행사", "원 플러스 원 행사"),
        ("(네/아니오)/(네 아니오) 중에", "네/아니오 중에", "네 아니오 중에"),
        ("(A+)/(에이 쁠) 받았어", "A+ 받았어", "에이 쁠 받았어"),
        ("(3+ 3월)/(삼+ 삼 월) 달", "3 3월 달", "삼 삼 월 달"),
    ],
)
def test_a_sign_of_the_spelling_is_no_mark(marked: str, spelling: str, pronunciation: str) -> None:
    assert plain_words(marked) == spelling
    assert plain_words(marked, "pronunciation") == pronunciation


def test_labels_of_free_conversations_lose_their_label_and_keep_their_words() -> None:
    assert plain_words("(FP:음) 그러니까 (NO:) (SP:제가) 갔어요 (SN:)") == "음 그러니까 제가 갔어요"


@pytest.mark.parametrize(
    "marked",
    [
        "(70%/(칠십 프로) 확률",
        "(70%)/칠십 프로) 확률",
        "(70%)(칠십 프로) 확률",
        "70%)/(칠십 프로) 확률",
        "(70%)/( ) 확률",
        "((3)/(삼)학년)/(삼 학년)",
        "(웃음) 그래",
        "{laughing} 그래",
        "&이름1& 그래",
        "((그래)) 뭐",
        "아/그래",
        "아 / 그래",
        "그+그래",
        "+ 그래",
        "B/ 그래",
        "b// 그래",
        "그래\ue000",
    ],
)
@pytest.mark.parametrize("policy", ["spelling", "pronunciation"])
def test_what_is_wrongly_marked_is_refused_not_half_cleaned(marked: str, policy: Policy) -> None:
    assert reason(marked, policy=policy) == "bad-markup"


@pytest.mark.parametrize("marked", ["b/", "b/ n/ l/ o/", ". b/", "n/ ?", "(NO:)"])
def test_noise_alone_is_no_utterance(marked: str) -> None:
    assert reason(marked) == "no-speech"
    assert reason(" \t") == "empty-text"


def test_a_part_that_nobody_understood_is_refused_or_left_out_as_asked() -> None:
    marked = "그래서 u/ 갔어 b/u/"
    assert reason(marked) == "unclear"
    assert plain_words(marked, unclear="keep") == "그래서 갔어"
    assert reason("u/", unclear="keep") == "no-speech"


def test_long_and_strange_transcripts_take_no_time() -> None:
    for marked in ("(" * 10_000, "b/" * 10_000, " " * 10_000 + "+", "(가)/" * 5_000):
        with pytest.raises(TranscriptionError):
            plain_words(marked)
