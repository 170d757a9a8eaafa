"""How long to wait before another attempt, and before another look at a budget."""

import pytest

from agent_sdk.execution.backoff import delay_before, pause_for_budget


class Longest:
    """Draws the longest wait there is."""

    def uniform(self, low: float, high: float) -> float:
        return high


class Shortest:
    def uniform(self, low: float, high: float) -> float:
        return low


def test_attempts_wait_ever_longer_or_as_long_as_the_world_asks() -> None:
    assert [delay_before(attempt, Longest()) for attempt in (2, 3, 4, 20)] == [0.5, 1.0, 2.0, 30.0]
    assert delay_before(2, Longest(), retry_after_s=7.0) == 7.0
    assert delay_before(2, Longest(), retry_after_s=-1.0) == 0.0


@pytest.mark.parametrize(
    ("is_passing", "pauses"), [(True, [1.0, 2.0, 30.0, 30.0]), (False, [120.0, 240.0, 86_400.0, 86_400.0])], ids=["held", "spent"]
)
def test_a_budget_is_looked_at_ever_more_seldom(*, is_passing: bool, pauses: list[float]) -> None:
    assert [pause_for_budget(refusals, Longest(), is_passing=is_passing) for refusals in (0, 1, 10, 10_000)] == pauses
    assert pause_for_budget(0, Shortest(), is_passing=is_passing) == pauses[0] / 2
