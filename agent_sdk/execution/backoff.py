"""How long to wait before another attempt, and before another look at a budget."""

from agent_sdk.core.ports import Random

BASE_S = 0.5
CAP_S = 30.0
BUDGET_CAP_S = 30.0
LOOK_S, LOOK_CAP_S = 120.0, 86_400.0
"""A budget that is spent is looked at again all the same, ever more seldom: whoever raised it may have died before all runs were told."""


def delay_before(attempt: int, random: Random, *, retry_after_s: float | None = None) -> float:
    """Return the seconds to wait before `attempt` (2, 3, ...): what the world asked for, else exponential with full jitter.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    if retry_after_s is not None:
        return max(0.0, retry_after_s)
    return random.uniform(0.0, min(CAP_S, BASE_S * 2.0 ** (attempt - 2)))


def pause_for_budget(refusals: int, random: Random, *, is_passing: bool) -> float:
    """Return the seconds to wait for room in budgets that refused so often; `is_passing` where others will let go of what they reserved."""
    factor = 2.0 ** min(refusals, 20)
    return random.uniform(0.5, 1.0) * (min(BUDGET_CAP_S, factor) if is_passing else min(LOOK_CAP_S, LOOK_S * factor))
