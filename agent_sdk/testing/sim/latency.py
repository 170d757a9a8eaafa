"""How long a simulated model thinks: distributions of seconds, drawn with the chance that they are given."""

import math
import random
from collections.abc import Callable

from agent_sdk.core.frozen import frozen

Seconds = Callable[[random.Random], float]


def constant(seconds: float) -> Seconds:
    """Take always so long."""
    return lambda _: seconds


def uniform(low_s: float, high_s: float) -> Seconds:
    """Take any time between the two, evenly."""
    return lambda chance: chance.uniform(low_s, high_s)


def lognormal(median_s: float, sigma: float = 0.5) -> Seconds:
    """Take half of the time less than the median, with the long tail that vendors have: the larger `sigma`, the longer."""
    return lambda chance: chance.lognormvariate(math.log(median_s), sigma)


_AT_ONCE = constant(0)


@frozen
class Latency:
    """How long the first token of a reply takes, and each one after it."""

    first_token: Seconds = _AT_ONCE
    per_token: Seconds = _AT_ONCE


NO_LATENCY = Latency()
