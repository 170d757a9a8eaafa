import pytest

from agent_sdk.tools.glob import Glob


def matches(pattern: str, path: str) -> bool:
    glob = Glob.parse(pattern)
    state = glob.start()
    for part in path.split("/"):
        state = glob.step(state, part)
    return glob.is_match(state)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("**/*", "a"),
        ("**/*", "a/b/c.txt"),
        ("*.py", "a.py"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b"),
        ("**/**/*.py", "a.py"),
        ("**", "a/b"),
        ("./a/?.[ch]", "a/x.c"),
        (".git/*", ".git/config"),
        ("**/.env", "a/.env"),
    ],
)
def test_pattern_matches(pattern: str, path: str) -> None:
    assert matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.py", "a/b.py"),
        ("a/*", "a/b/c"),
        ("**/*", ".env"),
        ("**/*", ".git/config"),
        ("**/*.py", "a/.hidden.py"),
        ("a", "b"),
        ("a/b", "a"),
    ],
)
def test_pattern_does_not_match(pattern: str, path: str) -> None:
    assert not matches(pattern, path)


def test_a_directory_that_cannot_lead_to_a_match_is_known_at_once() -> None:
    glob = Glob.parse("src/*.py")
    assert not glob.step(glob.start(), "docs")


def test_a_hostile_pattern_takes_linear_time() -> None:
    assert not matches("**/" * 300 + "*a*a*a*a*a*a*a*a*a*b", "/".join(["a" * 60] * 60))
