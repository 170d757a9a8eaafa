"""How long to wait before another attempt."""

from agent_sdk.core.ports import Random

BASE_S = 0.5
CAP_S = 30.0


def delay_before(attempt: int, random: Random, *, retry_after_s: float | None = None) -> float:
    """Return the seconds to wait before `attempt` (2, 3, ...): what the world asked for, else exponential with full jitter.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    if retry_after_s is not None:
        return max(0.0, retry_after_s)
    return random.uniform(0.0, min(CAP_S, BASE_S * 2.0 ** (attempt - 2)))
