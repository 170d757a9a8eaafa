"""What model calls may cost and did cost, in the ledger's whole numbers; and the scopes whose budgets a run spends from."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.usage import Usage

NANO = 10**9
"""The ledger counts money in billionths of a US dollar."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """An amount in each of the ledger's units: money in 1e-9 US dollars, tokens in and out together, and model calls."""

    usd_nano: int = 0
    tokens: int = 0
    calls: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(self.usd_nano + other.usd_nano, self.tokens + other.tokens, self.calls + other.calls)

    def __sub__(self, other: "Amounts") -> "Amounts":
        return Amounts(self.usd_nano - other.usd_nano, self.tokens - other.tokens, self.calls - other.calls)

    def __mul__(self, times: int) -> "Amounts":
        return Amounts(self.usd_nano * times, self.tokens * times, self.calls * times)

    def covers(self, other: "Amounts") -> bool:
        """Say whether `other` is within this in every unit."""
        return self.usd_nano >= other.usd_nano and self.tokens >= other.tokens and self.calls >= other.calls

    @classmethod
    def of(cls, usage: Usage) -> "Amounts":
        """Return what one answered call used; a cost that is not known counts as nothing."""
        cost = usage.cost_usd if usage.cost_usd is not None else Decimal(0)
        return cls(to_nano(cost), usage.input_tokens + usage.output_tokens, 1)


NOTHING = Amounts()


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be spent in one scope, all that stands below it included; None means no limit.

    Raises:
        ConfigError: an amount is negative, or money is given as a float, which cannot say cents exactly.
    """

    usd: Decimal | None = None
    tokens: int | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        given: object = self.usd
        if given is not None and not (isinstance(given, Decimal) and given.is_finite()):
            raise ConfigError(f"a budget of {given!r} US dollars is not exact", hint='write Budget(usd=Decimal("0.50"))')
        for unit, amount in (("usd", self.usd), ("tokens", self.tokens), ("calls", self.calls)):
            if amount is not None and amount < 0:
                raise ConfigError(f"a budget cannot be negative: {unit} is {amount}")


class PriceUnknown(ConfigError):
    """Money is bounded, and what the model costs is not known."""

    code = "price_unknown"


class Meter(Protocol):
    """Knows beforehand what a model call may cost."""

    def most(self, request: ModelRequest, input_tokens: int) -> Amounts:
        """Return the most that the call can come to, whichever of the models behind it answers.

        `input_tokens` is how many tokens the request is thought to have.

        Raises:
            PriceUnknown: no price of one of these models is known.
        """
        ...

    def window(self, model: str) -> int | None:
        """Return how many tokens the model's context holds, the reply included; None where that is not known."""
        ...


def to_nano(usd: Decimal) -> int:
    """Return the amount in the ledger's unit, rounded up."""
    return int((usd * NANO).to_integral_value(ROUND_CEILING))


def to_usd(nano: int) -> Decimal:
    """Return the ledger's amount in US dollars."""
    return Decimal(nano) / NANO
