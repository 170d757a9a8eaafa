from collections.abc import Iterable

from agent_sdk.core.ids import TenantId
from agent_sdk.storage.lanes import Turns


def served(turns: Turns, lines: Iterable[str], limit: int) -> str:
    """Share out letters: a line is named by the letter that it holds."""
    return "".join(turns.share({TenantId(line[0]): iter(line) for line in lines}, limit))


def test_tenants_are_served_one_by_one() -> None:
    assert served(Turns(), ["aaaa", "b", "cc"], 6) == "abcaca"


def test_who_was_served_last_comes_last_the_next_time() -> None:
    turns = Turns()
    assert [served(turns, ["aaaa", "bbbb", "cccc"], 2) for _ in range(3)] == ["ab", "ca", "bc"]


def test_a_tenant_that_comes_new_is_served_first() -> None:
    turns = Turns()
    assert [served(turns, ["aaaa", "bbbb"], 3), served(turns, ["aaaa", "bbbb", "c"], 1)] == ["aba", "c"]


def test_no_line_is_asked_for_more_than_is_taken() -> None:
    line = iter("aaaa")
    assert list(Turns().share({TenantId("a"): line}, 2)) == ["a", "a"]
    assert "".join(line) == "aa"
    assert list(Turns().share({TenantId("a"): iter("a")}, 0)) == []
