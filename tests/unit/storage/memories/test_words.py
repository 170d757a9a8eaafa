"""The words that a text is found by."""

import pytest

from agent_sdk.storage.memories.words import MAX_QUERY_WORDS, MAX_WORD_CHARS, query_words, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The user's Café, on 5th St.", "the user s cafe on 5th st"),
        ("snake_case x-ray", "snake case x ray"),
        ("喝茶 tea", "喝 茶 喝茶 tea"),
        ("買3個", "買 3 個"),
        ("한국어 ㄱ", "한국어 ᄀ"),
        ("", ""),
        ("?! \u200b 😀", ""),
    ],
)
def test_a_text_is_cut_into_words(text: str, words: str) -> None:
    assert words_of(text) == tuple(words.split())


def test_a_query_asks_for_pairs_of_a_script_without_spaces_and_for_single_letters_alone() -> None:
    assert query_words("喝茶 茶 tea tea") == ("喝茶", "茶", "tea")


def test_a_query_has_a_bounded_number_of_different_words() -> None:
    assert query_words(" ".join(f"w{number % 100}" for number in range(1000))) == tuple(f"w{number}" for number in range(MAX_QUERY_WORDS))


def test_a_long_word_counts_by_its_beginning() -> None:
    assert words_of("ab" * 1000) == (("ab" * 1000)[:MAX_WORD_CHARS],)
    assert words_of("a" * 100 + "茶" + "b" * 100) == ("a" * MAX_WORD_CHARS, "茶", "b" * MAX_WORD_CHARS)
