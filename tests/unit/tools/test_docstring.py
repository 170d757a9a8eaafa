from agent_sdk.tools.docstring import Docstring, parse_docstring


def test_summary_is_the_first_paragraph_on_one_line() -> None:
    assert parse_docstring("\n    Search the\n    catalogue.\n\n    More of it.\n    ").summary == "Search the catalogue."


def test_a_function_without_a_docstring_says_nothing() -> None:
    assert parse_docstring(None) == Docstring("", {})


def test_parameters_are_read_with_types_stars_and_continued_lines() -> None:
    text = """Search.

    Args:
        query: What to look for,
            in a few words: at most ten.

            Not more.
        limit (int, optional): How many.
        **options: Whatever else.

    Returns:
        query: not a parameter.
    """
    assert parse_docstring(text) == Docstring(
        "Search.",
        {"query": "What to look for, in a few words: at most ten. Not more.", "limit": "How many.", "options": "Whatever else."},
    )


def test_a_docstring_of_parameters_alone_has_no_summary() -> None:
    assert parse_docstring("\nArgs:\n    x: The x.\n      still x") == Docstring("", {"x": "The x. still x"})


def test_text_before_the_first_entry_belongs_to_none() -> None:
    assert parse_docstring("Do.\n\nArgs:\n    as usual\n    x: The x.").parameters == {"x": "The x."}
