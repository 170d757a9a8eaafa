from agent_sdk.core.nearest import nearest


def test_the_word_most_like_it_is_found() -> None:
    assert nearest("serch", ["search", "fetch", "reach"]) == "search"


def test_words_that_are_not_alike_are_not_meant() -> None:
    assert nearest("xyz", ["search", "fetch"]) is None
    assert nearest("search", []) is None


def test_how_much_alike_they_must_be_is_for_the_caller_to_say() -> None:
    assert nearest("opnai-compatible", ["openai"], likeness=0.4) == "openai"
    assert nearest("opnai-compatible", ["openai"]) is None
