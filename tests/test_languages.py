"""Which language a text is in: the text's own word against the network's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huggingtweets.languages import code_of, language_of

GERMAN = "Das Wetter ist heute herrlich und wir gehen lange spazieren"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("en", "en"),
        ("EN", "en"),
        ("pt-BR", "pt"),
        ("zh_Hant_TW", "zh"),
        ("ckb", "ckb"),
        ("iw", "he"),  # X still writes three languages by codes of before 1989
        ("in", "id"),
        ("nb", "no"),
        ("yue", "zh"),
        ("fil", "tl"),
        *((nothing, None) for nothing in ("und", "zxx", "qme", "qst", "qht", "qam", "qct", "art", "mul", "", None)),
        ("english", None),
        ("e", None),
        ("日本", None),
    ],
)
def test_a_network_s_word_becomes_a_bare_code_or_nothing(said: str | None, code: str | None) -> None:
    assert code_of(said) == code


@pytest.mark.parametrize(
    ("text", "said", "language"),
    [
        (GERMAN, None, "de"),
        (GERMAN, "en", "de"),  # the author's setting, not the language
        ("Feierabend!", "de", "de"),
        ("lol so true", "en", "en"),
        ("草", "ja", "ja"),
        ("@bob #Freiheit", None, None),
        ("@bob #Freiheit", "de", "de"),
        ("🚀🚀🚀 2024!", None, None),
        ("", None, None),
        ("", "und", None),
        ("今日は天気がいいので散歩に行きます", "en", "ja"),
        (f"@wethepeople #freedom {GERMAN} #amazing #wonderful", None, "de"),
    ],
)
def test_a_plain_text_decides_and_else_the_network(text: str, said: str | None, language: str | None) -> None:
    assert language_of(text, said) == language


@settings(deadline=None)  # the first example loads the languages
@given(st.text(), st.none() | st.text(max_size=8))
def test_any_text_has_a_bare_code_or_none(text: str, said: str | None) -> None:
    language = language_of(text, said)
    assert language is None or code_of(language) == language
