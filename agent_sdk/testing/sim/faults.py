"""How a simulated model fails: the kinds of failure, and how often each happens."""

import random
from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Literal, get_args

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen

FaultKind = Literal[
    "rate_limited",
    "overloaded",
    "server_error",
    "timeout",
    "slow_first_token",
    "stall",
    "closed",
    "error_in_stream",
    "malformed_json",
    "html",
    "invalid_arguments",
    "duplicate_call_ids",
    "truncated",
    "refused",
    "filtered",
    "empty",
    "usage_missing",
    "usage_zero",
    "usage_negative",
    "unknown_finish",
    "context_too_long",
    "auth_failed",
    "unknown_model",
]
"""What can go wrong.

Instead of a reply: `rate_limited`, `overloaded`, `server_error`, `context_too_long`, `auth_failed`, `unknown_model`, `filtered` (refused by
a safety system), `html` (a proxy's page) and `timeout` (no answer at all). In the midst of one: `stall` (silence), `closed` (the connection
ends), `error_in_stream` and `malformed_json`. A whole reply that is odd: `slow_first_token`, `invalid_arguments` (no JSON),
`duplicate_call_ids`, `truncated`, `refused` (by the model), `empty`, `unknown_finish`, and usage that is missing, zero or negative.
"""

FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
USAGE_FAULTS: frozenset[FaultKind] = frozenset({"usage_missing", "usage_zero", "usage_negative"})
INSTEAD: frozenset[FaultKind] = frozenset(
    {"rate_limited", "overloaded", "server_error", "context_too_long", "auth_failed", "unknown_model", "filtered"}
)
"""What a vendor answers with an error of its own."""


@frozen
class Fault:
    """A failure in a script, or drawn by chance. A vendor that asks to wait asks for `retry_after_s`."""

    kind: FaultKind
    retry_after_s: float = 1.0


@frozen
class Faults:
    """Lets the share `rate` of all questions fail in one of `kinds`, drawn with `seed`.

    `weights`, 1 where none is given, make some kinds more frequent than others. A kind that a reply cannot have, such as invalid arguments
    where nothing is called, is not drawn for it. `slow_s` is how much later than usual the first token of a slow reply comes.

    Raises:
        ConfigError: the rate is no probability, or there is no kind of that name.
    """

    rate: float = 0.0
    seed: int = 0
    kinds: tuple[FaultKind, ...] = FAULT_KINDS
    weights: Mapping[FaultKind, float] = field(default_factory=dict[FaultKind, float])
    retry_after_s: float = 1.0
    slow_s: float = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ConfigError(f"the rate of faults is {self.rate}; it is a probability from 0 to 1")
        if unknown := {*self.kinds, *self.weights} - set(FAULT_KINDS):
            raise ConfigError(f"there is no fault {min(unknown)!r}", hint=f"there are {', '.join(FAULT_KINDS)}")

    def draw(self, question: str, possible: Collection[FaultKind]) -> Fault | None:
        """Return how the answer to a question fails, None where it does not; the same question fails in the same way at every run."""
        chance = random.Random(f"{self.seed}:{question}")  # noqa: S311  (a test's chance)
        if chance.random() >= self.rate:
            return None
        kinds: list[FaultKind] = [kind for kind in self.kinds if kind in possible]
        if not kinds:
            return None
        return Fault(chance.choices(kinds, [self.weights.get(kind, 1.0) for kind in kinds])[0], self.retry_after_s)


NO_FAULTS = Faults()
